"""Scaling: how does accuracy on real images grow with the number of generated training images?

Question   Does Deliberate Practice (DP) reach a static set's accuracy with fewer images? (Claims C1, C2, C9)
Feeds      figure 4, table 4
Command    python -m experiments run scaling
Time       about 50 minutes on 2 cores for the cpu profile
Expected   static shows diminishing returns; DP lies above it at equal size; omega = 0 does not

Every run has the same learner, number of iterations and guidance scale. Static runs train on N plain images from the
start. DP runs start small and add images; branch-outs give a point for each size on the way. omega = 0 is the DP run
of the largest preset of each size with plain additions. Real-data runs show what the learner could reach.
"""

from dataclasses import dataclass, replace
from typing import Any

from dp.practice import PracticeConfig
from experiments.results import Job
from experiments.runs import practice_job


@dataclass(frozen=True)
class Preset:
    """A DP run: N initial images, P an addition; and the pool sizes at which a branch leaves it."""

    n_initial: int
    n_per_round: int
    rounds: int
    branch_sizes: tuple[int, ...] = ()


@dataclass(frozen=True)
class Scaling:
    """Settings of the study; `base` gives everything the runs share."""

    base: PracticeConfig
    seeds: tuple[int, ...]
    static_sizes: tuple[int, ...]
    presets: tuple[Preset, ...]
    real_sizes: tuple[int, ...]


def jobs(settings: Scaling) -> list[Job]:
    """One result a run, all seeds of a small run before the larger ones."""
    found = []
    for seed in settings.seeds:
        base = replace(settings.base, seed=seed)
        for n in settings.static_sizes:
            static = replace(base, n_initial=n, rounds=0, n_per_round=0, omega=0.0)
            found.append(practice_job("scaling", f"static-{n}-seed{seed}", static))
        for n in settings.real_sizes:
            real = replace(base, n_initial=n, rounds=0, n_per_round=0, omega=0.0)
            found.append(practice_job("scaling", f"real-{n}-seed{seed}", real, source="real"))
        for preset in settings.presets:
            sizes: dict[str, Any] = {
                "n_initial": preset.n_initial,
                "n_per_round": preset.n_per_round,
                "rounds": preset.rounds,
            }
            dp = replace(base, branch_sizes=preset.branch_sizes, **sizes)
            found.append(practice_job("scaling", f"dp-{preset.n_initial}-{preset.n_per_round}-seed{seed}", dp))
            plain = replace(base, omega=0.0, **sizes)
            found.append(practice_job("scaling", f"plain-{preset.n_initial}-{preset.n_per_round}-seed{seed}", plain))
    return found
