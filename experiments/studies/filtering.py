"""Filtering: can harmful outliers be told from informative hard images?

Question   What does each filter change at a moderate omega and at one that is too large? Does one allow a larger omega?
Feeds      the figure "filtering"
Command    python -m experiments run filtering
Time       about an hour and ten minutes on 2 cores
Expected   at too large an omega the generator's own judgement of the class removes wrong labels and regains accuracy

A refused image gets two more attempts. Of each addition the oracle, which was trained on real images, says how many are
what their label says; it decides nothing. What an image costs is counted: operations of making a candidate and of
judging it, times the candidates there were.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch

from dp.config import PracticeConfig
from dp.learner.models import build_learner, on_full_images
from dp.paper.costs import operations
from dp.practice.additions import filter_of
from dp.pretrained.load import bundled_generator
from experiments.engine.practice_runs import compute_practice, practice_job, settings_of
from experiments.engine.results import Job
from experiments.engine.study import Profile, Study
from experiments.studies.selection import image_operations
from experiments.studies.settings import FEWER, QUESTION

TILE = 100  # images that filters judge at once

FILTERS: tuple[Literal["none", "diffusion_classifier", "round_trip", "disagreement"], ...] = (
    "none",  # the first
    "diffusion_classifier",
    "round_trip",
    "disagreement",
)


@dataclass(frozen=True)
class Filtering:
    """Settings of the study: a run, its seeds, and omegas from moderate to too large."""

    base: PracticeConfig = QUESTION
    seeds: tuple[int, ...] = FEWER
    omegas: tuple[float, ...] = (0.2, 0.4, 0.6)


def jobs(settings: Filtering, _: Profile) -> list[Job]:
    """List one result per run."""
    found = []
    for seed in settings.seeds:
        for omega in settings.omegas:
            for name in FILTERS:
                guidance = replace(settings.base.guidance, omega=omega)
                run = replace(settings.base, seed=seed, guidance=guidance, filter=name)
                job = practice_job("filtering", f"{name}-{omega:g}-seed{seed}", run, judged=True)
                found.append(replace(job, compute=compute))
    return found


def compute(values: dict[str, Any], progress: Callable[[float], None]) -> dict[str, Any]:
    """Compute a run, with the operations of making a candidate for an addition and of judging it."""
    config = settings_of(values)
    costs = {"candidate": image_operations(config)["addition"], "judging": judging_operations(config)}
    return compute_practice(values, progress) | {"operations": costs}


def judging_operations(config: PracticeConfig) -> float:
    """Return the counted floating-point operations of the filter's judgement of an image."""
    generator = bundled_generator(config)
    keep = filter_of(config, generator)
    if keep is None:
        return 0.0
    learner = on_full_images(config, build_learner(config.learner, 10))
    images = generator.generate(torch.arange(TILE) % 10, list(range(TILE)))
    return operations(lambda: keep(images, learner, learner)) / TILE


STUDY = Study("filtering", Filtering(), jobs)
