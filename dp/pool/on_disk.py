"""A pool that is trained on without being in memory: images are decoded when a mini-batch asks for them."""

import copy
import fcntl
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from dp.pool.folder import PoolFolder
from dp.pool.in_memory import draw
from dp.pool.manifest import Listed
from dp.pool.shards import decode_image, records
from dp.samples import Samples
from dp.utils.files import atomic

THREADS = 8  # that decode the images of a mini-batch


def cache_folder() -> Path:
    """Where the Arrow files go: $TMPDIR, or what the system has instead."""
    return Path(tempfile.gettempdir()) / f"deliberate-practice-{os.getuid()}"


class DiskPool:
    """The rounds of a pool folder, rows in order of rounds and slots.

    Parquet cannot be read row by row, so each shard is copied once into an Arrow file, under its checksum, in a folder
    that should be local to the machine; the processes of a machine share it. Those files are mapped into memory: what
    is drawn often stays in the system's cache, and memory beyond that is not needed. A copy (`copy.deepcopy`) shares
    them; what is appended to either is not in the other.
    """

    def __init__(self, folder: PoolFolder, rounds: int, cache: Path | None = None):
        """The first `rounds` rounds of `folder`; `cache`: for the Arrow files, by default `cache_folder`.

        Raises:
            UserError: a shard is missing or damaged.
        """
        self.folder = folder
        self.cache = cache or cache_folder()
        self._tables: list[pa.Table] = []
        self._ends: list[int] = []  # rows up to the end of each shard
        self._newest = 0
        self._rounds = 0
        self._threads = ThreadPoolExecutor(THREADS)
        for _ in range(rounds):
            self._take_in()

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __deepcopy__(self, memo: dict[int, object]) -> "DiskPool":
        twin = copy.copy(self)
        twin._tables, twin._ends = [*self._tables], [*self._ends]
        return twin

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        return self.folder.layout.image_shape

    def append(self, samples: Samples) -> None:
        """Take in the next round, which is in the folder by now; `samples` are its records."""
        self._take_in()

    def draw(self, size: int, rng: torch.Generator, newest_weight: float = 1.0) -> Tensor:
        """Rows int64 [size], drawn as `dp.pool.in_memory.draw` does."""
        return draw(len(self), self._newest, size, rng, newest_weight)

    def rows(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Images uint8 [n, C, H, W] and labels int64 [n] of the rows int64 [n]."""
        images, labels = zip(*self._threads.map(self._rows, index.chunk(THREADS)), strict=True)
        return torch.cat(images), torch.cat(labels)

    def _rows(self, index: Tensor) -> tuple[Tensor, Tensor]:
        images, labels = [], []
        shards = np.searchsorted(self._ends, index.numpy(), side="right")
        for row, shard in zip(index.tolist(), shards.tolist(), strict=True):
            at = row - (self._ends[shard - 1] if shard else 0)
            table = self._tables[shard]
            images.append(decode_image(table["bytes"][at].as_buffer(), self.image_shape))
            labels.append(table["label"][at].as_py())
        return torch.from_numpy(np.stack(images)), torch.tensor(labels)

    def _take_in(self) -> None:
        """One more round."""
        self._newest = len(self) if self._rounds else 0
        for listed in self.folder.manifest().of_round(self._rounds):
            table = self._mapped(listed)
            self._tables.append(table)
            self._ends.append(len(self) + len(table))
        self._rounds += 1

    def _mapped(self, listed: Listed) -> pa.Table:
        path = self.cache / f"{listed.sha256}.arrow"
        if not path.exists():
            self._copy(listed, path)
        return pa.ipc.open_file(pa.memory_map(str(path))).read_all().combine_chunks()

    def _copy(self, listed: Listed, path: Path) -> None:
        """Make the Arrow file, unless another process of this machine has done so in the meantime."""
        self.cache.mkdir(parents=True, exist_ok=True)
        with (self.cache / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if path.exists():
                return
            name = str(self.folder.folder / listed.file)
            table = records(self.folder.content(listed), name, self.folder.layout)
            images = table["image"].combine_chunks().field("bytes").cast(pa.large_binary())
            kept = pa.table({"bytes": images, "label": table["label"]})
            with atomic(path) as partial, pa.OSFile(str(partial), "wb") as file:
                with pa.ipc.new_file(file, kept.schema) as writer:
                    writer.write_table(kept)
