"""The records of a round as numbers, which processes give each other so that nobody reads what another one wrote.

Each image has a row: its record, and where its file begins and ends in its shard. Each shard has its size and checksum.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dp.pool.manifest import Listed
from dp.pool.paths import shard_name
from dp.pool.shards import Layout
from dp.samples import Samples
from dp.utils.distributed import summed

INTEGERS = ("labels", "seeds", "rounds", "correct", "zero_steps")
NUMBERS = ("omega", "entropy_before", "entropy")  # float32, kept by their bits
WIDTH = len(INTEGERS) + len(NUMBERS) + 2


@dataclass(frozen=True)
class Records:
    """The records of a round, or of a shard of it.

    Attributes:
        rows: int64 [n, WIDTH], a row per image in order of slots.
        shards: int64 [k, 5], a row per shard: its size in bytes and its SHA-256.
    """

    rows: Tensor
    shards: Tensor

    @classmethod
    def of(cls, samples: Samples, places: np.ndarray, listed: Listed) -> "Records":
        """Return the records of a shard; `places` int64 [n, 2] says where its images begin and end."""
        columns = [getattr(samples, name).long() for name in INTEGERS]
        columns += [getattr(samples, name).contiguous().view(torch.int32).long() for name in NUMBERS]
        checksum = np.frombuffer(bytes.fromhex(listed.sha256), np.int64)
        rows = torch.cat([torch.stack(columns, 1), torch.from_numpy(places)], 1)
        return cls(rows, torch.tensor([[listed.size, *checksum.tolist()]]))

    @property
    def samples(self) -> Samples:
        """Return the records without images: uint8 [n, 0, 0, 0]."""
        values = {name: self.rows[:, k].clone() for k, name in enumerate(INTEGERS)}
        for k, name in enumerate(NUMBERS, len(INTEGERS)):
            values[name] = self.rows[:, k].to(torch.int32).view(torch.float32)
        values["correct"] = values["correct"].to(torch.int8)
        return Samples(images=torch.empty((len(self.rows), 0, 0, 0), dtype=torch.uint8), **values)

    @property
    def labels(self) -> Tensor:
        """Return the labels int64 [n], a view."""
        return self.rows[:, 0]

    @property
    def seeds(self) -> Tensor:
        """Return the seeds int64 [n], a view."""
        return self.rows[:, 1]

    @property
    def places(self) -> np.ndarray:
        """Return where images begin and end in their shards: int64 [n, 2], a view."""
        return self.rows[:, -2:].numpy()

    def listed(self, round_: int, shard: int, rows: int) -> Listed:
        """Return the manifest's entry of a shard of so many rows."""
        size, *checksum = self.shards[shard].tolist()
        return Listed(shard_name(round_, shard), round_, rows, np.array(checksum, np.int64).tobytes().hex(), size)


def gathered(mine: dict[int, Records], count: int, layout: Layout, of_all: bool = True) -> Records:
    """Return the records of a round of `count` images, of which each process has some shards; no shard twice.

    Args:
        mine: shards of this process, by their numbers.
        count: images of the round.
        layout: of the pool.
        of_all: the other processes have the rest, and do this together with this one.
    """
    parts = layout.shards(count)
    rows, shards = torch.zeros(count, WIDTH, dtype=torch.int64), torch.zeros(len(parts), 5, dtype=torch.int64)
    for shard, records in mine.items():
        slots = parts[shard]
        rows[slots.start : slots.stop], shards[shard] = records.rows, records.shards[0]
    return Records(summed(rows), summed(shards)) if of_all else Records(rows, shards)
