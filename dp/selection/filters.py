"""Filters for harmful outliers: which hard images to keep, told without real labels.

A hard image is informative if it still belongs to its class and harmful if guidance has pushed it off its class or off
the images altogether. A filter looks at finished images, between their generation and the pool, and says which to keep;
`accepted` generates the refused ones again.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from dp.guidance.objectives import divergence
from dp.samples import Samples, concatenate
from dp.selection.latent_diffusion import LatentDiffusion, own_noise
from dp.selection.tiling import logits_in_tiles, tiled
from dp.utils.pixels import normalise, to_bytes, unit


class Filter(Protocol):
    """A rule for which images to keep: the answer depends on the image, its record and the learners alone."""

    def __call__(self, samples: Samples, learner: nn.Module, averaged: nn.Module) -> Tensor:
        """Return bool [n], on the CPU: which of n finished images to keep.

        Args:
            learner: the current weights, in eval mode.
            averaged: their moving average, in eval mode; the one that guides.
        """


@dataclass(frozen=True)
class DiffusionClassifier:
    """Keep an image if the generator itself finds its class the most likely one.

    The image is encoded and noised again; of all classes its own must predict that noise best (Li et al. 2023,
    arXiv 2303.16203: the expected error bounds -log p(image | class) from above). The noise is the same for all
    classes. A tie is kept, an error that is not a number refused. One image takes a pass of the encoder and one of the
    U-Net for each class and time step.

    Attributes:
        generator: what made the images.
        time_steps: at which the image is noised; their errors are added up. Late ones tell classes apart, early ones
            little else than texture.
    """

    generator: LatentDiffusion
    time_steps: tuple[int, ...] = (600, 700, 800)

    def __call__(self, samples: Samples, learner: nn.Module, averaged: nn.Module) -> Tensor:
        errors = tiled(self._errors, samples.images, samples.seeds)
        return errors.gather(1, samples.labels[:, None])[:, 0] <= errors.amin(1)

    @torch.no_grad()
    def _errors(self, images: Tensor, seeds: Tensor) -> Tensor:
        """Sum the noise-prediction errors of each class over the time steps: float32 [B, K]."""
        latents = self.generator.encode(normalise(images)).float()
        errors = torch.zeros(len(images), self.generator.num_classes)
        for t, noise in zip(self.time_steps, own_noise(seeds, latents, len(self.time_steps)), strict=True):
            x_t = self.generator.noised(latents, t, noise)
            for label in range(self.generator.num_classes):
                labels = torch.full((len(images),), label, device=latents.device)
                eps = self.generator.predict_noise(x_t, t, labels).float()
                errors[:, label] += (eps - noise).square().flatten(1).mean(1).cpu()
        return errors


@dataclass(frozen=True)
class RoundTrip:
    """Keep an image if the averaged learner finds its class in it once the generator has cleaned it.

    The image is encoded, noised a little and denoised in one step as its own class, which removes what guidance has
    drawn on it to confuse this one learner and keeps its shape. A hard image of its class becomes an easier one of it;
    an image of another class stays that. Cheap (three passes an image and one of the learner), but it trusts the
    learner, which has to know the classes roughly.

    Attributes:
        generator: what made the images.
        threshold: smallest probability of its class that is kept, in (0, 1).
        time_step: to which the image is noised.
    """

    generator: LatentDiffusion
    threshold: float = 0.35
    time_step: int = 200

    def __call__(self, samples: Samples, learner: nn.Module, averaged: nn.Module) -> Tensor:
        cleaned = tiled(self._cleaned, samples.images, samples.labels, samples.seeds)
        probabilities = logits_in_tiles(averaged, cleaned).softmax(1)
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
    """

    threshold: float = 0.05

    def __call__(self, samples: Samples, learner: nn.Module, averaged: nn.Module) -> Tensor:
        logits, other = (logits_in_tiles(model, samples.images) for model in (learner, averaged))
        return divergence(logits, other) <= self.threshold


def accepted(
    make: Callable[[list[int], list[int]], Samples],
    keep: Callable[[Samples], Tensor],
    slots: list[int],
    max_attempts: int,
) -> Samples:
    """Return one image per slot, the first of its slot's attempts that the filter keeps.

    If it keeps none, the slot keeps the last attempt: a round stays complete and balanced. A slot's image depends on
    the slot alone, so the slots may be split among processes.

    Args:
        make: (slots, attempts) of n candidates -> n samples in that order.
        keep: bool [n] for n samples; a filter with its learners filled in.
        slots: one or more.
        max_attempts: candidates of a slot at most, >= 1.

    Returns:
        Samples in the order of `slots`.
    """
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
    return concatenate(made)[row]
