"""The spectrum of the kept data: effective ridge and variance factor, and the paper's Stieltjes transforms.

Pruning a pool of ``n`` rows to a fraction ``p`` and fitting ridge regression behaves, for large ``n`` and ``d``,
like the population fit with a larger ridge ``L`` (the effective ridge), plus noise inflated by a factor ``V``::

    L = ridge + (L / n) tr Sigma (p Sigma + L)^-1
    V = A / (1 - p A),    A = (1 / n) tr (Sigma (p Sigma + L)^-1)^2

In the paper's notation (arXiv 2502.15588, Theorem 1) ``L = ridge (1 + phi m)``; writing everything in ``L`` needs no
special case at ``ridge = 0``, where ``m`` itself diverges.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from theory.checks import Array, real

MAX_STEPS = 200


@dataclass(frozen=True)
class Stieltjes:
    """The paper's transforms at ``z = -ridge`` and their derivatives in ``z``; float64 arrays.

    Attributes:
        m: Stieltjes transform of the kept rows' covariance.
        m_tilde: Its counterpart along the pruner's direction, ``1 / (gamma / (1 + phi m) + ridge)``.
        m_prime: Derivative of ``m``.
        m_tilde_prime: Derivative of ``m_tilde``.
    """

    m: Array
    m_tilde: Array
    m_prime: Array
    m_tilde_prime: Array


def stieltjes(phi: ArrayLike, p: ArrayLike, gamma: ArrayLike, ridge: ArrayLike) -> Stieltjes:
    """Transforms of the isotropic model, as the paper writes them (Theorem 1; derivatives in closed form).

    Args:
        phi: Dimension over pool size, above 0.
        p: Fraction kept, in (0, 1].
        gamma: Second moment of the kept margins, above 0.
        ridge: Ridge penalty, above 0.

    Raises:
        ArgumentError: If an argument is out of range.
    """
    phi = real("phi", phi, 0, np.inf, open_low=True)
    ridge = real("ridge", ridge, 0, np.inf, open_low=True, advice="The printed transforms diverge at 0.")
    p, gamma = real("p", p, 0, 1, open_low=True), real("gamma", gamma, 0, np.inf, open_low=True)
    b = p - phi + ridge
    root = np.hypot(b, 2 * np.sqrt(phi * ridge))
    with np.errstate(divide="ignore"):
        m = np.where(b > 0, 2 / (b + root), (root - b) / (2 * phi * ridge))
    m_prime = m * (1 + phi * m) / root
    m_tilde = 1 / (gamma / (1 + phi * m) + ridge)
    m_tilde_prime = m_tilde**2 * (1 + gamma * phi * m_prime / (1 + phi * m) ** 2)
    return Stieltjes(m, m_tilde, m_prime, m_tilde_prime)


def isotropic_spectrum(phi: Array, p: Array, ridge: Array) -> tuple[Array, Array]:
    """Effective ridge ``L`` and variance factor ``V`` of isotropic inputs, in closed form.

    Args:
        phi: Dimension over pool size, above 0.
        p: Fraction kept, in (0, 1].
        ridge: Ridge penalty, at least 0.

    Returns:
        ``L >= 0`` and ``V > 0``. At the interpolation threshold (``ridge = 0`` and ``phi = p``) ``V`` is infinite:
        so is the limit.
    """
    b = ridge + phi - p
    root = np.hypot(b, 2 * np.sqrt(p * ridge))
    with np.errstate(divide="ignore", invalid="ignore"):
        effective = np.where(b > 0, (b + root) / 2, np.where(ridge > 0, 2 * p * ridge / (root - b), 0.0))
        return effective, phi / ((p + effective) * root)


def general_spectrum(eigenvalues: Array, n: Array, p: Array, ridge: Array) -> tuple[Array, Array]:
    """Effective ridge ``L`` and variance factor ``V`` for any spectrum, by Newton's method.

    The fixed-point equation is convex and increasing to the right of its root, so Newton's steps from an upper
    bound fall monotonically onto it.

    Args:
        eigenvalues: Eigenvalues of the covariance, at least 0 and not all 0, [d].
        n: Pool size, above 0; ``n``, ``p`` and ``ridge`` broadcast together.
        p: Fraction kept, in (0, 1].
        ridge: Ridge penalty, at least 0.

    Returns:
        ``L`` and ``V`` as in :func:`isotropic_spectrum`, with the broadcast shape.

    Raises:
        RuntimeError: If the iteration has not settled after 200 steps.
    """
    s = eigenvalues[eigenvalues > 0]  # [r]; null directions carry no data
    shape = np.broadcast_shapes(n.shape, p.shape, ridge.shape)
    n, p, ridge = (np.broadcast_to(x, shape)[..., None] for x in (n, p, ridge))
    effective = ridge + s.sum() / n  # [..., 1], an upper bound
    ridgeless = (ridge == 0) & (n * p >= len(s))  # enough rows to determine the fit: no effective ridge
    effective = np.where(ridgeless, 0.0, effective)
    for _ in range(MAX_STEPS):
        shrunk = p * s + effective  # [..., r]
        gap = effective - ridge - (effective * s / shrunk).sum(-1, keepdims=True) / n
        slope = 1 - (p * s**2 / shrunk**2).sum(-1, keepdims=True) / n
        with np.errstate(divide="ignore", invalid="ignore"):
            step = np.where(ridgeless | (gap <= 0), 0.0, gap / slope)
        effective = np.maximum(effective - step, ridge)
        if np.all(step <= 1e-15 * effective):
            break
    else:
        raise RuntimeError(f"effective ridge: not settled after {MAX_STEPS} Newton steps; raise the ridge a little.")
    a = ((s / (p * s + effective)) ** 2).sum(-1) / n[..., 0]
    with np.errstate(divide="ignore"):
        return effective[..., 0], a / np.maximum(1 - p[..., 0] * a, 0.0)
