"""Static settings: the large tuned static sets once more, at settings that the search did not choose.

Question   Was static training's search right, for more images than it searched with?
Feeds      the figure "static_settings"
Command    python -m experiments run static_settings
Time       about 65 minutes on 2 cores (2.2 core-hours)
Expected   a smaller guidance scale makes images more diverse, of which a larger set has more to give; the search's
           second best, little behind in one run, may well be better for some sizes

Every method's settings were searched with one run a trial, all of one size. Larger static sets are trained here at the
search's second best settings, the largest also at other guidance scales, nothing else changed; they are compared with
the runs of the tuned study at the same seeds.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from dp.config import PracticeConfig
from experiments.engine.practice_runs import practice_job
from experiments.engine.results import Job
from experiments.engine.study import Profile, Study
from experiments.studies import tuned, tuning
from experiments.studies.settings import SEEDS


@dataclass(frozen=True)
class StaticSettings:
    """Settings of the study: guidance scales, of which the searched one is left out, and seeds."""

    scales: tuple[float, ...] = (1.0, 1.25)
    seeds: tuple[int, ...] = SEEDS


def jobs(settings: StaticSettings, profile: Profile) -> list[Job]:
    """List one result per run, seed by seed; none before the search of a learner is finished."""
    compared, search = profile.settings(tuned.STUDY), profile.settings(tuning.STUDY)
    return [
        practice_job("static_settings", f"static-{run.n_initial}-{run.learner}-{name}-seed{run.seed}", run)
        for learner, ranked in tuning.found(search, profile.name).items()
        for seed in settings.seeds
        for size in compared.static_sizes
        if size > search.size
        for name, run in _runs(
            [tuned.run_at(point, search, learner, "static", size, seed) for point in ranked["static"]],
            settings.scales if size == max(compared.static_sizes) else (),
        )
    ]


def _runs(ranked: list[PracticeConfig], scales: tuple[float, ...]) -> Iterator[tuple[str, PracticeConfig]]:
    """Return the second best that differs from the best at this size, and other scales."""
    chosen = ranked[0]
    second = next(run for run in ranked if run != chosen)
    yield "second", second
    for scale in scales:
        other = replace(chosen, guidance_scale=scale)
        if other not in (chosen, second):
            yield f"scale-{scale:g}", other


STUDY = Study("static_settings", StaticSettings(), jobs)
