"""What the open questions' figures share: variants of one run, and what they gain over it."""

from dataclasses import dataclass
from statistics import mean
from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import dunnett

from experiments.analysis.intervals import mean_interval
from experiments.engine.results import load
from paper_figures.drawing.exhibit import Rows
from paper_figures.drawing.shared import missing, sd, spread
from paper_figures.drawing.style import COLOURS, at_width, style

DRAWN = "Diamond and bar: mean and standard deviation; dots: single runs."


@dataclass(frozen=True)
class Variant:
    """The runs of one variant.

    Attributes:
        name: as shown.
        colour: its points.
        runs: seed -> result.
    """

    name: str
    colour: str
    runs: dict[int, dict[str, Any]]

    def accuracies(self) -> dict[int, float]:
        """Test accuracy by seed."""
        return {seed: run["outcomes"][-1]["test_accuracy"] for seed, run in self.runs.items()}


def variants(profile: str, study: str, names: dict[str, str]) -> list[Variant]:
    """The study's variants, of `names` result stem -> name as shown, in that order.

    Raises:
        UserError: there are none.
    """
    found: dict[str, dict[int, dict[str, Any]]] = {}
    for stem, result in load(profile, study).items():
        found.setdefault(stem.rpartition("-seed")[0], {})[result["config"]["seed"]] = result
    if not found:
        raise missing(study, profile)
    shown = names | {stem: stem.replace("_", " ") for stem in found if stem not in names}
    return [
        Variant(name, COLOURS["static" if stem.startswith("static") else "DP"], found[stem])
        for stem, name in shown.items()
        if stem in found
    ]


def baselines(profile: str, found: list[Variant]) -> dict[str, Variant]:
    """DP, omega = 0 and static of the scaling study at equal settings, of the sizes and seeds of the variants.

    Those that there are.
    """
    runs = [run for each in found for run in each.runs.values()]
    sizes = next((run["config"] for run in runs if run["config"]["rounds"]), None)
    if sizes is None:
        return {}
    final = sizes["n_initial"] + sizes["rounds"] * sizes["n_per_round"]
    stems = {"DP": f"DP-{sizes['n_initial']}", "omega = 0": f"omega0-{sizes['n_initial']}", "static": f"static-{final}"}
    results = load(profile, "scaling-equal-convnet")
    known: dict[str, Variant] = {}
    for name, stem in stems.items():
        mine = {run["config"]["seed"]: results.get(f"{stem}-seed{run['config']['seed']}") for run in runs}
        there = {seed: result for seed, result in sorted(mine.items()) if result is not None}
        if there:
            known[name] = Variant(name, COLOURS[name], there)
    return known


def gains(variant: Variant, baseline: Variant | None) -> list[float]:
    """Test accuracy minus the baseline's, of the seeds that both have."""
    if baseline is None or variant is baseline:
        return []
    mine, theirs = variant.accuracies(), baseline.accuracies()
    return [mine[seed] - theirs[seed] for seed in sorted(mine) if seed in theirs]


def table(found: list[Variant], baseline: Variant | None) -> Rows:
    """One line a variant."""
    rows = []
    for each in found:
        differences = gains(each, baseline)
        low, high = mean_interval(differences) if len(differences) > 1 else (None, None)
        runs = list(each.runs.values())
        triggers = [a["trigger"] for run in runs for a in run["additions"]]
        first = [run["additions"][0]["iteration"] for run in runs if run["additions"]]
        rows.append(
            {
                "runs": each.name,
                "images": _ends([run["outcomes"][-1]["pool_size"] for run in runs]),
                "additions by signal": f"{triggers.count('patience') / len(triggers):.0%}" if triggers else None,
                "first addition at iteration": round(mean(first)) if first else None,
                "test %": spread(list(each.accuracies().values())),
                "difference": f"{mean(differences):+.2f}" if differences else None,
                "95% interval": f"{low:+.2f} to {high:+.2f}" if low is not None else None,
                "seeds": len(runs),
            }
        )
    return rows


def _ends(sizes: list[int]) -> str:
    """The images that runs end with: one number, or the smallest and the largest."""
    return f"{min(sizes):,}" if min(sizes) == max(sizes) else f"{min(sizes):,} to {max(sizes):,}"


def points(found: list[Variant]) -> Rows:
    """One line a run, for the CSV."""
    return [
        {"runs": each.name, "seed": seed, "test_accuracy": accuracy}
        for each in found
        for seed, accuracy in each.accuracies().items()
    ]


def figure_of(found: list[Variant]) -> Figure:
    """Runs as small points, means and standard deviations, one line a variant."""
    with style():
        figure, axis = plt.subplots(figsize=at_width(6.0, 0.8 + 0.24 * len(found)), layout="constrained")
        dots(axis, found)
        axis.set_xlabel("real test accuracy (%)")
    return figure


def dots(axis: Axes, found: list[Variant]) -> None:
    """See `figure_of`."""
    for line, each in enumerate(found):
        values = list(each.accuracies().values())
        axis.plot(values, [line + 0.18] * len(values), "o", color=each.colour, markersize=2.5, alpha=0.6)
        axis.errorbar([mean(values)], [line], xerr=[sd(values)], fmt="D", color=each.colour, capsize=2, label=each.name)
    axis.set_yticks(range(len(found)), [each.name for each in found])
    axis.set_ylim(len(found) - 0.5, -0.5)


def clear(found: list[Variant], baseline: Variant | None) -> str:
    """Which variants differ from the baseline, in words; by Dunnett's test, one for all of them."""
    if baseline is None:
        return "open; the run that the others are compared with is not made yet."
    others = [each for each in found if each is not baseline and len(each.runs) > 1]
    if not others or len(baseline.runs) < 2:
        return f"open; differences from {baseline.name} have one seed so far, and no interval."
    groups = [list(each.accuracies().values()) for each in others]
    base = list(baseline.accuracies().values())
    bounds = dunnett(*groups, control=base, rng=np.random.default_rng(0)).confidence_interval(0.95)
    worse: list[str] = []
    better: list[str] = []
    same: list[str] = []
    for each, values, low, high in zip(others, groups, bounds.low, bounds.high, strict=True):
        said = f"{each.name} {mean(values) - mean(base):+.2f} ({low:+.2f} to {high:+.2f})"
        (better if low > 0 else worse if high < 0 else same).append(said)
    widest = max((high - low) / 2 for low, high in zip(bounds.low, bounds.high, strict=True))
    told = "; ".join(
        f"{word} than {baseline.name}, in points: {', '.join(each)}"
        for word, each in (("better", better), ("worse", worse))
        if each
    )
    rest = f"; {len(same)} other{'s' * (len(same) > 1)} cannot be told from it" if told and same else ""
    return (
        f"{told or f'none differs from {baseline.name}'}{rest} (intervals hold together at 95%, Dunnett's; "
        f"the widest is {widest:.1f} points to either side)."
    )
