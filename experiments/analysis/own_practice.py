"""Compare this repository's own practice (experiments/studies/ideas.py) with the other methods, each tuned."""

from dataclasses import dataclass

import numpy as np

from experiments.analysis import foreign
from experiments.analysis.efficiency import Curve, Efficiency, efficiency
from experiments.analysis.intervals import Interval, difference_interval
from experiments.analysis.table import curve, rows

SETS = {"fonts": "printed digits", "fashion": "Fashion-MNIST"}
SIZES = {"fonts": 2000, "fashion": 4000}  # images: the size of the searches, at which every method has been run
OWN, UNGUIDED = "own", "own, omega = 0"


@dataclass(frozen=True)
class Lead:
    """Own practice beside another method, at the size that all were searched at.

    Attributes:
        gain: own minus the other, points of test accuracy.
        interval: of the gain.
        deviations: the gain in standard deviations over seeds (of both, pooled).
    """

    gain: float
    interval: Interval
    deviations: float


def trials(profile: str, data: str) -> dict[str, list[float]]:
    """Return validation accuracies of the search by combination of ideas, the best mean first; whole ones only."""
    found: dict[str, list[float]] = {}
    for row in rows(profile, f"ideas-{data}"):
        found.setdefault(row["name"].rsplit("-seed", 1)[0], []).append(row["validation_accuracy"])
    most = max(map(len, found.values()), default=0)
    whole = {name: values for name, values in found.items() if len(values) == most}
    return dict(sorted(whole.items(), key=lambda each: -float(np.mean(each[1]))))


def curves(profile: str, data: str, learner: str) -> dict[str, Curve]:
    """Return test accuracies by method and final size, each method tuned, own practice last; those that there are."""
    if data == "fonts":
        found = foreign.curves(profile, "tuned", learner)
    else:
        scaling = rows(profile, f"scaling-tuned-{learner}")
        pruned = rows(profile, f"comparison-{learner}", setting="tuned")
        found = {method: curve(scaling, method) for method in ("static", "DP", "omega = 0")}
        found["prune"] = curve(pruned, "prune")
    own = rows(profile, f"ideas-{data}-{learner}")
    found |= {OWN: curve(own, "DP"), UNGUIDED: curve(own, "omega = 0")}
    return {method: by_size for method, by_size in found.items() if by_size}


def leads(found: dict[str, Curve], size: int) -> dict[str, Lead]:
    """Compare own practice at one size with every other of `curves` that has it; those with several seeds."""
    at_size = {method: values for method, each in found.items() if len(values := each.get(size, [])) > 1}
    own = at_size.pop(OWN, None)
    return {method: _lead(own, values) for method, values in at_size.items()} if own else {}


def _lead(own: list[float], other: list[float]) -> Lead:
    gain = float(np.mean(own) - np.mean(other))
    spread = float(np.sqrt(np.mean([np.var(values, ddof=1) for values in (own, other)])))
    deviations = gain / spread if spread else 0.0
    return Lead(gain, difference_interval(own, other), deviations)


def saved(found: dict[str, Curve]) -> Efficiency | None:
    """Return the data efficiency of own practice beside static training; None where one is missing."""
    return efficiency(found["static"], found[OWN]) if {"static", OWN} <= found.keys() else None
