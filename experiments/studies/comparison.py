"""Comparison: every way of training, on real images like those of the training set, shifted ones and hard ones.

Question   Where does Deliberate Practice (DP) stand beside real data, static sets and pruning? (Claims C3, C4, C5)
Feeds      table 1
Command    python -m experiments run comparison
Time       about an hour and a half on 2 cores for the cpu profile
Expected   real images win on the test set; generated ones lose less on shifted images than on it

Static and DP runs are those of the scaling studies. This one adds generate-then-prune and training on real images, and
the reference learners: real-trained ones, with seeds of their own, whose majority decides which test images are hard.
Nothing else is made of them.
"""

from dataclasses import dataclass, replace

from dp.config import PracticeConfig, plain
from experiments.engine.practice_runs import practice_job
from experiments.engine.results import Job
from experiments.engine.study import Profile, Study
from experiments.studies.settings import EQUAL, LEARNERS, MIDDLE, SEEDS, STATIC


@dataclass(frozen=True)
class Comparison:
    """Settings of the study for one learner.

    Attributes:
        learner: of all runs.
        prune: generate-then-prune, all but learner and seed; tuned runs of it come with experiments/studies/tuned.py.
        real: of training on real images, all but learner, size and seed.
        real_sizes: real images, from the start.
        seeds: of the runs.
        reference_seeds: of the reference learners, trained on the larger real size.
    """

    learner: str
    prune: PracticeConfig = MIDDLE.apply(replace(plain(EQUAL), over_sampling=4.0))
    real: PracticeConfig = STATIC
    real_sizes: tuple[int, ...] = (4000, 32000)
    seeds: tuple[int, ...] = SEEDS
    reference_seeds: tuple[int, ...] = (50, 51, 52)


def jobs(learners: tuple[Comparison, ...], _: Profile) -> list[Job]:
    """List one result per run."""
    found = []
    for each in learners:
        for seed in each.seeds:
            run = replace(plain(each.prune), learner=each.learner, seed=seed)
            found.append(practice_job(f"comparison-{each.learner}", f"prune-equal-{run.n_initial}-seed{seed}", run))
            found += [_real(each, "real", n, seed) for n in each.real_sizes]
        found += [_real(each, "reference", max(each.real_sizes), seed) for seed in each.reference_seeds]
    return found


def _real(settings: Comparison, method: str, size: int, seed: int) -> Job:
    run = replace(plain(settings.real), learner=settings.learner, seed=seed, n_initial=size, rounds=0, n_per_round=0)
    return practice_job(f"comparison-{settings.learner}", f"{method}-{size}-seed{seed}", run, source="real")


STUDY = Study("comparison", tuple(map(Comparison, LEARNERS)), jobs)
