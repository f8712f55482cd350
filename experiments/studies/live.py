"""Live: a short run of Deliberate Practice beside static training, made anew every time.

Question   Does it run on this machine, and what do its images look like?
Feeds      the live panel of the report
Command    python -m experiments live
Time       about 2 minutes on 2 cores
Expected   both end within a few points of each other: the run is too short to compare the methods
"""

from dataclasses import dataclass, replace

from dp.config import PracticeConfig, plain
from experiments.engine.practice_runs import practice_job
from experiments.engine.results import Job
from experiments.engine.study import Profile, Study
from experiments.studies.settings import EQUAL


@dataclass(frozen=True)
class Live:
    """Settings; `run` is the DP run, static training gets as many images as its final pool has."""

    run: PracticeConfig = replace(EQUAL, n_initial=500, n_per_round=100, rounds=8, iterations=1500, validate_every=50)


def jobs(settings: Live, _: Profile) -> list[Job]:
    """List the DP run and the static one."""
    dp = settings.run
    static = replace(plain(dp), n_initial=dp.final_size, rounds=0, n_per_round=0)
    return [practice_job("live", name, run, purpose="live") for name, run in (("dp", dp), ("static", static))]


LIVE = Study("live", Live(), jobs)
