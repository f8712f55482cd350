"""Search on printed digits: every method at its own best, with the same budget, on validation images only.

Question   What is each method at its own best, where the generator has never seen the target?
Feeds      the tuned runs of the study "fonts"
Command    python -m experiments run fonts_tuning
Time       about 5 core-hours
Expected   a small guidance scale for static training; guidance that leaves an image's class alone for practice

The search is that of experiments/studies/tuning.py. Practice may also choose how guidance gets its gradient.
"""

from dataclasses import replace
from typing import Any

from experiments.engine.study import Study
from experiments.studies import tuning
from experiments.studies.fonts_runs import BASE, job

SHARED: dict[str, tuple[Any, ...]] = {
    "guidance_scale": (1.0, 1.25, 1.5, 2.0, 3.0),
    "lr": (1e-3, 2e-3, 4e-3, 8e-3),
    "length": (1 / 2, 1.0),  # of the base's iterations
}
DP: dict[str, tuple[Any, ...]] = {
    "omega": (0.05, 0.1, 0.2, 0.4),
    "window": ((0.0, 0.4), (0.0, 1.0)),  # of noise levels: the late steps, or all
    "gradient": ("x0", "unet"),
}
METHODS: dict[str, dict[str, tuple[Any, ...]]] = {
    "static": {},
    "DP": tuning.GROWING | DP,
    "prune": tuning.GROWING | {"over_sampling": (2.0, 4.0, 8.0)},
    "omega = 0": tuning.GROWING,
}
# As the paper compares: one guidance scale for all, and guidance through the U-Net at every step.
AS_IN_THE_PAPER: tuning.Point = {
    "guidance_scale": 3.0,
    "lr": 2e-3,
    "length": 1.0,
    "initial": 1 / 4,
    "additions": 15,
    "patience": 2,
    "omega": 0.2,
    "window": (0.0, 1.0),
    "gradient": "unet",
    "over_sampling": 4.0,
}


def as_in_the_paper(method: str) -> tuning.Point:
    """Return what of that point a method has."""
    return {axis: AS_IN_THE_PAPER[axis] for axis in SHARED | METHODS[method]}


GUESS: tuning.Point = AS_IN_THE_PAPER | {"guidance_scale": 1.25, "window": (0.0, 0.4), "gradient": "x0"}


STUDY = Study(
    "fonts_tuning",
    tuning.Tuning(
        base=replace(BASE, seed=100),
        size=2000,
        random=8,
        neighbours=(3, 3),
        later=(3, 3, 3),
        study="fonts_tuning",
        shared=SHARED,
        methods=METHODS,
        guess=GUESS,
        job=job,
    ),
    tuning.jobs,
)
