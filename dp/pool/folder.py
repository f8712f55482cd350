"""The growing training pool on disk: a folder of Parquet shards that survives being killed at any moment.

    folder/manifest.json             what is in the pool: every file with its SHA-256
    folder/round-0003/00005.parquet  a shard (see `dp.pool.shards`): slots 5000 .. 5999 of round 3
    folder/round-0003/slots.json     label and seed of each slot of round 3
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
from dataclasses import asdict
from pathlib import Path
from types import TracebackType

import torch

from dp.pool import lock as pool_lock
from dp.pool import manifest as pool_manifest
from dp.pool.manifest import Listed, Manifest
from dp.pool.paths import (
    LOCK,
    MANIFEST,
    REPAIR,
    SETTINGS,
    durable,
    inside,
    read_bytes,
    remove_partials,
    shard_name,
    slots_name,
    sync,
)
from dp.pool.shards import DTYPES, SHARD_SIZE, Encoding, Layout, decode, encode, verified, writer
from dp.samples import Samples, concatenate
from dp.utils.errors import UserError
from dp.utils.files import atomic, pickle_in


class PoolFolder:
    """A pool on disk; `create` or `open` it.

    Attributes:
        folder: where.
        layout: class names, image shape and shard size.
    """

    def __init__(self, folder: Path, layout: Layout, rank: int | None, lock: int | None):
        """See `create` and `open`. rank None: only for reading."""
        self.folder = folder
        self.layout = layout
        self._rank = rank
        self._lock = lock

    @classmethod
    def create(
        cls,
        folder: Path,
        classes: tuple[str, ...] | list[str],
        image_shape: tuple[int, int, int],
        shard_size: int = SHARD_SIZE,
        exist_ok: bool = False,
        encoding: Encoding = "PNG",
    ) -> "PoolFolder":
        """A new pool without rounds, open for writing.

        Args:
            folder: absent, or empty.
            classes: names, in order of the labels.
            image_shape: (C, H, W), C 1 or 3.
            shard_size: images in a file, fixed for good.
            encoding: of the images, fixed for good.
            exist_ok: if there is a pool with these very settings already, open it for writing.

        Raises:
            UserError: the folder has something in it, another run writes there, or an argument is out of range.
        """
        layout = Layout(tuple(classes), tuple(image_shape), shard_size, encoding)  # type: ignore[arg-type]  # checks the length
        if exist_ok and (folder / MANIFEST).exists():
            pool = cls.open(folder, writable=True)
            for name, value in asdict(layout).items():
                found = getattr(pool.layout, name)
                if found != value:
                    pool.close()
                    raise UserError(
                        f"{folder}: {name}: the pool there has {found}, expected {value}; use another folder"
                    )
            return pool
        _expect_empty(folder)
        with durable(folder / LOCK):
            lock = pool_lock.acquire(folder / LOCK)
        try:
            _expect_empty(folder)  # nobody was faster
            remove_partials(folder)
            pool_manifest.save(folder, Manifest(layout))
        except BaseException:
            pool_lock.release(lock)
            raise
        return cls(folder, layout, 0, lock)

    @classmethod
    def open(cls, folder: Path, writable: bool = False, rank: int = 0) -> "PoolFolder":
        """A pool that exists.

        Args:
            folder: where.
            writable: to add rounds. Reading needs no lock and may go on while a run writes.
            rank: of this process among those of the run that writes. Rank 0 owns the folder and opens it first; the
                others (after a barrier) may write shards, and only rank 0 commits and repairs.

        Raises:
            UserError: no pool, a damaged or newer manifest, a folder that cannot be written to, or another run's.
        """
        if not writable:
            return cls(folder, pool_manifest.load(folder).layout, None, None)
        if rank:
            return cls(folder, pool_manifest.load(folder).layout, rank, None)
        pool_manifest.load(folder)  # no lock file in a folder that is no pool
        lock = pool_lock.acquire(folder / LOCK)
        try:
            remove_partials(folder)
            return cls(folder, pool_manifest.load(folder).layout, 0, lock)
        except BaseException:
            pool_lock.release(lock)
            raise

    def close(self) -> None:
        """Let another run write here."""
        if self._lock is not None:
            pool_lock.release(self._lock)
        self._rank = self._lock = None

    def __enter__(self) -> "PoolFolder":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def rounds(self) -> list[int]:
        """Images of each round in the pool."""
        return self.manifest().rounds

    def __len__(self) -> int:
        return sum(self.rounds)

    def manifest(self) -> Manifest:
        """The manifest as it is on disk now (another process may have added a round)."""
        return pool_manifest.load(self.folder)

    def shards_missing(self, round_: int, count: int, rank: int = 0, world: int = 1) -> list[range]:
        """Slots of the shards still to be written before `count` images of a round can be committed.

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
        self.put(shard_name(round_, first_slot // size), encode(samples, first_slot, self.layout))

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
        shards: list[Listed] = []
        labels: list[int] = []
        seeds: list[int] = []
        for k, slots in enumerate(self.layout.shards(count)):
            found = self._left(round_, k, slots)
            if found is None:
                raise UserError(
                    f"{self.folder / shard_name(round_, k)}: missing or damaged; "
                    f"write slots {slots.start} .. {slots.stop - 1} of round {round_} before committing it"
                )
            listed, shard_labels, shard_seeds = found
            shards.append(listed)
            labels += shard_labels
            seeds += shard_seeds
        self._remove_surplus(round_, len(shards))
        text = slots_text(labels, seeds)
        self.put(slots_name(round_), text)
        sync(self.folder)  # the round's folder is on disk before the manifest that lists it
        listed_slots = Listed.of(slots_name(round_), round_, count, text)
        pool_manifest.save(self.folder, manifest.plus(listed_slots, writer(), shards))

    def read(self, rounds: int | None = None) -> Samples:
        """The samples of the first `rounds` rounds (None: all), by round and slot; checksums are checked first.

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
        """The samples of one round in order of slots, checked as `read` does; or only their records."""
        manifest = self.manifest()
        if not 0 <= round_ < len(manifest.rounds):
            raise UserError(f"{self.folder}: asked for round {round_}, but it has {len(manifest.rounds)} rounds from 0")
        return concatenate([self.read_shard(shard, images) for shard in manifest.of_round(round_)])

    def content(self, listed: Listed) -> bytes:
        """The content of a file of the pool.

        Raises:
            UserError: it is missing or is not the one the manifest lists.
        """
        path = inside(self.folder, listed.file)
        data = read_bytes(path)
        wrong = listed.wrong(data)
        if data is None or wrong:
            raise UserError(f"{path}: {wrong}; {self.mended}")
        return data

    @property
    def mended(self) -> str:
        """How damaged shards are mended: only a run knows how to make its images again."""
        if (self.folder.parent / SETTINGS).exists():
            return f"{REPAIR} {self.folder} makes it again"
        return "restore it from a copy, or make the pool anew in another folder"

    def put(self, name: str, data: bytes) -> None:
        """Write a file of the folder, atomically and durably."""
        self._need_writable()
        path = inside(self.folder, name)
        with durable(path), atomic(path) as partial:
            partial.write_bytes(data)

    def read_shard(self, shard: Listed, images: bool = True) -> Samples:
        """The samples of one of the manifest's shards, checked as `read` does; or only their records."""
        return decode(self.content(shard), str(self.folder / shard.file), self.layout, images)

    def _left(self, round_: int, shard: int, slots: range) -> tuple[Listed, list[int], list[int]] | None:
        """Entry, labels and seeds of a shard of a round that is not in the pool yet; None if absent or not whole."""
        name = shard_name(round_, shard)
        path = inside(self.folder, name)
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
        return Listed.of(name, round_, len(slots), data), table["label"].to_pylist(), table["seed"].to_pylist()

    def _in_pool(self, manifest: Manifest, round_: int, count: int) -> bool:
        """Whether a round is in the pool; refuses one that can be neither in it nor next."""
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
        wanted = {shard_name(round_, k) for k in range(shards)}
        for path in inside(self.folder, shard_name(round_, 0)).parent.glob("[0-9]*.parquet"):
            if str(path.relative_to(self.folder)) not in wanted:
                path.unlink()

    def need_owner(self) -> None:
        """Raises UserError unless this process is the one that may change what is in the pool."""
        self._need_writable()
        if self._rank:
            raise UserError(f"{self.folder}: rank {self._rank} cannot do this; rank 0 commits and repairs")

    def _need_writable(self) -> None:
        if self._rank is None:
            raise UserError(f"{self.folder}: open for reading only; open it with writable=True")


def _expect_empty(folder: Path) -> None:
    """Nothing there but what a `create` that was killed leaves."""
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if path.name == MANIFEST:
            raise UserError(f"{folder}: there is a pool already; open it, or give another folder")
        if path.name not in (LOCK, SETTINGS) and not path.match(f".{MANIFEST}.*.partial"):
            raise UserError(f'{folder}: got a folder with "{path.name}" in it, expected an empty or a new one')


def slots_text(labels: list[int], seeds: list[int]) -> bytes:
    """Content of a round's file of labels and seeds."""
    return f'{{\n "labels": {json.dumps(labels)},\n "seeds": {json.dumps(seeds)}\n}}\n'.encode()


def _no_samples(layout: Layout) -> Samples:
    empty = {name: torch.empty(0, dtype=dtype) for name, dtype in DTYPES.items()}
    empty["images"] = torch.empty((0, *layout.image_shape), dtype=torch.uint8)
    return Samples(**empty)
