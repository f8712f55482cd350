"""Figure 7: error of the linear model against the kept fraction, theory on simulation."""

from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from paper_figures.drawing.exhibit import THEORY, Entry, Exhibit
from paper_figures.drawing.style import at_width
from paper_figures.drawing.theory_plots import curve, exhibit, largest_gap, pick, theory_rows, values

ENTRY = Entry("figure7", "Figure 7: theory, simulation against the exact error", THEORY, 3, ("theory",))


def make(profile: str) -> Exhibit:
    """Make the exhibit from the theory study."""
    rows = theory_rows(profile, "figure7")
    away = [row for row in rows if abs(row["kept_fraction"] - row["threshold"]) > 0.05]
    (gap, _), (gap_away, _) = (
        largest_gap(some, "kept_fraction", "test_error", ("rho", "ridge", "n_pool")) for some in (rows, away)
    )
    caption = (
        f"Test error against the fraction of the pool that is kept, hardest first, d = {rows[0]['d']}. Dotted: the "
        "interpolation threshold p = d / n, where the error peaks at a small ridge. "
        f"Simulated means differ from the exact curves by {gap_away:.3f} at most away from the threshold and by "
        f"{gap:.3f} "
        "at it, where the number of kept rows of a finite pool scatters about d. The paper shows the same agreement; "
        "the curves here are the form that its proofs reach (see the errata)."
    )
    return exhibit(ENTRY, caption, rows, draw)


def draw(rows: list[dict[str, Any]]) -> Figure:
    """Draw the rows of ``experiments.studies.theory_numbers.figure7``: one row a ridge, one column a pool size."""
    ridges, pools = values(rows, "ridge"), values(rows, "n_pool")
    figure, axes = plt.subplots(
        len(ridges), len(pools), figsize=at_width(3.2 * len(pools), 2.9 * len(ridges)),
        sharex=True, sharey=True, squeeze=False, layout="constrained",
    )  # fmt: skip
    for line, ridge in zip(axes, ridges, strict=True):
        for axis, n in zip(line, pools, strict=True):
            mine = pick(rows, ridge=ridge, n_pool=n)
            for i, rho in enumerate(values(mine, "rho")):
                curve(axis, pick(mine, rho=rho), "kept_fraction", "test_error", i, rf"$\rho = {rho:g}$")
            threshold = mine[0]["threshold"]
            axis.axvline(threshold, color="0.5", lw=0.9, ls=":")
            axis.annotate(
                "$p = d/n$", (threshold, -0.022), xytext=(3, 0), textcoords="offset points", fontsize=7, color="0.35"
            )
            axis.set_title(rf"pool n = {n}, $\lambda$ = {ridge:g}")
            axis.grid(alpha=0.25)
            axis.set_ylim(-0.035, 0.52)
    for axis in axes[-1]:
        axis.set_xlabel("kept fraction $p$ (hardest first)")
    for axis in axes[:, 0]:
        axis.set_ylabel("test error")
    axes[0, -1].legend(fontsize=7, title="alignment", title_fontsize=7, loc="upper right")
    figure.suptitle(f"d = {rows[0]['d']}; curves: exact, markers: simulation ± 2 standard errors")
    return figure
