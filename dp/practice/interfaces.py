"""Interfaces: what the loop asks of a generator and of a pool."""

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor, nn

from dp.guidance.guidance import GuidanceConfig
from dp.samples import Samples


class ImageGenerator(Protocol):
    """A maker of images: `dp.generation.generator.Generator`, or anything with these two."""

    @property
    def num_classes(self) -> int | None:
        """Classes it can make."""

    def generate(
        self,
        labels: Tensor,
        seeds: list[int],
        learner: nn.Module | None = ...,
        guidance: GuidanceConfig = ...,
        other: nn.Module | None = ...,
        round_: int = ...,
    ) -> Samples:
        """Make one image per label; it depends on its label, its seed and the learners alone."""


class TrainingPool(Protocol):
    """A pool that a run trains on: `dp.pool.in_memory.Pool`, or one on disk (`dp.pool.on_disk.DiskPool`)."""

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""

    def __len__(self) -> int: ...

    def draw(self, size: int, rng: torch.Generator, newest_weight: float = ...) -> Tensor:
        """Rows int64 [size] of a mini-batch."""

    def rows(self, index: Tensor, change: Callable[[Tensor, slice], Tensor] | None = ...) -> tuple[Tensor, Tensor]:
        """Images uint8 [n, C, H, W], changed (images, which of the n they are), and labels int64 [n]."""

    def append(self, samples: Samples) -> None:
        """Take in the samples of a new round."""
