"""Phase diagram of label-aware selection: when it beats rules that do not look at labels, the pruner, the labels."""

from dataclasses import replace
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from experiments.studies.theory_label_aware import label_aware_answer, label_aware_table
from paper_figures.drawing.exhibit import THEORY, Entry, Exhibit
from paper_figures.drawing.style import at_width
from paper_figures.drawing.theory_plots import exhibit, pick, theory_rows, values

ENTRY = Entry("theory_label_aware", "Phase diagram: when to keep the rows whose label agrees", THEORY, 7, ("theory",))


def make(profile: str) -> Exhibit:
    """Make the exhibit from the theory study."""
    rows = theory_rows(profile, "label_aware")
    caption = (
        "The best rule that keeps only rows whose label is the pruner's, against the best that does not look at "
        "labels, each among keeping all, the hardest and the easiest margins at any fraction, the ridge tuned at every "
        "point for both. The pruner errs independently of the generator. Labels beaten: the error on clean labels is "
        "below the share of wrong labels in the pool."
    )
    made = exhibit(ENTRY, caption, rows, draw, label_aware_answer(rows))
    return replace(made, table=label_aware_table(rows))


def draw(rows: list[dict[str, Any]]) -> Figure:
    """Draw the rows of ``theory_label_aware.label_aware``: a row of panels per label noise, a column per generator."""
    rows = pick(rows, series="exact")
    noises, qualities = values(rows, "label_noise"), values(rows, "generator_alignment")
    size = at_width(12, 3.7 * len(noises))
    figure, axes = plt.subplots(len(noises), len(qualities), figsize=size, squeeze=False, layout="constrained")
    colours = LinearSegmentedColormap.from_list(
        "worse to better", ["#B35806", "#FDB863", "#F7F7F7", "#92C5DE", "#08519C"]
    )
    mesh = None
    for across, noise in zip(axes, noises, strict=True):
        for axis, quality in zip(across, qualities, strict=True):
            mine = pick(rows, label_noise=noise, generator_alignment=quality)
            x, y = values(mine, "n_over_d"), values(mine, "alignment")
            aware, agnostic, pruner, label = (
                np.array([row[f"{name}_error"] for row in mine]).reshape(len(y), len(x))
                for name in ("aware", "agnostic", "pruner", "label")
            )
            gain = 100 * (1 - aware / agnostic)
            mesh = axis.pcolormesh(x, y, gain, cmap=colours, vmin=-60, vmax=60, shading="nearest", rasterized=True)
            # In greyscale the two colours are alike.
            worse = axis.contourf(x, y, gain, levels=[-1e9, -0.1], colors="none", hatches=["..."])
            worse.set(edgecolor="#8a4b08", linewidth=0)
            for rival, line in ((pruner, "-"), (label, "--")):
                axis.contour(x, y, aware - rival, levels=[0], colors="0.1", linewidths=1.1, linestyles=line)
            axis.set_xscale("log", base=2)
            axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axis.set_xlabel("pool over dimension, n/d")
            axis.set_ylabel("pruner's cosine with the truth", fontsize=6.5)
            axis.set_title(f"generator cosine {quality:g},\n{noise:.0%} of the labels flipped", fontsize=6.5)
    figure.supxlabel(
        "Solid: as good as the pruner (better below and right). Dashed: as good as the labels. Dotted area: looking at "
        "labels hurts.",
        fontsize=6.5,
    )
    if mesh is not None:
        figure.colorbar(mesh, ax=axes, shrink=0.7, label="less error than without looking at labels (%)")
    return figure
