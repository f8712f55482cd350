"""Generated images side by side."""

import base64
import io
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from PIL import Image

from experiments.engine.results import load
from paper_figures.drawing.shared import missing

SIZE, GAP = 32, 2
STEP = SIZE + GAP


def grids(profile: str) -> dict[str, Any]:
    """Return the result of the grids study.

    Raises:
        UserError: there is none.
    """
    found = load(profile, "grids").get("grids")
    if found is None:
        raise missing("grids", profile)
    return found


def decode(png: str, size: int | None = None) -> np.ndarray:
    """Return the picture, uint8 [H, W] or, of colour, [H, W, 3]; resized to size x size pixels."""
    picture = Image.open(io.BytesIO(base64.b64decode(png)))
    return np.asarray(picture if size in (None, *picture.size) else picture.resize((size, size)))


def mosaic(lines: list[list[dict[str, Any]]], below: int = 0, size: int = SIZE) -> np.ndarray:
    """Return a mosaic of pictures in lines, with light gaps and white space below each."""
    step, across = size + GAP + below, size + GAP
    colours = decode(lines[0][0]["png"]).shape[2:]
    light, white = (255, 255) if colours else (30, 0)  # grey pictures are shown dark on white
    canvas = np.full((len(lines) * step - GAP, len(lines[0]) * across - GAP, *colours), light, np.uint8)
    for i, line in enumerate(lines):
        for j, each in enumerate(line):
            canvas[i * step : (i + 1) * step - GAP, j * across : j * across + size] = white
            canvas[i * step : i * step + size, j * across : j * across + size] = decode(each["png"], size)
    return canvas


def show(
    axis: Axes,
    lines: list[list[dict[str, Any]]],
    rows: list[str] | None = None,
    columns: list[str] | None = None,
    note: str | None = None,
    size: int = SIZE,
) -> None:
    """Draw a mosaic, grey pictures dark on white, its lines and columns named; a dot marks what the learner got wrong.

    Args:
        axis: where.
        lines: pictures, all lines of one length.
        rows, columns: names.
        note: a number of each picture to write below it.
        size: pixels of a picture's side.
    """
    below = 9 * size // SIZE if note else 0
    across, step = size + GAP, size + GAP + below
    axis.imshow(mosaic(lines, below, size), cmap="gray_r", vmin=0, vmax=255, interpolation="nearest")
    axis.set_xticks([across * j + size / 2 for j in range(len(columns or []))], columns or [])
    axis.set_yticks([step * i + size / 2 for i in range(len(rows or []))], rows or [])
    axis.tick_params(length=0, labelsize=7)
    axis.grid(False)
    for spine in axis.spines.values():
        spine.set_visible(False)
    for i, line in enumerate(lines):
        for j, each in enumerate(line):
            x, y = across * j, step * i
            if each.get("correct") == 0:
                axis.plot(x + size - 4, y + 4, "o", color="#D55E00", markeredgecolor="white", markersize=4)
            if note:
                axis.text(x + size / 2, y + size + 4, f"{each[note]:.2f}", ha="center", va="center", fontsize=5.5)
