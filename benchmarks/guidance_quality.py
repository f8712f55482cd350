"""Measure finished images of each way of guiding: the learner's entropy, and whether the oracle recognises them."""

import itertools
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor, nn
from tqdm import tqdm

from dp.generation.generator import Generator, judge
from dp.generation.latent_class_pipeline import LatentClassPipeline
from dp.guidance.decoders import decoder_of
from dp.guidance.guidance import Gradient, Guidance, GuidanceConfig
from dp.guidance.objectives import Entropy, Objective, entropy
from dp.guidance.path import point_of
from dp.learner.models import CenterCrop, build_learner
from dp.pretrained.load import bundled_decoder
from dp.pretrained.oracle import bundled_oracle
from dp.utils.device import autocast
from dp.utils.files import atomic
from dp.utils.pixels import normalise
from dp.utils.seeding import seed_for, stream

STEPS = 10
BATCH = 128
DecoderName = Literal["vae", "tiny", "linear"]
DECODERS: tuple[DecoderName, ...] = ("vae", "tiny", "linear")
GRADIENTS: tuple[Gradient, ...] = ("unet", "x0")
# For each interval, strengths that cost plain images some points of the oracle's recognition when every step of it is
# guided; every second step takes STRONGER times as much.
OMEGAS = {
    (0.0, 0.2): (0.2, 0.4, 0.7, 1.1, 1.7),
    (0.0, 0.3): (0.15, 0.3, 0.5, 0.8, 1.3),
    (0.0, 0.4): (0.1, 0.2, 0.35, 0.6, 1.0),
    (0.0, 0.6): (0.06, 0.12, 0.2, 0.3, 0.45),
    (0.0, 1.0): (0.02, 0.04, 0.06, 0.09, 0.14),
}
STRONGER = 1.6


@dataclass(frozen=True)
class Variant:
    """A way of guiding, but for its strength; see `dp.guidance.GuidanceConfig`."""

    gradient: Gradient = "x0"
    decoder: DecoderName = "vae"
    every: int = 1
    interval: tuple[float, float] = (0.0, 0.4)

    @property
    def name(self) -> str:
        """Such as x0-tiny-every2-0.4."""
        return f"{self.gradient}-{self.decoder}-every{self.every}-{self.interval[1]:g}"

    @property
    def exact(self) -> bool:
        """True if it takes the gradient as it is, at every step."""
        return self.gradient == "unet" and self.decoder == "vae" and self.every == 1

    @property
    def omegas(self) -> tuple[float, ...]:
        """The strengths it is measured at."""
        factor = STRONGER if self.every > 1 else 1.0
        return tuple(round(factor * omega, 3) for omega in OMEGAS[self.interval])

    def config(self, omega: float) -> GuidanceConfig:
        """Return the settings of guidance at one strength."""
        return GuidanceConfig(omega, self.interval, self.every, gradient=self.gradient)


LATE = [(0.0, 0.2), (0.0, 0.3), (0.0, 0.4)]
ALWAYS = (0.0, 1.0)
VARIANTS = [
    *(Variant(*axes) for axes in itertools.product(GRADIENTS, DECODERS, (1,), [*LATE, ALWAYS])),
    *(Variant(*axes) for axes in itertools.product(GRADIENTS, DECODERS, (2,), [LATE[0], LATE[2], ALWAYS])),
    *(Variant(gradient, "vae", 1, (0.0, 0.6)) for gradient in GRADIENTS),  # for the best interval of the exact one
]


@dataclass(frozen=True)
class Cell:
    """Finished images of one variant at one strength, seed by seed.

    Attributes:
        entropy: float32 [n], nats, of the half-trained classifier.
        recognised: bool [n], whether the oracle assigns the image to the class it was made for.
        seconds: of one thread, to make and judge them.
    """

    entropy: np.ndarray
    recognised: np.ndarray
    seconds: float


