"""Search for the best selection and ridge at every point of a sweep.

A grid of kept fractions and ridges is searched first, and its best point then polished by scipy's minimisers, so that
the best fraction is continuous. For logistic loss, whose every error costs a fraction of a second, the search starts
from squared loss's best and from keeping all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.optimize.elementwise import find_minimum

from theory.checks import MOST, ArgumentError, Array, real
from theory.error import ExactError
from theory.rules.selection import KeepEasy, KeepHard, Rule

FINER = 4  # times the search is narrowed to between the neighbours of the best ridge so far
BUDGETS = ("selected", "pool")
TRUSTED = 0.03  # largest finite_size of a rule that the search may choose
_POLISHED = 2  # times fraction and ridge are improved in turn
_RIDGES = (1e-6, 1e2)  # per kept row, between which logistic loss is searched


@dataclass(frozen=True)
class Best:
    """The best selection at every point of a sweep; arrays of the sweep's shape, or floats for one point.

    Attributes:
        test_error: The least error.
        kept_fraction: The fraction that reaches it; 1 is keep all. Not an optimum with a budget of selected rows.
        easy: Whether the easy rows are the ones kept (False where all are).
        ridge: The ridge that reaches it.

    Example:
        >>> from theory import best_isotropic
        >>> best = best_isotropic(d=100, n=1000, budget="pool", fractions=[0.3, 0.5, 1.0], ridges=[0.01, 0.1])
        >>> bool(0.3 < best.kept_fraction < 0.5), bool(best.easy)  # the hard ones
        (True, False)
    """

    test_error: Array
    kept_fraction: Array
    easy: np.ndarray
    ridge: Array


@dataclass(frozen=True)
class Sweep:
    """Errors over the points of a sweep, for any rule and ridge.

    Attributes:
        evaluate: Exact errors of a rule, pools and ridges at the points of flat index ``where`` [m], all [m, F, K].
        kept: Fraction of the pool that a rule keeps at those points, [m, F, 1].
        n: Rows of the budget, any shape.
        budget: ``"selected"`` or ``"pool"``.
        relative_ridge: Whether ridges are per kept row of the pool.
        agreeing: Whether rules look at labels.
    """

    evaluate: Callable[[Rule, Array, Array, np.ndarray], ExactError]
    kept: Callable[[Rule, np.ndarray], Array]
    n: Array
    budget: str
    relative_ridge: bool
    agreeing: bool

    def __post_init__(self) -> None:
        if self.budget not in BUDGETS:
            raise ArgumentError(f"budget: found {self.budget!r}, expected 'selected' or 'pool'.")

    def errors(self, easy: bool, p: Array, ridges: Array, where: np.ndarray, trust: bool = True) -> Array:
        """Return errors [m, F, K] of fractions [m or 1, F, 1] and ridges [m or 1, F, K]; infinite if not trusted."""
        rule = (KeepEasy if easy else KeepHard).keeping(p, agreeing=self.agreeing)
        n = self.n.ravel()[where, None, None]
        kept = self.kept(rule, where)
        with np.errstate(divide="ignore"):
            pool = n / kept if self.budget == "selected" else n * np.ones_like(p)
        nothing = ~np.isfinite(pool)
        exact = self.evaluate(rule, np.where(nothing, 1.0, pool), ridges * self.unit(kept), where)
        sure = (p == 1) | (not trust)
        return np.where(((exact.finite_size <= TRUSTED) | sure) & ~nothing, exact.test_error, np.inf)

    def unit(self, kept: Array) -> Array:
        """Return what ridges are multiplied by."""
        return kept if self.relative_ridge else np.ones_like(kept)


def search(sweep: Sweep, fractions: Sequence[float], ridges: Sequence[float], easy: bool) -> Best:
    """Return the best of fractions and ridges at every point, polished unless a single one was given.

    Raises:
        ArgumentError: If a list is empty or out of range, or 1 is not among several fractions.
    """
    p, grid = fraction_list(fractions), ridge_list(ridges)
    points = np.arange(sweep.n.size)
    ends = (False, True) if easy else (False,)
    trust = len(p) > 1  # nothing to leave out where one fraction is asked for

    def errors(tried: Array) -> Array:
        """Return the errors of ridges [points or 1, ends F, K]."""
        parts = np.split(tried, len(ends), axis=-2)
        found = [sweep.errors(end, p[:, None], mine, points, trust) for end, mine in zip(ends, parts, strict=True)]
        return np.concatenate(found, axis=-2)

    tried = np.broadcast_to(grid, (1, len(ends) * len(p), len(grid)))
    error = errors(tried)
    tried = np.broadcast_to(tried, error.shape)
    # An imperfect pruner's bias vanishes at one ridge only; at the nearest of a coarse grid a spurious floor remains.
    for _ in range(FINER if len(grid) > 1 else 0):
        between = _around_best(tried, error)
        tried = np.concatenate([tried, between], axis=-1)
        error = np.concatenate([error, errors(between)], axis=-1)
    flat = error.reshape(len(points), -1)
    chosen = flat.argmin(-1)
    best, ridge = flat[points, chosen], tried.reshape(flat.shape)[points, chosen]
    end, index = np.divmod(chosen // error.shape[-1], len(p))
    fraction, is_easy = p[index], end.astype(bool) & (p[index] < 1)
    if len(p) > 1:
        lower, upper = p[np.maximum(index - 1, 0)], p[np.minimum(index + 1, len(p) - 1)]
        best, fraction, ridge = _polish(sweep, best, fraction, ridge, is_easy, lower, upper, len(grid) > 1)
    return _best(sweep, best, fraction, ridge, is_easy)


def search_slowly(sweep: Sweep, start: Best, fractions: Sequence[float], ridges: Sequence[float]) -> Best:
    """Return the best fraction and ridge point by point, from the best of another loss and from keeping all.

    What is given as a single number stays as it is.
    """
    p, grid = fraction_list(fractions), ridge_list(ridges)
    points = np.arange(sweep.n.size)
    best, fraction, ridge = np.full(len(points), np.inf), np.ones(len(points)), np.zeros(len(points))
    is_easy = np.zeros(len(points), bool)
    for i in points:
        first = np.log(max(float(np.ravel(start.kept_fraction)[i]), p.min()))
        starts = [(False, 0.0), (bool(np.ravel(start.easy)[i]), first)]
        for end, log_p in dict.fromkeys(starts):
            found = _descend(sweep, int(i), end, log_p, p, grid)
            if found[0] < best[i]:
                best[i], fraction[i], ridge[i] = found
                is_easy[i] = end and fraction[i] < 1
    return _best(sweep, best, fraction, ridge, is_easy)


def _descend(sweep: Sweep, i: int, easy: bool, log_p: float, p: Array, grid: Array) -> tuple[float, float, float]:
    low = np.log(p.min())
    free = [len(p) > 1 and log_p < 0, len(grid) > 1]
    whole = np.array([log_p if len(p) > 1 else np.log(p[0]), np.log(1e-2) if free[1] else np.nan])

    def setting(x: Array) -> tuple[float, float]:
        full = whole.copy()
        full[free] = x
        fraction = float(np.exp(np.clip(full[0], low, 0.0)))
        return fraction, float(np.exp(np.clip(full[1], *np.log(_RIDGES)))) if free[1] else float(grid[0])

    def error(x: Array) -> float:
        fraction, ridge = setting(x)
        shaped = np.full((1, 1, 1), fraction), np.full((1, 1, 1), ridge)
        return float(sweep.errors(easy, *shaped, np.array([i]), len(p) > 1)[0, 0, 0])

    if not any(free):
        x = np.empty(0)
    else:
        simplex = np.vstack([whole[free], whole[free] + np.eye(sum(free))])
        options = {"initial_simplex": simplex, "xatol": 0.03, "fatol": 1e-5}
        x = minimize(error, whole[free], method="Nelder-Mead", options=options).x
    return (error(x), *setting(x))


def _polish(
    sweep: Sweep, best: Array, fraction: Array, ridge: Array, easy: np.ndarray, lower: Array, upper: Array, tuned: bool
) -> tuple[Array, Array, Array]:
    """Improve fraction and ridge in turn, each by scipy's bracketed minimiser, where the bracket holds a minimum."""
    best, x = best.copy(), [np.log(fraction), np.log(np.maximum(ridge, 1e-300))]
    brackets = [(np.log(lower), np.log(upper)), (x[1] - 0.1, x[1] + 0.1)]
    for end in (False, True):
        for turn in range(2 * _POLISHED):
            which = turn % 2
            # Where no neighbour is trusted, or the best lies at an end of the search, there is no bracket.
            inside = np.flatnonzero((easy == end) & (fraction < 1) & (brackets[0][0] < x[0]) & (x[0] < brackets[0][1]))
            if which == 1:
                inside = inside[ridge[inside] > 0]
            if not inside.size or (which == 1 and not tuned):
                continue

            def error(value: Array, where: Array, which: int = which, end: bool = end) -> Array:
                where = where.astype(np.int64)
                point = [x[0][where], x[1][where]]
                point[which] = value
                penalty = np.where(ridge[where] > 0, np.exp(point[1]), 0.0)
                return sweep.errors(end, np.exp(point[0])[:, None, None], penalty[:, None, None], where)[:, 0, 0]

            low, high = (np.clip(edge[inside], -690, np.log(MOST)) for edge in brackets[which])
            with np.errstate(invalid="ignore"):
                found = find_minimum(
                    error, (low, x[which][inside], high), args=(inside.astype(np.float64),),
                    tolerances={"xatol": 1e-6}, maxiter=40,
                )  # fmt: skip
            better = np.isfinite(found.f_x) & (found.f_x < best[inside])
            x[which][inside[better]], best[inside[better]] = found.x[better], found.f_x[better]
    return best, np.where(fraction < 1, np.exp(x[0]), fraction), np.where(ridge > 0, np.exp(x[1]), ridge)


