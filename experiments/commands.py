"""The commands of `python -m experiments`."""

from collections import Counter
from contextlib import nullcontext
from json import dumps
from typing import Annotated

import tyro

from dp.utils.errors import UserError
from experiments.engine import results
from experiments.engine.workers import run as run_jobs
from experiments.profiles import profile
from experiments.studies import jobs_of
from experiments.studies.live import LIVE

Studies = Annotated[tuple[str, ...], tyro.conf.Positional]
Name = Annotated[str, tyro.conf.arg(name="profile")]


def run(studies: Studies = (), profile_name: Name = "cpu", workers: int | None = None) -> None:
    """Compute every result that is absent or stale. Can be stopped at any time; the same command goes on.

    Args:
        studies: names as in docs/experiments.md, or folders of results such as scaling-equal-vit, or single results
            such as dynamics/additions-1-seed0; else all.
        profile_name: cpu (recorded in the repository) or smoke (always computed anew).
        workers: processes, by default as many as there are cores.
    """
    settings = profile(profile_name)
    made = 0
    with results.emptied("smoke") if profile_name == "smoke" else nullcontext():
        # What a search tries next depends on what it has found: list the jobs again until there is nothing to do.
        while new := run_jobs(profile_name, jobs := jobs_of(settings, studies), workers):
            made += new
    print(f"{profile_name}: {len(jobs) - made} recorded results used, {made} computed")


def status(studies: Studies = (), profile_name: Name = "cpu") -> None:
    """Say which results are present, stale (settings or inputs have changed) or absent, and how long they took.

    Args:
        studies: as for run.
        profile_name: cpu or smoke.
    """
    found = [(results.state(profile_name, job), job) for job in jobs_of(profile(profile_name), studies)]
    for state, job in found:
        if state != "present":
            print(f"{state:8} {job.study}/{job.name}")
    took = left = 0.0
    for study in dict.fromkeys(job.study for _, job in found):
        recorded = results.load(profile_name, study)
        mine = [(state, job) for state, job in found if job.study == study]
        seconds = sum(recorded[job.name]["made_by"]["seconds"] for state, job in mine if state == "present")
        to_do = sum(job.estimate for state, job in mine if state != "present")
        counts = ", ".join(f"{count} {state}" for state, count in Counter(state for state, _ in mine).items())
        print(f"{study}: {counts}; {_hours(seconds, to_do)}")
        took, left = took + seconds, left + to_do
    print(f"all: {_hours(took, left)}")


def _hours(took: float, left: float) -> str:
    """Return seconds on one core as hours, in words."""
    return f"took {took / 3600:.1f} core-hours" + (f", about {left / 3600:.1f} to go" if left else "")


def check(studies: Studies, profile_name: Name = "cpu", workers: int | None = None, tolerance: float = 0.0) -> None:
    """Compute recorded results once more, in build/, and compare them; ends with 1 if any number is not the same.

    Args:
        studies: as for run; or single results, such as dynamics/additions-1-seed0.
        profile_name: cpu or smoke.
        workers: as for run.
        tolerance: by which numbers may differ, as a share of them, such as 1e-3 on another kind of processor (the later
            in a run, the more they do); 0 is bit for bit.
    """
    from experiments.engine.check import check as compare

    found = compare(profile_name, jobs_of(profile(profile_name), studies), workers, tolerance)
    if not found:
        raise UserError(f"check: nothing of {', '.join(studies)} is recorded with the profile's settings; run it first")
    for name, lines in found.items():
        same_as = f"the same within {tolerance:g}" if tolerance else "the same, bit for bit"
        print(f"{name}: {same_as if not lines else f'{len(lines)} values differ; {lines[0]}'}")
    same = sum(not lines for lines in found.values())
    print(f"{same} of {len(found)} recorded results came out the same")
    raise SystemExit(same < len(found))


def run_live(profile_name: Name = "cpu") -> None:
    """Run Deliberate Practice and static training for a short while, side by side."""
    settings = profile(profile_name)
    with results.emptied("live"):
        run_jobs("live", LIVE.jobs(settings.settings(LIVE), settings))


def verdicts(json: bool = False, profile_name: Name = "cpu") -> None:
    """Say what the recorded results mean for each of the paper's claims.

    Args:
        json: print JSON instead of text.
        profile_name: cpu or smoke.
    """
    from experiments import verdicts as rules  # imports scipy

    profile(profile_name)  # or UserError
    found = rules.as_json(rules.verdicts(profile_name))
    if json:
        print(dumps(found, indent=1))
        return
    for each in found:
        effect = "" if each["effect"] is None else f" {each['effect']:.3g}"
        low, high = each["interval"] or (None, None)
        interval = "" if low is None else f" (95% {low:.3g} to {high:.3g}; {each['seeds']} seeds)"
        print(f"{each['id']}: {each['verdict'].upper()}. {each['claim']}\n   {each['measured']}:{effect}{interval}")


def print_table(profile_name: Name = "cpu") -> None:
    """Print the results table as CSV; experiments/analysis/table.py says what its columns are.

    Args:
        profile_name: cpu or smoke.
    """
    from experiments.analysis.table import table  # imports pandas

    profile(profile_name)  # or UserError
    print(table(profile_name).to_csv(index=False), end="")


def command_line() -> None:
    """Run the command that the command line names."""
    tyro.extras.subcommand_cli_from_dict(
        {"run": run, "status": status, "check": check, "verdicts": verdicts, "table": print_table, "live": run_live}
    )
