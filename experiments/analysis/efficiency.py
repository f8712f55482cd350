"""Data efficiency: how many static images it takes to do what Deliberate Practice does with fewer.

A curve holds test accuracies by the final number of images; between sizes a mean is read off linearly in the logarithm
of the size. Intervals are 95% intervals over seeds (`experiments.analysis.intervals.drawn_interval`).
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import OptimizeWarning, curve_fit

from experiments.analysis.intervals import Interval, drawn_interval

Curve = dict[int, list[float]]  # images -> one accuracy (percent) per seed
NEAR = 0.5  # points that make no difference


@dataclass(frozen=True)
class Efficiency:
    """Static images over DP images at an accuracy.

    Attributes:
        target: static's best mean accuracy over its sizes, or what was asked for below it.
        static_size: smallest static size with that mean accuracy.
        dp_size: smallest DP size with it; None if no DP run reaches it.
        ratio: static_size / dp_size, or None.
        interval: of the ratio; not reached counts as 0. Where DP may be as good already at its smallest size it has no
            upper end (infinity).
        at_least: whether DP is as good already at its smallest size, so that fewer images might do.
    """

    target: float
    static_size: float
    dp_size: float | None
    ratio: float | None
    interval: Interval
    at_least: bool


@dataclass(frozen=True)
class Equivalent:
    """The static size that does as well as DP at one of its sizes.

    Attributes:
        dp_size: images of the DP run.
        accuracy: its mean.
        static_size: smallest static size with that mean; None if static never gets there.
        ratio: static_size / dp_size; None if static never gets there.
        interval: of the ratio; never reached counts as infinite.
    """

    dp_size: int
    accuracy: float
    static_size: float | None
    ratio: float | None
    interval: Interval


def means(curve: Curve) -> dict[int, float]:
    """Return the mean over seeds at each size, sizes ascending."""
    return {size: float(np.mean(curve[size])) for size in sorted(curve)}


def size_reaching(curve: dict[int, float], target: float) -> float | None:
    """Return the smallest size at which the curve, linear in log size, reaches `target`; None if it never does."""
    below: tuple[int, float] | None = None
    for size, value in curve.items():
        if value >= target:
            if below is None:
                return float(size)
            fraction = (target - below[1]) / (value - below[1])
            return below[0] * (size / below[0]) ** fraction
        below = size, value
    return None


def several(curve: Curve) -> Curve:
    """Return the sizes that have two seeds or more; all if none has. A single seed has no spread to draw from."""
    return {size: values for size, values in curve.items() if len(values) > 1} or curve


def efficiency(static: Curve, dp: Curve, short: float = 0.0) -> Efficiency:
    """Compare the curves at `short` points below static's best; see `Efficiency`.

    Where static is flat its best size is a matter of luck, and the ratio with it; a little below it is not. Sizes of a
    single seed are left out (`several`).
    """
    static, dp = several(static), several(dp)

    def sizes(static: dict[int, float], dp: dict[int, float]) -> tuple[float, float, float | None]:
        target = max(static.values()) - short
        return target, size_reaching(static, target) or 0.0, size_reaching(dp, target)

    def ratio(static: dict[int, float], dp: dict[int, float]) -> float:
        _, n, m = sizes(static, dp)
        return n / m if m else 0.0

    def at_most(static: dict[int, float], dp: dict[int, float]) -> float:
        return np.inf if sizes(static, dp)[2] == min(dp) else ratio(static, dp)

    target, static_size, dp_size = sizes(means(static), means(dp))
    reached = static_size / dp_size if dp_size else None
    interval = drawn_interval(ratio, static, dp)[0], drawn_interval(at_most, static, dp)[1]
    return Efficiency(target, static_size, dp_size, reached, interval, dp_size == min(dp))


def equivalents(static: Curve, dp: Curve) -> list[Equivalent]:
    """Return one comparison for each DP size; see `Equivalent`. Static sizes of a single seed are left out."""
    static, found = several(static), []
    for size, accuracy in means(dp).items():

        def ratio(static: dict[int, float], dp: dict[int, float], size: int = size) -> float:
            return (size_reaching(static, dp[size]) or np.inf) / size

        n = size_reaching(means(static), accuracy)
        found.append(
            Equivalent(size, accuracy, n, n / size if n else None, drawn_interval(ratio, static, {size: dp[size]}))
        )
    return found


def fit(curve: Curve) -> tuple[float, float, float] | None:
    """Fit accuracy = a - b size^-c to the means by least squares: (a, b, c); None if fewer than 4 sizes or no fit."""
    sizes, values = np.array(list(means(curve)), float), np.array(list(means(curve).values()))
    if len(sizes) < 4:
        return None
    unit = sizes[0]  # in units of the smallest size b is of the order of the accuracies
    try:
        (a, b, c), _ = curve_fit(
            lambda n, a, b, c: a - b * n**-c,
            sizes / unit,
            values,
            p0=(min(values[-1] + 1, 100), max(values[-1] - values[0], 0) + 1, 0.5),
            bounds=((0, 0, 0.01), (100, 100, 5)),
        )
    except (RuntimeError, OptimizeWarning):
        return None
    return float(a), float(b * unit**c), float(c)
