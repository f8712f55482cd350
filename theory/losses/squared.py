"""Squared loss's fixed point for several populations of rows: the leverages solve equations of their own, the rest is
linear.

The proximal point of ``(1 - m)^2 / 2`` shrinks a row's residual by ``x = 1 + k``, ``k`` its leverage. With ``share``
the rows of a population in the pool and its moments (``theory.rules.moments``), the curvature of a population is
``nu = share p / x``, and ``theory.losses.fixed_point`` becomes::

    x_k = 1 + (1 / n) tr Sigma_k (ridge + sum_j nu_j Sigma_j)^-1
    (ridge + sum_k (share_k / x_k) Sigma_q,k) w_bar = sum_k (share_k / x_k) c_k

with ``Sigma_q`` and ``c`` the covariance and the label moment of the kept rows, and equations linear in the slopes'
mean squares. Where the kept rows are fewer than the dimensions ``x`` grows as ``1 / ridge``; everything is then in
``ridge x``, which has a limit at ridge 0. For a single population these are the equations of ``theory.spectrum``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from theory.checks import Array
from theory.losses.expectations import KeptRows
from theory.losses.fixed_point import Solution
from theory.losses.inputs import Covariances

STEPS = 10_000


def solve_squared(inputs: Covariances, rows: Sequence[KeptRows], ridge: float) -> Solution:
    """Return the fixed point of squared loss; its ridge is 1 where everything is in units of the ridge.

    Raises:
        RuntimeError: If the leverages are not found, as at ridge 0 where the kept rows are as many as the dimensions.
    """
    moments = [row.rule.moments(row.alignment, row.label_noise) for row in rows]
    share = np.array([row.share for row in rows])
    p = np.array([float(k.p) for k in moments])
    enough = inputs.n * float(share @ p) >= inputs.rank  # rows to determine the fit
    level, unit = (ridge, 1.0) if enough else (1.0, ridge)
    x = shrinkages(inputs, share * p, level, unit)
    weight = share / x
    # (I + W Q) h = weight c, with Q the resolvent in the populations' planes and W the weights of M - p.
    curvature = weight * p
    quadratic = inputs.planes_in_resolvent(level, curvature)  # [K, 2, K, 2]
    count = len(rows)
    second = np.array([[[k.gamma, k.cross], [k.cross, k.across]] for k in moments], dtype=np.float64)
    bent = weight[:, None, None] * (second - p[:, None, None] * np.eye(2))
    moment = np.array([[k.beta_tilde, k.beta] for k in moments], dtype=np.float64)
    system = np.eye(2 * count) + np.einsum("kab,kbjc->kajc", bent, quadratic).reshape(2 * count, 2 * count)
    push = np.linalg.solve(system, (weight[:, None] * moment).ravel()).reshape(count, 2)
    # Mean squares of the residuals, linear in themselves by the noise that they make.
    none = inputs.fit(level, push, curvature, np.zeros(count))[0]
    noise = np.stack(
        [inputs.fit(level, push, curvature, unit_square)[0][:, 2] ** 2 for unit_square in np.eye(count)], 1
    )
    rest = none[:, 2] ** 2
    plane = none[:, :2]
    residual = p - 2 * (moment * plane).sum(1) + np.einsum("ka,kab,kb->k", plane, second, plane)
    scale = share / x**2
    by_noise = (scale * p)[:, None] * (noise - rest[:, None])
    square = np.linalg.solve(np.eye(count) - by_noise, scale * (residual + p * rest))
    return Solution(level, push, curvature, square)


def shrinkages(inputs: Covariances, kept: Array, level: float, unit: float) -> Array:
    """Return ``x`` [K] with ``x_k = unit + (1 / n) tr Sigma_k (level + sum_j (kept_j / x_j) Sigma_j)^-1``.

    The right side is increasing and concave. From a point where the linearised equations have positive solutions
    Newton's steps therefore fall onto the root; up to such a point the equations are iterated.

    Raises:
        RuntimeError: If the iteration has not settled.
    """
    x = np.full(len(kept), unit + 1.0)
    for _ in range(STEPS):
        right, slopes = inputs.traces(level, kept / x)
        new = unit + right
        inverse = np.linalg.pinv(np.eye(len(x)) - slopes * kept / x**2)
        newton = x + inverse @ (new - x)
        if np.all(inverse >= 0) and np.all(newton > 0):
            new = newton
        settled = np.all(np.abs(new - x) <= 1e-13 * np.abs(new))
        x = new
        if settled:
            return np.asarray(x)
    raise RuntimeError(f"leverages: not settled after {STEPS} steps; raise the ridge a little.")
