"""Run studies, see what is recorded.

python -m experiments run                     # compute what is absent or stale of the cpu profile
python -m experiments run scaling             # one study
python -m experiments status                  # which results are present, stale or absent
python -m experiments live                    # a short live run
"""

import shutil
from collections import Counter
from typing import Annotated

import tyro

from dp.errors import UserError, run_command
from experiments import dynamics, live, results, scaling, theory, tuning
from experiments.profiles import Profile, profile
from experiments.results import Job
from experiments.run import run as run_jobs

STUDIES = ("theory", "dynamics", "scaling")  # what figures are drawn from
ON_REQUEST = ("tuning",)
Studies = Annotated[tuple[str, ...], tyro.conf.Positional]


def jobs_of(settings: Profile, studies: tuple[str, ...] = ()) -> list[Job]:
    """The jobs of the named studies, or of all."""
    for study in studies:
        if study not in STUDIES + ON_REQUEST:
            raise UserError(f'study: got "{study}", expected one of {", ".join(STUDIES + ON_REQUEST)}')
    every = {
        "theory": theory.jobs(settings.theory),
        "dynamics": dynamics.jobs(settings.dynamics),
        "tuning": tuning.jobs(settings.tuning),
        "scaling": [job for study in settings.scaling for job in scaling.jobs(study)],
    }
    return [job for study in studies or STUDIES for job in every[study]]


def run(studies: Studies = (), profile_name: Annotated[str, tyro.conf.arg(name="profile")] = "cpu") -> None:
    """Compute every result that is absent or stale.

    Args:
        studies: theory, dynamics, scaling (all three if none is named), tuning.
        profile_name: cpu (recorded in the repository) or smoke (always computed anew).
    """
    jobs = jobs_of(profile(profile_name), studies)
    if profile_name == "smoke":
        shutil.rmtree(results.folder("smoke"), ignore_errors=True)
    made = run_jobs(profile_name, jobs)
    print(f"{profile_name}: {len(jobs) - made} recorded results used, {made} computed")


def status(profile_name: Annotated[str, tyro.conf.arg(name="profile")] = "cpu") -> None:
    """Say which results are present, stale (settings or inputs have changed) or absent."""
    found = [(results.state(profile_name, job), job) for job in jobs_of(profile(profile_name))]
    for state, job in found:
        if state != "present":
            print(f"{state:8} {job.study}/{job.name}")
    print(", ".join(f"{count} {state}" for state, count in Counter(state for state, _ in found).items()))


def run_live(profile_name: Annotated[str, tyro.conf.arg(name="profile")] = "cpu") -> None:
    """Run Deliberate Practice and static training for a short while, side by side."""
    shutil.rmtree(results.folder("live"), ignore_errors=True)
    run_jobs("live", live.jobs(profile(profile_name).live))


if __name__ == "__main__":
    run_command(lambda: tyro.extras.subcommand_cli_from_dict({"run": run, "status": status, "live": run_live}))
