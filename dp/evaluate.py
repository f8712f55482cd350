"""Accuracy on real images."""

from collections.abc import Iterable
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.utils.data import Subset

from dp.data import ImageSet
from dp.image_tree import batches
from dp.learner import normalise
from dp.precision import autocast
from dp.processes import rank, total, world

LOADERS = 4  # processes that decode the images of a data set


class ImageData(Protocol):
    """Images that are too many for memory: a `torch.utils.data.Dataset` with a length."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Image uint8 [C, H, W] and label."""


RealImages = ImageSet | ImageData


def device_of(module: nn.Module) -> torch.device:
    """Where a module's parameters are."""
    return next((p.device for p in module.parameters()), torch.device("cpu"))


@torch.no_grad()
def logits_of(learner: nn.Module, images: Tensor, batch_size: int = 1000) -> Tensor:
    """Logits of a learner in eval mode on uint8 images [N, C, H, W]: float32 [N, K], on the CPU."""
    device = device_of(learner)
    parts = []
    for part in images.split(batch_size):
        with autocast(device):
            parts.append(learner(normalise(part.to(device))).float().cpu())
    return torch.cat(parts)


def accuracy(learner: nn.Module, real: RealImages) -> float:
    """Top-1 accuracy in percent of a learner in eval mode; the processes of a run share the images."""
    correct = 0
    for images, labels in _shared(real):
        correct += int((logits_of(learner, images).argmax(1) == labels).sum())
    return 100 * total(correct) / len(real)


def _shared(real: RealImages) -> Iterable[tuple[Tensor, Tensor]]:
    """This process's images and labels."""
    mine = range(rank(), len(real), world())
    if isinstance(real, ImageSet):
        return [(real.images[mine.start :: mine.step], real.labels[mine.start :: mine.step])]
    data: Any = real
    return batches(Subset(data, mine), 250, LOADERS)
