"""Filtering: can harmful outliers be told from informative hard images?

Question   What does each filter change at a moderate omega and at one that is too large? Does one allow a larger omega?
           (open question Q2)
Feeds      the figure "filtering"
Command    python -m experiments run filtering
Time       about 45 minutes on 2 cores
Expected   at too large an omega the generator's own judgement of the class removes wrong labels and regains accuracy

A refused image gets two more attempts. Of each addition the oracle, which was trained on real images, says how many are
what their label says; it decides nothing.
"""

from dataclasses import dataclass, replace
from typing import Literal

from dp.config import PracticeConfig
from experiments.results import Job
from experiments.runs import practice_job

FILTERS: tuple[Literal["none", "diffusion_classifier", "round_trip", "disagreement"], ...] = (
    "none",
    "diffusion_classifier",
    "round_trip",
    "disagreement",
)


@dataclass(frozen=True)
class Filtering:
    """Settings of the study: a run, its seeds, and omegas from moderate to too large."""

    base: PracticeConfig
    seeds: tuple[int, ...]
    omegas: tuple[float, ...]


def jobs(settings: Filtering) -> list[Job]:
    """One result a run."""
    found = []
    for seed in settings.seeds:
        for omega in settings.omegas:
            for name in FILTERS:
                guidance = replace(settings.base.guidance, omega=omega)
                run = replace(settings.base, seed=seed, guidance=guidance, filter=name)
                found.append(practice_job("filtering", f"{name}-{omega:g}-seed{seed}", run, judged=True))
    return found
