"""The plotted points of a figure: exact numbers to show where the reader points, and a description in words."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure

MOST = 60  # points of a series; longer ones are curves
FORMULA = re.compile(r"\$(.+?)\$")


@dataclass(frozen=True)
class Point:
    """A plotted point.

    Attributes:
        left, top: where it is, as a share of the figure's width and height, from the upper left corner.
        text: its series and its exact numbers.
    """

    left: float
    top: float
    text: str


def points(figure: Figure) -> list[Point]:
    """Return all points that have a marker, in series of at most `MOST`. The figure must have been drawn."""
    return [point for axis in figure.axes if axis.axison for point in _of_axis(axis)]


def _of_axis(axis: Axes) -> Iterator[Point]:
    bars = [each for each in axis.containers if isinstance(each, ErrorbarContainer)]
    names = {id(each.lines[0]): each.get_label() for each in bars}
    errors = {id(each.lines[0]): _half_lengths(each) for each in bars}
    caps = {id(cap) for each in bars for cap in each.lines[1]}
    ticks = [tick.get_text() for tick in axis.get_yticklabels()]
    named = any(text[:1].isalpha() or " " in text for text in ticks)  # the y axis has rows, not numbers
    rows = dict(zip(axis.get_yticks(), ticks, strict=False)) if named else {}
    for line in axis.lines:
        data = np.asarray(line.get_xydata(), float)
        if (
            line.get_marker() in ("None", None, "")
            or id(line) in caps
            or not 0 < len(data) <= MOST
            or line.get_transform() != axis.transData
        ):
            continue
        label = str(names.get(id(line)) or line.get_label())
        prefix = "" if label.startswith("_") or label == "None" else f"{_plain(label)}: "
        spread = errors.get(id(line))
        places = axis.figure.transFigure.inverted().transform(axis.transData.transform(data))
        for i, ((x, y), (left, up)) in enumerate(zip(data, places, strict=True)):
            if np.isfinite([x, y, left, up]).all() and 0 <= left <= 1 and 0 <= up <= 1:
                plus = f" ± {spread[i]:.3g}" if spread is not None and spread[i] > 0 else ""
                row = rows.get(round(y), "")
                text = f"{row}: {prefix}{x:.4g}{plus}" if row else f"{prefix}{y:.4g}{plus} at {_number(x)}"
                yield Point(left, 1 - up, text)


def _half_lengths(container: ErrorbarContainer) -> np.ndarray | None:
    """Return half the lengths of the error bars of a container: the vertical ones, or else the horizontal ones."""
    bars = container.lines[2]
    if not bars:
        return None
    side = 1 if container.has_yerr else 0
    return np.array([np.ptp(segment[:, side]) / 2 if len(segment) else 0.0 for segment in bars[-1].get_segments()])


def _number(x: float) -> str:
    return f"{x:,.0f}" if x == round(x) else f"{x:.4g}"


def describe(figure: Figure) -> str:
    """Say in words what is drawn: each panel's title, axes and series."""
    panels = []
    for axis in figure.axes:
        series = [text for text in axis.get_legend_handles_labels()[1] if not text.startswith("_")]
        parts = [
            " ".join(axis.get_title().split()),
            f"{axis.get_ylabel()} against {axis.get_xlabel()}" if axis.get_xlabel() and axis.get_ylabel() else "",
            f"series: {', '.join(series)}" if series else "",
        ]
        if axis.axison and any(parts):
            panels.append("; ".join(part for part in parts if part))
    return " | ".join(map(_plain, panels))


def _plain(text: str) -> str:
    r"""Put a text on one line, and formulas without TeX: of n_{sel}\,k^{-\alpha} stays nsel k^-alpha."""
    words = FORMULA.sub(lambda found: re.sub(r"[\\_{}]", "", found[1].replace(r"\,", " ")), text)
    return " ".join(words.split())
