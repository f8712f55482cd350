"""Commands that write a folder, killed while they change it: the same command ends as if nothing had happened.

Many more kills, also at random times: benchmarks/kills.py.
"""

import pytest

from benchmarks.kills import COMMANDS, Hammer


@pytest.fixture(scope="module")
def hammer(tmp_path_factory) -> Hammer:
    return Hammer(tmp_path_factory.mktemp("kills").resolve())


TESTED = ("run", "experiments")  # in runs/test_folder.py and tests/experiments/test_kill.py


@pytest.mark.parametrize("name", [each for each in COMMANDS if each not in TESTED])
def test_killed_early_and_late_a_command_ends_with_the_same_files(hammer, name):
    expected, changes, _ = hammer.undisturbed(name)
    assert not [each for each in expected if each.endswith(".partial")]
    hits, different = hammer.killed(name, expected, [(changes // 3, 0.0), (changes * 2 // 3, 0.0)])
    assert hits >= 1 and different == []
