"""Studies, one file each: a file that defines `STUDY` is a study. The shared settings are in `settings.py`."""

from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from dp.utils.errors import UserError
from experiments.engine.results import Job
from experiments.engine.study import Profile, Study


@cache
def studies() -> dict[str, Study]:
    """Return all studies by name."""
    modules = [import_module(f"{__name__}.{each.name}") for each in iter_modules(__path__)]
    return {module.STUDY.name: module.STUDY for module in modules if hasattr(module, "STUDY")}


def jobs_of(profile: Profile, names: tuple[str, ...] = ()) -> list[Job]:
    """List the results that a profile asks for.

    Args:
        profile: whose settings count.
        names: studies, folders of results such as "scaling-equal-vit", or single results such as
            "dynamics/additions-1-seed0"; all studies by default.

    Raises:
        UserError: there is no study, folder or result of that name.
    """
    known = studies()
    every = [] if set(names) <= known.keys() else jobs_of(profile)
    found: dict[tuple[str, str], Job] = {}
    for name in names or known:
        if name in known:
            jobs = known[name].jobs(profile.settings(known[name]), profile)
        else:
            jobs = [job for job in every if name in (job.study, f"{job.study}/{job.name}")]
        if name not in known and not jobs:
            raise UserError(
                f'study: got "{name}", expected one of {", ".join(known)}, or a folder of their results, or folder/name'
            )
        for job in jobs:
            found.setdefault((job.study, job.name), job)
    return list(found.values())
