"""Tuned: each method at the settings that its own search has found best, on seeds of its own.

Question   Is Deliberate Practice (DP) still better when every method may choose? (Claims C1 to C5)
Feeds      figures 1, 4, 6 left and 9, tables 1, 4 and 5
Command    python -m experiments run tuned
Time       about four and a half hours on 2 cores for the cpu profile, estimated
Expected   where static training is at its best the generator's images are diverse, and there is less for DP to add

The settings are read from the recorded search (experiments/studies/tuning.py), so there is nothing to run before it is
finished. Settings were chosen for one size; all sizes have them, but that runs with more images are as long as the
longest of the search, whatever it chose: a training length that suits few images would hold back many.
"""

from dataclasses import dataclass, replace

from dp.config import PracticeConfig
from experiments.engine.practice_runs import practice_job
from experiments.engine.results import Job
from experiments.engine.study import Profile, Study
from experiments.studies import tuning
from experiments.studies.settings import SEEDS, STATIC_SIZES


@dataclass(frozen=True)
class Tuned:
    """Settings of the study.

    Attributes:
        seeds: of the runs.
        static_sizes: images of static runs.
        dp_sizes: final images of DP runs.
        size: final images of the runs that prune and of those with omega = 0.
    """

    seeds: tuple[int, ...] = SEEDS
    static_sizes: tuple[int, ...] = STATIC_SIZES
    dp_sizes: tuple[int, ...] = (1000, 2000, 4000, 8000, 16000)
    size: int = 4000


def jobs(settings: Tuned, profile: Profile) -> list[Job]:
    """List one result per run, seed by seed; pruned ones are part of the comparison study."""
    search, found = profile.settings(tuning.STUDY), []
    for learner, ranked in tuning.found(search, profile.name).items():
        study = f"scaling-tuned-{learner}"
        runs = [(study, "static", "static", size) for size in settings.static_sizes]
        runs += [(study, "DP", "DP", size) for size in settings.dp_sizes]
        runs += [
            (study, "omega0", "omega = 0", settings.size),
            (f"comparison-{learner}", "prune-tuned", "prune", settings.size),
        ]
        for seed in settings.seeds:
            for folder, name, method, size in runs:
                run = run_at(ranked[method][0], search, learner, method, size, seed)
                found.append(practice_job(folder, f"{name}-{size}-seed{seed}", run))
    return found


def run_at(
    point: tuning.Point, search: tuning.Tuning, learner: str, method: str, size: int, seed: int
) -> PracticeConfig:
    """Return a search point's run that ends with `size` images; as long as the longest if these are more."""
    longer = {"length": max(search.shared["length"])} if size > search.size else {}
    return replace(tuning.apply(replace(search.base, learner=learner), method, point | longer, size), seed=seed)


STUDY = Study("tuned", Tuned(), jobs)
