"""Generated images side by side."""

import base64
import io
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from PIL import Image

from experiments.results import load
from paper_figures.shared import missing

SIZE, GAP = 32, 2
STEP = SIZE + GAP


def grids(profile: str) -> dict[str, Any]:
    """The result of the grids study.

    Raises:
        UserError: there is none.
    """
    found = load(profile, "grids").get("grids")
    if found is None:
        raise missing("grids", profile)
    return found


def decode(png: str) -> np.ndarray:
    """The picture, uint8 [32, 32]."""
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(png))))


def mosaic(lines: list[list[dict[str, Any]]], below: int = 0) -> np.ndarray:
    """Pictures in lines, with light gaps and white space below each."""
    step = STEP + below
    canvas = np.full((len(lines) * step - GAP, len(lines[0]) * STEP - GAP), 30, np.uint8)
    for i, line in enumerate(lines):
        for j, each in enumerate(line):
            canvas[i * step : (i + 1) * step - GAP, j * STEP : j * STEP + SIZE] = 0
            canvas[i * step : i * step + SIZE, j * STEP : j * STEP + SIZE] = decode(each["png"])
    return canvas


def show(
    axis: Axes,
    lines: list[list[dict[str, Any]]],
    rows: list[str] | None = None,
    columns: list[str] | None = None,
    note: str | None = None,
) -> None:
    """A mosaic, dark on white, its lines and columns named; a dot marks what the learner got wrong.

    Args:
        axis: where.
        lines: pictures, all lines of one length.
        rows, columns: names.
        note: a number of each picture to write below it.
    """
    below = 9 if note else 0
    step = STEP + below
    axis.imshow(mosaic(lines, below), cmap="gray_r", vmin=0, vmax=255, interpolation="nearest")
    axis.set_xticks([STEP * j + SIZE / 2 for j in range(len(columns or []))], columns or [])
    axis.set_yticks([step * i + SIZE / 2 for i in range(len(rows or []))], rows or [])
    axis.tick_params(length=0, labelsize=7)
    axis.grid(False)
    for spine in axis.spines.values():
        spine.set_visible(False)
    for i, line in enumerate(lines):
        for j, each in enumerate(line):
            x, y = STEP * j, step * i
            if each.get("correct") == 0:
                axis.plot(x + SIZE - 4, y + 4, "o", color="#D55E00", markeredgecolor="white", markersize=4)
            if note:
                axis.text(x + SIZE / 2, y + SIZE + 4, f"{each[note]:.2f}", ha="center", va="center", fontsize=5.5)
