"""Signals of a plateau: one number per validation, higher = better, for `Patience` to count on.

The method watches accuracy on real validation images. The other signals need no real image.
"""

from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch
from torch import Tensor, nn

from dp.config import PracticeConfig
from dp.data.image_set import RealImages
from dp.learner.evaluate import accuracy, logits_of
from dp.practice.additions import classes_of
from dp.practice.interfaces import ImageGenerator
from dp.samples import Samples
from dp.utils.seeding import HELD_OUT, seed_for


class Signal(Protocol):
    """signal(learner, averaged, losses) -> float, higher = better. No state: a checkpoint needs nothing of it."""

    @property
    def name(self) -> str:
        """Name in logs and error messages."""

    @property
    def of_pool(self) -> bool:
        """True if it is measured on the training pool: then an addition shifts it, and `Patience.forget` is due."""

    def __call__(self, learner: nn.Module, averaged: nn.Module, losses: list[Tensor]) -> float:
        """The value at a validation.

        Args:
            learner: the current weights, in eval mode.
            averaged: their moving average, in eval mode.
            losses: float32 [], the mini-batch losses since the last validation.
        """


def _predictions(model: nn.Module, images: Tensor) -> Tensor:
    return logits_of(model, images).argmax(1)


def _percent(equal: Tensor) -> float:
    return 100 * int(equal.sum()) / len(equal)


@dataclass(frozen=True)
class RealAccuracy:
    """Accuracy of the averaged weights on real validation images, percent: the method's own (Algorithm 1)."""

    real: RealImages
    name: ClassVar[str] = "validation accuracy"
    of_pool: ClassVar[bool] = False

    def __call__(self, learner: nn.Module, averaged: nn.Module, losses: list[Tensor]) -> float:
        return accuracy(averaged, self.real)


@dataclass(frozen=True)
class SyntheticAccuracy:
    """Accuracy of the averaged weights, percent, on plain generated images that are never trained on."""

    held_out: Samples
    name: ClassVar[str] = "synthetic hold-out accuracy"
    of_pool: ClassVar[bool] = False

    def __call__(self, learner: nn.Module, averaged: nn.Module, losses: list[Tensor]) -> float:
        return _percent(_predictions(averaged, self.held_out.images) == self.held_out.labels)


@dataclass(frozen=True)
class TrainingLoss:
    """Minus the mean training loss since the last validation: no images at all, but new, harder ones raise the loss."""

    name: ClassVar[str] = "training loss"
    of_pool: ClassVar[bool] = True

    def __call__(self, learner: nn.Module, averaged: nn.Module, losses: list[Tensor]) -> float:
        return -torch.stack(losses).mean().item()


@dataclass(frozen=True)
class Agreement:
    """Share of images, percent, that the learner and its averaged weights put in the same class.

    While the weights still move one way their average lags behind them; both agree when there is nothing left to learn
    from the pool. Labels are not used: any images will do, best generated ones that are never trained on. The current
    weights carry the noise of the last mini-batches, so this signal is noisy and asks for data early.
    """

    images: Tensor  # uint8 [n, C, H, W]
    name: ClassVar[str] = "agreement with the averaged weights"
    of_pool: ClassVar[bool] = False

    def __call__(self, learner: nn.Module, averaged: nn.Module, losses: list[Tensor]) -> float:
        return _percent(_predictions(averaged, self.images) == _predictions(learner, self.images))


def signal_of(config: PracticeConfig, generator: ImageGenerator, validation: RealImages) -> Signal:
    """Return the signal that `config.signal` names."""
    if config.signal == "real":
        return RealAccuracy(validation)
    if config.signal == "loss":
        return TrainingLoss()
    labels = torch.arange(config.n_held_out) % classes_of(generator)
    seeds = [seed_for(config.seed, HELD_OUT, i) for i in range(config.n_held_out)]
    held_out = generator.generate(labels, seeds)
    return SyntheticAccuracy(held_out) if config.signal == "synthetic" else Agreement(held_out.images)
