"""The README's pictures: the scaling curves with the gap between them, and what its example of guidance makes."""

from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import torch
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from dp import bundled_oracle, bundled_pipeline, guide
from dp.data.fashion_mnist import CLASSES
from experiments.analysis.table import curve
from paper_figures.drawing.exhibit import Rows
from paper_figures.drawing.gap import draw_gap
from paper_figures.drawing.pictures import grids, mosaic
from paper_figures.drawing.shared import draw, scaling, title_of
from paper_figures.drawing.style import at_width, style

LEARNER = "convnet"  # the learner whose effect is a verdict's
SHOWN = (0, 3, 5, 8, 9)  # t-shirt, dress, sandal, bag, ankle boot
INK, PAPER = "#e6edf3", "#0d1117"  # of a dark page
LETTERS = ("text.color", "axes.labelcolor", "axes.edgecolor", "axes.titlecolor", "xtick.color", "ytick.color")
DARK: dict[Any, Any] = dict.fromkeys(LETTERS, INK) | dict.fromkeys(("figure.facecolor", "axes.facecolor"), PAPER)
LIGHTER = {"static": "#b5b5b5", "omega = 0": "#58a6ff", "DP": "#ff8a3d"}  # the same hues on a dark page


def write(profile: str, light: Path, dark: Path) -> None:
    """Draw the picture for a light page and for a dark one.

    Raises:
        UserError: the grids or the scaling studies have no results.
    """
    for path, on_dark in ((light, False), (dark, True)):
        colours: dict[Any, Any] = DARK if on_dark else {}
        with style(), matplotlib.rc_context(colours):
            figure = picture(profile, on_dark)
            figure.savefig(path, metadata={"Software": None})
            plt.close(figure)


def picture(profile: str, dark: bool = False) -> Figure:
    """Return the picture: one learner, at equal settings and tuned."""
    studies = {setting: rows for (setting, learner), rows in scaling(profile).items() if learner == LEARNER}
    figure, axes = plt.subplots(
        1, 1 + len(studies), figsize=at_width(9.5, 3.1), width_ratios=(1.05, *[1] * len(studies)), layout="constrained"
    )
    _images(axes[0], profile, dark)
    for axis, (setting, rows) in zip(axes[1:], studies.items(), strict=True):
        _curves(axis, rows, dark)
        axis.set_title(title_of(setting, LEARNER))
    axes[1].set_ylabel("real test accuracy (%)")
    axes[1].legend(loc="lower right")
    return figure


def _images(axis: Axes, profile: str, dark: bool) -> None:
    found = grids(profile)["guided"]
    last = max(each["iteration"] for each in found)
    omegas = sorted({each["omega"] for each in found})
    cells = {(each["label"], each["omega"]): each for each in reversed(found) if each["iteration"] == last}
    lines = [[cells[label, omega] for omega in omegas] for label in SHOWN if (label, omegas[0]) in cells]
    canvas = mosaic(lines)
    step = canvas.shape[1] / len(omegas)
    axis.imshow(canvas, cmap="gray" if dark else "gray_r", vmin=0, vmax=255, interpolation="nearest")
    axis.set_xticks([step * (i + 0.5) for i in range(len(omegas))], [f"{omega:g}" for omega in omegas])
    axis.set_yticks([step * (i + 0.5) for i in range(len(lines))], [CLASSES[label] for label in SHOWN[: len(lines)]])
    axis.tick_params(length=0)
    axis.set(title="one seed per row", xlabel="strength of guidance, omega")
    axis.grid(False)
    axis.spines[:].set_visible(False)


def _curves(axis: Axes, rows: Rows, dark: bool) -> None:
    for method, line in (("static", "-"), ("omega = 0", ""), ("DP", "-")):
        values = curve(rows, method)
        if values:
            draw(axis, values, method, line, **({"color": LIGHTER[method]} if dark else {}))
    draw_gap(axis, curve(rows, "static"), curve(rows, "DP"), *([LIGHTER["DP"]] if dark else []))
    axis.set(xscale="log", xlabel="generated training images")


def write_guided(path: Path, omegas: tuple[float, ...] = (0.0, 0.3, 1.0)) -> None:
    """Draw what the README's example makes of the same seeds, one class per column and one omega per row."""
    pipe, classifier = bundled_pipeline(), bundled_oracle()
    rows = []
    for omega in omegas:
        seeds = [torch.Generator().manual_seed(label) for label in range(len(CLASSES))]
        with guide(pipe, classifier, omega=omega):
            (images,) = pipe(list(range(len(CLASSES))), generator=seeds, return_dict=False)
        rows.append(np.hstack([np.asarray(image) for image in images]))
    drawn = Image.fromarray(np.vstack(rows))
    drawn.resize((2 * drawn.width, 2 * drawn.height), Image.Resampling.NEAREST).save(path)
