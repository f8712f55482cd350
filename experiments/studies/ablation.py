"""Ablation: what is lost when a part of the method is changed?

Question   Do growing patience, a moderate omega and uniform sampling matter? (Claim C11)
Feeds      table 3
Command    python -m experiments run ablation
Time       about 20 minutes on 2 cores
Expected   small differences between patience rules; losses at omega 0 and at an omega that is too large

The six rows are the paper's: three omegas and none, in the paper's proportions (0.6, 1 and 1.4 times the best one);
patience that grows with the pool or is fixed; and drawing the newest images twice as often.
"""

from dataclasses import dataclass, replace

from dp.config import PracticeConfig
from experiments.engine.practice_runs import practice_job
from experiments.engine.results import Job
from experiments.engine.study import Profile, Study
from experiments.studies.settings import FEWER, QUESTION


@dataclass(frozen=True)
class Ablation:
    """Settings of the study.

    Attributes:
        base: the first row; its patience grows with the pool.
        seeds: of the runs.
        fixed_patience: validations, where patience does not grow.
    """

    base: PracticeConfig = replace(QUESTION, incremental=True, patience=1)
    seeds: tuple[int, ...] = FEWER
    fixed_patience: int = 2


def jobs(settings: Ablation, _: Profile) -> list[Job]:
    """List one result per run."""
    rows = rows_of(settings.base, settings.fixed_patience)
    return [
        practice_job("ablation", f"{name}-seed{seed}", replace(run, seed=seed))
        for seed in settings.seeds
        for name, run in rows.items()
    ]


def rows_of(base: PracticeConfig, fixed_patience: int) -> dict[str, PracticeConfig]:
    """Return the table's rows, in its order."""

    def at(omega: float) -> PracticeConfig:
        return replace(base, guidance=replace(base.guidance, omega=round(omega, 4)))

    best = base.guidance.omega
    return {
        "base": base,
        "omega-zero": at(0.0),
        "omega-small": at(0.6 * best),
        "omega-large": at(1.4 * best),
        "patience-fixed": replace(base, incremental=False, patience=fixed_patience),
        "newest-twice": replace(base, newest_weight=2.0),
    }


STUDY = Study("ablation", Ablation(), jobs)
