"""Draw variants of one run and what they gain over it, for the open questions' figures."""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import mean
from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import dunnett

from experiments.analysis.table import rows
from paper_figures.drawing.exhibit import Rows
from paper_figures.drawing.shared import grouped, margin, rows_of, spread
from paper_figures.drawing.style import COLOURS, at_width, style

DRAWN = "Diamond and bar: mean and its 95% interval; dots: single runs."


@dataclass(frozen=True)
class Variant:
    """The runs of one variant.

    Attributes:
        name: as shown.
        colour: its points.
        runs: seed -> row of the results table.
    """

    name: str
    colour: str
    runs: dict[int, dict[str, Any]]

    def accuracies(self) -> dict[int, float]:
        """Return the test accuracy by seed."""
        return {seed: run["test_accuracy"] for seed, run in self.runs.items()}


def variants(profile: str, study: str, names: Mapping[Any, str], column: str = "variant") -> list[Variant]:
    """Return the study's variants, by the values of a column.

    Args:
        profile, study: whose runs.
        names: value -> name as shown; these come first, in this order.
        column: which tells the variants apart.

    Raises:
        UserError: there are none.
    """
    found = grouped(rows_of(profile, study), column)
    shown = dict(names) | {value: str(value).replace("_", " ") for (value,) in found if value not in names}
    return [
        Variant(name, COLOURS[runs[0]["method"]], {run["seed"]: run for run in runs})
        for value, name in shown.items()
        if (runs := found.get((value,)))
    ]


def baselines(profile: str, found: list[Variant]) -> dict[str, Variant]:
    """Return DP, omega = 0 and static of the scaling study at equal settings, of the sizes and seeds of the variants.

    Those that there are.
    """
    runs = [run for each in found for run in each.runs.values()]
    sizes = next((run for run in runs if run["planned"]), None)
    if sizes is None:
        return {}
    known = counterparts(profile, "convnet", sizes, {run["seed"] for run in runs})
    return {name: Variant(name, COLOURS[name], {run["seed"]: run for run in known[name]}) for name in known}


def counterparts(profile: str, learner: str, run: dict[str, Any], seeds: set[int]) -> dict[str, Rows]:
    """Return the runs of the scaling study at equal settings that have the sizes of a run, by method.

    Args:
        profile, learner: whose study.
        run: a row of a run that grows; static training has as many images as it was to end with.
        seeds: of the runs.
    """
    sizes = {column: run[column] for column in ("n_initial", "n_per_round", "planned")}
    final = {"n_initial": run["n_initial"] + run["n_per_round"] * run["planned"], "n_per_round": 0, "planned": 0}
    found = {
        method: rows(
            profile,
            f"scaling-equal-{learner}",
            method=method,
            branch_iteration=None,
            **(final if method == "static" else sizes),
        )
        for method in ("DP", "omega = 0", "static")
    }
    there = {method: [row for row in each if row["seed"] in seeds] for method, each in found.items()}
    return {method: each for method, each in there.items() if each}


def table(found: list[Variant], baseline: Variant | None) -> Rows:
    """Return one line per variant."""
    lines, compared = [], together(found, baseline)
    for each in found:
        gain, low, high = compared.get(each.name, (None, None, None))
        runs = list(each.runs.values())
        additions = sum(run["rounds"] for run in runs)
        first = [run["first_addition"] for run in runs if run["rounds"]]
        lines.append(
            {
                "runs": each.name,
                "images": _ends([run["images"] for run in runs]),
                "additions by signal": f"{sum(run['by_patience'] for run in runs) / additions:.0%}"
                if additions
                else None,
                "first addition at iteration": round(mean(first)) if first else None,
                "test %": spread(list(each.accuracies().values())),
                "difference": f"{gain:+.2f}" if gain is not None else None,
                "95% interval": f"{low:+.2f} to {high:+.2f}" if low is not None else None,
                "seeds": len(runs),
            }
        )
    return lines


def _ends(sizes: list[int]) -> str:
    """Return the images that runs end with: one number, or the smallest and the largest."""
    return f"{min(sizes):,}" if min(sizes) == max(sizes) else f"{min(sizes):,} to {max(sizes):,}"


def points(found: list[Variant]) -> Rows:
    """Return one line per run, for the CSV."""
    return [
        {"runs": each.name, "seed": seed, "test_accuracy": accuracy}
        for each in found
        for seed, accuracy in each.accuracies().items()
    ]


def figure_of(found: list[Variant]) -> Figure:
    """Draw runs as small points, means and 95% intervals, one line per variant."""
    with style():
        figure, axis = plt.subplots(figsize=at_width(6.0, 0.8 + 0.24 * len(found)), layout="constrained")
        dots(axis, found)
        axis.set_xlabel("real test accuracy (%)")
    return figure


def dots(axis: Axes, found: list[Variant]) -> None:
    """Draw single runs, means and 95% intervals on an axis; see `figure_of`."""
    for line, each in enumerate(found):
        values = list(each.accuracies().values())
        axis.plot(values, [line + 0.18] * len(values), "o", color=each.colour, markersize=2.5, alpha=0.6)
        axis.errorbar(
            [mean(values)], [line], xerr=[margin(values)], fmt="D", color=each.colour, capsize=2, label=each.name
        )
    axis.set_yticks(range(len(found)), [each.name for each in found])
    axis.set_ylim(len(found) - 0.5, -0.5)


def together(found: list[Variant], baseline: Variant | None) -> dict[str, tuple[float, float, float]]:
    """Return each variant's difference from the baseline with its interval; all hold together at 95% (Dunnett's test).

    Variants of one run are left out; empty if the baseline has only one.
    """
    others = [each for each in found if each is not baseline and len(each.runs) > 1]
    if baseline is None or not others or len(baseline.runs) < 2:
        return {}
    groups = [list(each.accuracies().values()) for each in others]
    base = list(baseline.accuracies().values())
    bounds = dunnett(*groups, control=base, rng=np.random.default_rng(0)).confidence_interval(0.95)
    return {
        each.name: (mean(values) - mean(base), float(low), float(high))
        for each, values, low, high in zip(others, groups, bounds.low, bounds.high, strict=True)
    }


def clear(found: list[Variant], baseline: Variant | None) -> str:
    """Say which variants differ from the baseline; by how much is in the table."""
    if baseline is None:
        return "open; the run that the others are compared with is not made yet."
    compared = together(found, baseline)
    if not compared:
        return f"open; differences from {baseline.name} have one seed so far, and no interval."
    better = [name for name, (_, low, _) in compared.items() if low > 0]
    worse = [name for name, (_, _, high) in compared.items() if high < 0]
    same = len(compared) - len(better) - len(worse)
    widest = max((high - low) / 2 for _, low, high in compared.values())
    told = "; ".join(
        f"{word} than {baseline.name}: {', '.join(names)}"
        for word, names in (("better", better), ("worse", worse))
        if names
    )
    rest = f"; {same} other{'s' * (same > 1)} cannot be told from it" if told and same else ""
    return (
        f"{told or f'none differs from {baseline.name}'}{rest} (95% intervals that hold together, Dunnett's; "
        f"the widest is {widest:.1f} points to either side)."
    )
