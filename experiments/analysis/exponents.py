"""Exponents of errors over sizes, one per seed: the slope of a straight line in logarithms."""

from typing import Any

import numpy as np

from experiments.analysis.intervals import Interval, difference_interval, mean_interval

Rows = list[dict[str, Any]]
DECADE = 10.0  # exponents are those of the largest sizes, down to this factor below the largest


def seed_exponents(rows: Rows, policy: str, loss: str, span: float = DECADE) -> list[float]:
    """Return each seed's exponent over the sizes down to ``span`` below the largest.

    Args:
        rows: Rows of the study ``linear_practice`` of series ``"trained"``.
        policy: Whose rows.
        loss: Of which loss.
        span: Largest size over smallest.
    """
    mine = [row for row in rows if (row["series"], row["policy"], row["loss"]) == ("trained", policy, loss)]
    least = max((row["n_selected"] for row in mine), default=0) / span
    found = []
    for seed in sorted({row["seed"] for row in mine}):
        points = [row for row in mine if row["seed"] == seed and row["n_selected"] >= least]
        x, y = (np.log([row[name] for row in points]) for name in ("n_selected", "test_error"))
        found.append(float(-np.polyfit(x, y, 1)[0]))
    return found


def exponent(rows: Rows, policy: str, loss: str, span: float = DECADE) -> tuple[float, Interval]:
    """Return the mean exponent over seeds and its interval; arguments as in :func:`seed_exponents`."""
    values = seed_exponents(rows, policy, loss, span)
    return float(np.mean(values)), mean_interval(values)


def steeper(rows: Rows, policy: str, loss: str, span: float = DECADE) -> Interval:
    """Return the interval of a policy's exponent minus that of keeping all."""
    return difference_interval(*(seed_exponents(rows, name, loss, span) for name in (policy, "keep all")))
