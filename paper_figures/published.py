"""The published numbers (arXiv 2502.15588v1), read from reference/."""

import csv

from paper_figures.paths import REFERENCE


def table(number: int) -> list[dict[str, float | str | None]]:
    """The rows of a table of the paper; numbers as floats, dashes as None."""
    with (REFERENCE / f"table{number}.csv").open(newline="") as file:
        return [{name: _value(text) for name, text in row.items()} for row in csv.DictReader(file)]


def _value(text: str) -> float | str | None:
    if not text:
        return None
    try:
        return float(text)
    except ValueError:
        return text
