"""Scaling: how does accuracy on real images grow with the number of generated training images?

Question   Does Deliberate Practice (DP) reach a static set's accuracy with fewer images? (Claims C1, C2, C9)
Feeds      figures 1, 4, 6 left and 9, tables 1, 4 and 5
Command    python -m experiments run scaling
Time       about five hours on 2 cores for the cpu profile
Expected   static shows diminishing returns; DP lies above it at equal size; omega = 0 does not

Static runs train on N plain images from the start. DP runs start small and add images; branch-outs give a point for
each size on the way. omega = 0 is the same with plain additions. All methods have one guidance scale and one set of
settings, as the paper compares; experiments/studies/tuned.py has each at the settings that its own search found best.
"""

from dataclasses import dataclass, replace

from dp.config import PracticeConfig, plain
from experiments.engine.practice_runs import practice_job
from experiments.engine.results import Job
from experiments.engine.study import Profile, Study
from experiments.studies.settings import EQUAL, LARGE, LEARNERS, MIDDLE, SEEDS, SMALL, STATIC, STATIC_SIZES, Preset


@dataclass(frozen=True)
class Scaling:
    """Settings of the study for one learner.

    Attributes:
        learner: of all runs.
        static, growing: of the runs, all but learner, sizes and seed, and omega.
        seeds: of the runs.
        static_sizes: images of the static runs.
        dp_presets, omega_zero_presets: sizes of the others.
    """

    learner: str
    static: PracticeConfig = STATIC
    growing: PracticeConfig = EQUAL
    seeds: tuple[int, ...] = SEEDS
    static_sizes: tuple[int, ...] = STATIC_SIZES
    dp_presets: tuple[Preset, ...] = (replace(SMALL, branch_sizes=(500,)), replace(MIDDLE, branch_sizes=(2000,)), LARGE)
    omega_zero_presets: tuple[Preset, ...] = (SMALL, MIDDLE)


def jobs(learners: tuple[Scaling, ...], _: Profile) -> list[Job]:
    """List one result per run, seed by seed."""
    found = []
    for each in learners:
        study = f"scaling-equal-{each.learner}"
        static, growing = (replace(base, learner=each.learner) for base in (each.static, each.growing))
        for seed in each.seeds:
            found += [static_job(study, static, n, seed) for n in each.static_sizes]
            for preset in each.dp_presets:
                run = preset.apply(replace(growing, seed=seed))
                found.append(practice_job(study, f"DP-{preset.n_initial}-seed{seed}", run))
            for preset in each.omega_zero_presets:
                run = preset.apply(replace(plain(growing), seed=seed))
                found.append(practice_job(study, f"omega0-{preset.n_initial}-seed{seed}", run))
    return found


def static_job(study: str, base: PracticeConfig, size: int, seed: int) -> Job:
    """Return the job of static training on `size` plain images."""
    run = replace(plain(base), seed=seed, n_initial=size, rounds=0, n_per_round=0)
    return practice_job(study, f"static-{size}-seed{seed}", run)


STUDY = Study("scaling", tuple(map(Scaling, LEARNERS)), jobs)
