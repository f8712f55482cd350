"""The growing training pool on disk: a folder of Parquet shards that survives being killed at any moment.

    folder/manifest.json             what is in the pool: every file with its SHA-256
    folder/round-0003/00005.parquet  a shard (see `dp.pool.shards`): slots 5000 .. 5999 of round 3
    folder/round-0003/slots.json     label and seed of each slot of round 3
    folder/README.md                 tells `datasets.load_dataset(folder)` which files are data
    folder/.lock                     held by the one run that writes

A round is written shard by shard, by any number of processes, and is in the pool from the moment the manifest lists
it; manifests and shards are whole or absent. Which process writes which shard changes no byte.

    with PoolFolder.create(path, classes, image_shape) as pool:     # or PoolFolder.open(path, writable=True)
        for slots in pool.shards_missing(round_, count):            # all of them, or what a killed run has left to do
            pool.write(round_, slots.start, make(slots))
        pool.commit(round_, count)
        samples = pool.read_round(round_)
"""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import torch
from filelock import BaseFileLock

from dp.pool import manifest as pool_manifest
from dp.pool.manifest import Listed, Manifest
from dp.pool.paths import MANIFEST, README, REPAIR, inside, shard_name, shards_in, slots_name
from dp.pool.records import Records, gathered
from dp.pool.shards import (
    DTYPES,
    SHARD_SIZE,
    THREADS,
    Encoding,
    Layout,
    check_place,
    content_of,
    decode,
    image_files,
    places_of,
    records,
    table_of,
    verified,
    writer,
)
from dp.samples import Samples, concatenate
from dp.utils.distributed import rank as own_rank
from dp.utils.distributed import world
from dp.utils.errors import UserError
from dp.utils.files import atomic, pickle_in, read_bytes, sync
from dp.utils.folders import SETTINGS, claim, expect_empty, release
from dp.utils.validation import checked

# In the front matter that `datasets` reads; the JSON files beside the shards are no data.
ABOUT = """---
configs:
- config_name: default
  data_files: round-*/*.parquet
---

A pool of generated images: `datasets.load_dataset(FOLDER, split="train")` opens it, `dp pool show FOLDER` says
what is in it, and `dp pool check FOLDER` whether all of it is whole.
"""


