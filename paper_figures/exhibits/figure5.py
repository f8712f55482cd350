"""Figure 5 a, b and d: accuracy over the strength of the selection, and what it costs."""

from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator

from experiments.verdicts.selection import selection_runs
from paper_figures.drawing.exhibit import MEASURED, Entry, Exhibit, Rows
from paper_figures.drawing.shared import NOT_COMPARABLE, draw, grouped, margin, missing, seeds
from paper_figures.drawing.style import COLOURS, MARKERS, at_width, style

ENTRY = Entry("figure5", "Figure 5 a, b, d: selection by pruning and by guidance", MEASURED, 5, ("selection",))

WAYS = {"prune": "prune", "exact": "guided, exact", "cheap": "guided, cheap"}


def make(profile: str) -> Exhibit:
    """Make the exhibit from the selection study."""
    rows = selection_rows(profile)
    with style():
        figure, ((a, b), (d1, d2)) = plt.subplots(2, 2, figsize=at_width(9.5, 7), sharey="row", layout="constrained")
        _strengths(a, rows, ("prune",), "over-sampling (plain images made for one kept)")
        a.set(xscale="log", title="(a) generate, then prune")
        ratios = sorted({row["strength"] for row in rows if row["way"] == "prune"})
        a.set_xticks(ratios, [f"{ratio:g}" for ratio in ratios])
        a.minorticks_off()
        _strengths(b, rows, ("exact", "cheap"), "omega (share of the noise prediction)")
        b.set_title("(b) entropy-guided generation")
        plain = np.mean([row["test_accuracy"] for row in rows if row["way"] == "prune" and row["strength"] == 1])
        for axis, place in ((a, "upper left"), (b, "upper right")):
            axis.axhline(plain, color="#555555", linestyle=":", linewidth=1, label="plain images")
            axis.margins(y=0.2)  # room for the legend
            axis.legend(loc=place)
        _costs(d1, rows, "operations", "counted operations of an added image (GFLOP)")
        _costs(d2, rows, "milliseconds", "measured time of an added image (ms)")
        d1.set_title("(d) gain over cost, counted")
        d2.set_title("(d, in time) gain over cost, measured")
        for axis in (b, d2):
            axis.tick_params(labelleft=True)
    counts = [len(each) for each in grouped(rows, "way", "strength").values()]
    return Exhibit(
        ENTRY,
        "One addition to a run that began on plain images: the hardest of a larger pool (a), or entropy-guided images "
        "(b), exactly (gradient through the U-Net and the autoencoder) or cheaply (U-Net held fixed, small decoder). "
        f"Mean and its 95% interval over {seeds(counts)}. (d) gain over plain images (ratio 1) against "
        "what an added image costs, in counted operations and in seconds of generation (of the fastest run: other work "
        f"of the machine only slows one down). Numbers at the points: ratios, and the best omegas. {_best(rows)} "
        "Stands for figure 5 a, b and d (ImageNet-100), where both strengths have an "
        f"interior optimum and guidance costs about a fifth of pruning at equal accuracy; c is theory. Its curves are "
        "not published in numbers. "
        f"{NOT_COMPARABLE}",
        rows,
        figure,
    )


def selection_rows(profile: str) -> Rows:
    """Return one row per run: way, strength, seed, accuracy, gain over the mean of ratio 1, and costs."""
    runs = selection_runs(profile)
    if 1 not in runs.get("prune", {}):
        raise missing("selection", profile, "runs with ratio 1, which the others are compared with,")
    plain = np.mean([row["test_accuracy"] for row in runs["prune"][1.0]])
    return [
        {
            "way": way,
            "strength": strength,
            "seed": row["seed"],
            "test_accuracy": row["test_accuracy"],
            "gain": row["test_accuracy"] - plain,
            "operations": row["operations_addition"] / 1e9,
            "milliseconds": row["seconds_addition"] and 1000 * row["seconds_addition"] / row["n_per_round"],
        }
        for way in WAYS
        for strength, mine in runs.get(way, {}).items()
        for row in sorted(mine, key=lambda row: row["seed"])
    ]


def _strengths(axis: Axes, rows: Rows, ways: tuple[str, ...], label: str) -> None:
    for way in ways:
        mine = grouped([row for row in rows if row["way"] == way], "strength")
        if mine:
            draw(axis, {key[0]: [row["test_accuracy"] for row in each] for key, each in mine.items()}, WAYS[way])
    axis.set(xlabel=label, ylabel="real test accuracy (%)")


def _costs(axis: Axes, rows: Rows, cost: str, label: str) -> None:
    rows = [row for row in rows if row[cost] is not None]
    for way, name in WAYS.items():
        groups = grouped([row for row in rows if row["way"] == way], "strength")
        points = [(s, [r[cost] for r in each], [r["gain"] for r in each]) for (s,), each in groups.items()]
        if not points:
            continue
        x, y = [min(point[1]) for point in points], [float(np.mean(point[2])) for point in points]
        look: dict[str, Any] = {"color": COLOURS[name], "marker": MARKERS[name], "label": name}
        axis.errorbar(
            x,
            y,
            [margin(p[2]) for p in points],
            linestyle="-" if way == "prune" else "",
            capsize=2,
            elinewidth=0.7,
            **look,
        )
        named = points if way == "prune" else [points[int(np.argmax(y))]]  # the costs of all omegas are alike
        for point in named:
            i = points.index(point)
            axis.annotate(f"{point[0]:g}", (x[i], y[i]), (5, 5), textcoords="offset points", fontsize=6)
    axis.axhline(0, color="#555555", linestyle=":", linewidth=1)
    axis.set(xscale="log", xlabel=label, ylabel="gain over plain images (points)")
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.xaxis.set_major_formatter("{x:g}")
    axis.minorticks_off()
    axis.legend(loc="upper left")


def _best(rows: Rows) -> str:
    parts = []
    for way, name in WAYS.items():
        groups = grouped([row for row in rows if row["way"] == way], "strength")
        if groups:
            (best,), mine = max(groups.items(), key=lambda item: np.mean([row["gain"] for row in item[1]]))
            cost = np.mean([row["operations"] for row in mine]) / rows[0]["operations"]
            parts.append(
                f"{name} at {best:g}: {np.mean([r['gain'] for r in mine]):+.2f} points for {cost:.2g}x the cost"
            )
    return f"Best of each: {'; '.join(parts)} (cost of an added image in operations, plain = 1)."
