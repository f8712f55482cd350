"""A figure or table of the report: what is shown, from which numbers, and what it says of the paper's claims."""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from matplotlib import pyplot as plt
from matplotlib.figure import Figure

Verdict = Literal["holds here", "does not hold here", "not tested here"]
Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Claim:
    """A published claim and what we measured."""

    id: str
    measured: str
    verdict: Verdict


@dataclass(frozen=True)
class Exhibit:
    """Attributes:
    name: file stem.
    title: heading.
    caption: what is shown and how it was made, plain text.
    rows: the plotted or tabulated numbers, written as CSV.
    figure: the figure, or None for a table.
    table: the rows as shown, or None for a figure.
    published: the paper's rows, shown below.
    claims: verdicts that follow from it.
    """

    name: str
    title: str
    caption: str
    rows: Rows
    figure: Figure | None = None
    table: Rows | None = None
    published: Rows | None = None
    claims: tuple[Claim, ...] = ()


def save(exhibit: Exhibit, folder: Path) -> None:
    """Write PDF and PNG of a figure, and the numbers as CSV."""
    folder.mkdir(parents=True, exist_ok=True)
    if exhibit.figure is not None:
        for suffix in ("pdf", "png"):
            # No creation date: the same numbers give the same file.
            metadata = {"CreationDate": None} if suffix == "pdf" else {"Software": None}
            exhibit.figure.savefig(folder / f"{exhibit.name}.{suffix}", metadata=metadata)
        plt.close(exhibit.figure)
    columns = list(dict.fromkeys(name for row in exhibit.rows for name in row))
    with (folder / f"{exhibit.name}.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(exhibit.rows)
