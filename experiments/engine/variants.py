"""Variants of how additions are made: ideas that are tried, each a small change of what a generator is asked for."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dp.generation.generator import Generator
from dp.guidance.guidance import GuidanceConfig
from dp.samples import Samples
from dp.utils.seeding import seed_for

SECOND = 202  # a random stream of an image's seed, beside those of dp/utils/seeding.py


@dataclass(frozen=True)
class Variant:
    """Changes of how additions are made; none by default. Initial images are as they always are.

    Attributes:
        harder_of: guided images made for each that is kept, the one with the highest entropy.
        views: whether the entropy that guides is that of the learner's mean prediction over its training shifts, the
            image moved by two pixels each way, rather than of its prediction at one place.
        scale: classifier-free guidance of the additions; 0 = that of the initial images.
        goal: nats of entropy that additions are to have: after each the strength is multiplied by goal / reached (by
            all images made for it, refused ones too), at most doubled or halved at a time, and kept within a factor of
            8; 0 = one strength for all.
    """

    harder_of: int = 1
    views: bool = False
    scale: float = 0.0
    goal: float = 0.0

    def changes(self) -> dict[str, Any]:
        """Return what is changed, for a result's settings."""
        return {name: value for name, value in asdict(self).items() if value != getattr(Variant(), name)}


class VariedGenerator:
    """A generator whose additions follow a variant."""

    def __init__(self, generator: Generator, variant: Variant):
        self.generator, self.variant = generator, variant
        self.pipe: Any = generator.pipe  # a filter asks for it
        self.num_classes = generator.num_classes
        self.factor = 1.0  # of omega
        self.reached: tuple[int, list[Tensor]] = (0, [])  # round and the entropy of its images

    def generate(
        self,
        labels: Tensor,
        seeds: Sequence[int],
        learner: nn.Module | None = None,
        guidance: GuidanceConfig = GuidanceConfig(omega=0.0),
        other: nn.Module | None = None,
        round_: int = 0,
    ) -> Samples:
        """Return one image per seed, as `Generator.generate` does."""
        if learner is None:
            return self.generator.generate(labels, seeds)
        if self.variant.goal:
            guidance = replace(guidance, omega=guidance.omega * self._factor(round_))
        guiding = Views(learner).eval() if self.variant.views else learner
        before = self.generator.guidance_scale
        self.generator.guidance_scale = self.variant.scale or before
        attempts = self._attempts(seeds)
        try:
            made = [self.generator.generate(labels, each, guiding, guidance, other, round_) for each in attempts]
        finally:
            self.generator.guidance_scale = before
        best = torch.stack([each.entropy for each in made]).argmax(0)
        rows = torch.arange(len(labels))
        parts = {name: torch.stack([vars(each)[name] for each in made])[best, rows] for name in vars(made[0])}
        found = Samples(**parts | {"seeds": made[0].seeds})  # a slot keeps its name whichever attempt it has
        self.reached[1].append(found.entropy)
        return found

    def _attempts(self, seeds: Sequence[int]) -> list[list[int]]:
        more = range(1, self.variant.harder_of)
        return [list(seeds), *([seed_for(seed, SECOND, k) for seed in seeds] for k in more)]

    def _factor(self, round_: int) -> float:
        """Return what omega is multiplied by in a round, from the entropy that the rounds before have reached."""
        last, entropies = self.reached
        if last != round_:
            if entropies:
                step = self.variant.goal / max(float(torch.cat(entropies).mean()), 1e-6)
                self.factor = min(8.0, max(1 / 8, self.factor * min(2.0, max(0.5, step))))
            self.reached = round_, []
        return self.factor


def varied(generator: Generator, variant: dict[str, Any] | None) -> Generator | VariedGenerator:
    """Return a generator that follows a job's variant, if it has one."""
    return VariedGenerator(generator, Variant(**variant)) if variant else generator


class Views(nn.Module):
    """A learner's mean prediction over shifts: images [B, C, H, W] -> logits [B, K], logarithms of probabilities."""

    def __init__(self, learner: nn.Module, most: int = 2):
        super().__init__()
        self.learner, self.most = learner, most

    def forward(self, images: Tensor) -> Tensor:
        """Images float [B, C, H, W] in [-1, 1]; what comes in at the border is black."""
        m = self.most
        height, width = images.shape[-2:]
        padded = F.pad(images, (m, m, m, m), value=-1.0)
        places = [(m, m), (0, m), (2 * m, m), (m, 0), (m, 2 * m)]
        views = [padded[..., top : top + height, left : left + width] for top, left in places]
        log_p = torch.stack([self.learner(view).float().log_softmax(1) for view in views])
        return log_p.logsumexp(0) - torch.log(torch.tensor(float(len(views))))
