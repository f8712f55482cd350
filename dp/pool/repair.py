"""Find what is wrong with a pool folder, and make damaged files again."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from dp.pool.folder import PoolFolder, slots_text
from dp.pool.manifest import Listed, Manifest
from dp.pool.paths import LOCK, MANIFEST, SETTINGS, inside, read_bytes
from dp.pool.shards import encode, records, writer
from dp.samples import Samples
from dp.utils.errors import UserError

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
    """Everything that is wrong with a pool: missing and damaged files, files nobody lists, seeds that occur twice.

    Raises:
        UserError: the manifest itself is damaged or missing.
    """
    manifest = pool.manifest()
    problems: list[Problem] = []
    where: dict[int, str] = {}  # of each seed
    for entry in manifest.slots:
        wrong = _wrong(pool, entry)
        if wrong:
            problems.append(Problem(entry.file, wrong))
        labels, seeds = ([], []) if wrong else _slots(pool, entry)
        for slot, seed in enumerate(seeds):
            here = f"round {entry.round} slot {slot}"
            if where.setdefault(seed, here) != here:
                problems.append(Problem(entry.file, f"seed {seed} occurs twice: {where[seed]} and {here}"))
        for shard, slots in _shards(pool, manifest, entry.round):
            part = slice(slots.start, slots.stop)
            what = _wrong_shard(pool, shard, None if wrong else (labels[part], seeds[part]))
            if what:
                problems.append(Problem(shard.file, what))
    return sorted(problems + _unlisted(pool.folder, manifest), key=lambda problem: problem.file)


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
        for shard, slots in _shards(pool, manifest, entry.round):
            if not _wrong(pool, shard):
                continue
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
    """What is wrong with a listed file, if anything."""
    return listed.wrong(read_bytes(inside(pool.folder, listed.file)))


def _slots(pool: PoolFolder, entry: Listed) -> tuple[list[int], list[int]]:
    """Labels and seeds of a round."""
    found = json.loads(pool.content(entry))
    return found["labels"], found["seeds"]


def _shards(pool: PoolFolder, manifest: Manifest, round_: int) -> list[tuple[Listed, range]]:
    """The shards of a round, each with its slots."""
    slots = pool.layout.shards(manifest.rounds[round_])
    return list(zip(manifest.of_round(round_), slots, strict=True))


def _wrong_shard(pool: PoolFolder, shard: Listed, slots: tuple[list[int], list[int]] | None) -> str | None:
    """What is wrong with a shard, also against the labels and seeds its round lists, where these are known."""
    data = read_bytes(inside(pool.folder, shard.file))
    wrong = shard.wrong(data)
    if wrong or data is None:
        return wrong
    try:
        table = records(data, shard.file, pool.layout)
    except UserError as error:
        return str(error).removeprefix(f"{shard.file}: ")
    if len(table) != shard.rows:
        return f"got {len(table)} rows, expected {shard.rows}"
    if slots and (table["label"].to_pylist(), table["seed"].to_pylist()) != slots:
        return "its labels and seeds are not those its round lists"
    return None


def _slots_from_shards(pool: PoolFolder, manifest: Manifest, entry: Listed) -> bytes:
    """A round's list of labels and seeds, made again from its shards."""
    labels: list[int] = []
    seeds: list[int] = []
    for shard in manifest.of_round(entry.round):
        if _wrong(pool, shard):
            raise UserError(
                f"{pool.folder / entry.file}: damaged, and so is {shard.file}: the seeds of its images are lost; "
                "restore one of the two from a copy"
            )
        table = records(pool.content(shard), shard.file, pool.layout)
        labels += table["label"].to_pylist()
        seeds += table["seed"].to_pylist()
    text = slots_text(labels, seeds)
    if entry.wrong(text):
        raise UserError(f"{pool.folder / entry.file}: its shards hold other labels or seeds; restore it from a copy")
    return text


def _unlisted(folder: Path, manifest: Manifest) -> list[Problem]:
    """Files in the folder that are not part of the pool."""
    known = {MANIFEST, LOCK, SETTINGS, *(each.file for each in (*manifest.slots, *manifest.shards))}
    found = (str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
    following = f"round-{len(manifest.rounds):04d}/"
    why = "part of a round that is not finished; the run that makes it goes on from it"
    return [
        Problem(name, why if name.startswith(following) else "not a file of this pool; remove it")
        for name in found
        if name not in known
    ]
