"""The exact error of a linear probe on real features, from their covariance, beside the probe's own."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from paper_figures.drawing.exhibit import THEORY, Entry, Exhibit
from paper_figures.drawing.shared import results_of
from paper_figures.drawing.style import at_width
from paper_figures.drawing.theory_plots import COLOURS, exhibit, pick, values

ENTRY = Entry(
    "theory_features",
    "Does the theory, given the covariance of real features, foresee a linear probe?",
    THEORY,
    9,
    ("theory_features",),
)
PAIRS = {"Gaussian": "exact, clean labels", "teacher": "exact, clean labels", "real": "exact, real labels"}
NAMES = {
    "Gaussian": "Gaussian inputs of the same covariance",
    "teacher": "real features, labels by a direction",
    "real": "real features and labels",
}
MARKS = {"Gaussian": "x", "teacher": "^", "real": "o"}


def make(profile: str) -> Exhibit:
    """Make the exhibit from the theory_features study."""
    results = results_of(profile, "theory_features")
    rows: list[dict[str, Any]] = []
    about = []
    for result in results.values():
        rows += [{"task": _title(result["config"])} | row for row in result["rows"]]
        about.append(
            f"{_title(result['config'])}: {result['images']:,} images, {result['noise']:.1%} of the labels not the "
            f"direction's, pruner's cosine {result['pruner_cosine']:.2f}"
        )
        d, ridge = result["d"], result["config"]["ridge"]
    caption = (
        f"Test error of a linear probe (ridge regression, {ridge:g} of the mean eigenvalue) of {d} features of "
        "Fashion-MNIST's images, by the bundled oracle, which has not seen these. Lines: the exact theory from the "
        "features' covariance, the direction of the probe of all images, the share of labels it gets wrong as label "
        "noise, and the pruner; on clean labels (dashed) and on real ones (solid). Points: means over "
        f"{next(iter(results.values()))['config']['replicates']} pools. {'; '.join(about)}."
    )
    return exhibit(ENTRY, caption, rows, draw, answer(rows))


def _title(config: dict[str, Any]) -> str:
    ones, others = config["classes"]
    return f"{ones[0]} against {others[0]}" if len(ones) == 1 else "even against odd classes"


def answer(rows: list[dict[str, Any]]) -> str:
    """Say how far the exact errors are from those of each series, and whether the effect of selection is foreseen."""
    off = {}
    for series, curve in PAIRS.items():
        off[series] = [row["test_error"] / _exact(rows, row, curve)["test_error"] for row in pick(rows, series=series)]
    agree, sides = 0, 0
    for row in pick(rows, series="real", kept_fraction=1.0):
        for kept in values(rows, "kept_fraction")[1:]:
            other = next(iter(pick(rows, series="real", kept_fraction=kept, task=row["task"], n=row["n"])))
            change = other["test_error"] - row["test_error"]
            if abs(change) > 2 * np.hypot(other["standard_error"], row["standard_error"]):
                foreseen = (
                    _exact(rows, other, PAIRS["real"])["test_error"] - _exact(rows, row, PAIRS["real"])["test_error"]
                )
                sides, agree = sides + 1, agree + ((foreseen > 0) == (change > 0))
    far = min(*off["teacher"], *off["real"]) < 0.8 or max(*off["teacher"], *off["real"]) > 1.25
    told = "; ".join(
        f"{NAMES[series]}: {min(ratios):.2f} to {max(ratios):.2f} times the exact error"
        for series, ratios in off.items()
    )
    return (
        f"{'no' if far else 'yes'}: {told}. Classes of a trained classifier's features are clusters, which a "
        "covariance does not tell of. Where keeping the hardest half changes the error on real labels by more than "
        f"two standard errors, the theory has the sign of it in {agree} of {sides} cases."
    )


def _exact(rows: list[dict[str, Any]], row: dict[str, Any], series: str) -> dict[str, Any]:
    where = {name: row[name] for name in ("task", "kept_fraction", "n")}
    return pick(rows, series=series, **where)[0]


def draw(rows: list[dict[str, Any]]) -> Figure:
    """Draw a panel per task."""
    tasks = values(rows, "task")
    figure, axes = plt.subplots(1, len(tasks), figsize=at_width(12, 5), squeeze=False, layout="constrained")
    for axis, task in zip(axes[0], tasks, strict=True):
        for i, kept in enumerate(values(rows, "kept_fraction")):
            mine, colour = pick(rows, task=task, kept_fraction=kept), COLOURS[i]
            for series, line in (("exact, clean labels", "--"), ("exact, real labels", "-")):
                some = pick(mine, series=series)
                axis.plot([r["n"] for r in some], [r["test_error"] for r in some], line, color=colour, lw=1)
            for series, mark in MARKS.items():
                some = pick(mine, series=series)
                axis.errorbar(
                    [r["n"] for r in some], [r["test_error"] for r in some], [2 * r["standard_error"] for r in some],
                    marker=mark, color=colour, ms=3.5, ls="none", capsize=1.5,
                    label=f"{NAMES[series]}, {'all' if kept == 1 else f'hardest {kept:.0%}'}",
                )  # fmt: skip
        axis.set(xscale="log", yscale="log", xlabel="rows of the pool before pruning", title=task)
        sizes = sorted(values(pick(rows, task=task), "n"))
        axis.set_xticks(sizes, [str(n) for n in sizes])
        axis.xaxis.set_minor_locator(NullLocator())
        axis.grid(alpha=0.25)
    axes[0, 0].set_ylabel("test error")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, fontsize=6)
    return figure
