"""The growing training pool."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Pool:
    """Generated images and where each came from. Immutable: `grown` returns a larger one.

    Attributes:
        images: uint8 [N, C, H, W].
        labels: int64 [N].
        seeds: int64 [N], each image's own random stream.
        rounds: int64 [N], 0 for the initial images, k for the k-th addition.
    """

    images: Tensor
    labels: Tensor
    seeds: Tensor
    rounds: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def grown(self, other: "Pool") -> "Pool":
        """This pool with `other`'s images after its own."""
        pairs = ((getattr(self, name), getattr(other, name)) for name in ("images", "labels", "seeds", "rounds"))
        return Pool(*(torch.cat(pair) for pair in pairs))

    def first(self, size: int) -> "Pool":
        """The first `size` images."""
        return Pool(self.images[:size], self.labels[:size], self.seeds[:size], self.rounds[:size])

    def batch(self, size: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Images and labels drawn uniformly with replacement."""
        index = torch.randint(len(self), (size,), generator=rng)
        return self.images[index], self.labels[index]