def _best(sweep: Sweep, error: Array, fraction: Array, ridge: Array, easy: np.ndarray) -> Best:
    points = np.arange(len(error))[:, None]
    unit = np.ones(len(error))
    for end in (False, True):
        mine = points[easy == end][:, 0]
        if mine.size:
            rule = (KeepEasy if end else KeepHard).keeping(fraction[mine, None, None], agreeing=sweep.agreeing)
            unit[mine] = np.broadcast_to(sweep.unit(sweep.kept(rule, mine)), (len(mine), 1, 1))[:, 0, 0]
    shape = sweep.n.shape
    return Best(*(x.reshape(shape)[()] for x in (error, fraction, easy, ridge * unit)))


def _around_best(ridges: Array, error: Array) -> Array:
    """Return ridges evenly between the two next to the best of those tried, in logarithms: [..., 7] for [..., K]."""
    order = np.argsort(ridges, axis=-1)
    ridges, error = (np.take_along_axis(values, order, -1) for values in (ridges, error))
    best = error.argmin(-1)[..., None]
    logs = np.log(np.where(ridges > 0, ridges, ridges[..., 1:2] / 10))
    low, high = (np.take_along_axis(logs, np.clip(best + step, 0, ridges.shape[-1] - 1), -1) for step in (-1, 1))
    return np.exp(low + (high - low) * np.linspace(0, 1, 9)[1:-1])


def fraction_list(fractions: Sequence[float]) -> Array:
    """Return kept fractions in increasing order, with 1 among several."""
    p = np.unique(_listed("fractions", real("fractions", fractions, 0, 1, open_low=True)))
    if len(p) > 1 and p[-1] != 1:
        raise ArgumentError("fractions: expected 1 (keep all) among them. Add it.")
    return p


def ridge_list(ridges: Sequence[float]) -> Array:
    """Return ridges in increasing order."""
    return np.unique(_listed("ridges", real("ridges", ridges, 0, MOST)))


def _listed(name: str, values: Array) -> Array:
    if values.ndim != 1 or not values.size:
        raise ArgumentError(f"{name}: found shape {values.shape}, expected a list of one or more numbers.")
    return values
