"""Compare this repository's own practice (experiments/studies/ideas.py) with the other methods, each tuned."""

from dataclasses import dataclass

import numpy as np

from experiments.analysis import foreign
from experiments.analysis.efficiency import Curve, Efficiency, efficiency, means
from experiments.analysis.intervals import Interval, drawn_interval
from experiments.analysis.table import curve, rows

SETS = {"fonts": "printed digits", "fashion": "Fashion-MNIST"}
OWN = "own"


@dataclass(frozen=True)
class Lead:
    """The best size of own practice beside the best size of the best of static training, pruning and omega = 0.

    Attributes:
        rival: the best of the others, by mean test accuracy at its best size.
        gain: own minus rival, points, each at its best size.
        interval: of the gain, the sizes chosen anew in each draw.
        deviations: the gain in standard deviations over seeds (of both, pooled).
        against_static: data efficiency beside static training.
        seeds: fewest of any size.
    """

    rival: str
    gain: float
    interval: Interval
    deviations: float
    against_static: Efficiency
    seeds: int


def trials(profile: str, data: str) -> dict[str, list[float]]:
    """Return validation accuracies of the search by combination of ideas, the best mean first."""
    found: dict[str, list[float]] = {}
    for row in rows(profile, f"ideas-{data}"):
        found.setdefault(row["name"].rsplit("-seed", 1)[0], []).append(row["validation_accuracy"])
    return dict(sorted(found.items(), key=lambda each: -float(np.mean(each[1]))))


def curves(profile: str, data: str, learner: str) -> dict[str, Curve]:
    """Return test accuracies by method and final size, each method tuned, own practice last; those that there are."""
    if data == "fonts":
        found = foreign.curves(profile, "tuned", learner)
    else:
        scaling = rows(profile, f"scaling-tuned-{learner}")
        pruned = rows(profile, f"comparison-{learner}", setting="tuned")
        found = {method: curve(scaling, method) for method in ("static", "DP", "omega = 0")}
        found["prune"] = curve(pruned, "prune")
    found[OWN] = curve(rows(profile, f"ideas-{data}-{learner}"), "DP")
    return {method: by_size for method, by_size in found.items() if by_size}


def lead(found: dict[str, Curve]) -> Lead | None:
    """Compare `curves`; None without own runs, or if one of them has a single seed."""
    others = {method: found[method] for method in ("static", "prune", "omega = 0") if method in found}
    counts = [len(values) for each in [*others.values(), found.get(OWN, {})] for values in each.values()]
    if OWN not in found or "static" not in others or min(counts) < 2:
        return None

    def gain(own: dict[int, float], *theirs: dict[int, float]) -> float:
        return max(own.values()) - max(max(each.values()) for each in theirs)

    rival = max(others, key=lambda method: max(means(others[method]).values()))
    at_best = [max(each.values(), key=np.mean) for each in (found[OWN], others[rival])]
    spread = float(np.sqrt(np.mean([np.var(values, ddof=1) for values in at_best])))
    gained = gain(means(found[OWN]), *map(means, others.values()))
    return Lead(
        rival,
        gained,
        drawn_interval(gain, found[OWN], *others.values()),
        gained / spread if spread else 0.0,
        efficiency(found["static"], found[OWN]),
        min(counts),
    )
