"""Generated images, each with where it came from and how hard it was for the learner that asked for it."""

from dataclasses import dataclass, fields

import torch
from torch import Tensor


@dataclass(frozen=True)
class Samples:
    """n generated images and a record of each; every field has one row an image.

    Attributes:
        images: uint8 [n, C, H, W], 0 .. 255.
        labels: int64 [n], the class each was generated for.
        seeds: int64 [n], each image's own random stream.
        rounds: int64 [n], 0 for the initial images, k for the k-th addition.
        omega: float32 [n], guidance strength; 0 for plain images.
        entropy_before: float32 [n], nats: the guiding learner's entropy on the denoised estimate at the first guided
            step, before any guidance; nan for plain images and those guided by another objective than the entropy.
        entropy: float32 [n], nats: the learner's entropy on the finished image; nan where no learner was given.
        correct: int8 [n], whether the learner classified the finished image as its label (1 or 0); -1 where no learner
            was given.
        zero_steps: int64 [n], guided steps that had no usable gradient.
    """

    images: Tensor
    labels: Tensor
    seeds: Tensor
    rounds: Tensor
    omega: Tensor
    entropy_before: Tensor
    entropy: Tensor
    correct: Tensor
    zero_steps: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        return f"Samples({len(self)} images {list(self.images.shape[1:])})"

    def __getitem__(self, rows: slice | Tensor) -> "Samples":
        """The samples of some rows."""
        return Samples(*(getattr(self, field.name)[rows] for field in fields(self)))


def concatenate(parts: list[Samples]) -> Samples:
    """All samples of `parts`, in order; at least one part."""
    return Samples(*(torch.cat([getattr(part, field.name) for part in parts]) for field in fields(Samples)))


def unjudged(images: Tensor, labels: Tensor, seeds: Tensor) -> Samples:
    """Return initial samples of images that no learner has seen."""
    zeros, nan = torch.zeros(len(labels), dtype=torch.int64), torch.full((len(labels),), torch.nan)
    return Samples(
        images=images,
        labels=labels,
        seeds=seeds,
        rounds=zeros,
        omega=torch.zeros(len(labels)),
        entropy_before=nan,
        entropy=nan,
        correct=torch.full((len(labels),), -1, dtype=torch.int8),
        zero_steps=zeros,
    )
