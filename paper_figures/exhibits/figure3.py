"""Figure 3: accuracy of the linear model against the number of selected rows."""

from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from paper_figures.drawing.exhibit import THEORY, Entry, Exhibit
from paper_figures.drawing.style import at_width
from paper_figures.drawing.theory_plots import exhibit, theory_rows

ENTRY = Entry("figure3", "Figure 3: theory, learning from hard examples", THEORY, 1, ("theory",))

COLOURS = ("#000000", "#56B4E9", "#009E73", "#E69F00", "#D55E00")  # Okabe and Ito, colour-blind safe
MARKERS = ("o", "s", "^", "D", "v")


def make(profile: str) -> Exhibit:
    """Make the exhibit from the theory study."""
    rows = theory_rows(profile, "figure3")
    return exhibit(
        ENTRY,
        f"A ridge classifier in d = {rows[0]['d']} dimensions trained on the rows a pruner keeps: all of them, or "
        "those nearest to the pruner's decision boundary. The axis counts SELECTED rows; the pool that was searched "
        "for them is larger by 1/p, so keeping 10% of a pool takes ten times the pool. Curves are the exact error, "
        "markers the mean of independent simulations. The paper (figure 3) does not state the pruner's alignment rho; "
        f"we show a perfect pruner and an imperfect one. {_ends(rows)}",
        rows,
        draw,
    )


def _ends(rows: list[dict[str, Any]]) -> str:
    """Compare selection with keeping all, at perfect alignment, with most and with fewest rows."""
    aligned = max(row["rho"] for row in rows)
    exact = [row for row in rows if row["series"] == "exact" and row["rho"] == aligned]
    parts = []
    sizes = {round(row["n_selected"]) for row in exact}
    for size in (max(sizes), min(sizes)):
        at = {row["kept_fraction"]: row["test_accuracy"] for row in exact if round(row["n_selected"]) == size}
        best = max(at, key=lambda p: at[p])
        chosen = "keeping all is best" if best == 1 else f"keeping the hardest {best:.0%} is best with {at[best]:.1%}"
        parts.append(f"with {size:,.0f} selected rows {chosen}, all give {at[1.0]:.1%}")
    return f"At rho = {aligned:g}, {'; '.join(parts)}."


def draw(rows: list[dict[str, Any]]) -> Figure:
    """Draw the rows of ``theory_numbers.figure3``: one panel an alignment, curves exact, markers simulated."""
    alignments = sorted({row["rho"] for row in rows}, reverse=True)
    fractions = sorted({row["kept_fraction"] for row in rows}, reverse=True)
    figure, axes = plt.subplots(
        1,
        len(alignments),
        figsize=at_width(4.6 * len(alignments), 4.4),
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for axis, rho in zip(axes[0], alignments, strict=True):
        for fraction, colour, marker in zip(fractions, COLOURS, MARKERS, strict=False):
            mine = [row for row in rows if row["rho"] == rho and row["kept_fraction"] == fraction]
            exact = [row for row in mine if row["series"] == "exact"]
            drawn = [row for row in mine if row["series"] == "simulation"]
            axis.plot([r["n_selected"] for r in exact], [100 * r["test_accuracy"] for r in exact], color=colour, lw=1.4)
            axis.errorbar(
                [r["n_selected"] for r in drawn],
                [100 * r["test_accuracy"] for r in drawn],
                [200 * r["standard_error"] for r in drawn],
                color=colour, marker=marker, ms=4.5, ls="none", capsize=2,
            )  # fmt: skip
        axis.axhline(50, color="0.8", lw=0.8, zorder=0)
        axis.set_xscale("log", base=2)
        axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_xlabel("rows selected for training, $n_{sel}$   (pool searched: $n_{sel}/p$)")
        kind = "pruner knows the labels" if rho == 1 else "pruner is imperfect"
        axis.set_title(rf"{kind}, $\rho = {rho:g}$")
        axis.grid(alpha=0.25)
    axes[0, 0].set_ylabel("test accuracy (%)")
    handles = [
        Line2D([], [], color=colour, marker=marker, ms=4.5, lw=1.4, label=_label(fraction))
        for fraction, colour, marker in zip(fractions, COLOURS, MARKERS, strict=False)
    ]
    figure.legend(handles=handles, ncols=3, loc="outside lower center")
    first = rows[0]
    figure.suptitle(
        f"d = {first['d']}, ridge {first['ridge']:g}; curves: exact, markers: simulation ± 2 standard errors",
    )
    return figure


def _label(fraction: float) -> str:
    if fraction == 1:
        return r"keep all (pool $= n_{sel}$)"
    return rf"hardest {100 * fraction:g}% (pool $= {1 / fraction:.3g}\,n_{{sel}}$)"
