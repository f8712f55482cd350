"""What a verdict is, and what the rules share."""

from dataclasses import dataclass
from typing import Any, Literal

from experiments.intervals import Interval

Answer = Literal["holds here", "holds in part", "does not hold here", "not tested here"]
LEARNERS = ("convnet", "vit")
MAIN = "convnet"  # whose effect is a verdict's; the other learner's stands beside it


@dataclass(frozen=True)
class Verdict:
    """What was measured of a claim.

    Attributes:
        id: C1 to C13.
        verdict: see the top of this file.
        measured: in words, with what the effect is.
        effect: a number; None if nothing was measured, or if what was asked for is never reached.
        interval: of the effect.
        seeds: runs of each kind that it rests on.
        sources: result folders and files.
        more: other numbers that belong to it.
    """

    id: str
    verdict: Answer
    measured: str
    effect: float | None = None
    interval: Interval | None = None
    seeds: int = 0
    sources: tuple[str, ...] = ()
    more: dict[str, Any] | None = None


def untested(id_: str, why: str) -> Verdict:
    return Verdict(id_, "not tested here", why)


def of_all(parts: list[bool]) -> Answer:
    """All parts of a claim hold, some do, or none."""
    return "holds here" if all(parts) else "holds in part" if any(parts) else "does not hold here"


def times(ratio: float | None, interval: Interval, at_least: bool = False) -> str:
    if ratio is None:
        return "never reached"
    low, high = interval
    unreached = "" if low else "; 0 = never reached"
    return f"{'at least ' * at_least}{ratio:.1f}x (95% {low:.1f} to {high:.1f}{unreached})"
