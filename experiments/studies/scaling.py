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


@dataclass(frozen=True)
class Preset:
    """A run that grows: N initial images, P an addition, k additions; and the pool sizes at which branches leave it."""

    n_initial: int
    n_per_round: int
    rounds: int
    branch_sizes: tuple[int, ...] = ()

    def apply(self, base: PracticeConfig) -> PracticeConfig:
        """`base` with this preset's sizes."""
        return replace(
            base,
            n_initial=self.n_initial,
            n_per_round=self.n_per_round,
            rounds=self.rounds,
            branch_sizes=self.branch_sizes,
        )


@dataclass(frozen=True)
class Scaling:
    """Settings of the study for one learner.

    Attributes:
        name: of the study.
        static, growing: of the runs, all but sizes and seed, and omega.
        seeds: of the runs.
        static_sizes: images of the static runs.
        dp_presets, omega_zero_presets: sizes of the others.
    """

    name: str
    static: PracticeConfig
    growing: PracticeConfig
    seeds: tuple[int, ...]
    static_sizes: tuple[int, ...]
    dp_presets: tuple[Preset, ...]
    omega_zero_presets: tuple[Preset, ...]


def jobs(settings: Scaling) -> list[Job]:
    """One result a run, seed by seed."""
    found = []
    for seed in settings.seeds:
        for n in settings.static_sizes:
            found.append(static_job(settings.name, settings.static, n, seed))
        for preset in settings.dp_presets:
            run = preset.apply(replace(settings.growing, seed=seed))
            found.append(practice_job(settings.name, f"DP-{preset.n_initial}-seed{seed}", run))
        for preset in settings.omega_zero_presets:
            run = preset.apply(replace(plain(settings.growing), seed=seed))
            found.append(practice_job(settings.name, f"omega0-{preset.n_initial}-seed{seed}", run))
    return found


def static_job(study: str, base: PracticeConfig, size: int, seed: int) -> Job:
    """Static training on `size` plain images."""
    run = replace(plain(base), seed=seed, n_initial=size, rounds=0, n_per_round=0)
    return practice_job(study, f"static-{size}-seed{seed}", run)
