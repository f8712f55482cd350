"""The published numbers (arXiv 2502.15588v1), read from reference/."""

import csv
from typing import Any

from experiments.analysis.efficiency import Curve
from paper_figures.drawing.paths import REFERENCE

HEADINGS = {  # of the columns in words; others are words already
    "data_size": "images",
    "batch_sampling": "batch sampling",
    "n_initial": "N",
    "n_per_round": "P",
    "n_final": "images",
    "initial_patience": "patience at first",
    "branch_out_epoch": "branch-out epoch",
    "real_val": "real validation %",
    "real_train": "real training set %",
    "in_v2": "V2 %",
    "in_sketch": "Sketch %",
    "in_r": "R %",
    "in_a": "A %",
}


def heading(column: str) -> str:
    """Return a column's heading; "... measured" are ours beside the published ones."""
    name = column.removesuffix(" measured")
    return HEADINGS.get(name, name) + column.removeprefix(name)


def table(number: int) -> list[dict[str, Any]]:
    """Read the rows of a table of the paper; numbers as floats, dashes as None."""
    with (REFERENCE / f"table{number}.csv").open(newline="") as file:
        return [{name: _value(text) for name, text in row.items()} for row in csv.DictReader(file)]


def curves(number: int) -> dict[str, Curve]:
    """Return real validation accuracies of table 4 or 5 by method and final size; a size published twice has two."""
    found: dict[str, Curve] = {"static": {}, "DP": {}}
    for row in sorted(table(number), key=lambda row: row["n_final"]):
        found["DP" if row["omega"] else "static"].setdefault(int(row["n_final"]), []).append(row["real_val"])
    return found


def _value(text: str) -> float | str | None:
    if not text:
        return None
    try:
        return float(text)
    except ValueError:
        return text
