"""The parts of the benchmark that a GPU is needed for, in small."""

import pytest

from benchmarks.accelerator import SMALL, parts


@pytest.mark.parametrize("name", ["training", "guided unet every 5"])
def test_a_part_runs_in_small(name):
    found = parts(SMALL, small=True)[name]()
    expected = {"training": {"loop", "bare", "loader"}, "guided unet every 5": {"batch", "seconds"}}[name]
    assert all(found[each] > 0 for each in expected)
