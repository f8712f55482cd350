"""95% intervals over seeds of means and of their differences, by Student's t.

With the three to five seeds there are, a bootstrap interval of a mean is far too narrow: that of three values covers
the mean three times in four.
"""

import math

import numpy as np
from scipy.stats import t

Interval = tuple[float, float]


def mean_interval(values: list[float]) -> Interval:
    """Of the mean of a value for each seed; without bounds for a single one."""
    if len(values) < 2:
        return -math.inf, math.inf
    return _around(float(np.mean(values)), _error(values), len(values) - 1)


def difference_interval(a: list[float], b: list[float]) -> Interval:
    """Of mean(a) - mean(b), whose spreads may differ (Welch); without bounds if either is a single value."""
    if min(len(a), len(b)) < 2:
        return -math.inf, math.inf
    one, other = _error(a), _error(b)
    freedom = (one + other) ** 2 / (one**2 / (len(a) - 1) + other**2 / (len(b) - 1)) if one + other else 1.0
    return _around(float(np.mean(a) - np.mean(b)), one + other, freedom)


def _error(values: list[float]) -> float:
    """Squared standard error of the mean."""
    return float(np.var(values, ddof=1)) / len(values)


def _around(middle: float, squared_error: float, freedom: float) -> Interval:
    half = float(t.ppf(0.975, freedom)) * math.sqrt(squared_error)
    return middle - half, middle + half
