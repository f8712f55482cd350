"""Room in memory for a pool, before anything is made."""

import pytest

from dp.runs import memory_room
from dp.runs.memory_room import check_memory
from dp.utils.errors import UserError


def test_a_pool_that_memory_does_not_hold_is_refused_with_the_way_out(monkeypatch):
    monkeypatch.setattr(memory_room, "free_memory", lambda: 10**9)
    check_memory(2000, (3, 256, 256))
    with pytest.raises(UserError, match=r"memory: 3,000 images take about 1.18 GB of memory, 1 GB free; .*no-mem"):
        check_memory(3000, (3, 256, 256))


def test_every_process_of_a_machine_has_a_pool_of_its_own(monkeypatch):
    monkeypatch.setattr(memory_room, "free_memory", lambda: 10**9)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    with pytest.raises(UserError, match="2,000 images take 2 times about 786 MB of memory"):
        check_memory(2000, (3, 256, 256))
