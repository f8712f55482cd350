"""Dynamics: what do training loss and validation accuracy do when new images arrive?

Question   Does each addition of guided images lift a plateau? Does hardness move? (the text around figure 2; claim C10)
Feeds      figure 2, figure 6 left
Command    python -m experiments run dynamics
Time       about half an hour on 2 cores
Expected   the loss jumps up at an addition (the images are hard) and validation accuracy leaves its plateau; images
           that were misclassified when they were added were easier for the learners before that

The same initial images, with 0, 1, 2 and many additions of guided images. Patience alone triggers them, so a run may
end with fewer than planned.
"""

from dataclasses import dataclass, replace

from dp.config import PracticeConfig
from experiments.engine.practice_runs import practice_job
from experiments.engine.results import Job
from experiments.engine.study import Profile, Study
from experiments.studies.settings import EQUAL, FEWER


@dataclass(frozen=True)
class Dynamics:
    """Settings of the study; `base` gives N and everything else but the additions."""

    base: PracticeConfig = replace(EQUAL, n_initial=1000, backstop=False)
    seeds: tuple[int, ...] = FEWER
    few: tuple[int, ...] = (0, 1, 2)  # numbers of additions as large as the initial pool
    many: int = 15  # number of small additions
    many_size: int = 200  # images of each of those


def jobs(settings: Dynamics, _: Profile) -> list[Job]:
    """List one result per run."""
    base = replace(settings.base, n_per_round=settings.base.n_initial)
    runs = {k: replace(base, rounds=k) for k in settings.few}
    runs[settings.many] = replace(base, rounds=settings.many, n_per_round=settings.many_size)
    return [
        practice_job("dynamics", f"additions-{k}-seed{seed}", replace(run, seed=seed))
        for seed in settings.seeds
        for k, run in runs.items()
    ]


STUDY = Study("dynamics", Dynamics(), jobs)
