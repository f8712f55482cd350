"""Selection: one addition of hard images, found by pruning or made by guidance, over the strength of the selection.

Question   How much selection is best, and which way is cheaper? (Claims C6, C7, C8)
Feeds      figure 5 a, b, d (c is theory)
Command    python -m experiments run selection
Time       about an hour on 2 cores
Expected   an interior optimum over the ratio and over omega; guidance reaches the same accuracy at less cost

A learner trains on N plain images for the first part of the run, then P images arrive at once: the hardest of `ratio`
times as many plain ones, or guided ones, exactly (through the U-Net and the autoencoder) and cheaply (U-Net held fixed,
small decoder). What a result cost is in it: counted operations and measured seconds of generation.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch

from dp.config import PracticeConfig, plain
from dp.generation.generator import Generator
from dp.learner.models import build_learner, on_full_images
from dp.paper.costs import operations
from dp.pretrained.load import bundled_generator
from experiments.engine.practice_runs import compute_practice, practice_job, settings_of
from experiments.engine.results import Job
from experiments.engine.study import Profile, Study
from experiments.studies.settings import FEWER, STATIC


@dataclass(frozen=True)
class Selection:
    """Settings of the study; `base` gives N, P and everything else but the way of selecting."""

    base: PracticeConfig = replace(STATIC, iterations=4000, n_initial=1000, n_per_round=1000)
    seeds: tuple[int, ...] = FEWER
    ratios: tuple[float, ...] = (1.0, 2.0, 4.0, 8.0, 18.0)  # plain images generated for each one kept
    omegas: tuple[float, ...] = (0.03, 0.06, 0.1, 0.2, 0.4)


def jobs(settings: Selection, _: Profile) -> list[Job]:
    """List one result per run."""
    found = []
    for seed in settings.seeds:
        base = replace(settings.base, seed=seed, rounds=1)
        runs = {f"prune-{ratio:g}": replace(plain(base), over_sampling=ratio) for ratio in settings.ratios}
        for omega in settings.omegas:
            exact = replace(base.guidance, omega=omega, gradient="unet")
            runs[f"exact-{omega:g}"] = replace(base, guidance=exact, decoder="vae")
            cheap = replace(base.guidance, omega=omega, gradient="x0")
            runs[f"cheap-{omega:g}"] = replace(base, guidance=cheap, decoder="tiny")
        for name, run in runs.items():
            found.append(replace(practice_job("selection", f"{name}-seed{seed}", run), compute=compute))
    return found


def compute(values: dict[str, Any], progress: Callable[[float], None]) -> dict[str, Any]:
    """Compute a run, with the operations that an image of its initial pool and one of its addition took."""
    return compute_practice(values, progress) | {"operations": image_operations(settings_of(values))}


def image_operations(config: PracticeConfig) -> dict[str, float]:
    """Count floating-point operations per image: a plain one, and one of the addition with all its candidates."""
    generator = bundled_generator(config)
    learner = on_full_images(config, build_learner(config.learner, 10))
    two = Generator(generator.pipe, config.guidance_scale, config.inference_steps, batch_size=2)
    two.decode = generator.decode
    labels, seeds = torch.tensor([0, 1]), [0, 1]
    plainly = operations(lambda: two.generate(labels, seeds)) / 2
    guided = operations(lambda: two.generate(labels, seeds, learner, config.guidance)) / 2
    return {"initial": plainly, "addition": guided * config.over_sampling}


STUDY = Study("selection", Selection(), jobs)
