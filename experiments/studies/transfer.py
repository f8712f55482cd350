"""Transfer: are images that were made for one learner of use to another?

Question   Does a learner that trains from the start on the final pool of another learner's practice do better than on
           as many plain images, and as well as with practice of its own?
Feeds      the figure "transfer"
Command    python -m experiments run transfer
Time       about half an hour on 2 cores
Expected   better than plain images, worse than its own practice: part of what guidance finds is the learner's own

Each learner practises, then every learner is trained on the pool that is left, as on a static set. Runs on plain images
and practice of its own are those of the scaling studies.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from dp.config import PracticeConfig, plain
from dp.data.fashion_mnist import validation_images
from dp.pool.in_memory import Pool
from dp.practice.loop import run_practice
from dp.pretrained.load import bundled_generator
from experiments.engine.practice_runs import outcomes_of, plain_pool, practice_job, reporting, settings_of
from experiments.engine.results import Job
from experiments.engine.study import Profile, Study
from experiments.studies.settings import FEWER, LEARNERS, QUESTION


@dataclass(frozen=True)
class Transfer:
    """Settings of the study: a run, its seeds, and the learners that make images and train on them."""

    base: PracticeConfig = QUESTION
    seeds: tuple[int, ...] = FEWER
    learners: tuple[str, ...] = LEARNERS


def jobs(settings: Transfer, _: Profile) -> list[Job]:
    """List one result per maker and seed."""
    found = []
    for seed in settings.seeds:
        for maker in settings.learners:
            job = practice_job("transfer", f"{maker}-seed{seed}", replace(settings.base, seed=seed, learner=maker))
            config = job.config | {"students": list(settings.learners)}
            found.append(
                replace(job, config=config, compute=compute, estimate=(1 + len(settings.learners)) * job.estimate)
            )
    return found


def compute(values: dict[str, Any], progress: Callable[[float], None]) -> dict[str, Any]:
    """Compute what each student reaches on the pool that the maker's practice leaves."""
    config, students = settings_of(values), values["students"]
    generator = bundled_generator(config)
    parts = 1 + len(students)

    report, initial = reporting(config, lambda share: progress(share / parts)), plain_pool(config, generator)
    _, state = run_practice(config, generator, validation_images(), None, initial=initial, progress=report)
    assert isinstance(state.pool, Pool)  # nothing was stored
    pool = state.pool.samples
    found = {}
    for number, student in enumerate(students, 1):

        def trained(share: float, done: int = number) -> None:
            progress((done + share) / parts)

        run = replace(plain(config), learner=student, n_initial=len(pool), rounds=0, n_per_round=0, branch_sizes=())
        found[student] = outcomes_of(run, generator, pool, trained)[0]
    return {"additions": state.additions, "students": found}


STUDY = Study("transfer", Transfer(), jobs)
