"""The isotropic theorem as printed, by version, and the right form, against simulation."""

from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from paper_figures.drawing.exhibit import THEORY, Entry, Exhibit
from paper_figures.drawing.theory_plots import COLOURS, MARKERS, exhibit, listed, pick, theory_rows, values

ENTRY = Entry("theory_errata", "Errata: the theorem as printed, by version, against simulation", THEORY, 4, ("theory",))

TITLES = {
    "arXiv v1": "arXiv v1 (Feb 2025), as printed",
    "ICML 2025": "ICML 2025, as printed",
    "Gaussian margin": "v1's Gaussian margin, the rest corrected",
    "proved": "this project (the form the proofs give)",
}


def make(profile: str) -> Exhibit:
    """Make the exhibit from the theory study."""
    rows = theory_rows(profile, "errata")
    lines = []
    for form in values(rows, "series"):
        defined = [row for row in pick(rows, series=form) if row["deviation"] != "undefined"]
        missing = len(pick(rows, series=form)) - len(defined)
        worst = max(abs(row["deviation"]) for row in defined)
        lines.append(
            f"{TITLES.get(form, form)}: off by up to {worst:.3f}" + (f", undefined in {missing}" if missing else "")
        )
    caption = (
        "arXiv 2502.15588 v1 (February 2025) prints the test error as a Gaussian tail with a mean margin "
        "proportional to r; "
        "the ICML 2025 version prints the angle but still r = omega^2 m + omega~^2 m~, where the proofs of both need "
        f"beta^2 m + beta~^2 m~. In {len(pick(rows, series=values(rows, 'series')[0]))} settings."
    )
    return exhibit(ENTRY, caption, rows, draw, f"against the mean of simulations: {'; '.join(lines)}")


def draw(rows: list[dict[str, Any]]) -> Figure:
    """Draw the rows of ``experiments.studies.theory_numbers.errata``: formula against simulation, one panel a form."""
    forms = values(rows, "series")
    figure, axes = plt.subplots(2, -(-len(forms) // 2), figsize=(6.75, 5.6), sharey=True, layout="constrained")
    for axis, form in zip(axes.flat, forms, strict=False):
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
            0.97, 0.04 if not missing else 0.1, note, transform=axis.transAxes, ha="right", va="bottom", fontsize=7
        )
        axis.set_title(TITLES.get(form, form))
        axis.set_xlabel("simulated test error")
        axis.set_xlim(0, 0.5)
        axis.set_ylim(-0.05, 0.52)
        axis.grid(alpha=0.25)
    for axis in axes[:, 0]:
        axis.set_ylabel("test error by the formula")
    axes.flat[len(forms) - 1].legend(fontsize=7, title="alignment", title_fontsize=7, loc="upper left")
    figure.suptitle(
        f"{len(pick(rows, series=forms[0]))} settings: d = {rows[0]['d']}; n {listed(values(rows, 'n_pool'))}; "
        f"ridge {listed(values(rows, 'ridge'))}; hardest {listed(values(rows, 'kept_fraction'))} kept",
    )
    return figure
