"""Tuning: the same search, with the same budget, for every method; on validation images only.

Question   What is each method at its own best? (both comparisons of the report need it)
Feeds      the settings of the profiles; the table of the search
Command    python -m experiments run tuning
Time       about 75 minutes on 2 cores for each learner
Expected   static training prefers a small guidance scale; the others need more than that

Every method gets `trials` settings drawn at random, without repetition, from its own space: the axes all share, and its
own. All end with the same number of images. The held-out test images are not looked at.
"""

import itertools
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dp.config import PracticeConfig
from experiments.results import Job
from experiments.runs import practice_job

SHARED: dict[str, tuple[Any, ...]] = {
    "guidance_scale": (1.25, 1.5, 2.0, 3.0),
    "lr": (5e-4, 1e-3, 2e-3),
    "iterations": (5000, 8000),
}
GROWING: dict[str, tuple[Any, ...]] = {
    "initial": (1 / 8, 1 / 4, 1 / 2),  # of the final size
    "additions": (6, 15, 30),  # about: the nearest number that divides the rest
    "patience": (1, 2, 4),
}
# What a method can choose besides what all can.
METHODS: dict[str, dict[str, tuple[Any, ...]]] = {
    "static": {},
    "DP": GROWING | {"omega": (0.2, 0.3, 0.45), "late": (0.3, 0.4, 0.6), "filter": ("none", "round_trip")},
    "prune": GROWING | {"over_sampling": (2.0, 4.0, 8.0)},
    "omega = 0": GROWING,
}


@dataclass(frozen=True)
class Tuning:
    """Settings of the study.

    Attributes:
        base: what no method chooses.
        learners: tuned separately.
        size: images at the end of a run.
        trials: settings a method may try.
    """

    base: PracticeConfig
    learners: tuple[str, ...]
    size: int
    trials: int


def jobs(settings: Tuning) -> list[Job]:
    """One result a trial; the methods in turn, so that a search that is not finished is as far for each."""
    found = []
    for learner in settings.learners:
        base = replace(settings.base, learner=learner)
        drawn = {method: draw(method, settings) for method in METHODS}
        for trial, method in itertools.product(range(settings.trials), METHODS):
            if trial < len(drawn[method]):
                name = f"{learner}-{method.replace(' = ', '')}-{trial:02d}"
                config = apply(base, method, drawn[method][trial], settings.size)
                found.append(practice_job("tuning", name, config, purpose="tuning"))
    return found


def draw(method: str, settings: Tuning) -> list[dict[str, Any]]:
    """`trials` different points of the method's space, or all if it has fewer; the same for every learner."""
    space = SHARED | METHODS[method]
    points = [dict(zip(space, values, strict=True)) for values in itertools.product(*space.values())]
    rng = np.random.default_rng([settings.base.seed, list(METHODS).index(method)])
    return [points[i] for i in rng.permutation(len(points))[: settings.trials]]


def apply(base: PracticeConfig, method: str, point: dict[str, Any], size: int) -> PracticeConfig:
    """The run at a point of a method's space, ending with `size` images."""
    config = replace(base, **{name: point[name] for name in SHARED})
    omega = point.get("omega", 0.0)
    config = replace(config, guidance=replace(config.guidance, omega=omega, interval=(0.0, point.get("late", 0.4))))
    if method == "static":
        return replace(config, n_initial=size, rounds=0, n_per_round=0)
    n_initial = round(size * point["initial"])
    rest = size - n_initial
    rounds = min((k for k in range(1, rest) if rest % k == 0), key=lambda k: abs(k - point["additions"]))
    return replace(
        config,
        n_initial=n_initial,
        rounds=rounds,
        n_per_round=rest // rounds,
        patience=point["patience"],
        over_sampling=point.get("over_sampling", 1.0),
        filter=point.get("filter", "none"),
    )
