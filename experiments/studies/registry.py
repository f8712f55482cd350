"""All studies by name, and the results that each is to have."""

from collections.abc import Callable

from dp.utils.errors import UserError
from experiments.engine.results import Job
from experiments.profiles import Profile
from experiments.studies import (
    ablation,
    comparison,
    dynamics,
    filtering,
    generators,
    learners,
    length,
    objectives,
    off_manifold,
    scaling,
    second_set,
    selection,
    signals,
    static_settings,
    theory,
    theory_practice,
    transfer,
    tuned,
    tuning,
    validation_size,
)
from experiments.studies import image_grids as grids

STUDIES: dict[str, Callable[[Profile, str], list[Job]]] = {
    "theory": lambda settings, _: theory.jobs(settings.theory),
    "tuning": lambda settings, name: tuning.jobs(settings.tuning, name),
    "dynamics": lambda settings, _: dynamics.jobs(settings.dynamics),
    "grids": lambda settings, _: grids.jobs(settings.grids),
    "scaling": lambda settings, _: [job for each in settings.scaling for job in scaling.jobs(each)],
    "tuned": lambda settings, name: tuned.jobs(settings.tuned, settings.tuning, name),
    "comparison": lambda settings, _: [job for each in settings.comparison for job in comparison.jobs(each)],
    "selection": lambda settings, _: selection.jobs(settings.selection),
    "ablation": lambda settings, _: ablation.jobs(settings.ablation),
    "generators": lambda settings, _: generators.jobs(settings.generators),
    "validation_size": lambda settings, _: validation_size.jobs(settings.validation_size),
    "signals": lambda settings, _: signals.jobs(settings.signals),
    "filtering": lambda settings, _: filtering.jobs(settings.filtering),
    "off_manifold": lambda settings, _: off_manifold.jobs(settings.off_manifold),
    "objectives": lambda settings, _: objectives.jobs(settings.objectives),
    "transfer": lambda settings, _: transfer.jobs(settings.transfer),
    "learners": lambda settings, _: learners.jobs(settings.learners),
    "second_set": lambda settings, _: second_set.jobs(settings.second_set),
    "length": lambda settings, name: length.jobs(settings.length, settings.tuned, settings.tuning, name),
    "static_settings": lambda settings, name: static_settings.jobs(
        settings.static_settings, settings.tuned, settings.tuning, name
    ),
    "theory_practice": lambda settings, name: theory_practice.jobs(settings.theory_practice, name),
}


def jobs_of(settings: Profile, studies: tuple[str, ...] = (), profile_name: str = "cpu") -> list[Job]:
    """The jobs of the named studies or folders of results, or of all.

    Args:
        settings: of every study.
        studies: keys of `STUDIES`, names of folders of results, or single results as folder/name.
        profile_name: whose search the studies tuned, length and static_settings go on from.

    Raises:
        UserError: there is no study, folder or result of that name.
    """
    found: list[Job] = []
    every = [] if set(studies) <= STUDIES.keys() else jobs_of(settings, (), profile_name)
    for name in studies or STUDIES:
        jobs = STUDIES[name](settings, profile_name) if name in STUDIES else _in_folder(name, every)
        known = {(job.study, job.name) for job in found}
        found += [job for job in jobs if (job.study, job.name) not in known]
    return found


def _in_folder(name: str, every: list[Job]) -> list[Job]:
    jobs = [job for job in every if name in (job.study, f"{job.study}/{job.name}")]
    if not jobs:
        raise UserError(
            f'study: got "{name}", expected one of {", ".join(STUDIES)}, or a folder of their results, or folder/name'
        )
    return jobs
