"""Does selection change the exponent of the error, or only the constant?"""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.studies.theory_numbers import answer
from paper_figures.drawing.exhibit import THEORY, Entry, Exhibit
from paper_figures.drawing.theory_plots import COLOURS, MARKERS, curve, exhibit, pick, theory_rows, values

ENTRY = Entry(
    "theory_exponent", "Exponents: does selection change the scaling law, or only its constant?", THEORY, 8, ("theory",)
)


def make(profile: str) -> Exhibit:
    """Make the exhibit from the theory study."""
    rows = theory_rows(profile, "exponent")
    first, _, rest = answer(rows).partition(". ")
    caption = (
        "Test error against the rows searched (left) and selected (middle), on log axes: lines are exact, markers "
        "simulated with bars of two standard errors; in the legend the slope through the last three sizes (the last "
        "local exponent). Adaptive, k rounds: each prunes with the classifier of the round before. Right: mean "
        "local exponents, over these sizes alone, for inputs whose eigenvalues fall as a power, the true direction in "
        f"the largest of them (aligned) or spread over all (flat): a crossover between regimes, not other laws. {rest}"
    )
    return exhibit(ENTRY, caption, rows, draw, first)


def draw(rows: list[dict[str, Any]]) -> Figure:
    """Draw the rows of ``theory_numbers.exponent``: isotropic curves, and exponents of power-law spectra."""
    figure, axes = plt.subplots(1, 3, figsize=(6.75, 3.9), layout="constrained")
    flat = pick(rows, spectrum=0.0)
    hardest = next(policy for policy in values(rows, "policy") if policy.startswith("hardest"))
    d = flat[0]["d"]
    rounds = sorted({row["rounds"] for row in pick(flat, policy="adaptive")})
    cases = [
        ("keep all", pick(flat, policy="keep all")),
        (r"best fraction, $\rho = 0.9$", pick(flat, policy="best fraction", rho=0.9)),
        (r"best fraction, $\rho = 1$", pick(flat, policy="best fraction", rho=1.0)),
        *[(f"adaptive, {k} rounds", pick(flat, policy="adaptive", rounds=k)) for k in rounds[1:]],
    ]
    by_selected = [(rf"{hardest}, $\rho = {rho:g}$", pick(flat, policy=hardest, rho=rho)) for rho in (0.9, 1.0)]
    _panel(axes[0], cases, "n_pool", "exponent_pool", d, "rows searched (pool) over d")
    _panel(axes[1], [cases[0], *by_selected, *cases[3:]], "n_selected", "exponent_selected", d, "rows selected over d")
    axes[0].set_ylabel("test error")
    axes[0].set_title("isotropic:\nagainst the pool")
    axes[1].set_title("isotropic:\nagainst the selected rows")
    _spectra(axes[2], [row for row in rows if row["spectrum"] > 0], hardest)
    return figure


def _panel(axis: Axes, cases: list[tuple[str, Any]], x: str, exponent: str, d: int, label: str) -> None:
    for i, (name, mine) in enumerate(cases):
        last = pick(mine, series="exact")[-1][exponent]
        scaled = [row | {x: row[x] / d} for row in mine]
        text = name if isinstance(last, str) else f"{name}: {last:.2f}"
        curve(axis, scaled, x, "test_error", i, text)
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.set_xlabel(label)
    axis.grid(alpha=0.25)
    _legend_below(axis, "policy: last local exponent")


def _legend_below(axis: Axes, title: str) -> None:
    axis.legend(title=title, title_fontsize=6.5, loc="upper center", bbox_to_anchor=(0.45, -0.16))


def _spectra(axis: Axes, rows: list[dict[str, Any]], hardest: str) -> None:
    cases = [("keep all", 1.0), (hardest, 0.9), (hardest, 1.0)]
    for teacher, style, fill in (("aligned", "-", "full"), ("flat", ":", "none")):
        for i, (policy, rho) in enumerate(cases):
            mine = pick(rows, policy=policy, rho=rho, teacher=teacher, series="exact")
            spectra = values(mine, "spectrum")
            means = [np.mean([r["exponent_selected"] for r in pick(mine, spectrum=a)]) for a in spectra]
            name = policy if policy == "keep all" else rf"{policy}, $\rho = {rho:g}$"
            look: dict[str, Any] = {"marker": MARKERS[i], "fillstyle": fill, "color": COLOURS[i]}
            axis.plot(spectra, means, style, label=f"{name}, {teacher}", **look)
    axis.set_xlabel(r"decay $\alpha$ of eigenvalues $k^{-\alpha}$")
    axis.set_ylabel("mean local exponent, selected rows")
    sizes = [row["n_selected"] for row in rows if row["policy"] == "keep all"]
    axis.set_title(f"power law, d = {rows[0]['d']},\n{min(sizes):g} to {max(sizes):g} rows")
    axis.set_ylim(bottom=0)
    axis.grid(alpha=0.25)
    _legend_below(axis, "policy, teacher")
