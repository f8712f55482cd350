"""Phase diagram: which rows of a pool are best to keep."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.contour import ContourSet
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from experiments.studies.theory_numbers import answer
from paper_figures.drawing.exhibit import THEORY, Entry, Exhibit
from paper_figures.drawing.style import at_width
from paper_figures.drawing.theory_plots import exhibit, pick, theory_rows, values

ENTRY = Entry("theory_phase", "Phase diagram: what to keep", THEORY, 7, ("theory",))

AXES = {"labels": "pruner's cosine with the labels", "truth": "pruner's cosine with the truth"}


def make(profile: str) -> Exhibit:
    """Make the exhibit from the theory study."""
    rows = theory_rows(profile, "phase")
    first, _, rest = answer(rows).partition(". ")
    caption = (
        "The selection with the least error, among keeping all, the hardest and the easiest rows at any "
        "fraction, the ridge "
        f"tuned at every point. {rest}"
    )
    return exhibit(ENTRY, caption, rows, draw, first)


def draw(rows: list[dict[str, Any]]) -> Figure:
    """Draw the rows of ``theory_numbers.phase``: one panel a generator quality and kind of pruner."""
    rows = pick(rows, series="exact")
    cases = list(dict.fromkeys((row["pruner"], row["generator_alignment"]) for row in rows))
    cases.sort(key=lambda case: (case[0] != "labels", -case[1]))
    figure, axes = plt.subplots(2, 3, figsize=at_width(12, 7.4), squeeze=False, layout="constrained")
    colours = LinearSegmentedColormap.from_list("easy to hard", ["#B35806", "#FDB863", "#F7F7F7", "#92C5DE", "#08519C"])
    places = [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2)]
    mesh = None
    for (kind, quality), place in zip(cases, places, strict=False):
        axis, mine = axes[place], pick(rows, pruner=kind, generator_alignment=quality)
        x, y = values(mine, "n_over_d"), sorted(values(mine, "alignment"))
        strength = np.zeros((len(y), len(x)))
        for row in mine:
            sign = {"hard": 1, "easy": -1, "all": 0}[row["kind"]]
            strength[y.index(row["alignment"]), x.index(row["n_over_d"])] = sign * -np.log10(row["kept_fraction"])
        mesh = axis.pcolormesh(x, y, strength, cmap=colours, vmin=-1.5, vmax=1.5, shading="nearest", rasterized=True)
        gain = np.zeros_like(strength)
        for row in mine:
            gain[y.index(row["alignment"]), x.index(row["n_over_d"])] = row["gain"]
        lines = axis.contour(x, y, gain, levels=[0.05, 0.2, 0.5], colors="0.15", linewidths=0.8)
        # In greyscale the two colours are alike.
        easy = axis.contourf(x, y, strength, levels=[-9, -0.05], colors="none", hatches=["..."])
        easy.set(edgecolor="#8a4b08", linewidth=0)
        for text in axis.clabel(lines, fmt=lambda level: f"{level:.0%}", fontsize=6, manual=_innermost(lines, axis)):
            text.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 0.4, "alpha": 0.8})
        axis.set_xscale("log", base=2)
        axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_xlabel("pool over dimension, n/d")
        axis.set_ylabel(AXES[kind], fontsize=6.5)
        if quality == 1:
            axis.set_title("perfect generator,\neither pruner", fontsize=6.5)
        else:
            axis.set_title(f"generator cosine {quality:g},\npruner aligned with the {kind}", fontsize=6.5)
    note = axes[1, 0]
    note.axis("off")
    note.text(
        -0.2, 0.95,
        "Colour: the rows to keep\n(blue: hardest; orange and\ndotted: easiest; white: all).\n\n"
        "Contours, from outside: the\nerror falls 5, 20 and 50%\nbelow that of keeping all.",
        transform=note.transAxes, va="top",
    )  # fmt: skip
    if mesh is not None:
        ticks = [-np.log10(f) for f in (0.05, 0.1, 0.3)]
        bar = figure.colorbar(mesh, ax=axes, shrink=0.7, label="rows kept")
        bar.set_ticks([*[-t for t in ticks], 0, *ticks[::-1]])
        bar.ax.set_yticklabels(["easiest 5%", "10%", "30%", "all", "30%", "10%", "hardest 5%"], fontsize=7)
    return figure


def _innermost(lines: ContourSet, axis: Axes) -> list[tuple[float, float]]:
    """Return the point of each contour nearest to the middle of the axes; none where that is too near an edge."""
    middle, found = axis.transAxes.transform((0.5, 0.5)), []
    for path in lines.get_paths():
        if len(points := np.asarray(path.vertices)):
            away = np.linalg.norm(axis.transData.transform(points) - middle, axis=1)
            inside = axis.transAxes.inverted().transform(axis.transData.transform(points[away.argmin()]))
            if 0.05 < min(inside) and max(inside) < 0.95:
                found.append(tuple(points[away.argmin()]))
    return found
