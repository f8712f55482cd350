"""Dynamics: what do training loss and validation accuracy do when new images arrive?

Question   Does each addition of guided images lift a plateau? (the text around figure 2)
Feeds      figure 2
Command    python -m experiments run dynamics
Time       about 8 minutes on 2 cores for the cpu profile
Expected   the loss jumps up at an addition (the images are hard) and validation accuracy leaves its plateau

The same initial images, with 0, 1 and 2 additions as large as the initial set, triggered by patience.
"""

from dataclasses import dataclass, replace

from dp.config import PracticeConfig
from experiments.results import Job
from experiments.runs import practice_job


@dataclass(frozen=True)
class Dynamics:
    """Settings of the study; `base` gives N = P and everything else but the number of additions."""

    base: PracticeConfig
    seeds: tuple[int, ...]
    additions: tuple[int, ...] = (0, 1, 2)


def jobs(settings: Dynamics) -> list[Job]:
    """One result a run."""
    return [
        practice_job("dynamics", f"additions-{k}-seed{seed}", replace(settings.base, seed=seed, rounds=k))
        for seed in settings.seeds
        for k in settings.additions
    ]
