"""Exact limit of the fit for any convex loss: a fixed point in four numbers per population of rows.

For large ``n`` and ``d`` the fit is a mean ``w_bar`` plus independent noise. A row that the fit has not seen has the
margin of ``theory.losses.expectations``, a row that it has seen the proximal point of it (``theory.losses.loss``), and
the moments of the response close the equations (Kolossov, Montanari and Tandon 2023; for squared loss they are those of
``theory.error``). With the whitened directions ``B = Sigma^1/2 (pruner, across)``, the curvature ``nu = E[loss'' / (1 +
k loss'')]`` and the push ``h = -E[y (G, H) loss'] + nu (a, b)``::

    w_bar  = (ridge + nu Sigma)^-1 B h                     (a, b) = B' w_bar
    k      = (1 / n) tr Sigma (ridge + nu Sigma)^-1        leverage
    C      = (E[loss'^2] / n) (ridge + nu Sigma)^-1 Sigma (ridge + nu Sigma)^-1
    r^2    = w_bar' Sigma w_bar - a^2 - b^2 + tr Sigma C

The overlap with the truth is that of ``w_bar``; the squared norm is ``w_bar' Sigma w_bar + tr Sigma C``. Several
populations of rows add their pushes and their curvatures, each with a leverage of its own.

At ridge 0 separable rows have no finite fit, and the direction of the fit tends to that of the largest margin: the
leverage is infinite, and in units of it the same equations hold with ``k = 1`` and the ridge unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from theory.checks import Array
from theory.losses.expectations import KeptRows
from theory.losses.inputs import Inputs
from theory.losses.loss import LargestMargin, Logistic, Loss

COARSE = (3, 6)  # nodes per panel while the ridge is lowered, the second where the first fail
FINE = 8  # nodes per panel at the end
TOP = 10.0  # ridge, in units of the covariance, at which all margins are small
BOTTOMS = tuple(10.0**-k for k in range(3, 14))  # ridges at which it is seen whether rows are separable, in turn
SETTLED = 1e-6  # ridge from which on a leverage that does not grow has reached its limit
STRIDE = 10.0  # by which the ridge is lowered at a time
STEPS = 40
PATIENCE = 8  # steps without halving the gap after which a search is given up
LOGISTIC, LARGEST_MARGIN = Logistic(), LargestMargin()


@dataclass(frozen=True)
class Solution:
    """A fixed point.

    Attributes:
        ridge: The penalty; in units of the leverage for the largest margin.
        push: ``h``, [K, 2].
        curvature: ``nu``, [K].
        square: Mean square of the slopes, [K].
    """

    ridge: float
    push: Array
    curvature: Array
    square: Array


def solve(inputs: Inputs, rows: Sequence[KeptRows], ridge: float) -> Solution:
    """Return the fixed point of logistic loss; at ridge 0 the largest margin's if the rows are separable.

    The fixed point is followed from a ridge at which all margins are small down to the one asked for.

    Raises:
        RuntimeError: If no fixed point is found.
    """
    search = _Search(inputs, rows)
    return search.follow(ridge) if ridge > 0 else search.limit()


class _Search:
    """Follows the fixed point over ridges: a secant prediction, then Newton's and Broyden's steps.

    A point is a vector of the pushes, the logarithms of the slopes' mean squares, those of the curvatures and, for the
    largest margin, that of the ridge.
    """

    def __init__(self, inputs: Inputs, rows: Sequence[KeptRows]) -> None:
        self.inputs, self.rows, self.coarse = inputs, rows, COARSE[0]
        self.jacobian: Array | None = None
        self.reached: tuple[float, Array] | None = None  # the lowest ridge so far, and its coarse fixed point
        self.before: tuple[float, Array] | None = None  # the one above

    def follow(self, ridge: float) -> Solution:
        """Return the fixed point at a ridge above 0."""
        return self._solution(self._logistic(ridge, self._descend(ridge), FINE), ridge)

    def limit(self) -> Solution:
        """Return the limit of small ridges."""
        last = np.inf
        for bottom in BOTTOMS:
            low = bottom * self.inputs.scale
            point = self._descend(low)
            leverage = self._leverages(point, low)[0]
            growth, last = leverage / last, leverage
            if growth > 3:  # it grows as 1 / ridge where the rows are separable
                try:
                    return self._largest_margin(point, low, leverage)
                except RuntimeError:  # the ridge is still too large, or the rows are hardly separable
                    continue
            if bottom <= SETTLED and growth < 1.1 and any(row.label_noise > 0 for row in self.rows):
                break  # it has a limit where they are not
        return self._solution(self._logistic(0.0, point, FINE), 0.0)

    def _largest_margin(self, near: Array, ridge: float, leverage: float) -> Solution:
        """Return the largest margin's fixed point, from logistic loss's at a small ridge."""
        unit = np.log1p(leverage) + 1  # margins grow as the logarithm
        push, square, curvature = self._split(near)
        logs = square + 2 * np.log(leverage / unit), curvature + np.log(leverage), [np.log(ridge * leverage)]
        point = np.concatenate([push.ravel() * leverage / unit, *logs])
        self.jacobian = None
        for count in (COARSE[-1], FINE):

            def gap(x: Array, count: int = count) -> Array:
                return self._gap(x[:-1], np.exp(x[-1]), LARGEST_MARGIN, count)

            point = self._root(gap, point, count)
        return self._solution(point[:-1], float(np.exp(point[-1])))

    def _descend(self, ridge: float) -> Array:
        """Return a coarse fixed point at a ridge above 0, not above those of earlier calls."""
        if self.reached is None:
            level = max(ridge, TOP * self.inputs.scale)
            self.reached = level, self._logistic(level, self._start(level), self.coarse)
        factor = STRIDE
        while (level := self.reached[0]) > ridge:
            target = max(level / factor, ridge)
            try:
                found = self._logistic(target, self._guess(target), self.coarse)
            except RuntimeError:
                if self.coarse != COARSE[-1]:
                    self.coarse = COARSE[-1]
                elif (factor := np.sqrt(factor)) < 1.1:
                    raise
                continue
            self.before, self.reached = self.reached, (target, found)
            factor = min(factor**2, STRIDE)
        return self.reached[1]

    def _guess(self, ridge: float) -> Array:
        """Return a guess at a lower ridge, along the line in its logarithm; pushes keep their directions."""
        assert self.reached is not None
        (level, point), pushes = self.reached, 2 * len(self.rows)
        if self.before is None:
            return point
        above, before = self.before
        share = np.log(level / ridge) / np.log(above / level)
        guess = point + share * (point - before)
        sizes = np.linalg.norm(point[:pushes]), np.linalg.norm(before[:pushes])
        guess[:pushes] = point[:pushes] * ((sizes[0] / sizes[1]) ** share if sizes[1] > 0 else 1.0)
        return np.asarray(guess)

    def _start(self, ridge: float) -> Array:
        """Return the point where all margins are 0, to start from at a large ridge."""
        found = [row.rule.moments(row.alignment, row.label_noise) for row in self.rows]
        share = np.array([row.share for row in self.rows])
        push = share[:, None] * np.array([[float(k.beta_tilde) / 2, float(k.beta) / 2] for k in found])
        kept = share * np.array([float(k.p) for k in found])
        _, leverage = self.inputs.fit(ridge, push, np.zeros(len(found)), kept / 4)
        return np.concatenate([push.ravel(), np.log(kept / 4), np.log(kept / (4 + leverage))])

    def _logistic(self, ridge: float, start: Array, count: int) -> Array:
        return self._root(lambda x: self._gap(x, ridge, LOGISTIC, count)[:-1], start, count)

    def _gap(self, point: Array, ridge: float, loss: Loss, count: int) -> Array:
        """Return by how much the rows' response to a fit differs from what the fit was made with, and the leverage."""
        now = self._solution(point, ridge)
        fits, leverages = self.inputs.fit(ridge, now.push, now.curvature, now.square)
        unit = leverages[0]
        if loss is LARGEST_MARGIN:  # scale-free: the first population's leverage is the unit
            leverages = leverages / unit
        mean, square, curvature = [], [], []
        for row, fit, leverage in zip(self.rows, fits, leverages, strict=True):
            along, across, bend, size = row.respond((fit[0], fit[1], fit[2]), leverage, loss, count)
            mean.append([row.share * along, row.share * across])
            square.append(row.share * size)
            curvature.append(row.share * bend)
        logs = np.log(np.maximum([*square, *curvature], 1e-300)) - np.log([*now.square, *now.curvature])
        # The slopes' mean is a small part of the push at small ridges, and the fit's length rests on it.
        assumed = now.push - now.curvature[:, None] * fits[:, :2]
        pushes = (np.array(mean) - assumed) / max(float(np.abs(assumed if ridge > 0 else now.push).max()), 1e-12)
        return np.concatenate([pushes.ravel(), logs, [np.log(max(float(unit), 1e-300))]])

    def _leverages(self, point: Array, ridge: float) -> Array:
        now = self._solution(point, ridge)
        return self.inputs.fit(ridge, now.push, now.curvature, now.square)[1]

    def _split(self, point: Array) -> tuple[Array, Array, Array]:
        count = len(self.rows)
        return point[: 2 * count].reshape(count, 2), point[2 * count : 3 * count], point[3 * count : 4 * count]

    def _solution(self, point: Array, ridge: float) -> Solution:
        push, square, curvature = self._split(point)
        return Solution(ridge, push, np.exp(np.clip(curvature, -600, 600)), np.exp(np.clip(square, -600, 600)))

    def _root(self, gap: Callable[[Array], Array], start: Array, count: int) -> Array:
        """Return where the gap is 0, from a point close to it; pushes are measured by the largest of them."""
        tolerance = 1e-10 if count == FINE else 1e-3
        pushes = 2 * len(self.rows)
        scale = np.ones(len(start))
        scale[:pushes] = max(float(np.abs(start[:pushes]).max()), 1e-12)
        x = start / scale
        value, fresh, best, since = gap(x * scale), False, np.inf, 0
        for _ in range(STEPS if count == FINE else STEPS // 2):
            if (size := float(np.abs(value).max())) < tolerance:
                return x * scale
            best, since = (size, 0) if size < best / 2 else (best, since + 1)
            if since > PATIENCE and count != FINE:
                break
            if self.jacobian is None:
                moved = [gap((x + step) * scale) for step in 1e-5 * np.eye(len(x))]
                self.jacobian, fresh = np.column_stack(moved) / 1e-5 - value[:, None] / 1e-5, True
            if not np.all(np.isfinite(self.jacobian)):
                break
            step = -np.linalg.lstsq(self.jacobian, value)[0]
            step *= min(1.0, 1.0 / np.abs(step).max())
            new = gap((x + step) * scale)
            if not np.all(np.isfinite(new)):
                break
            if not fresh and np.linalg.norm(new) > 0.5 * np.linalg.norm(value):
                self.jacobian = None
                continue
            # Newton's steps may lead uphill for a while: the valley is narrow and bent.
            self.jacobian = self.jacobian + np.outer(new - value - self.jacobian @ step, step) / (step @ step)
            x, value, fresh = x + step, new, False
        self.jacobian = None
        raise RuntimeError("fixed point: not found; change the ridge a little.")
