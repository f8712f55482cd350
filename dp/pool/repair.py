"""Find what is wrong with a pool folder, and make damaged files again."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dp.pool.folder import PoolFolder, slots_text
from dp.pool.manifest import Listed, Manifest
from dp.pool.paths import MANIFEST, README, inside
from dp.pool.shards import THREADS, decode_images, encode, writer
from dp.samples import Samples
from dp.utils.errors import UserError
from dp.utils.files import read_bytes
from dp.utils.folders import LOCK, SETTINGS

# (round, slots, labels int64 [n], seeds) -> the samples of these slots as they were made first.
Make = Callable[[int, range, Tensor, list[int]], Samples]


@dataclass(frozen=True)
class Problem:
    """Something wrong with a file of a pool; `file` is relative to the folder."""

    file: str
    what: str

    def __str__(self) -> str:
        return f"{self.file}: {self.what}"


def check(pool: PoolFolder) -> list[Problem]:
    """List everything that is wrong with a pool.

    Looked for are missing and damaged files, images that cannot be decoded, slots that are not where the manifest has
    them, seeds that occur twice, and files that the manifest does not list.

    Raises:
        UserError: the manifest itself is damaged or missing.
    """
    manifest = pool.manifest()
    problems: list[Problem] = []
    seen: list[tuple[int, np.ndarray]] = []  # the seeds of each round
    for entry in manifest.slots:
        try:
            wrong, (labels, seeds) = None, _slots(pool, entry)
        except UserError as error:
            wrong, labels, seeds = str(error), [], []
            problems.append(Problem(entry.file, _briefly(pool, entry, error)))
        seen.append((entry.round, np.array(seeds, np.int64)))
        parts = [None if wrong else (labels, seeds)] * len(manifest.of_round(entry.round))
        with ThreadPoolExecutor(THREADS) as threads:
            found = threads.map(
                lambda shard, known: _problem(pool, shard, known), manifest.of_round(entry.round), parts
            )
            problems += [problem for problem in found if problem]
    problems += _seeds_that_occur_twice(seen, manifest)
    return sorted(problems + _unlisted(pool.folder, manifest), key=lambda problem: problem.file)


def _problem(pool: PoolFolder, shard: Listed, known: tuple[list[int], list[int]] | None) -> Problem | None:
    """Return what is wrong with a shard, of whose round labels and seeds are known, or not."""
    slots = shard.slots(pool.layout.shard_size)
    part = slice(slots.start, slots.stop)
    try:
        _check_shard(pool, shard, known and (known[0][part], known[1][part]))
    except UserError as error:
        return Problem(shard.file, _briefly(pool, shard, error))
    return None


def _seeds_that_occur_twice(seen: list[tuple[int, np.ndarray]], manifest: Manifest) -> list[Problem]:
    """Return a problem for each seed that an image shares with one before it."""
    rounds = np.repeat([round_ for round_, _ in seen], [len(seeds) for _, seeds in seen])
    slots = np.concatenate([np.arange(len(seeds)) for _, seeds in seen] or [np.zeros(0, np.int64)])
    seeds = np.concatenate([seeds for _, seeds in seen] or [np.zeros(0, np.int64)])
    order = np.argsort(seeds, kind="stable")
    again = np.flatnonzero(np.diff(seeds[order]) == 0) + 1
    problems = []
    for at in sorted(order[again].tolist()):
        first = int(order[np.searchsorted(seeds, seeds[at], sorter=order)])
        places = [f"round {rounds[each]} slot {slots[each]}" for each in (first, at)]
        name = manifest.slots[int(rounds[at])].file
        problems.append(Problem(name, f"seed {seeds[at]} occurs twice: {places[0]} and {places[1]}"))
    return problems


def repair(pool: PoolFolder, make: Make) -> list[str]:
    """Make the damaged and missing files of a pool again, and only those.

    A file is replaced only by one with the very checksum the manifest has. Where what `make` gives differs, that ends
    the repair and the damaged file stays as it is.

    Args:
        pool: open for writing, on rank 0.
        make: generates the samples of a shard again.

    Returns:
        The files that were made again.

    Raises:
        UserError: the images generated again differ, or a round's labels and seeds cannot be recovered.
    """
    pool.need_owner()
    manifest = pool.manifest()
    repaired = []
    for entry in manifest.slots:
        if _wrong(pool, entry):
            pool.put(entry.file, _slots_from_shards(pool, manifest, entry))
            repaired.append(entry.file)
    for entry in manifest.slots:
        labels, seeds = _slots(pool, entry)
        for shard in manifest.of_round(entry.round):
            if not _wrong(pool, shard):
                continue
            slots = shard.slots(pool.layout.shard_size)
            part = slice(slots.start, slots.stop)
            samples = make(entry.round, slots, torch.tensor(labels[part]), seeds[part])
            data = encode(samples, slots.start, pool.layout)
            if shard.wrong(data):
                raise UserError(_differs(pool.folder / shard.file, manifest.writers[entry.round]))
            pool.put(shard.file, data)
            repaired.append(shard.file)
    return repaired


def _differs(path: Path, written_by: str) -> str:
    here = writer()
    cause = (
        "repair on the machine, with the weights and the settings (also --generation-batch) that made the pool"
        if here == written_by
        else f"the file was written by {written_by}, this is {here}: repair with those versions"
    )
    return f"{path}: the images generated again differ from the ones the manifest lists; left as it was: {cause}"


def _wrong(pool: PoolFolder, listed: Listed) -> str | None:
    """Say what is wrong with a listed file, if anything."""
    return listed.wrong(read_bytes(inside(pool.folder, listed.file)))


def _briefly(pool: PoolFolder, listed: Listed, error: UserError) -> str:
    """Say what is wrong without the name and the remedy, which `Problem` and the caller give."""
    return str(error).removeprefix(f"{pool.folder / listed.file}: ").removesuffix(f"; {pool.mended}")


def _slots(pool: PoolFolder, entry: Listed) -> tuple[list[int], list[int]]:
    """Return the labels and seeds of a round.

    Raises:
        UserError: the file is damaged, or does not list them, one of either per image.
    """
    content, wrong = pool.content(entry), f"{pool.folder / entry.file}: not a list of labels and seeds"
    try:
        found = json.loads(content)
        labels, seeds = found["labels"], found["seeds"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise UserError(f"{wrong}; {pool.mended}") from None
    for values in (labels, seeds):
        if not isinstance(values, list) or len(values) != entry.rows or {type(each) for each in values} != {int}:
            raise UserError(f"{wrong}, {entry.rows} whole numbers of each; {pool.mended}")
        if not -(2**63) <= min(values) <= max(values) < 2**63:
            raise UserError(f"{wrong} of 64 bits; {pool.mended}")
    return labels, seeds


def _check_shard(pool: PoolFolder, shard: Listed, slots: tuple[list[int], list[int]] | None) -> None:
    """Raise UserError unless a shard is whole, can be decoded, and has the labels and seeds of its slots, if known."""
    table = pool.table(shard)
    if slots and (table["label"].to_pylist(), table["seed"].to_pylist()) != slots:
        raise UserError("its labels and seeds are not those its round lists")
    for _ in decode_images(table, str(pool.folder / shard.file), pool.layout):
        pass


def _slots_from_shards(pool: PoolFolder, manifest: Manifest, entry: Listed) -> bytes:
    """Make a round's list of labels and seeds again from its shards."""
    labels: list[int] = []
    seeds: list[int] = []
    for shard in manifest.of_round(entry.round):
        if _wrong(pool, shard):
            raise UserError(
                f"{pool.folder / entry.file}: damaged, and so is {shard.file}: the seeds of its images are lost; "
                "restore one of the two from a copy"
            )
        table = pool.table(shard)
        labels += table["label"].to_pylist()
        seeds += table["seed"].to_pylist()
    text = slots_text(labels, seeds)
    if entry.wrong(text):
        raise UserError(f"{pool.folder / entry.file}: its shards hold other labels or seeds; restore it from a copy")
    return text


def _unlisted(folder: Path, manifest: Manifest) -> list[Problem]:
    """List the files in the folder that are not part of the pool."""
    known = {MANIFEST, README, LOCK, SETTINGS, *(each.file for each in (*manifest.slots, *manifest.shards))}
    found = (str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
    following = f"round-{len(manifest.rounds):04d}/"
    why = "part of a round that is not finished; the run that makes it goes on from it"
    return [
        Problem(name, why if name.startswith(following) else "not a file of this pool; remove it")
        for name in found
        if name not in known
    ]
