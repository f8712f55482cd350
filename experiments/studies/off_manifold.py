"""Off the manifold: when does guidance leave the images that the generator was trained on?

Question   What share of guided images is rejected by a classifier of real images, or far from any real image, and how
           does that go with the final accuracy? Which omega is safe, without real labels?
Feeds      the figure "off_manifold"
Command    python -m experiments run off_manifold
Time       about 45 minutes on 2 cores
Expected   the share rises with omega, sooner at early steps; accuracy peaks where it is still small

Images of many strengths and windows are measured with one learner, the same seeds for all; it was trained for half as
long as the runs, on their initial images, cool-down included. Rejected: an oracle, trained on real images, sees another
class than the label. Far: the nearest real validation image, in the oracle's features, is farther than for 95% of other
real images. Without real labels: share of images that the generator itself would rather have of another class (its own
noise-prediction errors, `dp.selection.filters`). And full runs at the same settings.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from dp.config import PracticeConfig
from dp.data.fashion_mnist import validation_images
from dp.generation.generator import Generator
from dp.guidance.guidance import GuidanceConfig
from dp.learner.evaluate import logits_of
from dp.learner.models import on_full_images
from dp.practice.loop import run_practice
from dp.pretrained.load import bundled_generator
from dp.pretrained.oracle import BUNDLED_ORACLE, bundled_oracle, features
from dp.selection.filters import DiffusionClassifier
from dp.selection.latent_diffusion import LatentDiffusion
from dp.utils.seeding import seed_for
from experiments.engine.practice_runs import plain_pool, practice_job, settings_of
from experiments.engine.results import Job
from experiments.engine.study import Profile, Study
from experiments.studies.settings import FEWER, QUESTION

STREAM = 61  # of the measured images' seeds
Window = tuple[float, float]


@dataclass(frozen=True)
class OffManifold:
    """Settings of the study.

    Attributes:
        base: of the runs; a learner trained on its initial images alone guides the measured images.
        seeds: of the runs and of the measured learners.
        windows: noise levels, with the omegas that are measured in each.
        images: of each.
    """

    base: PracticeConfig = QUESTION
    seeds: tuple[int, ...] = FEWER
    windows: tuple[tuple[Window, tuple[float, ...]], ...] = (
        ((0.0, 1.0), (0.05, 0.1, 0.2, 0.4)),
        ((0.0, 0.4), (0.1, 0.2, 0.4, 0.8)),
    )
    images: int = 500


def jobs(settings: OffManifold, _: Profile) -> list[Job]:
    """List one result per seed for the measured images, and one per run."""
    found = []
    for seed in settings.seeds:
        static = replace(settings.base, seed=seed, rounds=0, n_per_round=0, branch_sizes=())  # no rounds, no guidance
        job = practice_job("off_manifold", f"measured-seed{seed}", replace(static, iterations=static.iterations // 2))
        more = {"windows": [list(each) for each in settings.windows], "images": settings.images}
        depends = (*job.depends, BUNDLED_ORACLE)
        found.append(replace(job, config=job.config | more, compute=compute, depends=depends))
        for window, omegas in settings.windows:
            for omega in omegas:
                guidance = replace(settings.base.guidance, omega=omega, interval=window)
                run = replace(settings.base, seed=seed, guidance=guidance)
                found.append(practice_job("off_manifold", f"run-{name(window)}-{omega:g}-seed{seed}", run, judged=True))
    return found


def name(window: Window) -> str:
    """Return a word for a window of noise levels."""
    low, high = window
    return {(0.0, 1.0): "all", (0.0, 0.4): "late"}.get((low, high), f"{low:g}_{high:g}")


def compute(values: dict[str, Any], progress: Callable[[float], None]) -> dict[str, Any]:
    """Measure what becomes of the same images as omega grows, in each window; omega 0 first."""
    config = settings_of(values)
    generator = bundled_generator(config)
    _, state = run_practice(config, generator, validation_images(), None, initial=plain_pool(config, generator))
    learner = on_full_images(config, state.ema.module)
    settings = [GuidanceConfig(0.0)] + [
        replace(config.guidance, omega=omega, interval=(window[0], window[1]))
        for window, omegas in values["windows"]
        for omega in omegas
    ]
    rows = []
    for number, guidance in enumerate(settings):
        rows.append({"window": name(guidance.interval) if guidance.omega else "", "omega": guidance.omega})
        rows[-1] |= measure(generator, learner, guidance, values["images"], values["seed"])
        progress((number + 1) / len(settings))
    return {"measured": rows}


def measure(
    generator: Generator, learner: torch.nn.Module, guidance: GuidanceConfig, images: int, seed: int
) -> dict[str, float]:
    """Measure percent rejected, far, refused by the generator and misclassified by the learner, and mean entropy."""
    seeds = [seed_for(STREAM, seed, i) for i in range(images)]
    made = generator.generate(torch.arange(images) % 10, seeds, learner, guidance)
    oracle = bundled_oracle()
    rejected = logits_of(oracle, made.images).argmax(1) != made.labels
    kept = DiffusionClassifier(LatentDiffusion.of(generator.pipe))(made, learner, learner)
    return {
        "rejected": 100 * rejected.float().mean().item(),
        "far": 100 * far(features(oracle, validation_images().images), features(oracle, made.images)).mean().item(),
        "refused": 100 * (1 - kept.float().mean().item()),
        "entropy": made.entropy.mean().item(),
        "misclassified": 100 * (made.correct == 0).float().mean().item(),
    }


def far(real: Tensor, generated: Tensor) -> Tensor:
    """Return whether each generated image is farther from the nearest real one than 95% of other real images are.

    Args:
        real, generated: features, float [N, F] and [M, F]; the first half of `real` is what is compared with.

    Returns:
        float [M], 0 or 1.
    """
    near, others = real[: len(real) // 2], real[len(real) // 2 :]
    limit = torch.cdist(others, near).amin(1).quantile(0.95)
    return (torch.cdist(generated, near).amin(1) > limit).float()


STUDY = Study("off_manifold", OffManifold(), jobs)
