"""Accuracy on real images."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Subset

from dp.data.image_set import LOADERS, ImageSet, RealImages
from dp.data.image_tree import ImageData, batches
from dp.data.imagenet import RealSet
from dp.samples import Samples
from dp.utils.device import autocast
from dp.utils.distributed import rank, summed, total, world
from dp.utils.pixels import normalise
from dp.utils.progress import bar_of

BATCH = 250  # images at once; on a CPU larger batches take longer, up to twice as long
DECODED_BATCH = 50  # of images in files: 5,000 of them are enough batches for 100 processes
KEPT_BYTES = 4 * 10**9  # of decoded images that a process keeps in memory


def device_of(module: nn.Module) -> torch.device:
    """Return where a module's parameters are."""
    return next((p.device for p in module.parameters()), torch.device("cpu"))


@torch.no_grad()
def logits_of(learner: nn.Module, images: Tensor) -> Tensor:
    """Return the logits of a learner in eval mode on uint8 images [N, C, H, W]: float32 [N, K], on the CPU."""
    device = device_of(learner)
    parts = []
    for part in images.split(BATCH):
        with autocast(device):
            parts.append(learner(normalise(part.to(device))).float().cpu())
    return torch.cat(parts)


def right(logits: Tensor, labels: Tensor, allowed: tuple[int, ...] | None = None) -> Tensor:
    """Tell which images are classified right, the answer being the largest logit among the allowed labels (None: all).

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
    learner: nn.Module, real: RealImages, allowed: tuple[int, ...] | None = None, name: str = "evaluating"
) -> float:
    """Return the top-1 accuracy in percent; the processes of a run share the images, and all get the same number.

    The set is cut into the same batches however many processes share them: what else is in its batch can change an
    image's logits in their last bits.

    Args:
        learner: float [B, C, H, W] in [-1, 1] -> logits [B, K], in eval mode.
        real: the images; those of a data set are read as they are needed.
        allowed: the labels whose logits are compared; None: all.
        name: of the set, for a progress bar.

    Raises:
        UserError: a file that is no whole image; the line names it.
    """
    correct = sum(int(right(logits, labels, allowed).sum()) for logits, labels in _my_logits(learner, real, name))
    return 100 * total(correct) / len(real)


def errors_by_class(learner: nn.Module, real: RealImages, classes: int) -> Tensor:
    """Return how many images of each class a learner gets wrong, int64 [classes]; the same in all processes.

    Arguments and errors are those of `accuracy`.
    """
    wrong = torch.zeros(classes, dtype=torch.int64)
    for logits, labels in _my_logits(learner, real, "counting errors"):
        wrong += labels[~right(logits, labels)].bincount(minlength=classes)
    return summed(wrong)


def _my_logits(learner: nn.Module, real: RealImages, name: str) -> Iterator[tuple[Tensor, Tensor]]:
    """Give this process's share of the images, batch by batch: logits and labels."""
    size = batch_of(real)
    mine = range(rank() * size, len(real), world() * size)  # where this process's batches begin
    with bar_of(name, len(real), "images") as bar:
        for images, labels in _batches(real, mine):
            yield logits_of(learner, images), labels
            bar.update(min(world() * size, len(real) - bar.n))  # the others are as far


class KeptShare:
    """A data set that is evaluated again and again: each process decodes its share of the images once and keeps it.

    Decoding JPEGs anew for every validation can take longer than the training between two of them.
    """

    def __init__(self, data: ImageData):
        self.data = data
        self._kept: dict[int, tuple[Tensor, Tensor]] = {}  # of each batch, by its first image

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.data[index]

    def batches(self, firsts: range) -> Iterable[tuple[Tensor, Tensor]]:
        """Give the batches that begin at these images: those that are kept, and the first time those of the files."""
        missing = [first for first in firsts if first not in self._kept]
        self._kept |= zip(missing, _decoded(self.data, missing), strict=True)
        return (self._kept[first] for first in firsts)


def kept_share(real: RealImages) -> RealImages:
    """Return the images as they are best kept for many evaluations: decoded, where this share is not large."""
    if isinstance(real, ImageSet):
        return real
    share = real[0][0].numel() * len(real) / world()
    return KeptShare(real) if share <= KEPT_BYTES else real


def batch_of(real: RealImages) -> int:
    """Return how many images are evaluated at once: few where the processes of a cluster share a set."""
    return BATCH if isinstance(real, ImageSet) else DECODED_BATCH


def _batches(real: RealImages, firsts: range) -> Iterable[tuple[Tensor, Tensor]]:
    """Give the batches of images and labels that begin at these images."""
    if isinstance(real, ImageSet):
        return ((real.images[first : first + BATCH], real.labels[first : first + BATCH]) for first in firsts)
    return real.batches(firsts) if isinstance(real, KeptShare) else _decoded(real, firsts)


def _decoded(real: ImageData, firsts: Sequence[int]) -> Iterable[tuple[Tensor, Tensor]]:
    rows = [row for first in firsts for row in range(first, min(first + DECODED_BATCH, len(real)))]
    data: Any = real
    return batches(Subset(data, rows), DECODED_BATCH, LOADERS)


def measured(learner: nn.Module, sets: Sequence[RealSet]) -> dict[str, dict[str, float]]:
    """Set -> number of images, and accuracy in percent among the allowed labels (see `RealSet`); JSON values.

    Args:
        learner: see `dp.learner.evaluate.accuracy`, which shares the images among the processes of a run.
        sets: each is read once.
    """
    return {
        each.name: {"images": len(each.data), "accuracy": accuracy(learner, each.data, each.allowed, each.name)}
        for each in sets
    }


def hardness(learners: Sequence[nn.Module], added: Sequence[Samples]) -> dict[str, Any]:
    """Return how hard the images that were misclassified at birth are to the learners of a run (figure 6 left).

    Args:
        learners: learner k guided addition k + 1; the last one may be the final learner.
        added: images of each addition; those that were right at birth are left out.

    Returns:
        misclassified: of each addition, how many images the learner that guided it got wrong.
        error: [learner][addition] percent of those images that the learner gets wrong; null where none was wrong.
    """
    wrong = [each[each.correct == 0] for each in added]
    error = [
        [100 - accuracy(learner, ImageSet(each.images, each.labels)) if len(each) else None for each in wrong]
        for learner in learners
    ]
    return {"misclassified": [len(each) for each in wrong], "error": error}