class PoolFolder:
    """A pool on disk; `create` or `open` it.

    Attributes:
        folder: where.
        layout: class names, image shape and shard size.

    Example:
        >>> from dp import Generator, PoolFolder, bundled_pipeline
        >>> samples = Generator(bundled_pipeline(), guidance_scale=2.0, steps=4).generate([0, 1], seeds=[5, 6])
        >>> with PoolFolder.create("POOL", classes=["t-shirt", "trouser"], image_shape=(1, 32, 32)) as pool:
        ...     pool.write(0, 0, samples)
        ...     pool.commit(0, 2)
        >>> len(PoolFolder.open("POOL"))
        2
    """

    def __init__(self, folder: Path, layout: Layout, rank: int | None, lock: BaseFileLock | None):
        """Keep what `create` and `open` give; rank None: only for reading."""
        self.folder = folder
        self.layout = layout
        self._rank = rank
        self._lock = lock
        # By round and shard: of those that this process has written, or found whole.
        self._known: dict[int, dict[int, Records]] = {}
        self._gathered: dict[int, Records] = {}  # of a whole round

    @classmethod
    @checked
    def create(
        cls,
        folder: Path | str,
        classes: tuple[str, ...] | list[str],
        image_shape: tuple[int, int, int],
        shard_size: int = SHARD_SIZE,
        exist_ok: bool = False,
        encoding: Encoding = "PNG",
        settings: dict[str, Any] | None = None,
        kind: str = "pool",
    ) -> Self:
        """Make a new pool without rounds, open for writing.

        Args:
            folder: absent, or empty.
            classes: names, in order of the labels.
            image_shape: (C, H, W), C 1 or 3.
            shard_size: images in a file, fixed for good.
            encoding: of the images, fixed for good.
            exist_ok: if there is a pool with these very settings already, open it for writing.
            settings, kind: of a pool that is not part of a run, see `dp.utils.folders.claim`.

        Raises:
            UserError: the folder has something in it, another run writes there, or an argument is out of range.
        """
        folder = Path(folder)
        layout = Layout(tuple(classes), tuple(image_shape), shard_size, encoding)  # type: ignore[arg-type]  # checks the length

        def is_new() -> bool:
            if exist_ok and (folder / MANIFEST).exists():
                return False
            if (folder / MANIFEST).exists():
                raise UserError(f"{folder}: there is a pool already; open it, or give another folder")
            expect_empty(folder, kind)
            return True

        is_new()  # before anything is written
        lock = claim(folder, settings, kind)
        try:
            if is_new():  # nobody was faster
                pool_manifest.save(folder, Manifest(layout))
            return cls._opened(folder, lock, layout)
        except BaseException:
            release(lock)
            raise

    @classmethod
    @checked
    def open(cls, folder: Path | str, writable: bool = False, rank: int = 0) -> Self:
        """Open a pool that exists.

        Args:
            folder: where.
            writable: to add rounds. Reading needs no lock and may go on while a run writes.
            rank: of this process among those of the run that writes. Rank 0 owns the folder and opens it first; the
                others (after a barrier) may write shards, and only rank 0 commits and repairs.

        Raises:
            UserError: no pool, a damaged or newer manifest, a folder that cannot be written to, or another run's.
        """
        folder = Path(folder)
        layout = pool_manifest.load(folder).layout  # no lock file in a folder that is no pool
        if not writable or rank:
            return cls(folder, layout, rank if writable else None, None)
        lock = claim(folder, None, "pool")
        try:
            return cls._opened(folder, lock)
        except BaseException:
            release(lock)
            raise

    @classmethod
    def _opened(cls, folder: Path, lock: BaseFileLock, expected: Layout | None = None) -> Self:
        """Return the pool of a locked folder for writing; UserError if it has another layout than expected."""
        found = pool_manifest.load(folder).layout
        for name, value in asdict(expected).items() if expected else ():
            if getattr(found, name) != value:
                raise UserError(
                    f"{folder}: {name}: the pool there has {getattr(found, name)}, expected {value}; use another folder"
                )
        if not (folder / README).exists():
            with atomic(folder / README) as partial:
                partial.write_text(ABOUT)
        return cls(folder, found, 0, lock)

    def close(self) -> None:
        """Let another run write here."""
        if self._lock is not None:
            release(self._lock)
        self._rank = self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def rounds(self) -> list[int]:
        """Count the images of each round in the pool."""
        return self.manifest().rounds

    def __len__(self) -> int:
        return sum(self.rounds)

    def manifest(self) -> Manifest:
        """Return the manifest as it is on disk now (another process may have added a round)."""
        return pool_manifest.load(self.folder)

    def shards_missing(self, round_: int, count: int, rank: int = 0, world: int = 1) -> list[range]:
        """List the slots of the shards still to be written before `count` images of a round can be committed.

        A shard that a killed run has left is kept if it is whole, and removed if it is not.

        Args:
            round_: the next round, or one that is in the pool (nothing is missing then).
            count: images of the whole round.
            rank, world: this process takes every `world`-th shard from `rank` on.

        Raises:
            UserError: a round out of order or of another size, or a pickle under the name of a shard.
        """
        self._need_writable()
        if self._in_pool(self.manifest(), round_, count):
            return []
        missing = []
        for k, slots in enumerate(self.layout.shards(count)):
            if k % world == rank and self._left(round_, k, slots) is None:
                inside(self.folder, shard_name(round_, k)).unlink(missing_ok=True)
                missing.append(slots)
        return missing

    def write(self, round_: int, first_slot: int, samples: Samples) -> None:
        """Write one shard of the next round, durably.

        Args:
            round_: the next round.
            first_slot: slot of the first sample: where a shard begins.
            samples: a whole shard, or the end of the round.

        Raises:
            UserError: samples that do not fit the pool, or a disk that is full or cannot be written to.
        """
        self._need_writable()
        following, size = len(self.rounds), self.layout.shard_size
        if round_ != following:
            raise UserError(f"round: got {round_}, expected {following}, the next one; rounds are added in order")
        if first_slot % size or not 1 <= len(samples) <= size:
            raise UserError(
                f"slots: got {len(samples)} images from slot {first_slot} on, "
                f"expected 1 .. {size} from a multiple of {size} on"
            )
        if not (samples.rounds == round_).all():
            raise UserError(f"rounds: got {samples.rounds.unique().tolist()}, expected {round_} only")
        slots = range(first_slot, first_slot + len(samples))
        self.put_shard(round_, slots, table_of(samples, first_slot, self.layout))

    def commit(self, round_: int, count: int) -> None:
        """Make a round part of the pool, when its shards are written. Does nothing if it is part of it already.

        Args:
            round_: the next round.
            count: its images.

        Raises:
            UserError: a shard is missing or damaged, this process is not rank 0, or the disk is full.
        """
        self.need_owner()
        manifest = self.manifest()
        if self._in_pool(manifest, round_, count):
            return
        found, parts = self._gathered.get(round_), self.layout.shards(count)
        if found is None:
            with ThreadPoolExecutor(THREADS) as threads:
                known = threads.map(lambda shard: self._whole(round_, *shard), enumerate(parts))
            found = gathered(dict(enumerate(known)), count, self.layout, of_all=False)
        shards = [found.listed(round_, k, len(slots)) for k, slots in enumerate(parts)]
        self._remove_surplus(round_, len(shards))
        text = slots_text(found.labels.tolist(), found.seeds.tolist())
        self.put(slots_name(round_), text)
        sync(self.folder)  # the round's folder is on disk before the manifest that lists it
        listed_slots = Listed.of(slots_name(round_), round_, count, text)
        pool_manifest.save(self.folder, manifest.plus(listed_slots, writer(), shards))

    def read(self, rounds: int | None = None) -> Samples:
        """Return the samples of the first `rounds` rounds (None: all), by round and slot; checksums are checked first.

        Raises:
            UserError: a damaged or missing shard; names it and the command that repairs it.
        """
        manifest = self.manifest()
        rounds = len(manifest.rounds) if rounds is None else rounds
        if not 0 <= rounds <= len(manifest.rounds):
            raise UserError(f"{self.folder}: asked for {rounds} rounds, expected 0 .. {len(manifest.rounds)}")
        parts = [self.read_shard(shard) for shard in manifest.shards if shard.round < rounds]
        return concatenate([_no_samples(self.layout), *parts])

    def read_round(self, round_: int, images: bool = True) -> Samples:
        """Return the samples of one round in order of slots, checked as `read` does; or only their records."""
        return concatenate([self.read_shard(shard, images) for shard in self._shards_of(round_)])

    def _shards_of(self, round_: int) -> list[Listed]:
        manifest = self.manifest()
        if not 0 <= round_ < len(manifest.rounds):
            raise UserError(f"{self.folder}: asked for round {round_}, but it has {len(manifest.rounds)} rounds from 0")
        return manifest.of_round(round_)

    def content(self, listed: Listed) -> bytes:
        """Return the content of a file of the pool.

        Raises:
            UserError: it is missing or is not the one the manifest lists.
        """
        path = inside(self.folder, listed.file)
        data = read_bytes(path)
        wrong = listed.wrong(data)
        if data is None or wrong:
            raise UserError(f"{path}: {wrong}; {self.mended}")
        return data

    def table(self, shard: Listed, data: bytes | None = None) -> pa.Table:
        """Return the table of one of the manifest's shards, images still encoded.

        Args:
            shard: one of the manifest's.
            data: its content, if it is at hand.

        Raises:
            UserError: it is missing, damaged, or not what its name and the manifest say.
        """
        name = str(self.folder / shard.file)
        table = records(self.content(shard) if data is None else data, name, self.layout)
        return check_place(table, name, shard.round, shard.slots(self.layout.shard_size))

    @property
    def mended(self) -> str:
        """Say how damaged shards are mended: only a run knows how to make its images again."""
        if (self.folder.parent / SETTINGS).exists():
            return f"{REPAIR} {self.folder} makes it again"
        return "restore it from a copy, or make the pool anew in another folder"

    def put(self, name: str, data: bytes) -> None:
        """Write a file of the folder, atomically and durably."""
        self._need_writable()
        with atomic(inside(self.folder, name)) as partial:
            partial.write_bytes(data)

    def read_shard(self, shard: Listed, images: bool = True) -> Samples:
        """Return the samples of one of the manifest's shards, checked as `read` does; or only their records."""
        return decode(self.table(shard), str(self.folder / shard.file), self.layout, images)

    def put_shard(self, round_: int, slots: range, table: pa.Table) -> None:
        """Write a shard's table as a file, durably; what the manifest will say of it is known from now on."""
        k, data = slots.start // self.layout.shard_size, content_of(table)
        name = shard_name(round_, k)
        check_place(table, str(self.folder / name), round_, slots)
        self.put(name, data)
        self._known.setdefault(round_, {})[k] = self._records(table, data, round_, k)

    def gather(self, round_: int, count: int) -> None:
        """Have the processes tell each other the records of the shards of a round; all call this together.

        Each shard has been written by one of them, or found whole by `shards_missing` of one.
        """
        self._gathered = {round_: gathered(self._known.pop(round_, {}), count, self.layout)}

    def records(self, round_: int, keep: bool = False) -> Records:
        """Return the records of a round in the pool, of whose shards each process reads some; all call this together.

        Args:
            round_: of the pool.
            keep: they will be asked for once more.

        Raises:
            UserError: a shard is missing or damaged.
        """
        found = self._gathered.pop(round_, None)
        if found is None:
            listed = self._shards_of(round_)
            numbers = range(own_rank(), len(listed), world())
            with ThreadPoolExecutor(THREADS) as threads:
                read = threads.map(lambda k: self._records_listed(listed[k], round_, k), numbers)
                count = sum(shard.rows for shard in listed)
                found = gathered(dict(zip(numbers, read, strict=True)), count, self.layout)
        if keep:
            self._gathered = {round_: found}
        return found

    def _records_listed(self, listed: Listed, round_: int, shard: int) -> Records:
        data = self.content(listed)
        return self._records(self.table(listed, data), data, round_, shard)

    def _records(self, table: pa.Table, data: bytes, round_: int, shard: int) -> Records:
        name = shard_name(round_, shard)
        samples = decode(table, name, self.layout, images=False)
        places = places_of(data, image_files(table), str(self.folder / name))
        return Records.of(samples, places, Listed.of(name, round_, len(table), data))

    def _whole(self, round_: int, shard: int, slots: range) -> Records:
        """Return the records of a shard that is to be committed.

        Raises:
            UserError: it is absent or not whole.
        """
        found = self._left(round_, shard, slots)
        if found is None:
            raise UserError(
                f"{self.folder / shard_name(round_, shard)}: missing or damaged; "
                f"write slots {slots.start} .. {slots.stop - 1} of round {round_} before committing it"
            )
        return found

    def _left(self, round_: int, shard: int, slots: range) -> Records | None:
        """Return the records of a shard that is not in the pool yet; None if it is absent or not whole."""
        path = inside(self.folder, shard_name(round_, shard))
        data = read_bytes(path)
        if data is None:
            return None
        foreign = pickle_in(data)
        if foreign:  # no run leaves such a file
            raise UserError(f"{path}: {foreign}; expected a Parquet file: find out who put it there and remove it")
        try:
            table = verified(data, str(path), round_, slots, self.layout)
        except UserError:
            return None
        found = self._records(table, data, round_, shard)
        self._known.setdefault(round_, {})[shard] = found
        return found

    def _in_pool(self, manifest: Manifest, round_: int, count: int) -> bool:
        """Return whether a round is in the pool; refuse one that can be neither in it nor next."""
        rounds = manifest.rounds
        if count < 1:
            raise UserError(f"count: got {count}, expected 1 or more images of round {round_}")
        if not 0 <= round_ <= len(rounds):
            raise UserError(f"round: got {round_}, expected 0 .. {len(rounds)}; rounds are added in order")
        if round_ < len(rounds) and rounds[round_] != count:
            raise UserError(
                f"{self.folder}: round {round_} has {rounds[round_]} images, this run asks for {count}; "
                "run with the settings the pool was made with, or in another folder"
            )
        return round_ < len(rounds)

    def _remove_surplus(self, round_: int, shards: int) -> None:
        """Remove later shards that an attempt at a larger round has left."""
        for number, path in shards_in(self.folder, round_).items():
            if number >= shards:
                path.unlink()

    def need_owner(self) -> None:
        """Raise UserError unless this process is the one that may change what is in the pool."""
        self._need_writable()
        if self._rank:
            raise UserError(f"{self.folder}: rank {self._rank} cannot do this; rank 0 commits and repairs")

    def _need_writable(self) -> None:
        if self._rank is None:
            raise UserError(f"{self.folder}: open for reading only; open it with writable=True")


def slots_text(labels: list[int], seeds: list[int]) -> bytes:
    """Return the content of a round's file of labels and seeds."""
    return f'{{\n "labels": {json.dumps(labels)},\n "seeds": {json.dumps(seeds)}\n}}\n'.encode()


def _no_samples(layout: Layout) -> Samples:
    empty = {name: torch.empty(0, dtype=dtype) for name, dtype in DTYPES.items()}
    empty["images"] = torch.empty((0, *layout.image_shape), dtype=torch.uint8)
    return Samples(**empty)
