"""Scaling: how does accuracy on real images grow with the number of generated training images?

Question   Does Deliberate Practice (DP) reach a static set's accuracy with fewer images? (Claims C1, C2, C9)
Feeds      figure 4, table 4
Command    python -m experiments run scaling
Time       about 50 minutes on 2 cores for the cpu profile
Expected   static shows diminishing returns; DP lies above it at equal size; omega = 0 does not

Runs of one study have the same learner, number of iterations and guidance scale. Static runs train on N plain images
from the start. DP runs start small and add images; branch-outs give a point for each size on the way. omega = 0 is the
same with plain additions. Real-data runs show what the learner could reach. The study is made at two guidance scales: a
large one, as the paper does, where images are typical and alike, and a small one, where static training does best.
"""

from dataclasses import dataclass, replace

from dp.config import PracticeConfig, plain
from experiments.results import Job
from experiments.runs import practice_job


@dataclass(frozen=True)
class Preset:
    """A DP run: N initial images, P an addition, k additions; and the pool sizes at which a branch leaves it."""

    n_initial: int
    n_per_round: int
    rounds: int
    branch_sizes: tuple[int, ...] = ()

    @property
    def label(self) -> str:
        """N-P."""
        return f"{self.n_initial}-{self.n_per_round}"

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
    """Settings of one study; `base` gives everything the runs share."""

    name: str
    base: PracticeConfig
    seeds: tuple[int, ...]
    static_sizes: tuple[int, ...]
    presets: tuple[Preset, ...]
    plain_presets: tuple[Preset, ...]  # run with omega = 0
    real_sizes: tuple[int, ...]


def jobs(settings: Scaling) -> list[Job]:
    """One result a run, seed by seed."""
    found = []
    for seed in settings.seeds:
        base = replace(settings.base, seed=seed)
        static = replace(plain(base), rounds=0, n_per_round=0)
        for n in settings.static_sizes:
            found.append(practice_job(settings.name, f"static-{n}-seed{seed}", replace(static, n_initial=n)))
        for preset in settings.presets:
            run = preset.apply(base)
            found.append(practice_job(settings.name, f"dp-{preset.label}-seed{seed}", run))
        for preset in settings.plain_presets:
            run = replace(plain(preset.apply(base)), branch_sizes=())
            found.append(practice_job(settings.name, f"plain-{preset.label}-seed{seed}", run))
        for n in settings.real_sizes:
            run = replace(static, n_initial=n)
            found.append(practice_job(settings.name, f"real-{n}-seed{seed}", run, source="real"))
    return found
