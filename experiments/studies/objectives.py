"""Objectives: is it entropy that does it, and what do simpler ways reach?

Question   Margin, loss or the disagreement of two learners instead of entropy; random strength; plain images mixed in;
           and static training with stronger augmentation.
Feeds      the figure "objectives"
Command    python -m experiments run objectives
Time       about 35 minutes on 2 cores
Expected   objectives that ask for uncertainty are alike; loss makes wrong images; augmentation does not replace images
           that static training lacks

Entropy at one strength, plain images that come late (omega = 0) and static training are those of the scaling study.
"""

from dataclasses import dataclass, replace

from dp.config import PracticeConfig, plain
from experiments.engine.practice_runs import practice_job
from experiments.engine.results import Job
from experiments.engine.study import Profile, Study
from experiments.studies.settings import FEWER, QUESTION


@dataclass(frozen=True)
class Objectives:
    """Settings of the study: a run, and its seeds."""

    base: PracticeConfig = QUESTION
    seeds: tuple[int, ...] = FEWER


def jobs(settings: Objectives, _: Profile) -> list[Job]:
    """List one result per run."""
    base = settings.base
    static = replace(plain(base), n_initial=base.final_size, rounds=0, n_per_round=0, branch_sizes=())
    runs = {
        name: replace(base, guidance=replace(base.guidance, objective=name))
        for name in ("margin", "loss", "disagreement")
    }
    runs |= {
        "random_strength": replace(base, guidance=replace(base.guidance, strengths="uniform")),
        "half_plain": replace(base, guidance=replace(base.guidance, strengths="half")),
        "static_mixed": replace(static, mixup=0.2, cutmix=1.0),
        "static_cropped": replace(static, augment="resized_crop"),
    }
    return [
        practice_job("objectives", f"{name}-seed{seed}", replace(run, seed=seed))
        for seed in settings.seeds
        for name, run in runs.items()
    ]


STUDY = Study("objectives", Objectives(), jobs)
