"""A pool of two rounds to write, to read and to do harm to."""

from dataclasses import fields
from pathlib import Path

import numpy as np
import torch

from dp.samples import Samples, concatenate

CLASSES, SHAPE, SIZE = ("boot", "bag, large"), (1, 6, 5), 4
COUNTS = (10, 3)
SHARDS = [
    "round-0000/00000.parquet",
    "round-0000/00001.parquet",
    "round-0000/00002.parquet",
    "round-0001/00000.parquet",
]


def made(round_: int, slots: range) -> Samples:
    n, rng = len(slots), torch.Generator().manual_seed(1000 * round_ + slots.start)
    unknown = torch.full((n,), torch.nan)
    return Samples(
        images=torch.randint(256, (n, *SHAPE), generator=rng).byte(),
        labels=torch.tensor(list(slots)) % 2,
        seeds=torch.tensor([10**18 + 1000 * round_ + 7 * slot for slot in slots]),
        rounds=torch.full((n,), round_),
        omega=torch.full((n,), 0.3 * round_),
        entropy_before=torch.rand(n, generator=rng) if round_ else unknown,
        entropy=torch.rand(n, generator=rng) if round_ else unknown,
        correct=torch.ones(n, dtype=torch.int8) if round_ else torch.full((n,), -1, dtype=torch.int8),
        zero_steps=torch.arange(n),
    )


def made_again(round_: int, slots: range, labels: torch.Tensor, seeds: list[int]) -> Samples:
    """What `repair` asks for; it must know the labels and the seeds."""
    samples = made(round_, slots)
    assert samples.labels.tolist() == labels.tolist() and samples.seeds.tolist() == seeds
    return samples


def rounds(first: int, last: int) -> Samples:
    layout = [(r, range(a, min(a + SIZE, COUNTS[r]))) for r in range(first, last) for a in range(0, COUNTS[r], SIZE)]
    return concatenate([made(r, slots) for r, slots in layout])


def same(a: Samples, b: Samples) -> bool:
    pairs = [(getattr(a, f.name), getattr(b, f.name)) for f in fields(Samples)]
    return all(x.dtype == y.dtype and np.array_equal(x, y, equal_nan=x.is_floating_point()) for x, y in pairs)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])
