"""Static scale: the largest tuned static sets once more, at another guidance scale.

Question   Is static training held back by a guidance scale that was searched with fewer images?
Feeds      the figure "static_scale"
Command    python -m experiments run static_scale
Time       about 20 minutes on 2 cores (40 core-minutes), estimated
Expected   a smaller scale makes images more diverse, of which a larger set has more to give

Every method's settings were searched with 4,000 images. Nothing but the guidance scale differs from the runs of the
tuned study, with which these are compared at the same seeds.
"""

from dataclasses import dataclass, replace

from experiments import tuned, tuning
from experiments.results import Job
from experiments.runs import practice_job, settings_of


@dataclass(frozen=True)
class StaticScale:
    """Settings of the study: guidance scales, of which the searched one is left out, and seeds."""

    scales: tuple[float, ...]
    seeds: tuple[int, ...]


def jobs(settings: StaticScale, compared: tuned.Tuned, search: tuning.Tuning, profile: str) -> list[Job]:
    """One result a run, seed by seed; none before the search of a learner is finished."""
    largest = replace(compared, seeds=settings.seeds, static_sizes=(max(compared.static_sizes),))
    found = []
    for job in tuned.jobs(largest, search, profile):
        if job.name.startswith("static-"):
            run = settings_of(job.config)
            found += [
                practice_job(
                    "static_scale",
                    f"static-{run.n_initial}-{run.learner}-scale-{scale:g}-seed{run.seed}",
                    replace(run, guidance_scale=scale),
                )
                for scale in settings.scales
                if scale != run.guidance_scale
            ]
    return found
