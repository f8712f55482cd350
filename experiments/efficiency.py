"""Data efficiency: how many static images it takes to do what Deliberate Practice does with fewer.

A curve holds test accuracies by the final number of images; between sizes a mean is read off linearly in the logarithm
of the size. Intervals are 95% bootstrap intervals over seeds, drawn at each size on its own.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import OptimizeWarning, curve_fit

Curve = dict[int, list[float]]  # images -> one accuracy (percent) a seed
DRAWS = 2000


@dataclass(frozen=True)
class Efficiency:
    """Static images at static's best size over the DP images that do as well.

    Attributes:
        best: static's best mean accuracy over its sizes.
        static_size: the size at which it is reached.
        dp_size: smallest DP size with that mean accuracy; None if no DP run reaches it.
        ratio: static_size / dp_size, or None.
        interval: of the ratio; not reached counts as 0.
        at_least: whether DP is as good already at its smallest size, so that fewer images might do.
    """

    best: float
    static_size: int
    dp_size: float | None
    ratio: float | None
    interval: tuple[float, float]
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
    interval: tuple[float, float]


def means(curve: Curve) -> dict[int, float]:
    """Mean over seeds at each size, sizes ascending."""
    return {size: float(np.mean(curve[size])) for size in sorted(curve)}


def size_reaching(curve: dict[int, float], target: float) -> float | None:
    """Smallest size at which the curve, linear in log size, is at `target` or above; None if it never is."""
    sizes, values = np.array(list(curve)), np.array(list(curve.values()))
    reached = np.flatnonzero(values >= target)
    if not len(reached):
        return None
    i = reached[0]
    if i == 0:
        return float(sizes[0])
    fraction = (target - values[i - 1]) / (values[i] - values[i - 1])
    return float(np.exp(np.log(sizes[i - 1]) + fraction * np.log(sizes[i] / sizes[i - 1])))


def efficiency(static: Curve, dp: Curve) -> Efficiency:
    """Compare the curves at static's best; see `Efficiency`."""
    best, static_size, dp_size = _at_best(means(static), means(dp))

    def ratio(static: dict[int, float], dp: dict[int, float]) -> float:
        _, n, m = _at_best(static, dp)
        return n / m if m else 0.0

    interval = _interval(lambda draw: ratio(means(draw(static)), means(draw(dp))))
    reached = static_size / dp_size if dp_size else None
    return Efficiency(best, static_size, dp_size, reached, interval, dp_size == min(dp))


def equivalents(static: Curve, dp: Curve) -> list[Equivalent]:
    """One for each DP size; see `Equivalent`."""
    found = []
    for size, accuracy in means(dp).items():
        at_size = {size: dp[size]}

        def ratio(draw: Callable[[Curve], Curve], at_size: Curve = at_size, size: int = size) -> float:
            return (size_reaching(means(draw(static)), means(draw(at_size))[size]) or np.inf) / size

        n = size_reaching(means(static), accuracy)
        found.append(Equivalent(size, accuracy, n, n / size if n else None, _interval(ratio)))
    return found


def fit(curve: Curve) -> tuple[float, float, float] | None:
    """(a, b, c) of accuracy = a - b size^-c, by least squares over the means; None if fewer than 4 sizes or no fit."""
    sizes, values = np.array(list(means(curve)), float), np.array(list(means(curve).values()))
    if len(sizes) < 4:
        return None
    unit = sizes[0]  # in units of the smallest size b is of the order of the accuracies
    try:
        (a, b, c), _ = curve_fit(
            lambda n, a, b, c: a - b * n**-c,
            sizes / unit,
            values,
            p0=(values[-1] + 1, values[-1] - values[0] + 1, 0.5),
            bounds=((0, 0, 0.01), (100, 100, 5)),
        )
    except (RuntimeError, OptimizeWarning):
        return None
    return float(a), float(b * unit**c), float(c)


def line(x: list[float], samples: list[list[float]]) -> tuple[float, float, tuple[float, float]]:
    """Slope, intercept and the slope's 95% bootstrap interval over seeds, of the least-squares line through the means
    of `samples`, one list a value of `x`."""

    def fitted(curve: Curve) -> tuple[float, float]:
        slope, intercept = np.polyfit(x, [float(np.mean(curve[i])) for i in range(len(x))], 1)
        return float(slope), float(intercept)

    every = dict(enumerate(samples))
    return *fitted(every), _interval(lambda draw: fitted(draw(every))[0])


def _at_best(static: dict[int, float], dp: dict[int, float]) -> tuple[float, int, float | None]:
    static_size = max(static, key=lambda size: static[size])
    return static[static_size], static_size, size_reaching(dp, static[static_size])


def _interval(statistic: Callable[[Callable[[Curve], Curve]], float]) -> tuple[float, float]:
    """2.5% and 97.5% of `statistic`, which is given a function that draws a curve's seeds with replacement."""
    rng = np.random.default_rng(0)

    def draw(curve: Curve) -> Curve:
        return {size: list(rng.choice(values, len(values))) for size, values in curve.items()}

    drawn = [statistic(draw) for _ in range(DRAWS)]
    # An infinite value must not be averaged with a finite one: take the values that are there.
    low, high = np.quantile(drawn, [0.025, 0.975], method="nearest")
    return float(low), float(high)
