"""Computes recorded results again and compares them, number by number."""

import shutil
from collections.abc import Iterator
from typing import Any

from experiments import results
from experiments.results import Job
from experiments.run import run

MEASURED = ("made_by", "generation_seconds")  # of the machine, not of the computation
AGAIN = "check"  # the profile under which the second computation is kept, in build/


def differences(recorded: Any, again: Any, where: str = "") -> Iterator[str]:
    """One line for each value that is not the same, without what was measured of the machine."""
    if isinstance(recorded, dict) and isinstance(again, dict):
        for name in sorted((recorded.keys() | again.keys()) - set(MEASURED)):
            yield from differences(recorded.get(name), again.get(name), f"{where}.{name}" if where else name)
    elif isinstance(recorded, list) and isinstance(again, list) and len(recorded) == len(again):
        for i, (one, other) in enumerate(zip(recorded, again, strict=True)):
            yield from differences(one, other, f"{where}[{i}]")
    elif recorded != again:
        yield f"{where}: recorded {_short(recorded)}, now {_short(again)}"


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) < 60 else f"{text[:57]}..."


def check(profile: str, jobs: list[Job], workers: int | None = None) -> dict[str, list[str]]:
    """Compute what is recorded of `jobs` once more, in build/.

    Returns:
        by study/name: the differences; an empty list is the same result, bit for bit.
    """
    recorded = [job for job in jobs if results.state(profile, job) == "present"]
    shutil.rmtree(results.folder(AGAIN), ignore_errors=True)
    run(AGAIN, recorded, workers)
    return {
        f"{job.study}/{job.name}": list(
            differences(
                results.load(profile, job.study)[job.name],
                results.load(AGAIN, job.study)[job.name],
            )
        )
        for job in recorded
    }
