"""Adaptive rounds: every round prunes with the classifier of the one before."""

from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from paper_figures.drawing.exhibit import THEORY, Entry, Exhibit
from paper_figures.drawing.style import at_width
from paper_figures.drawing.theory_plots import COLOURS, MARKERS, curve, exhibit, pick, theory_rows, values

ENTRY = Entry("theory_adaptive", "Adaptive rounds: the theory of practice", THEORY, 6, ("theory",))


def make(profile: str) -> Exhibit:
    """Make the exhibit from the theory study."""
    rows = theory_rows(profile, "adaptive")
    last = max(row["round"] for row in rows)
    ends = pick(rows, round=last, series="exact")
    best, worst = (pick_by(ends, key=lambda row: row["test_error"]) for pick_by in (min, max))
    caption = (
        f"Each round keeps {rows[0]['n_selected']:,} rows of a fresh pool (d = {rows[0]['d']}), pruned by the last "
        "round's classifier; the first round is not pruned. Lines are exact, markers simulated, with bars of two "
        "standard errors. Accumulating the kept rows of all rounds (hollow) "
        "has no theory yet and is simulated."
    )
    reached = (
        f"after round {last} the error is {best['test_error']:.3f} at best ({_setting(best)}) and "
        f"{worst['test_error']:.3f} at worst ({_setting(worst)})"
    )
    return exhibit(ENTRY, caption, rows, draw, reached)


def _setting(row: dict[str, Any]) -> str:
    return f"keeping {row['kept_fraction']:.0%}, ridge {row['ridge']:g}"


def draw(rows: list[dict[str, Any]]) -> Figure:
    """Draw the rows of ``experiments.studies.theory_numbers.adaptive``: one panel a ridge."""
    ridges, fractions = values(rows, "ridge"), values(rows, "kept_fraction")
    figure, axes = plt.subplots(
        1, len(ridges), figsize=at_width(1.8 + 3.9 * len(ridges), 3.7), sharey=True, squeeze=False, layout="constrained"
    )
    for axis, ridge in zip(axes[0], ridges, strict=True):
        for i, p in enumerate(fractions):
            mine = pick(rows, ridge=ridge, kept_fraction=p)
            curve(axis, mine, "round", "test_error", i, "")
            together = pick(mine, series="accumulated")
            axis.plot(
                [r["round"] for r in together], [r["test_error"] for r in together],
                ls="--", lw=1.1, marker=MARKERS[i], mfc="white", ms=5, color=COLOURS[i],
            )  # fmt: skip
        axis.set_yscale("log")
        axis.set_yticks([0.01, 0.02, 0.05, 0.1, 0.2], ["0.01", "0.02", "0.05", "0.1", "0.2"])
        axis.set_xlabel("round (round 0 is not pruned)")
        axis.set_title(rf"ridge $\lambda$ = {ridge:g}")
        axis.grid(alpha=0.25)
    axes[0, 0].set_ylabel("test error")
    names = ["keep all" if p == 1 else f"hardest {p:.0%}" for p in fractions]
    handles = [
        *(Line2D([], [], color=COLOURS[i], marker=MARKERS[i], ms=4, label=name) for i, name in enumerate(names)),
        Line2D([], [], color="0.3", marker="o", ms=4, label="fresh pool a round:\nexact and simulated"),
        Line2D([], [], color="0.3", ls="--", marker="o", mfc="white", label="all rounds' rows\n(simulated only)"),
    ]
    figure.legend(handles=handles, fontsize=7, loc="outside right center")
    first = rows[0]
    figure.suptitle(f"d = {first['d']}, {first['n_selected']} rows selected a round")
    return figure
