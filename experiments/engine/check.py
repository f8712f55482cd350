"""Computes recorded results again and compares them, number by number."""

import math
from collections.abc import Iterator
from typing import Any

from experiments.engine import results
from experiments.engine.results import Job
from experiments.engine.workers import run

MEASURED = ("made_by", "generation_seconds")  # of the machine, not of the computation
ASKED = ("config", "inputs")  # those of a recorded result that is present are the job's, said in fewer words maybe
AGAIN = "check"  # the profile under which the second computation is kept, in build/


def differences(recorded: Any, again: Any, tolerance: float = 0.0, where: str = "") -> Iterator[str]:
    """Yield one line for each value that is not the same, without what was measured of the machine.

    Args:
        recorded, again: JSON values.
        tolerance: by which numbers may differ, as a share of the larger, and below 1 in itself; of the digits of a
            text, such as the classes of all test images, that share.
        where: they are in the result.
    """
    if isinstance(recorded, dict) and isinstance(again, dict):
        for name in sorted((recorded.keys() | again.keys()) - set(MEASURED)):
            inside = f"{where}.{name}" if where else name
            yield from differences(recorded.get(name), again.get(name), tolerance, inside)
    elif isinstance(recorded, list) and isinstance(again, list) and len(recorded) == len(again):
        for i, (one, other) in enumerate(zip(recorded, again, strict=True)):
            yield from differences(one, other, tolerance, f"{where}[{i}]")
    elif not (recorded == again or _near(recorded, again, tolerance)):
        yield f"{where}: recorded {_short(recorded)}, now {_short(again)}"


def _near(one: Any, other: Any, tolerance: float) -> bool:
    if isinstance(one, str) and isinstance(other, str) and (one + other).isdigit() and len(one) == len(other):
        return sum(a != b for a, b in zip(one, other, strict=True)) <= tolerance * len(one)
    numbers = all(isinstance(each, (int, float)) and not isinstance(each, bool) for each in (one, other))
    return numbers and math.isclose(one, other, rel_tol=tolerance, abs_tol=tolerance)


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) < 60 else f"{text[:57]}..."


def check(profile: str, jobs: list[Job], workers: int | None = None, tolerance: float = 0.0) -> dict[str, list[str]]:
    """Compute what is recorded of `jobs` once more, in build/.

    Plain images that are kept in build/cache are used again; without that folder they are made anew, too.

    Returns:
        by study/name: the differences beyond the tolerance; without one an empty list is the same, bit for bit.
    """
    recorded = [job for job in jobs if results.state(profile, job) == "present"]
    with results.emptied(AGAIN):
        run(AGAIN, recorded, workers)
    found = {}
    for job in recorded:
        one, other = (
            {name: value for name, value in results.load(place, job.study)[job.name].items() if name not in ASKED}
            for place in (profile, AGAIN)
        )
        found[f"{job.study}/{job.name}"] = list(differences(one, other, tolerance))
    return found
