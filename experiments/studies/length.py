"""Length: the largest tuned runs once more, trained longer.

Question   Does training longer change who wins when each method is tuned?
Feeds      the figure "length"
Command    python -m experiments run length
Time       about half an hour on 2 cores (54 core-minutes)
Expected   static training gains more: it has more images, and a probe had it so (docs/experiments.md)

Nothing but the iterations differs from the runs of the tuned study, with which these are compared at the same seeds.
So validations stay as far apart: patience was chosen in validations of that distance, and a longer run has more of
them, so that patience can ask for every addition before the schedule makes it. The same number of validations, farther
apart, would be another patience, and may leave as many additions to the schedule as in the shorter runs, nearly half.
Who asked is in the table. Additions then come early in the run, and more of it is left to learn from all images.
"""

from dataclasses import dataclass, replace

from experiments.engine.practice_runs import practice_job, settings_of
from experiments.engine.results import Job
from experiments.engine.study import Profile, Study
from experiments.studies import tuned
from experiments.studies.settings import FEWER


@dataclass(frozen=True)
class Length:
    """Settings of the study: whose tuned runs are made longer, how long, and their seeds."""

    learner: str = "convnet"
    iterations: int = 16000
    seeds: tuple[int, ...] = FEWER


def jobs(settings: Length, profile: Profile) -> list[Job]:
    """List one result per run, static training and DP, seed by seed; none before the learner's search is finished."""
    compared = profile.settings(tuned.STUDY)
    largest = replace(
        compared,
        seeds=settings.seeds,
        static_sizes=(max(compared.static_sizes),),
        dp_sizes=(max(compared.dp_sizes),),
    )
    found = []
    for job in tuned.jobs(largest, profile):
        run = settings_of(job.config)
        if job.study == f"scaling-tuned-{settings.learner}" and (run.guidance.omega or not run.rounds):
            found.append(practice_job("length", job.name, replace(run, iterations=settings.iterations)))
    return found


STUDY = Study("length", Length(), jobs)
