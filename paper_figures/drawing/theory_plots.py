"""Draw exact curves with simulated points on them, for the theory figures."""

from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.engine.results import load
from paper_figures.drawing.exhibit import Entry, Exhibit, Rows
from paper_figures.drawing.shared import missing
from paper_figures.drawing.style import style

# Okabe and Ito, told apart by readers with any colour vision; markers repeat the distinction in print.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P")


def pick(rows: Rows, **columns: Any) -> Rows:
    """Return the rows with these values in these columns."""
    return [row for row in rows if all(row.get(name) == value for name, value in columns.items())]


def values(rows: Rows, column: str) -> list[Any]:
    """Return the distinct values of a column, in order of appearance."""
    return list(dict.fromkeys(row[column] for row in rows))


def listed(numbers: list[float]) -> str:
    """Return numbers in words: "0.1, 0.5"."""
    return ", ".join(f"{number:g}" for number in numbers)


def curve(axis: Axes, rows: Rows, x: str, y: str, index: int, label: str, scale: float = 1.0) -> None:
    """Draw the rows of series exact as a line and those of series simulation as points, 2 standard errors long."""
    exact, drawn = pick(rows, series="exact"), pick(rows, series="simulation")
    colour, marker = COLOURS[index % len(COLOURS)], MARKERS[index % len(MARKERS)]
    axis.plot([r[x] for r in exact], [scale * r[y] for r in exact], color=colour, lw=1.4)
    axis.errorbar(
        [r[x] for r in drawn],
        [scale * r[y] for r in drawn],
        [2 * scale * r["standard_error"] for r in drawn],
        color=colour, marker=marker, ms=4, ls="none", capsize=2, label=label,
    )  # fmt: skip


def theory_rows(profile: str, figure: str) -> Rows:
    """Return the rows that the theory study has recorded for a figure."""
    results = load(profile, "theory")
    if figure not in results:
        raise missing("theory", profile, figure)
    return results[figure]["rows"]


def exhibit(
    entry: Entry,
    caption: str,
    rows: Rows,
    draw: Callable[[Rows], Figure],
    answer: str = "",
    loss: str = "Squared loss. ",
) -> Exhibit:
    """Make the exhibit of a theory figure, whose caption begins with the loss."""
    with style():
        figure = draw(rows)
    return Exhibit(entry, loss + caption, rows, figure, answer=answer)


def largest_gap(rows: Rows, x: str, y: str, curves: tuple[str, ...]) -> tuple[float, dict[str, Any]]:
    """Return the largest distance of a simulated mean from its exact curve, linear in log `x`, and the row it is at.

    Args:
        rows: rows of series "exact" and "simulation".
        x, y: columns of the axes.
        curves: columns that tell the curves apart.
    """
    gaps = []
    for key in {tuple(row[name] for name in curves) for row in rows}:
        mine = pick(rows, **dict(zip(curves, key, strict=True)))
        exact = sorted(pick(mine, series="exact"), key=lambda row: row[x])
        log_x, height = np.log([row[x] for row in exact]), np.array([row[y] for row in exact])
        for row in pick(mine, series="simulation"):
            gaps.append((abs(row[y] - np.interp(np.log(row[x]), log_x, height)), row))
    gap, row = max(gaps, key=lambda pair: pair[0])
    return float(gap), row
