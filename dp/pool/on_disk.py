"""A pool that is trained on without being in memory: images are decoded when a mini-batch asks for them."""

import copy
import itertools
import os
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from io import FileIO

import numpy as np
import torch
from torch import Tensor

from dp.pool.folder import PoolFolder
from dp.pool.in_memory import Change, draw
from dp.pool.paths import shard_name
from dp.pool.shards import THREADS, decode_image
from dp.samples import Samples
from dp.utils.errors import UserError

OPEN_FILES = 256  # shards held open at once; many systems allow a process 1,024


class DiskPool:
    """The rounds of a pool folder, rows in order of rounds and slots.

    Parquet is not read row by row, but in these shards an image's file stands uncompressed and in one piece. Each shard
    is read and checked once, by one of the processes, unless one of them has just written it; where its images begin is
    known to all of them, and they are read from there. What is drawn often stays in the system's cache, and memory
    beyond that is not needed. A copy (`copy.deepcopy`) shares the offsets; what is appended to either is not in the
    other.
    """

    def __init__(self, folder: PoolFolder, rounds: int):
        """Take in the first `rounds` rounds of `folder`.

        Raises:
            UserError: a shard is missing or damaged.
        """
        self.folder = folder
        self._ends = np.zeros(0, np.int64)  # rows up to the end of each round
        self._places: list[np.ndarray] = []  # of each round: where images begin and end in their shards, int64 [n, 2]
        self._labels: list[np.ndarray] = []  # of each round, int64 [n]
        self._newest = 0
        self._threads = ThreadPoolExecutor(THREADS)
        self._opened = lru_cache(OPEN_FILES)(FileIO)  # a file is closed when it is dropped and nobody reads it
        for _ in range(rounds):
            self._take_in()

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def __deepcopy__(self, memo: dict[int, object]) -> "DiskPool":
        twin = copy.copy(self)
        twin._places, twin._labels = [*self._places], [*self._labels]
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

    def rows(self, index: Tensor, change: Change | None = None) -> tuple[Tensor, Tensor]:
        """Return images and labels as `dp.pool.in_memory.Pool.rows` does; each thread changes what it has decoded.

        Raises:
            UserError: a shard is gone, or is another one than when it was taken in.
        """
        pieces = index.chunk(THREADS)
        firsts = itertools.accumulate((len(piece) for piece in pieces), initial=0)

        def piece(index: Tensor, first: int) -> tuple[Tensor, Tensor]:
            images, labels = self._rows(index.numpy())
            return change(images, slice(first, first + len(index))) if change else images, labels

        images, labels = zip(*self._threads.map(piece, pieces, firsts), strict=True)
        return torch.cat(images), torch.cat(labels)

    def _rows(self, index: np.ndarray) -> tuple[Tensor, Tensor]:
        images, labels = [], []
        rounds = np.searchsorted(self._ends, index, side="right")
        slots = index - np.concatenate([[0], self._ends])[rounds]
        for round_, slot in zip(rounds.tolist(), slots.tolist(), strict=True):
            begin, end = self._places[round_][slot].tolist()
            path = self.folder.folder / shard_name(round_, slot // self.folder.layout.shard_size)
            try:
                opened = self._opened(path)
                images.append(decode_image(os.pread(opened.fileno(), end - begin, begin), self.image_shape))
            except (OSError, ValueError) as error:
                raise UserError(
                    f"{path}: {error}; it has changed since the run began to read it: leave the pool as "
                    "it is while a run goes on, and start the same command again"
                ) from None
            labels.append(self._labels[round_][slot])
        return torch.from_numpy(np.stack(images)), torch.from_numpy(np.stack(labels))

    def _take_in(self) -> None:
        """Add one more round."""
        self._newest = len(self)
        records = self.folder.records(len(self._places))
        self._places.append(records.places.copy())
        self._labels.append(records.labels.numpy().copy())
        self._ends = np.append(self._ends, len(self) + len(records.rows))
