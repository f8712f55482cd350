"""Data efficiency: how many static images it takes to do what Deliberate Practice does with fewer."""

from dataclasses import dataclass

import numpy as np

Curve = dict[int, list[float]]  # pool size -> one accuracy (percent) a seed


@dataclass(frozen=True)
class Efficiency:
    """Static images at static's best size over the DP images that do as well.

    Attributes:
        best: static's best mean accuracy over its sizes.
        static_size: the size at which it is reached.
        dp_size: smallest DP size (interpolated on the log axis) with that mean accuracy; None if no DP run reaches it.
        ratio: static_size / dp_size, or None.
        interval: 2.5% and 97.5% of the ratio over seeds drawn with replacement; not reached counts as 0.
    """

    best: float
    static_size: int
    dp_size: float | None
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


def efficiency(static: Curve, dp: Curve, draws: int = 2000) -> Efficiency:
    """Compare the curves; see `Efficiency`."""
    best, static_size, dp_size = _compare(means(static), means(dp))
    rng = np.random.default_rng(0)
    ratios = []
    for _ in range(draws):
        _, n, m = _compare(means(_resampled(static, rng)), means(_resampled(dp, rng)))
        ratios.append(n / m if m else 0.0)
    low, high = np.quantile(ratios, [0.025, 0.975])
    return Efficiency(best, static_size, dp_size, static_size / dp_size if dp_size else None, (float(low), float(high)))


def _compare(static: dict[int, float], dp: dict[int, float]) -> tuple[float, int, float | None]:
    static_size = max(static, key=lambda size: static[size])
    return static[static_size], static_size, size_reaching(dp, static[static_size])


def _resampled(curve: Curve, rng: np.random.Generator) -> Curve:
    """Seeds are drawn at each size on its own: runs of different sizes train on their own."""
    return {size: list(rng.choice(values, len(values))) for size, values in curve.items()}
