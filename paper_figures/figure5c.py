"""Figure 5c: accuracy of the linear model against the over-sampling ratio."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from paper_figures.theory_plots import curve, pick, values


def draw(rows: list[dict[str, Any]]) -> Figure:
    """Draw the rows of ``theory.figures.figure5c``: one panel a ridge, curves exact, markers simulated."""
    ridges = values(rows, "ridge")
    figure, axes = plt.subplots(
        1, len(ridges), figsize=(4.2 * len(ridges), 3.7), sharey=True, squeeze=False, layout="constrained"
    )
    ratios = sorted({row["oversampling_ratio"] for row in pick(rows, series="simulation")})
    for axis, ridge in zip(axes[0], ridges, strict=True):
        for i, rho in enumerate(values(rows, "rho")):
            label = rf"$\rho = {rho:g}$" + (" (exact pruner)" if rho == 1 else "")
            curve(axis, pick(rows, ridge=ridge, rho=rho), "oversampling_ratio", "test_accuracy", i, label, 100)
        axis.set_xscale("log")
        axis.set_xticks(ratios)
        axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.xaxis.set_minor_locator(NullLocator())
        axis.set_xlabel("over-sampling ratio $1/p$ (pool / selected rows)")
        axis.set_title(rf"ridge $\lambda$ = {ridge:g}", fontsize=10)
        axis.grid(alpha=0.25)
    axes[0, 0].set_ylabel("test accuracy (%)")
    axes[0, 0].legend(fontsize=8, title="alignment of the pruner", title_fontsize=8, loc="lower left")
    first = rows[0]
    figure.suptitle(
        f"d = {first['d']}, {first['n_selected']:g} rows selected, hardest first; curves: exact, markers: simulation",
        fontsize=9,
    )
    return figure
