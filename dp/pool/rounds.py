"""Make a round of a pool by all processes, each as much as the others.

A shard of 1,000 images is too large to share work by: 16 of them keep half of 32 GPUs idle. So the batches of a round
are shared evenly, and made in portions of up to a hundred images or so, which are kept in files of their own until
their shard is complete; a kill loses a portion and no more. Images do not depend on what is made with them, so shards
are the same, whoever made which part of them. While one portion is encoded and written, the next one is made.
"""

import re
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import torch

from dp.pool.folder import PoolFolder
from dp.pool.paths import inside, portions_name
from dp.pool.shards import encode, records
from dp.samples import Samples
from dp.utils.distributed import rank, summed, wait, world
from dp.utils.errors import UserError
from dp.utils.files import atomic, read_bytes

PORTION = 100  # images that are kept together, or as few more as fill their last batch


def make_round(
    pool: PoolFolder,
    round_: int,
    count: int,
    make: Callable[[range], Samples],
    batch: int = 1,
    look: Callable[[], None] = lambda: None,
    meet: Callable[[], None] = wait,
    begin: Callable[[int], None] = lambda left: None,
) -> None:
    """Make what is missing of a round, and put the round into the pool; all processes call this together.

    Args:
        pool: open for writing in every process.
        round_, count: the next round and its images, or one that is in the pool already.
        make: slots -> their samples.
        batch: images that are made at once.
        look: called before each portion; what it raises ends the work, and what is finished is kept.
        meet: waits for the other processes.
        begin: told how many images all processes have to make, if there are any.

    Raises:
        UserError: the disk is full or cannot be written to, or a portion is damaged.
    """
    scratch = inside(pool.folder, portions_name(round_))
    if round_ < len(pool.rounds):
        pool.shards_missing(round_, count)  # whether it is the same round
        if rank() == 0:
            shutil.rmtree(scratch, ignore_errors=True)
        return
    mine = pool.shards_missing(round_, count, rank(), world())
    done = portions_in(scratch)
    missing = _of_all(mine, count, pool.layout.shard_size)  # nobody writes before everybody has looked
    left = [part for slots in missing for part in without(slots, done)]
    if left:
        begin(sum(map(len, left)))
    with ThreadPoolExecutor(1, "shards") as thread:
        written: Future[None] | None = None
        for part in portions(left, batch, rank(), world()):
            look()
            samples = make(part)
            if written:
                written.result()
            written = thread.submit(_keep, pool, scratch, round_, count, part, samples)
        if written:
            written.result()
    meet()
    for slots in mine:
        _put_together(pool, scratch, round_, slots)
    pool.gather(round_, count)
    if rank() == 0:
        pool.commit(round_, count)
    meet()
    if rank() == 0:
        shutil.rmtree(scratch, ignore_errors=True)


def portions(left: list[range], batch: int, process: int, processes: int) -> list[range]:
    """Return the portions that a process makes of slots that are left: as many batches as the others, or one less.

    Args:
        left: slots, ascending; none of the ranges reaches into two shards.
        batch: images that are made at once.
        process, processes: which of how many.
    """
    batches = [range(first, min(first + batch, part.stop)) for part in left for first in part[::batch]]
    own = batches[len(batches) * process // processes : len(batches) * (process + 1) // processes]
    limit, found = -(-PORTION // batch) * batch, list[range]()
    starts = {part.start for part in left}
    for each in own:
        if found and found[-1].stop == each.start and len(found[-1]) < limit and each.start not in starts:
            found[-1] = range(found[-1].start, each.stop)
        else:
            found.append(each)
    return found


def busy_share(count: int, batch: int, processes: int, shard_size: int) -> float:
    """Return the images of a round over those that all processes could have made until the last one is ready."""
    left = [range(first, min(first + shard_size, count)) for first in range(0, count, shard_size)]
    batches = (sum(-(-len(part) // batch) for part in portions(left, batch, k, processes)) for k in range(processes))
    return count / (processes * batch * max(batches))


def portions_in(scratch: Path) -> list[range]:
    """Return the slots of the portions that are there, ascending."""
    found = (re.fullmatch(r"(\d+)-(\d+)\.parquet", path.name) for path in scratch.glob("*.parquet"))
    return sorted((range(int(each[1]), int(each[2])) for each in found if each), key=lambda slots: slots.start)


def without(slots: range, done: list[range]) -> Iterator[range]:
    """Yield the runs of slots that are in none of the ranges, which do not overlap."""
    inside = [each for each in done if slots.start <= each.start and each.stop <= slots.stop]
    edges = [slots.start, *(edge for each in inside for edge in (each.start, each.stop)), slots.stop]
    yield from (range(a, b) for a, b in [*pairwise(edges)][::2] if a < b)


def _of_all(mine: list[range], count: int, shard_size: int) -> list[range]:
    """Return the slots of the shards that are missing to any process."""
    flags = torch.zeros(-(-count // shard_size), dtype=torch.int64)
    for slots in mine:
        flags[slots.start // shard_size] = 1
    numbers = summed(flags).nonzero().flatten().tolist()
    return [range(k * shard_size, min((k + 1) * shard_size, count)) for k in numbers]


def _file(scratch: Path, slots: range) -> Path:
    return scratch / f"{slots.start}-{slots.stop}.parquet"


def _keep(pool: PoolFolder, scratch: Path, round_: int, count: int, slots: range, samples: Samples) -> None:
    """Write a portion: a shard, if it is a whole one."""
    first = slots.start - slots.start % pool.layout.shard_size
    if slots == range(first, min(first + pool.layout.shard_size, count)):
        pool.write(round_, slots.start, samples)
        return
    with atomic(_file(scratch, slots)) as partial:
        partial.write_bytes(encode(samples, slots.start, pool.layout))


def _put_together(pool: PoolFolder, scratch: Path, round_: int, slots: range) -> None:
    """Write a shard of the portions that are there of it."""
    parts = [each for each in portions_in(scratch) if slots.start <= each.start < slots.stop]
    if not parts:  # it was written as a whole
        return
    tables = []
    for each in parts:
        path = _file(scratch, each)
        try:
            tables.append(records(read_bytes(path) or b"", str(path), pool.layout))
        except UserError as error:
            path.unlink(missing_ok=True)
            raise UserError(f"{path}: damaged, and removed ({error}); the same command makes it again") from None
    pool.put_shard(round_, slots, pa.concat_tables(tables).combine_chunks())
    for each in parts:
        _file(scratch, each).unlink()
