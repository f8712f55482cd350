"""A round that several processes share by portions."""

from itertools import pairwise
from pathlib import Path

import pytest
import torch

from dp.pool.folder import PoolFolder
from dp.pool.paths import portions_name
from dp.pool.repair import check
from dp.pool.rounds import busy_share, make_round, portions, portions_in, without
from dp.samples import Samples
from dp.utils.errors import UserError
from tests.dp.pool.example import CLASSES, SHAPE, made, same

WHOLE = made(0, range(700))


def make(slots: range) -> Samples:
    return WHOLE[slots.start : slots.stop]


def new(folder: Path, shard_size: int) -> PoolFolder:
    return PoolFolder.create(folder, CLASSES, SHAPE, shard_size)


@pytest.mark.parametrize("processes", [1, 3, 32])
@pytest.mark.parametrize("batch", [1, 7, 32, 250])
def test_portions_are_all_slots_once_and_processes_have_as_many_batches(processes, batch):
    left = [range(0, 1000), range(1100, 2000), range(2000, 2345)]
    mine = [portions(left, batch, k, processes) for k in range(processes)]
    slots = [slot for each in mine for part in each for slot in part]
    assert slots == [slot for part in left for slot in part]
    batches = [sum(-(-len(part) // batch) for part in each) for each in mine]
    assert max(batches) - min(batches) <= 1
    for part in (part for each in mine for part in each):
        assert len(part) <= max(batch, 100 + batch) and any(part.start in whole for whole in left)
        assert part.start // 1000 == (part.stop - 1) // 1000


@pytest.mark.parametrize("count", [16_000, 32_000, 64_000, 130_000])
@pytest.mark.parametrize("batch", [50, 40, 32, 25])
def test_additions_of_the_paper_keep_32_gpus_busy(count, batch):
    """The rest is what the last batches of shards and of processes lack."""
    assert busy_share(count, batch, 32, 1000) >= (0.97 if batch in (50, 32, 25) else 0.96)


def test_slots_that_are_there_are_not_made_again():
    assert list(without(range(10, 20), [range(0, 10), range(12, 15), range(15, 17), range(30, 40)])) == [
        range(10, 12),
        range(17, 20),
    ]
    assert list(without(range(10, 20), [range(10, 20)])) == []


@pytest.mark.parametrize("encoding", ["PNG", "JPEG"])
def test_a_shard_put_together_has_the_bytes_of_one_written_as_a_whole(tmp_path, encoding):
    pools = [PoolFolder.create(tmp_path / name, CLASSES, SHAPE, 300, encoding=encoding) for name in "ab"]
    for slots in pools[0].shards_missing(0, 450):
        pools[0].write(0, slots.start, make(slots))
    pools[0].commit(0, 450)
    asked = []

    def asking(slots: range) -> Samples:
        asked.append(slots)
        return make(slots)

    make_round(pools[1], 0, 450, asking, batch=60)
    assert asked == [range(0, 120), range(120, 240), range(240, 300), range(300, 420), range(420, 450)]
    assert check(pools[1]) == []  # nothing is left
    for path in (tmp_path / "a").rglob("*.parquet"):
        assert path.read_bytes() == (tmp_path / "b" / path.relative_to(tmp_path / "a")).read_bytes()
    read, known = pools[1].read(), pools[1].records(0)
    assert (tmp_path / "a" / "manifest.json").read_bytes() == (tmp_path / "b" / "manifest.json").read_bytes()
    for name in ("labels", "seeds", "rounds", "omega", "entropy_before", "entropy", "correct", "zero_steps"):
        ours, theirs = getattr(known.samples, name), getattr(read, name)
        assert ours.dtype == theirs.dtype and torch.equal(ours.nan_to_num(-1), theirs.nan_to_num(-1)), name
    again = PoolFolder.open(tmp_path / "b").records(0)
    assert torch.equal(again.rows, known.rows) and torch.equal(again.shards, known.shards)


def test_a_round_that_was_broken_off_goes_on_with_its_portions_whatever_the_batch(tmp_path):
    class EnoughError(Exception):
        pass

    def until(limit: int):
        def look() -> None:
            if len(asked) == limit:
                raise EnoughError

        return look

    pool, asked = new(tmp_path / "pool", 500), []

    def asking(slots: range) -> Samples:
        asked.append(slots)
        return make(slots)

    with pytest.raises(EnoughError):
        make_round(pool, 0, 700, asking, batch=50, look=until(3))
    assert portions_in(tmp_path / "pool" / portions_name(0)) == [range(0, 100), range(100, 200), range(200, 300)]
    make_round(pool, 0, 700, asking, batch=40)
    assert all(a.stop <= b.start for a, b in pairwise(asked)) and asked[3].start == 300
    assert same(pool.read(), WHOLE)


def test_a_damaged_portion_is_named_and_made_again(tmp_path):
    pool, scratch = new(tmp_path / "pool", 300), tmp_path / "pool" / portions_name(0)

    def damaged(slots: range):
        if slots.start == 200:
            path = scratch / "0-100.parquet"
            path.write_bytes(path.read_bytes()[:-30])
        return make(slots)

    with pytest.raises(UserError, match=r"0-100\.parquet: damaged, and removed .*; the same command makes it again"):
        make_round(pool, 0, 300, damaged)
    make_round(pool, 0, 300, make)
    assert same(pool.read(), WHOLE[:300])
