"""A pool that is trained on without being in memory: images are decoded when a mini-batch asks for them."""

import copy
import os
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from io import FileIO
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dp.pool.folder import PoolFolder
from dp.pool.in_memory import draw
from dp.pool.shards import THREADS, decode_image, image_files
from dp.samples import Samples
from dp.utils.errors import UserError

OPEN_FILES = 256  # shards held open at once; many systems allow a process 1,024


class DiskPool:
    """The rounds of a pool folder, rows in order of rounds and slots.

    Parquet is not read row by row, but in these shards an image's file stands uncompressed and in one piece. Each shard
    is read and checked once; where its images begin is kept, and they are read from there, by their offsets. What is
    drawn often stays in the system's cache, and memory beyond that is not needed. A copy (`copy.deepcopy`) shares the
    offsets; what is appended to either is not in the other.
    """

    def __init__(self, folder: PoolFolder, rounds: int):
        """Take in the first `rounds` rounds of `folder`.

        Raises:
            UserError: a shard is missing or damaged.
        """
        self.folder = folder
        self._files: list[Path] = []  # of each shard
        self._ends: list[int] = []  # rows up to the end of each shard
        self._places: list[np.ndarray] = []  # of each shard: where images begin and end in its file, int64 [n, 2]
        self._labels: list[np.ndarray] = []  # of each shard, int64 [n]
        self._newest = 0
        self._rounds = 0
        self._threads = ThreadPoolExecutor(THREADS)
        self._opened = lru_cache(OPEN_FILES)(FileIO)  # a file is closed when it is dropped and nobody reads it
        for _ in range(rounds):
            self._take_in()

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __deepcopy__(self, memo: dict[int, object]) -> "DiskPool":
        twin = copy.copy(self)
        for name in ("_files", "_ends", "_places", "_labels"):
            setattr(twin, name, [*getattr(self, name)])
        return twin

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Return (C, H, W)."""
        return self.folder.layout.image_shape

    def append(self, samples: Samples) -> None:
        """Take in the next round, which is in the folder by now; `samples` are its records."""
        self._take_in()

    def draw(self, size: int, rng: torch.Generator, newest_weight: float = 1.0) -> Tensor:
        """Return rows int64 [size], drawn as `dp.pool.in_memory.draw` does."""
        return draw(len(self), self._newest, size, rng, newest_weight)

    def rows(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Return images uint8 [n, C, H, W] and labels int64 [n] of the rows int64 [n].

        Raises:
            UserError: a shard is gone, or is another one than when it was taken in.
        """
        images, labels = zip(*self._threads.map(self._rows, index.chunk(THREADS)), strict=True)
        return torch.cat(images), torch.cat(labels)

    def _rows(self, index: Tensor) -> tuple[Tensor, Tensor]:
        images, labels = [], []
        shards = np.searchsorted(self._ends, index.numpy(), side="right")
        for row, shard in zip(index.tolist(), shards.tolist(), strict=True):
            at = row - (self._ends[shard - 1] if shard else 0)
            begin, end = self._places[shard][at].tolist()
            try:
                opened = self._opened(self._files[shard])
                images.append(decode_image(os.pread(opened.fileno(), end - begin, begin), self.image_shape))
            except (OSError, ValueError) as error:
                raise UserError(
                    f"{self._files[shard]}: {error}; it has changed since the run began to read it: leave the pool as "
                    "it is while a run goes on, and start the same command again"
                ) from None
            labels.append(self._labels[shard][at])
        return torch.from_numpy(np.stack(images)), torch.from_numpy(np.stack(labels))

    def _take_in(self) -> None:
        """Add one more round."""
        self._newest = len(self) if self._rounds else 0
        for listed in self.folder.manifest().of_round(self._rounds):
            data, path = self.folder.content(listed), self.folder.folder / listed.file
            table = self.folder.table(listed, data)
            self._files.append(path)
            self._places.append(_places(data, image_files(table), path))
            self._labels.append(table["label"].to_numpy())
            self._ends.append(len(self) + len(table))
        self._rounds += 1


def _places(data: bytes, files: list[bytes], path: Path) -> np.ndarray:
    """Return where files begin and end in a shard that has them in this order: int64 [n, 2]."""
    places, end = np.empty((len(files), 2), np.int64), 0
    for row, file in enumerate(files):
        begin = data.find(file, end)
        if begin < 0:
            raise UserError(f"{path}: its images are compressed once more; train with the pool in memory")
        end = begin + len(file)
        places[row] = begin, end
    return places
