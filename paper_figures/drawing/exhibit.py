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
from dp.utils.files import atomic
from paper_figures.drawing.hover import Point, describe, points
from paper_figures.drawing.style import style

Rows = list[dict[str, Any]]
FILES = ("pdf", "png", "csv", "tex", "md")


MEASURED, QUESTIONS, THEORY = "Measured on real images", "Open questions", "Theory"
LIVE, CLUSTER = "On this machine", "Measured at the paper's scale"
PARTS = (MEASURED, QUESTIONS, THEORY, LIVE, CLUSTER)  # headings of the report, in order


@dataclass(frozen=True)
class Entry:
    """Facts of an exhibit that are known before it is made.

    Attributes:
        name: file stem, also that of its module.
        title: heading.
        part: one of `PARTS`.
        number: place in its part; of equals the name decides.
        studies: whose results it shows.
    """

    name: str
    title: str
    part: str
    number: int
    studies: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Listed:
    entry: Entry

    @property
    def name(self) -> str:
        return self.entry.name

    @property
    def title(self) -> str:
        return self.entry.title

    @property
    def studies(self) -> tuple[str, ...]:
        return self.entry.studies


@dataclass(frozen=True)
class Exhibit(_Listed):
    """A figure or table.

    Attributes:
        entry: its name, title and place.
        caption: what is shown and how it was made, plain text.
        rows: the plotted or tabulated numbers, written as CSV.
        figure: the figure, or None for a table.
        table: the rows as shown, or None for a figure.
        answer: to the question that the title asks, from the numbers; "" if it asks none.
        published: the paper's rows, shown below.
        measured: what of `published` was measured on a cluster; "" if nothing.
        points: of the figure, once it is saved.
        description: of the figure, once it is saved.
    """

    caption: str
    rows: Rows
    figure: Figure | None = None
    table: Rows | None = None
    answer: str = ""
    published: Rows | None = None
    measured: str = ""
    points: tuple[Point, ...] = ()
    description: str = ""


@dataclass(frozen=True)
class Missing(_Listed):
    """An exhibit whose results are not there; `why` names them and says how to make them. The rest as in `Exhibit`."""

    why: str
    published: Rows | None = None
    measured: str = ""


def make_all(modules: Iterable[ModuleType], profile: str) -> list[Exhibit | Missing]:
    """Make the exhibit of each module; one without results does not keep the others from being made."""
    found: list[Exhibit | Missing] = []
    for module in modules:
        try:
            found.append(module.make(profile))
        except UserError as error:
            found.append(Missing(module.ENTRY, str(error)))
    return found


def save(exhibit: Exhibit, folder: Path) -> Exhibit:
    """Write a figure as PDF and PNG, a table as LaTeX and Markdown, and the numbers of either as CSV.

    Returns:
        the exhibit with the points and the description of its figure.
    """
    if exhibit.figure is not None:
        with style():
            for suffix in ("pdf", "png"):
                # No creation date: the same numbers give the same file.
                metadata = {"CreationDate": None} if suffix == "pdf" else {"Software": None}
                with atomic(folder / f"{exhibit.name}.{suffix}") as partial:
                    exhibit.figure.savefig(partial, format=suffix, metadata=metadata)
        exhibit = replace(exhibit, points=tuple(points(exhibit.figure)), description=describe(exhibit.figure))
        plt.close(exhibit.figure)
    if exhibit.table is not None:
        for suffix, look in (("tex", "latex_booktabs"), ("md", "github")):
            text = tabulate(exhibit.table, headers="keys", tablefmt=look, missingval="", disable_numparse=True)
            with atomic(folder / f"{exhibit.name}.{suffix}") as partial:
                partial.write_text(text + "\n")
    columns = list(dict.fromkeys(name for row in exhibit.rows for name in row))
    with atomic(folder / f"{exhibit.name}.csv") as partial, partial.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(exhibit.rows)
    return exhibit
