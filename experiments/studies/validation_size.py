"""Validation size: how many real images does patience need?

Question   What do 50 or 250 real validation images change, where the default is 5,000?
Feeds      the figure "validation_size"
Command    python -m experiments run validation_size
Time       about 15 minutes on 2 cores
Expected   noisier plateaus, so earlier additions; little effect on the final accuracy, as a schedule makes overdue ones

The sizes are 1%, 5% and 10% of the default, and 1% and 5% of the data set's 55,000 training images. Each run has a
random part of the validation images, of its own seed. The run with all of them is that of the scaling study.
"""

from dataclasses import dataclass, replace

from dp.config import PracticeConfig
from experiments.engine.practice_runs import practice_job
from experiments.engine.results import Job
from experiments.engine.study import Profile, Study
from experiments.studies.settings import FEWER, QUESTION


@dataclass(frozen=True)
class ValidationSize:
    """Settings of the study: a run, its seeds, and numbers of validation images."""

    base: PracticeConfig = QUESTION
    seeds: tuple[int, ...] = FEWER
    sizes: tuple[int, ...] = (50, 250, 500, 2750)


def jobs(settings: ValidationSize, _: Profile) -> list[Job]:
    """List one result per run."""
    return [
        practice_job("validation_size", f"{size}-seed{seed}", replace(settings.base, seed=seed), validation_images=size)
        for seed in settings.seeds
        for size in settings.sizes
    ]


STUDY = Study("validation_size", ValidationSize(), jobs)
