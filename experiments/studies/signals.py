"""Signals: can it run with no real images at all?

Question   What do plateau signals without real images lose against real validation, and against a fixed schedule?
Feeds      the figure "signals"
Command    python -m experiments run signals
Time       about half an hour on 2 cores
Expected   little: when images come matters less than which

Held-out generated images, the training loss, the agreement of weights and averaged weights; and no signal, where the
even schedule makes every addition. In one set of runs the schedule makes overdue additions, as everywhere; in the other
the signal alone decides, and a run may end with fewer images. Real validation is in both.
"""

from dataclasses import dataclass, replace
from typing import Any

from dp.config import PracticeConfig
from experiments.engine.practice_runs import practice_job
from experiments.engine.results import Job
from experiments.engine.study import Profile, Study
from experiments.studies.settings import FEWER, QUESTION

SIGNALS = ("real", "synthetic", "loss", "agreement")
NEVER = 10**6  # validations


@dataclass(frozen=True)
class Signals:
    """Settings of the study: a run, and its seeds."""

    base: PracticeConfig = QUESTION
    seeds: tuple[int, ...] = FEWER


def jobs(settings: Signals, _: Profile) -> list[Job]:
    """List one result per run; that with real validation and the schedule is of the scaling study."""
    changes: dict[str, dict[str, Any]] = {name: {"signal": name} for name in SIGNALS if name != "real"}
    changes["schedule"] = {"patience": NEVER}
    changes |= {f"{name}_alone": {"signal": name, "backstop": False} for name in SIGNALS}
    return [
        practice_job("signals", f"{name}-seed{seed}", replace(settings.base, seed=seed, **change))
        for seed in settings.seeds
        for name, change in changes.items()
    ]


STUDY = Study("signals", Signals(), jobs)
