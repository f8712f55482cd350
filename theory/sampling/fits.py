"""Fits of a linear classifier to given rows: ridge regression, logistic regression, and the largest margin."""

from __future__ import annotations

import warnings

import numpy as np
from scipy.linalg import LinAlgError, LinAlgWarning, cho_factor, cho_solve, solve
from scipy.optimize import nnls
from scipy.special import expit

from theory.checks import ArgumentError, Array

NEWTON_STEPS = 200


def fit(x: Array, y: Array, n: int, ridge: float, loss: str = "squared") -> Array:
    """Return the minimiser of ``(1 / n) sum loss(y x . w) + (ridge / 2) |w|^2`` (Section 3 of arXiv 2502.15588).

    Args:
        x: Kept rows, [m, d].
        y: Their labels, +1 or -1, [m].
        n: Pool size, at least m.
        ridge: Ridge penalty, at least 0; at 0 the limit of small ones.
        loss: ``"squared"`` or ``"logistic"``.

    Returns:
        Weights, [d]; zero when nothing was kept.

    Raises:
        ArgumentError: If rows and columns are dependent in float64 and the ridge is too small to help.
    """
    if not len(x):
        return np.zeros(x.shape[1])
    return ridge_fit(x, y, n, ridge) if loss == "squared" else logistic_fit(x, y, n, ridge)


def ridge_fit(x: Array, y: Array, n: int, ridge: float) -> Array:
    """Return the ridge classifier ``(X'X / n + ridge I)^-1 X'y / n``, the minimum-norm fit at ``ridge = 0``.

    Arguments and errors are those of :func:`fit`.
    """
    m, d = x.shape
    try:
        if m < d:  # the m x m system has the same solution and stays regular at ridge = 0
            return np.asarray(x.T @ _penalised(x @ x.T, y, n * ridge))
        return _penalised(x.T @ x, x.T @ y, n * ridge)
    except (LinAlgError, LinAlgWarning):  # squaring the rows lost too much: solve without, at several times the cost
        rows = np.vstack([x, np.sqrt(n * ridge) * np.eye(d)])
        w, _, rank, _ = np.linalg.lstsq(rows, np.append(y, np.zeros(d)))
        if rank < min(m, d):
            raise ArgumentError(f"ridge: found {ridge:g}, where the fit is singular. Expected a larger one.") from None
        return np.asarray(w)


class Gathered:
    """Rows gathered part by part, and the classifier fitted to all of them.

    For squared loss more than ``4 d`` rows are kept as the triangular factor of ``[X, y]``, ``d + 1`` rows that have
    the same sums of squares and products, so that memory does not grow with the rows.

    Args:
        d: Columns.
        loss: ``"squared"`` or ``"logistic"``.
    """

    def __init__(self, d: int, loss: str = "squared") -> None:
        self.loss, self.count = loss, 0
        self._rows = np.empty((0, d + 1))

    def add(self, x: Array, y: Array) -> None:
        """Add rows [m, d] and their labels [m]."""
        self.count += len(x)
        self._rows = np.vstack([self._rows, np.column_stack([x, y])])
        if self.loss == "squared" and len(self._rows) > 4 * self._rows.shape[1]:
            self._rows = np.asarray(np.linalg.qr(self._rows, mode="r"))

    def fit(self, n: int, ridge: float) -> Array:
        """Return the classifier; arguments and errors as in :func:`fit`."""
        return fit(self._rows[:, :-1], self._rows[:, -1], n, ridge, self.loss)


def logistic_fit(x: Array, y: Array, n: int, ridge: float) -> Array:
    """Return the logistic classifier, by Newton's method to convergence.

    At ``ridge = 0`` that is the largest margin where the rows are separable, and else the maximum likelihood.
    Arguments are those of :func:`fit`.

    Raises:
        RuntimeError: If Newton's method has not settled after 200 steps.
    """
    signed = x * y[:, None]
    if ridge == 0:
        w = max_margin_fit(signed)
        if w is not None:
            return w
    if len(x) < x.shape[1]:  # the fit lies in the span of the rows
        q, r = np.linalg.qr(signed.T)
        return np.asarray(q @ _newton(np.ascontiguousarray(r.T), n, ridge))
    return _newton(signed, n, ridge)


def _newton(signed: Array, n: int, ridge: float) -> Array:
    def objective(w: Array, margin: Array) -> float:
        return float(np.logaddexp(0.0, -margin).sum() / n + ridge / 2 * (w @ w))

    w = np.zeros(signed.shape[1])
    margin = signed @ w
    value = objective(w, margin)
    for _ in range(NEWTON_STEPS):
        wrong = expit(-margin)
        gradient = ridge * w - wrong @ signed / n
        hessian = (signed.T * (wrong * (1 - wrong) / n)) @ signed
        hessian.flat[:: len(w) + 1] += ridge + 1e-15 * np.trace(hessian) / len(w)
        step = cho_solve(cho_factor(hessian, overwrite_a=True), gradient)
        fall = float(gradient @ step)  # twice what a full step is expected to gain
        if fall <= 1e-13 * value:
            return np.asarray(w - step)
        along, size = signed @ step, 1.0
        while objective(w - size * step, margin - size * along) > value - size * fall / 4 and size > 1e-8:
            size /= 2
        w, margin = w - size * step, margin - size * along
        value = objective(w, margin)
    raise RuntimeError(f"logistic fit: not settled after {NEWTON_STEPS} Newton steps; raise the ridge a little.")


def max_margin_fit(signed: Array) -> Array | None:
    """Return the shortest ``w`` with all margins at least 1, or None where the rows are not separable.

    Least-distance programming by non-negative least squares (Lawson and Hanson 1974, chapter 23).

    Args:
        signed: Rows times their labels, [m, d].
    """
    m, d = signed.shape
    target = np.append(np.zeros(d), 1.0)
    system = np.vstack([signed.T, np.ones(m)])
    weights, _ = nnls(system, target, maxiter=30 * m)
    residual = target - system @ weights
    if residual[d] < 1e-9:
        return None
    return np.asarray(-residual[:d] / residual[d])


def _penalised(gram: Array, right: Array, penalty: float) -> Array:
    gram.flat[:: len(gram) + 1] += penalty
    with warnings.catch_warnings():
        warnings.simplefilter("error", LinAlgWarning)
        return np.asarray(solve(gram, right, assume_a="pos"))
