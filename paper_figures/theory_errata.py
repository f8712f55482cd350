"""The isotropic theorem as printed, by version, and the right form, against simulation."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from paper_figures.theory_plots import COLOURS, MARKERS, pick, values

TITLES = {
    "arXiv v1": "arXiv v1 (Feb 2025), as printed",
    "ICML 2025": "ICML 2025, as printed",
    "Gaussian margin": "only the Gaussian margin of v1",
    "proved": "this project (as the proofs reach)",
}


def draw(rows: list[dict[str, Any]]) -> Figure:
    """Draw the rows of ``theory.figures.errata``: formula against simulation, one panel a form."""
    forms = values(rows, "series")
    figure, axes = plt.subplots(1, len(forms), figsize=(3.0 * len(forms), 3.5), sharey=True, layout="constrained")
    for axis, form in zip(axes, forms, strict=True):
        mine = pick(rows, series=form)
        missing = pick(mine, test_error="undefined")
        defined = [row for row in mine if row["test_error"] != "undefined"]
        axis.plot([0, 0.5], [0, 0.5], color="0.6", lw=0.9, zorder=0)
        for i, rho in enumerate(values(rows, "rho")):
            some = pick(defined, rho=rho)
            axis.plot(
                [r["simulation"] for r in some], [r["test_error"] for r in some], MARKERS[i], color=COLOURS[i], ms=4.5,
                label=rf"$\rho = {rho:g}$",
            )  # fmt: skip
            none = pick(missing, rho=rho)
            axis.plot([r["simulation"] for r in none], [-0.025] * len(none), "x", color=COLOURS[i], ms=5)
        worst = max(abs(row["deviation"]) for row in defined)
        note = f"largest deviation {worst:.3f}"
        note += f"\nundefined in {len(missing)} of {len(mine)} (crosses)" if missing else ""
        axis.text(
            0.97, 0.04 if not missing else 0.1, note, transform=axis.transAxes, ha="right", va="bottom", fontsize=8
        )
        axis.set_title(TITLES.get(form, form), fontsize=9)
        axis.set_xlabel("simulated test error")
        axis.set_xlim(0, 0.5)
        axis.set_ylim(-0.05, 0.52)
        axis.grid(alpha=0.25)
    axes[0].set_ylabel("test error by the formula")
    axes[-1].legend(fontsize=8, title="alignment", title_fontsize=8, loc="upper left")
    figure.suptitle(
        f"{len(pick(rows, series=forms[0]))} settings: d = {rows[0]['d']}, n in {values(rows, 'n_pool')}, "
        f"ridge in {values(rows, 'ridge')}, hardest {values(rows, 'kept_fraction')} kept",
        fontsize=9,
    )
    return figure
