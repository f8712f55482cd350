"""Accuracy on real images."""

from collections.abc import Iterable
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.utils.data import Subset
from tqdm import tqdm

from dp.data import ImageSet
from dp.image_tree import batches
from dp.learner import normalise
from dp.precision import autocast
from dp.processes import rank, total, world

BATCH = 250  # images at once; on a CPU larger batches take longer, up to twice as long
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
def logits_of(learner: nn.Module, images: Tensor) -> Tensor:
    """Logits of a learner in eval mode on uint8 images [N, C, H, W]: float32 [N, K], on the CPU."""
    device = device_of(learner)
    parts = []
    for part in images.split(BATCH):
        with autocast(device):
            parts.append(learner(normalise(part.to(device))).float().cpu())
    return torch.cat(parts)


def right(logits: Tensor, labels: Tensor, allowed: tuple[int, ...] | None = None) -> Tensor:
    """Which images are classified right, the answer being the largest logit among the allowed labels (None: all).

    Args:
        logits: float [N, K].
        labels: int64 [N].
        allowed: some of 0 .. K - 1.

    Returns:
        bool [N]; False where an image's label is not allowed.
    """
    if allowed is None:
        return logits.argmax(1) == labels
    answers = torch.tensor(allowed, device=logits.device)
    return answers[logits[:, answers].argmax(1)] == labels


def accuracy(
    learner: nn.Module, real: RealImages, allowed: tuple[int, ...] | None = None, progress: str | None = None
) -> float:
    """Top-1 accuracy in percent; the processes of a run share the images, and all get the same number.

    The set is cut into the same batches however many processes share them: what else is in its batch can change an
    image's logits in their last bits.

    Args:
        learner: float [B, C, H, W] in [-1, 1] -> logits [B, K], in eval mode.
        real: the images; those of a data set are read as they are needed.
        allowed: the labels whose logits are compared; None: all.
        progress: title of a progress bar; None: no bar.

    Raises:
        UserError: a file that is no whole image; the line names it.
    """
    mine = range(rank() * BATCH, len(real), world() * BATCH)  # where this process's batches begin
    bar = tqdm(_batches(real, mine), progress, len(mine), disable=progress is None or rank() > 0)
    correct = sum(int(right(logits_of(learner, images), labels, allowed).sum()) for images, labels in bar)
    return 100 * total(correct) / len(real)


def _batches(real: RealImages, firsts: range) -> Iterable[tuple[Tensor, Tensor]]:
    """The batches of images and labels that begin at these images."""
    if isinstance(real, ImageSet):
        return ((real.images[first : first + BATCH], real.labels[first : first + BATCH]) for first in firsts)
    data: Any = real
    index = [row for first in firsts for row in range(first, min(first + BATCH, len(real)))]
    return batches(Subset(data, index), BATCH, LOADERS)
