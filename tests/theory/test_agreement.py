"""A few of the benchmark's random settings: exact errors meet simulation row by row."""

import pytest

from benchmarks.theory_agreement import compare, timed


@pytest.mark.parametrize("seed", [1, 2, 6, 11, 51])
def test_random_settings_agree_with_simulation(seed):
    found = compare(seed, replicates=12)
    assert found["agrees"], found


@pytest.mark.parametrize("seed", [4, 32, 80])
def test_points_without_a_ridge_are_found(seed):
    found = timed(seed)
    assert found["ridge"] == 0 and 0 < found["exact"] < 0.65
