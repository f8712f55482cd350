"""Define a verdict, and what the rules share."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from experiments.analysis.intervals import Interval

Answer = Literal["holds here", "holds in part", "does not hold here", "not decided here", "not tested here"]
Part = bool | None  # of a claim: holds, does not, or its interval leaves both open
LEARNERS = ("convnet", "vit")
MAIN = "convnet"  # whose effect is a verdict's; the other learner's stands beside it


@dataclass(frozen=True)
class Verdict:
    """The measurement of a claim and what it comes to.

    Attributes:
        id: C1 to C13.
        verdict: what `of_all` makes of the claim's parts.
        measured: in words, with what the effect is.
        effect: a number; None if nothing was measured, or if what was asked for is never reached.
        unit: of the effect: "x" for a ratio, "points" or "%".
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
    unit: str = "points"


def untested(id_: str, why: str) -> Verdict:
    return Verdict(id_, "not tested here", why)


def above(interval: Interval, bound: float) -> Part:
    """Return whether something is above a bound."""
    low, high = interval
    return True if low > bound else False if high <= bound else None


def below(interval: Interval, bound: float) -> Part:
    """Return whether something is below a bound."""
    low, high = interval
    return above((-high, -low), -bound)


def of_all(parts: list[Part]) -> Answer:
    """Judge a claim by its parts: all hold, some do, or none; not decided if none was seen to hold and none not to."""
    if any(parts):
        return "holds here" if all(parts) else "holds in part"
    return "does not hold here" if False in parts else "not decided here"


def times(ratio: float | None, interval: Interval, at_least: bool = False) -> str:
    """Return a ratio and its interval, if it has bounds, in words."""
    said = "never reached" if ratio is None else f"{ratio:.1f}x{' or more' * at_least}"
    return said if interval[0] == -math.inf else f"{said} (95% {between(interval)})"


def between(interval: Sequence[float | None]) -> str:
    """Return a ratio's interval in words; 0 stands for what is never reached, infinity (or None) for no upper end."""
    low, high = interval
    if high is None or math.isinf(high):
        return f"{low:.1f} or more" if low else "from never up, without an end"
    return f"{low:.1f} to {high:.1f}" if low else f"from never up to {high:.1f}" if high else "never"


def with_interval(found: dict[str, Any], digits: int = 2) -> str:
    """Return a difference ("gain") and its interval, if it has bounds, in words: "+1.07 (95% +0.04 to +2.10)"."""
    gain, low, high = (f"{value:+.{digits}f}" for value in (found["gain"], *found["interval"]))
    return gain if math.isinf(found["interval"][0]) else f"{gain} (95% {low} to {high})"


def in_words(name: str) -> str:
    """Return the key of a comparison, such as "tuned-convnet", as it is printed."""
    return name.replace("-", " ").replace("convnet", "ConvNet").replace("vit", "ViT")


def several_seeds(found: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the comparisons that have several seeds, so that one of a single seed does not keep others from a verdict;
    all if none has."""
    return {name: each for name, each in found.items() if each["seeds"] > 1} or found