def new_learner(seed: int = 0) -> nn.Module:
    """Images float [B, 1, 32, 32] in [-1, 1] -> logits [B, 10]; the weights of that seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(CenterCrop(28), build_learner("convnet", 10, 1))


def train(learner: nn.Module, generator: Generator, seed: int = 0) -> None:
    """Train a classifier to mid-practice: 600 iterations on 1,000 plain images, those of that seed."""
    labels = torch.arange(1000) % 10
    seeds = [seed_for(1 + 10 * seed, i) for i in range(1000)]
    images = normalise(generator.generate(labels, seeds).images)
    optimizer, rng = torch.optim.AdamW(learner.parameters(), 1e-3), stream(2 + 10 * seed)
    for _ in range(600):
        index = torch.randint(1000, (64,), generator=rng)
        loss = F.cross_entropy(learner(images[index]), labels[index])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@dataclass
class Study:
    """n seeds of the bundled pipeline, their plain trajectories, and who judges their images.

    Guidance of a late interval leaves the steps before it as they are, so those are computed once for all variants.

    Attributes:
        pipe: with its own sampler.
        learner: float images [B, 1, 32, 32] in [-1, 1] -> logits; guides and judges.
        stage: names the seeds: studies of different stages share none.
        n: seeds, classes in turn; a multiple of BATCH.
        guidance_scale: 1 + lambda_cfg.
        oracle: as the learner, trained on real images; says whether an image is recognised.
        decoders: of the pipeline, by name; None for its VAE.
        plain: of each batch and each time step, latents float32 [BATCH, 4, 8, 8] before it; -1 stands for the end.
    """

    pipe: LatentClassPipeline
    learner: nn.Module
    stage: int
    n: int
    guidance_scale: float
    oracle: nn.Module = field(init=False)
    decoders: dict[str, Any] = field(init=False)
    plain: list[dict[int, Tensor]] = field(init=False)

    def __post_init__(self) -> None:
        self.oracle = bundled_oracle()
        self.decoders = {"vae": None, "tiny": bundled_decoder("tiny"), "linear": bundled_decoder("linear")}
        self.pipe.scheduler.set_timesteps(STEPS)
        self.plain = [self._trajectory(rows) for rows in self._batches()]

    def seeds(self) -> list[int]:
        """Seed of each image, as `dp.generation.generator` takes them."""
        return [seed_for(3, self.stage, i) for i in range(self.n)]

    def labels(self) -> Tensor:
        """int64 [n]."""
        return torch.arange(self.n) % 10

    def _batches(self) -> list[slice]:
        return [slice(start, start + BATCH) for start in range(0, self.n, BATCH)]

    def _trajectory(self, rows: slice) -> dict[int, Tensor]:
        """The pipeline's loop without guidance, keeping what it passes through."""
        noise = randn_tensor((BATCH, 4, 8, 8), generator=[stream(seed) for seed in self.seeds()[rows]])
        states, x_t = {}, noise * self.pipe.scheduler.init_noise_sigma
        with torch.no_grad(), autocast(self.pipe.device):
            for t in self.pipe.scheduler.timesteps:
                states[int(t)] = x_t
                x_t = self.pipe.scheduler.step(self._predict(x_t, t, rows), t, x_t).prev_sample
        return states | {-1: x_t}

    def _predict(self, x_t: Tensor, t: Tensor, rows: slice) -> Tensor:
        return self.pipe.predict_noise(x_t, t, self.labels()[rows], self.guidance_scale)

    def guidance(self, variant: Variant, omega: float, objective: Objective | None = None) -> Guidance:
        """The variant at one strength; raises the learner's entropy unless told otherwise."""
        decode = decoder_of(self.pipe, self.decoders[variant.decoder])
        return Guidance(objective or Entropy(self.learner), decode, variant.config(omega))

    def images(self, guide: Guidance | None = None) -> Tensor:
        """Finished images uint8 [n, 1, 32, 32]: what the pipeline makes with that guidance, or without."""
        return torch.cat(
            [self._finish(states, rows, guide) for states, rows in zip(self.plain, self._batches(), strict=True)]
        )

    @torch.no_grad()
    def _finish(self, states: dict[int, Tensor], rows: slice, guide: Guidance | None) -> Tensor:
        scheduler, x_t = self.pipe.scheduler, states[-1]
        with autocast(self.pipe.device):
            if guide is not None:
                guide.renew()
                times = [t for t in scheduler.timesteps if int(t) < guide.config.interval[1] * 1000]
                x_t = states[int(times[0])]
                for t in times:
                    place = point_of(scheduler, t)
                    active = guide.active(place)
                    with torch.set_grad_enabled(active and guide.config.gradient == "unet"):
                        x_t = x_t.detach().requires_grad_(active)
                        output = self._predict(x_t, t, rows)
                    output = guide.guide(x_t, output, place) if active else output
                    x_t = scheduler.step(output, t, x_t.detach()).prev_sample
            images = (self.pipe.decode(x_t) / 2 + 0.5).clamp(0, 1)
        return images.mul(255).round().to(torch.uint8)

    def cell(self, guide: Guidance | None = None) -> Cell:
        """Finished images, judged."""
        start = time.process_time()
        parts = self.images(guide).split(BATCH)
        entropies = torch.cat([entropy(judge(self.learner, part)) for part in parts])
        recognised = torch.cat([judge(self.oracle, part).argmax(1) for part in parts]) == self.labels()
        return Cell(entropies.numpy(), recognised.numpy(), time.process_time() - start)

    def shared(
        self, variant: Variant, omega: float, other: nn.Module, objective: Objective | None = None
    ) -> dict[str, Any]:
        """Return what a classifier that did not guide makes of the images: how much of the entropy's gain it shares."""
        plain, guided = self.images(), self.images(self.guidance(variant, omega, objective))
        gains = [
            torch.cat([entropy(judge(each, b)) - entropy(judge(each, a)) for a, b in _pairs(plain, guided)])
            for each in (self.learner, other)
        ]
        spread = 1.96 * gains[1].std().item() / self.n**0.5
        return {
            "name": variant.name,
            "omega": omega,
            "entropy_gain": round(gains[0].mean().item(), 4),
            "other_entropy_gain": round(gains[1].mean().item(), 4),
            "other_entropy_gain_95": round(spread, 4),
            "share": round(gains[1].mean().item() / gains[0].mean().item(), 3),
            "recognised": [round(self._recognised(each), 4) for each in (plain, guided)],
        }

    def _recognised(self, images: Tensor) -> float:
        right = torch.cat([judge(self.oracle, part).argmax(1) for part in images.split(BATCH)]) == self.labels()
        return right.float().mean().item()

    def cosines(self) -> list[dict[str, Any]]:
        """Measure how near each cheap gradient is to the exact one (U-Net and VAE) on the plain trajectories.

        For each noise level and each way, the mean and the 10th percentile over seeds of their cosine.
        """
        ways = [Variant(*axes) for axes in itertools.product(GRADIENTS, DECODERS)]
        rows = []
        for t in self.pipe.scheduler.timesteps:
            gradients: dict[Variant, list[Tensor]] = {way: [] for way in ways}
            for way, (states, batch) in itertools.product(ways, zip(self.plain, self._batches(), strict=True)):
                x_t = states[int(t)].detach().requires_grad_()
                with torch.set_grad_enabled(way.gradient == "unet"):
                    output = self._predict(x_t, t, batch)
                gradients[way].append(self.guidance(way, 1.0).ascent(x_t, output, point_of(self.pipe.scheduler, t))[1])
            exact = torch.cat(gradients[ways[0]]).flatten(1)
            for way in ways[1:]:
                cosine = F.cosine_similarity(torch.cat(gradients[way]).flatten(1), exact).nan_to_num()
                rows.append(
                    {
                        "t": int(t),
                        "gradient": way.gradient,
                        "decoder": way.decoder,
                        "cosine": round(cosine.mean().item(), 4),
                        "cosine_p10": round(cosine.quantile(0.1).item(), 4),
                    }
                )
        return rows


def _pairs(first: Tensor, second: Tensor) -> Iterable[tuple[Tensor, Tensor]]:
    return zip(first.split(BATCH), second.split(BATCH), strict=True)


def measure(
    study: Study,
    folder: Path,
    work: list[tuple[Variant, float]],
    title: str,
    objective: Objective | None = None,
) -> dict[tuple[Variant | None, float], Cell]:
    """A cell for each variant and strength, and one for plain images under (None, 0.0); kept as files in `folder`.

    What is there already is read, not computed.
    """
    cells: dict[tuple[Variant | None, float], Cell] = {(None, 0.0): kept(folder / "plain.npz", study.cell)}
    for variant, omega in tqdm(work, title):
        guide = study.guidance(variant, omega, objective)
        cells[variant, omega] = kept(folder / f"{variant.name}-omega{omega}.npz", partial(study.cell, guide))
    return cells


def kept(path: Path, compute: Callable[[], Cell]) -> Cell:
    """The cell of a file, computed and written if there is none."""
    if not path.exists():
        cell = compute()
        with atomic(path) as unfinished, unfinished.open("wb") as file:
            np.savez_compressed(file, **vars(cell))
    with np.load(path) as file:
        return Cell(file["entropy"], file["recognised"], float(file["seconds"]))
