"""Filters for harmful outliers: which hard images to keep, told without real labels.

A hard image is informative if it still belongs to its class and harmful if guidance has pushed it off its class or off
the images altogether. A filter looks at finished images, between their generation and the pool, and says which to keep;
`accepted` generates the refused ones again. Its price is counted in forward passes, beside that of a generated image.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from dp.guidance.objectives import divergence
from dp.samples import Samples, concatenate
from dp.selection.latent_diffusion import LatentDiffusion, own_noise
from dp.selection.tiling import _check_tile, check_labels, logits_in_tiles, tiled
from dp.utils.errors import UserError
from dp.utils.pixels import normalise, to_bytes, unit


@dataclass(frozen=True)
class Cost:
    """The forward passes that judging one image takes (one row each; gradients are never needed).

    A generated image takes `steps` passes of the U-Net, twice as many with classifier-free guidance, and one of the
    autoencoder.
    """

    unet: int = 0
    autoencoder: int = 0  # its encoder or its decoder
    learner: int = 0


class Filter(Protocol):
    """A rule for which images to keep: the answer depends on the image, its record and the learners alone."""

    @property
    def cost(self) -> Cost:
        """Count the forward passes for one image."""

    def __call__(self, samples: Samples, learner: nn.Module, averaged: nn.Module) -> Tensor:
        """Return bool [n], on the CPU: which of n finished images to keep.

        Args:
            learner: the current weights, in eval mode.
            averaged: their moving average, in eval mode; the one that guides.
        """


@dataclass(frozen=True)
class DiffusionClassifier:
    """Keep an image if the generator itself finds its class the most likely one.

    The image is encoded and noised again; of the compared classes its own must predict that noise best (Li et al. 2023,
    arXiv 2303.16203: the expected error bounds -log p(image | class) from above). The noise is the same for all
    classes. A tie is kept, an error that is not a number refused.

    Attributes:
        generator: what made the images.
        candidates: how many classes are compared: the image's own and the others that the averaged learner finds most
            likely, 2 .. K; None: all, without asking the learner.
        time_steps: at which the image is noised; their errors are added up. Late ones tell classes apart, early ones
            little else than texture.
        tile: images computed at once.
    """

    generator: LatentDiffusion
    candidates: int | None = None
    time_steps: tuple[int, ...] = (600, 700, 800)
    tile: int = 100

    def __post_init__(self) -> None:
        self.generator.check_time_steps(self.time_steps)
        _check_tile(self.tile)
        if self.candidates is not None and not 2 <= self.candidates <= self.generator.num_classes:
            raise UserError(
                f"candidates: got {self.candidates}, expected 2 .. {self.generator.num_classes}, or None for all"
            )

    @property
    def cost(self) -> Cost:
        compared = self.generator.num_classes if self.candidates is None else self.candidates
        return Cost(unet=len(self.time_steps) * compared, autoencoder=1, learner=int(self.candidates is not None))

    def __call__(self, samples: Samples, learner: nn.Module, averaged: nn.Module) -> Tensor:
        check_labels(samples.labels, self.generator.num_classes)
        if self.candidates is None:
            likely = torch.zeros(len(samples), self.generator.num_classes)
        else:
            likely = logits_in_tiles(averaged, samples.images, self.tile)
        # The own class first, then the others, the most likely ones first.
        likely = likely.scatter(1, samples.labels[:, None], torch.inf)
        compared = likely.argsort(dim=1, descending=True, stable=True)[:, : self.candidates]
        errors = tiled(self._errors, samples.images, samples.seeds, compared, tile=self.tile)
        return errors[:, 0] <= errors[:, 1:].amin(1)

    @torch.no_grad()
    def _errors(self, images: Tensor, seeds: Tensor, compared: Tensor) -> Tensor:
        """Sum the noise-prediction errors of each compared class over the time steps: float32 [B, candidates]."""
        latents = self.generator.encode(normalise(images)).float()
        errors = torch.zeros(compared.shape)
        for t, noise in zip(self.time_steps, own_noise(seeds, latents, len(self.time_steps)), strict=True):
            x_t = self.generator.noised(latents, t, noise)
            for column, labels in enumerate(compared.to(latents.device).unbind(1)):
                eps = self.generator.predict_noise(x_t, t, labels).float()
                errors[:, column] += (eps - noise).square().flatten(1).mean(1).cpu()
        return errors


@dataclass(frozen=True)
class RoundTrip:
    """Keep an image if the averaged learner finds its class in it once the generator has cleaned it.

    The image is encoded, noised a little and denoised in one step as its own class, which removes what guidance has
    drawn on it to confuse this one learner and keeps its shape. A hard image of its class becomes an easier one of it;
    an image of another class stays that. Cheap, but it trusts the learner, which has to know the classes roughly.

    Attributes:
        generator: what made the images.
        threshold: smallest probability of its class that is kept, in (0, 1).
        time_step: to which the image is noised.
        tile: images computed at once.
    """

    generator: LatentDiffusion
    threshold: float = 0.35
    time_step: int = 200
    tile: int = 100
    cost = Cost(unet=1, autoencoder=2, learner=1)

    def __post_init__(self) -> None:
        self.generator.check_time_steps((self.time_step,))
        _check_tile(self.tile)
        if not 0 < self.threshold < 1:
            raise UserError(f"threshold: got {self.threshold}, expected a probability between 0 and 1")

    def __call__(self, samples: Samples, learner: nn.Module, averaged: nn.Module) -> Tensor:
        check_labels(samples.labels, self.generator.num_classes)
        cleaned = tiled(self._cleaned, samples.images, samples.labels, samples.seeds, tile=self.tile)
        probabilities = logits_in_tiles(averaged, cleaned, self.tile).softmax(1)
        return probabilities.gather(1, samples.labels[:, None])[:, 0] >= self.threshold

    @torch.no_grad()
    def _cleaned(self, images: Tensor, labels: Tensor, seeds: Tensor) -> Tensor:
        """Return the images after the round trip, uint8."""
        latents = self.generator.encode(normalise(images)).float()
        x_t = self.generator.noised(latents, self.time_step, own_noise(seeds, latents, 1)[0])
        cleaned = self.generator.denoised(x_t, self.time_step, labels.to(latents.device))
        decoded = self.generator.decode(cleaned).float()
        return to_bytes(unit(decoded)).cpu()


@dataclass(frozen=True)
class Disagreement:
    """Keep an image if the learner and its averaged weights (or any two learners) agree enough on it.

    On images like those of the pool they agree, however unsure both are; away from them each extrapolates in its own
    way. The limit is one for each image, not a share of the batch: an image's answer does not depend on its company.
    While the learning rate is high the current weights are noisy, and how many images pass varies much from one
    iteration to another.

    Attributes:
        threshold: largest Jensen-Shannon divergence that is kept, in nats, in (0, log 2].
        tile: images computed at once.
    """

    threshold: float = 0.05
    tile: int = 100
    cost = Cost(learner=2)

    def __post_init__(self) -> None:
        if not 0 < self.threshold <= math.log(2):
            raise UserError(f"threshold: got {self.threshold} nats, expected more than 0 and at most log 2 = 0.693")
        _check_tile(self.tile)

    def __call__(self, samples: Samples, learner: nn.Module, averaged: nn.Module) -> Tensor:
        logits, other = (logits_in_tiles(model, samples.images, self.tile) for model in (learner, averaged))
        return divergence(logits, other) <= self.threshold


@dataclass(frozen=True)
class Acceptance:
    """Counts of what filling some slots took; the sums over parts of the slots are the sums over the whole.

    Attributes:
        candidates: images made.
        refused: of those, images the filter refused.
        kept_refused: slots that kept a refused image because no attempt was accepted.
    """

    candidates: int
    refused: int
    kept_refused: int


def accepted(
    make: Callable[[list[int], list[int]], Samples],
    keep: Callable[[Samples], Tensor],
    slots: list[int],
    max_attempts: int,
) -> tuple[Samples, Acceptance]:
    """Return one image per slot, the first of its slot's attempts that the filter keeps.

    If it keeps none, the slot keeps the last attempt: a round stays complete and balanced. A slot's image depends on
    the slot alone, so the slots may be split among processes.

    Args:
        make: (slots, attempts) of n candidates -> n samples in that order.
        keep: bool [n] for n samples; a filter with its learners filled in.
        slots: one or more.
        max_attempts: candidates of a slot at most, >= 1.

    Returns:
        Samples in the order of `slots`, and the record.
    """
    if max_attempts < 1:
        raise UserError(f"max_attempts: got {max_attempts}, expected 1 or more")
    if not slots:
        raise UserError("slots: got none, expected one or more")
    made: list[Samples] = []
    count = 0
    row = torch.zeros(len(slots), dtype=torch.int64)  # of each slot's latest candidate, among all made
    pending = torch.arange(len(slots))
    for attempt in range(max_attempts):
        made.append(make([slots[i] for i in pending.tolist()], [attempt] * len(pending)))
        row[pending] = count + torch.arange(len(pending))
        count += len(pending)
        pending = pending[~keep(made[-1])]
        if not len(pending):
            break
    refused = count - (len(slots) - len(pending))
    return concatenate(made)[row], Acceptance(count, refused, len(pending))
