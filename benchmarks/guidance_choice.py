"""Ways of guiding compared at the same loss of recognition, and the cheapest that will do.

A way of guiding at a low strength changes little and harms little. So each is compared at the strength at which it
costs DROP of the oracle's recognition, interpolated between the strengths that were measured.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

DROP = 0.04  # recognised fraction lost: about what guidance costs at its default strength
KEPT = 0.9  # of the exact variant's entropy gain, to be good enough
GOAL = 1.10  # counted cost at full size, in plain images
RESAMPLES = 2000


@dataclass(frozen=True)
class Curve:
    """One way of guiding over its strengths; the first is 0, plain images of the same seeds.

    Attributes:
        omega: float [k], rising.
        entropy: float [k, n], nats, of each seed's finished image.
        recognised: bool [k, n].
    """

    omega: np.ndarray
    entropy: np.ndarray
    recognised: np.ndarray

    @property
    def gain(self) -> np.ndarray:
        """float [k, n]: nats above the plain image of the same seed."""
        return self.entropy - self.entropy[0]

    def summary(self) -> dict[str, list[float]]:
        """Return for each strength the mean gain, half of its 95% interval, and the recognised fraction."""
        spread = 1.96 * self.gain.std(axis=1, ddof=1) / self.gain.shape[1] ** 0.5
        return {
            "omega": self.omega.tolist(),
            "entropy_gain": [round(float(gain), 4) for gain in self.gain.mean(axis=1)],
            "entropy_gain_95": [round(float(half), 4) for half in spread],
            "recognised": [round(float(fraction), 4) for fraction in self.recognised.mean(axis=1)],
        }


def at_drop(curve: Curve, rows: np.ndarray | slice = slice(None), drop: float = DROP) -> tuple[float, float]:
    """Strength and mean entropy gain where the recognised fraction is first `drop` below that of plain images.

    Of the seeds in `rows`. Where no measured strength loses as much, the strongest: a lower bound of the gain.
    """
    lost = np.maximum.accumulate(curve.recognised[:1, rows].mean(1) - curve.recognised[:, rows].mean(1))
    gain = curve.gain[:, rows].mean(1)
    if lost[-1] < drop:
        return float(curve.omega[-1]), float(gain[-1])
    after = int(np.argmax(lost >= drop))
    share = (drop - lost[after - 1]) / (lost[after] - lost[after - 1])

    def between(y: np.ndarray) -> float:
        return float(y[after - 1] + share * (y[after] - y[after - 1]))

    return between(curve.omega), between(gain)


def resampled(n: int) -> Iterator[np.ndarray]:
    """Bootstrap resamples of n seeds, the same for every curve."""
    rng = np.random.default_rng(0)
    for _ in range(RESAMPLES):
        yield rng.integers(0, n, n)


def compared(curve: Curve, exact: Curve) -> dict[str, Any]:
    """The gain at DROP, and as a fraction of the exact variant's, with a 95% bootstrap interval over seeds."""
    omega, gain = at_drop(curve)
    n = curve.entropy.shape[1]
    fractions = [at_drop(curve, rows)[1] / at_drop(exact, rows)[1] for rows in resampled(n)]
    low, high = np.quantile(fractions, [0.025, 0.975])
    return {
        "omega": round(omega, 3),
        "entropy_gain": round(gain, 4),
        "entropy_gain_fraction": round(gain / at_drop(exact)[1], 3),
        "entropy_gain_fraction_95": [round(float(low), 3), round(float(high), 3)],
        "reaches_drop": bool(curve.recognised[0].mean() - curve.recognised.mean(1).min() >= DROP),
    }


def promising(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows that may keep KEPT of the exact variant's gain, as far as their intervals tell, cheapest first."""
    may = [row for row in rows if row["entropy_gain_fraction_95"][1] >= KEPT]
    return sorted(may, key=lambda row: row["sd15_cost_ratio"])


def recommended(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The cheapest row that keeps KEPT of the gain; if it costs more than GOAL, or none does, `meets_goal` is false.

    If none does, the one that keeps most among those within GOAL, or among all.
    """
    enough = [row for row in rows if row["entropy_gain_fraction"] >= KEPT]
    if enough:
        best = min(enough, key=lambda row: row["sd15_cost_ratio"])
    else:
        within = [row for row in rows if row["sd15_cost_ratio"] <= GOAL]
        best = max(within or rows, key=lambda row: row["entropy_gain_fraction"])
    meets = bool(enough) and best["sd15_cost_ratio"] <= GOAL
    return {key: value for key, value in best.items() if key != "curve"} | {"meets_goal": meets}
