"""The published numbers (arXiv 2502.15588v1), read from reference/."""

import csv
from typing import Any

from experiments.efficiency import Curve
from paper_figures.paths import REFERENCE


def table(number: int) -> list[dict[str, Any]]:
    """The rows of a table of the paper; numbers as floats, dashes as None."""
    with (REFERENCE / f"table{number}.csv").open(newline="") as file:
        return [{name: _value(text) for name, text in row.items()} for row in csv.DictReader(file)]


def curves(number: int) -> dict[str, Curve]:
    """Method -> final size -> real validation accuracy of table 4 or 5; a size published twice has two."""
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
