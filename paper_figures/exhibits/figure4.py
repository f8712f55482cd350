"""Figure 4: scaling of static training and Deliberate Practice, ours beside the published points."""

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from experiments.analysis.efficiency import efficiency, fit
from experiments.analysis.table import curve
from experiments.verdicts.verdict import times
from paper_figures.drawing import published
from paper_figures.drawing.exhibit import MEASURED, Entry, Exhibit, Rows
from paper_figures.drawing.gap import draw_gap
from paper_figures.drawing.shared import NOT_COMPARABLE, draw, numbers, scaling, seeds, title_of
from paper_figures.drawing.style import COLOURS, at_width, style

ENTRY = Entry(
    "figure4",
    "Figure 4: scaling laws of static training and Deliberate Practice (DP)",
    MEASURED,
    4,
    ("scaling", "tuned"),
)

METHODS = ("static", "omega = 0", "DP")


def make(profile: str) -> Exhibit:
    """Make the exhibit from the scaling studies and tables 4 and 5 of the paper."""
    studies = scaling(profile)
    lines = -(-len(studies) // 2) + 1
    with style():
        figure, axes = plt.subplots(lines, 2, figsize=at_width(9.5, 3.4 * lines), sharey="row", layout="constrained")
        panels = list(axes[:-1].flat)
        for axis, ((setting, learner), rows) in zip(panels, studies.items(), strict=False):
            measured(axis, rows, title_of(setting, learner))
        for axis in panels[len(studies) :]:
            axis.set_axis_off()
        _published(axes[-1, 0], 4, "Published: ImageNet-100, ViT-B")
        _published(axes[-1, 1], 5, "Published: ImageNet-1k, ViT-B")
        axes[-1, 1].tick_params(labelleft=True)
        for axis in axes.flat:
            axis.set(xscale="log", xlabel="final number of generated training images")
            if axis.axison:
                axis.legend(loc="lower right", fontsize=6)
    counts = [len(values) for rows in studies.values() for m in METHODS for values in curve(rows, m).values()]
    sentences = " ".join(_sentence(title_of(*key), rows) for key, rows in studies.items())
    return Exhibit(
        ENTRY,
        f"Above, measured here: mean and its 95% interval over {seeds(counts)}. Filled markers are full runs, "
        "hollow ones branch-outs; omega = 0 adds plain images by the same rule. Curves are fits of accuracy = a - b "
        "images^-c to the means (off: root mean square), where there are four sizes or more and all runs are as "
        "long; straight lines only join means. Arrows: from static's best mean to the smallest DP size "
        "that has it, and how many times fewer images that is. Tuned runs of up to as many images as the search had "
        f"are as long as it chose, those of more as its longest{_lengths(studies)}. Equal settings: one guidance scale "
        "and one set of settings for all methods, as the paper compares; tuned: each method at the settings its own "
        "search found. Below: single runs published in tables 4 and 5 of arXiv 2502.15588v1, their gap read off in the "
        f"same way (the paper states 7.5 and 20 times, at a DP size that is better). {sentences} {NOT_COMPARABLE}",
        [row for rows in studies.values() for row in numbers(rows)],
        figure,
    )


def measured(axis: Axes, rows: Rows, title: str) -> None:
    """Draw the methods of a study."""
    for method in METHODS:
        values, full = curve(rows, method), curve(rows, method, branches=False)
        if not values:
            continue
        # Longer runs reach more: a curve over runs of several lengths is no law of the images.
        found = fit(values) if len(_iterations(rows, method)) == 1 else None
        label = method
        if found:
            a, b, c = found
            off = np.sqrt(np.mean([(np.mean(v) - a + b * n**-c) ** 2 for n, v in values.items()]))
            label = f"{method} (fit: c = {c:.2f}, {off:.1f} points off)"
        draw(axis, full, method, line="" if found or len(full) == 1 else "-", label=label)
        branches = {n: v for n, v in curve(rows, method, branches=True).items() if n not in full}
        if branches:
            draw(axis, branches, method, line="", label=None, markerfacecolor="white")
        if found:
            n = np.geomspace(min(values), max(values))
            axis.plot(n, a - b * n**-c, color=COLOURS[method], linewidth=1, linestyle="--" if "0" in method else "-")
    if curve(rows, "DP"):
        draw_gap(axis, curve(rows, "static"), curve(rows, "DP"))
    axis.set_title(f"Measured here: {title}\nguidance scale {_scales(rows)}")
    axis.set_ylabel("real test accuracy (%)")


def _iterations(rows: Rows, method: str) -> list[int]:
    return sorted({row["iterations"] for row in rows if row["method"] == method})


def _lengths(studies: dict[tuple[str, str], Rows]) -> str:
    said = [
        f"{title_of(*key)}, {method} {' and '.join(f'{n:,}' for n in lengths)}"
        for key, rows in studies.items()
        for method in METHODS
        if len(lengths := _iterations(rows, method)) > 1
    ]
    return f" (iterations: {'; '.join(said)})" if said else ""


def _scales(rows: Rows) -> str:
    scales = {row["method"]: row["guidance_scale"] for row in rows if row["method"] in METHODS}
    each = [f"{scales[method]:g}" for method in METHODS if method in scales]
    return each[0] if len(set(each)) == 1 else f"{', '.join(each)} (static, omega = 0, DP)"


def _published(axis: Axes, number: int, title: str) -> None:
    curves = published.curves(number)
    draw_gap(axis, curves["static"], curves["DP"])
    for method, points in curves.items():
        found = fit(points)
        draw(axis, points, method, line="")
        if found:
            n = np.geomspace(min(points), max(points))
            axis.plot(n, found[0] - found[1] * n ** -found[2], color=COLOURS[method], linewidth=1)
    axis.set(title=title, ylabel="real validation accuracy (%)")


def _sentence(name: str, rows: Rows) -> str:
    static, dp = curve(rows, "static"), curve(rows, "DP")
    if not dp:
        return f"{name}: no DP runs yet."
    found = efficiency(static, dp)
    gains = [f"{np.mean(dp[n]) - np.mean(static[n]):+.2f} at {n:,}" for n in dp if n in static]
    equal = f" DP minus static at equal size, points: {', '.join(gains)}." if gains else ""
    return (
        f"{name}: static's best mean is {found.target:.1f}%, at {found.static_size:,.0f} images; static over DP images "
        f"at this accuracy: {times(found.ratio, found.interval, found.at_least)}.{equal}"
    )
