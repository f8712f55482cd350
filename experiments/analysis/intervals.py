"""95% intervals over seeds: of means and differences by Student's t; of what follows from many means by draws;
and of a straight line over the points that it is fitted to.

With the three to five seeds there are, a bootstrap interval is far too narrow: that of the mean of three values covers
it three times in four.
"""

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from scipy.stats import linregress, t, ttest_1samp, ttest_ind

Interval = tuple[float, float]
At = TypeVar("At")  # where a mean was measured: a size, a strength
DRAWS = 2000


def drawn_interval(
    statistic: Callable[..., float], *measured: dict[At, list[float]], one_spread: bool = False
) -> Interval:
    """Return the interval of a statistic of means, one per size or strength, with a value per seed at each of them.

    `statistic` gets the means of each of `measured`, drawn anew each time: normal about the measured mean, with a
    spread itself drawn from what the seeds say of it (so that the interval of a single mean is Student's). Sizes are
    drawn independently. Without bounds if the seeds say nothing of a spread.

    Args:
        statistic: a number from a mean for each key of a curve, one such dict for each of `measured`.
        measured: curves; a value for each seed at every size or strength.
        one_spread: whether it is the same all along a curve: true of strengths at one size, which so few seeds tell
            it better; of sizes it is not, small sets vary far more than large ones.
    """
    rng = np.random.default_rng(0)
    drawn = [_drawn(curve, one_spread, rng) for curve in measured]
    if not all(drawn):
        return -math.inf, math.inf
    values = [statistic(*curves) for curves in zip(*drawn, strict=True)]
    # An infinite value must not be averaged with a finite one: take the values that are there.
    low, high = np.quantile(values, [0.025, 0.975], method="nearest")
    return float(low), float(high)


def _drawn(curve: dict[At, list[float]], one_spread: bool, rng: np.random.Generator) -> list[dict[At, float]]:
    """Return means of a curve as they may be, `DRAWS` times; none if a spread has no two seeds to tell it."""
    parts = [list(curve.values())] if one_spread else [[values] for values in curve.values()]
    means = []
    for part in parts:
        freedom = sum(len(values) - 1 for values in part)
        if not freedom:
            return []
        squares = sum(len(values) * float(np.var(values)) for values in part)
        deviations = np.sqrt(squares / rng.chisquare(freedom, DRAWS))
        means += [np.mean(values) + deviations * rng.standard_normal(DRAWS) / math.sqrt(len(values)) for values in part]
    return [dict(zip(curve, row, strict=True)) for row in np.transpose(means).tolist()]


def mean_interval(values: list[float]) -> Interval:
    """Return the interval of the mean of a value per seed; a single value bounds nothing."""
    if len(values) < 2:
        return -math.inf, math.inf
    return _bounds(ttest_1samp, values, 0.0)


def difference_interval(a: list[float], b: list[float]) -> Interval:
    """Return the interval of mean(a) - mean(b), whose spreads may differ (Welch); a single value bounds nothing."""
    if min(len(a), len(b)) < 2:
        return -math.inf, math.inf
    return _bounds(ttest_ind, a, b, equal_var=False)


def difference(a: list[float], b: list[float]) -> dict[str, Any]:
    """Return mean(a) - mean(b) as "gain", with its "interval" and the "seeds" that both have."""
    gain = float(np.mean(a) - np.mean(b))
    return {"gain": gain, "interval": difference_interval(a, b), "seeds": min(len(a), len(b))}


def _bounds(test: Callable[..., Any], *samples: Any, **options: Any) -> Interval:
    with warnings.catch_warnings(action="ignore", category=RuntimeWarning):  # that all seeds may agree
        low, high = test(*samples, **options).confidence_interval(0.95)
    return float(low), float(high)


def slope_interval(x: Sequence[float], y: Sequence[float]) -> tuple[float, Interval]:
    """Return the slope of the least-squares line through three points or more, and its interval over the points."""
    line = linregress(x, y)
    return float(line.slope), _around(float(line.slope), float(line.stderr) ** 2, len(x) - 2)


def line_interval(x: Sequence[float], y: Sequence[float], at: float) -> tuple[float, Interval]:
    """Return the height of the least-squares line through three points or more, and its interval over the points."""
    line = linregress(x, y)
    squared_error = float(line.stderr) ** 2 * (float(np.var(x)) + (at - float(np.mean(x))) ** 2)
    height = float(line.intercept + line.slope * at)
    return height, _around(height, squared_error, len(x) - 2)


def _around(middle: float, squared_error: float, freedom: float) -> Interval:
    half = float(t.ppf(0.975, freedom)) * math.sqrt(squared_error)
    return middle - half, middle + half
