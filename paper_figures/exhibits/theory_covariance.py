"""General covariance: the exact error on simulation."""

from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from paper_figures.drawing.exhibit import THEORY, Entry, Exhibit
from paper_figures.drawing.style import at_width
from paper_figures.drawing.theory_plots import curve, exhibit, largest_gap, pick, theory_rows, values

ENTRY = Entry("theory_covariance", "General covariance: what the paper leaves open", THEORY, 5, ("theory",))


def make(profile: str) -> Exhibit:
    """Make the exhibit from the theory study."""
    rows = theory_rows(profile, "general_covariance")
    gap, _ = largest_gap(rows, "n_pool", "test_error", ("rho", "ridge"))
    caption = (
        f"Inputs with eigenvalues k^-{rows[0]['decay']:g}, d = {rows[0]['d']}, the hardest "
        f"{rows[0]['kept_fraction']:.0%} kept. "
        "Both public versions leave the second moment open."
    )
    solved = f"solving the second moment gives these curves; simulated means differ from them by {gap:.3f} at most"
    return exhibit(ENTRY, caption, rows, draw, solved)


def draw(rows: list[dict[str, Any]]) -> Figure:
    """Draw the rows of ``experiments.studies.theory_numbers.general_covariance``: one panel a ridge."""
    ridges = values(rows, "ridge")
    figure, axes = plt.subplots(
        1, len(ridges), figsize=at_width(4.2 * len(ridges), 3.7), sharey=True, squeeze=False, layout="constrained"
    )
    for axis, ridge in zip(axes[0], ridges, strict=True):
        for i, rho in enumerate(values(rows, "rho")):
            curve(axis, pick(rows, ridge=ridge, rho=rho), "n_pool", "test_error", i, rf"$\rho = {rho:g}$")
        axis.set_xscale("log")
        axis.set_xticks(sorted({row["n_pool"] for row in pick(rows, series="simulation")}))
        axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.xaxis.set_minor_locator(NullLocator())
        axis.set_xlabel("pool size n (before pruning)")
        axis.set_title(rf"ridge $\lambda$ = {ridge:g}")
        axis.grid(alpha=0.25)
    axes[0, 0].set_ylabel("test error")
    axes[0, 0].set_ylim(0, 0.52)
    axes[0, -1].legend(fontsize=7, title="alignment of the pruner", title_fontsize=7, loc="lower left")
    first = rows[0]
    figure.suptitle(
        rf"d = {first['d']}, eigenvalues $k^{{-{first['decay']:g}}}$, hardest {first['kept_fraction']:.0%} kept; "
        "curves: exact, markers: simulation ± 2 standard errors",
    )
    return figure
