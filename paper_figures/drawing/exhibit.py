"""A figure or table of the report: what is shown and from which numbers."""

import csv
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from tabulate import tabulate

from dp.utils.errors import UserError
from paper_figures.drawing.hover import Point, describe, points
from paper_figures.drawing.style import style

Rows = list[dict[str, Any]]
FILES = ("pdf", "png", "csv", "tex", "md")


@dataclass(frozen=True)
class Exhibit:
    """Attributes:
    name: file stem.
    title: heading.
    caption: what is shown and how it was made, plain text.
    rows: the plotted or tabulated numbers, written as CSV.
    figure: the figure, or None for a table.
    table: the rows as shown, or None for a figure.
    answer: to the question that the title asks, from the numbers; "" if it asks none.
    published: the paper's rows, shown below.
    measured: what of `published` was measured on a cluster; "" if nothing.
    studies: that its results are of.
    points: of the figure, once it is saved.
    description: of the figure, once it is saved.
    """

    name: str
    title: str
    caption: str
    rows: Rows
    figure: Figure | None = None
    table: Rows | None = None
    answer: str = ""
    published: Rows | None = None
    measured: str = ""
    studies: tuple[str, ...] = ()
    points: tuple[Point, ...] = ()
    description: str = ""


@dataclass(frozen=True)
class Missing:
    """An exhibit whose results are not there; `why` names them and says how to make them. The rest as in `Exhibit`."""

    name: str
    title: str
    why: str
    published: Rows | None = None
    measured: str = ""
    studies: tuple[str, ...] = ()


def make_all(modules: Iterable[ModuleType], profile: str) -> list[Exhibit | Missing]:
    """The exhibit of each module; one without results does not keep the others from being made."""
    found: list[Exhibit | Missing] = []
    for module in modules:
        try:
            found.append(replace(module.make(profile), studies=module.STUDIES))
        except UserError as error:
            title = (module.__doc__ or "").splitlines()[0].removesuffix(".")
            found.append(Missing(module.__name__.split(".")[-1], title, str(error), studies=module.STUDIES))
    return found


def save(exhibit: Exhibit, folder: Path) -> Exhibit:
    """Write a figure as PDF and PNG, a table as LaTeX and Markdown, and the numbers of either as CSV.

    Returns:
        the exhibit with the points and the description of its figure.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if exhibit.figure is not None:
        with style():
            for suffix in ("pdf", "png"):
                # No creation date: the same numbers give the same file.
                metadata = {"CreationDate": None} if suffix == "pdf" else {"Software": None}
                exhibit.figure.savefig(folder / f"{exhibit.name}.{suffix}", metadata=metadata)
        exhibit = replace(exhibit, points=tuple(points(exhibit.figure)), description=describe(exhibit.figure))
        plt.close(exhibit.figure)
    if exhibit.table is not None:
        for suffix, look in (("tex", "latex_booktabs"), ("md", "github")):
            text = tabulate(exhibit.table, headers="keys", tablefmt=look, missingval="", disable_numparse=True)
            (folder / f"{exhibit.name}.{suffix}").write_text(text + "\n")
    columns = list(dict.fromkeys(name for row in exhibit.rows for name in row))
    with (folder / f"{exhibit.name}.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(exhibit.rows)
    return exhibit
