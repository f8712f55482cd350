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


@dataclass(frozen=True)
class Comparison:
    """Settings of the study for one learner.

    Attributes:
        name: of the study.
        prune: generate-then-prune, all but the seed; at its tuned settings it comes with experiments/studies/tuned.py.
        real: of training on real images, all but size and seed.
        real_sizes: real images, from the start.
        seeds: of the runs.
        reference_seeds: of the reference learners, trained on the larger real size.
    """

    name: str
    prune: PracticeConfig
    real: PracticeConfig
    real_sizes: tuple[int, ...]
    seeds: tuple[int, ...]
    reference_seeds: tuple[int, ...]


def jobs(settings: Comparison) -> list[Job]:
    """One result a run."""
    found = []
    for seed in settings.seeds:
        run = replace(plain(settings.prune), seed=seed)
        found.append(practice_job(settings.name, f"prune-equal-{run.n_initial}-seed{seed}", run))
        found += [_real(settings, "real", n, seed) for n in settings.real_sizes]
    return found + [_real(settings, "reference", max(settings.real_sizes), seed) for seed in settings.reference_seeds]


def _real(settings: Comparison, method: str, size: int, seed: int) -> Job:
    run = replace(plain(settings.real), seed=seed, n_initial=size, rounds=0, n_per_round=0)
    return practice_job(settings.name, f"{method}-{size}-seed{seed}", run, source="real")
