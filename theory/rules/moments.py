"""Moments of the kept rows: all that ridge regression's error needs to know of a selection rule.

A row has the coordinate ``G`` along the pruner and ``H`` along the labelling direction's part across the pruner, both
standard normal; its clean label is the sign of ``rho G + sqrt(1 - rho^2) H``, and a label ``y`` flips with probability
``eta``. The rule keeps the row with probability ``q(G)``; an agreeing rule also asks for ``y G > 0``. With ``kept``
the indicator of a kept row::

    p = E[kept]     gamma = E[kept G^2]     cross = E[kept G H]     across = E[kept H^2]
    beta~ = E[kept y G]     beta = E[kept y H]

Without agreement ``cross = 0`` and ``across = p``, and ``beta`` and ``beta~`` are those of arXiv 2502.15588 (Theorem 1)
times ``1 - 2 eta``. With agreement, given ``G = t > 0`` the label agrees with probability ``eta + (1 - 2 eta) Phi(tau
t)``, ``tau = rho / sqrt(1 - rho^2)``, and the moments of a truncated normal ``H`` give the rest (the label-aware rules
of arXiv 2511.03492).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr

from theory.checks import Array, cosine

if TYPE_CHECKING:
    from theory.rules.selection import Rule

PDF0 = 1 / np.sqrt(2 * np.pi)  # standard normal density at 0
_CHUNK = 2**21  # quadrature nodes held at a time
_SCALES = np.array([1.0, 2.0, 4.0, 8.0])  # of 1 / tau, where the label's probability changes with the margin


@dataclass(frozen=True)
class Moments:
    """Moments of the kept rows (arXiv 2502.15588, Theorem 1); float64 arrays that broadcast together.

    Attributes:
        p: Fraction kept, in [0, 1].
        gamma: Second moment of the margin, not divided by ``p`` (nor are the others); in [0, 1].
        beta: Label moment across the pruner, in (-0.8, 0.8).
        beta_tilde: Label moment along the pruner, in (-0.8, 0.8).
        cross: Moment of the coordinates along and across the pruner; 0 for rules that do not look at labels.
        across: Second moment across the pruner; ``p`` for rules that do not look at labels.

    Example:
        >>> from theory import KeepHard
        >>> moments = KeepHard.keeping(0.5).moments(alignment=0.9)
        >>> round(float(moments.gamma), 3)
        0.071
    """

    p: Array
    gamma: Array
    beta: Array
    beta_tilde: Array
    cross: Array
    across: Array


def label_agnostic(p: Array, gamma: Array, beta: Array, beta_tilde: Array, label_noise: Array) -> Moments:
    """Return the moments of a rule that does not look at labels from those of clean labels."""
    signal = 1 - 2 * label_noise
    return Moments(p, gamma, signal * beta, signal * beta_tilde, np.zeros(()), p)


def agreeing_moments(rule: Rule, alignment: ArrayLike, label_noise: Array) -> Moments:
    """Return the moments of the rows that a rule keeps and whose label agrees with the pruner's sign.

    Args:
        rule: Which margins are kept.
        alignment: Cosine between pruner and labelling direction, in [-1, 1].
        label_noise: Probability that a label flips, in [0, 0.5]; broadcasts with the alignment.
    """
    rho, _, _ = angles(alignment)
    shape = np.broadcast_shapes(rho.shape, label_noise.shape, rule.shape)
    rho, noise = (np.broadcast_to(x, shape).ravel() for x in (rho, label_noise))
    found = np.empty((6, rho.size))
    step = max(1, _CHUNK // rule.half_line(np.zeros(len(_SCALES)))[0].shape[-1])
    for start in range(0, rho.size, step):
        part = slice(start, start + step)
        found[:, part] = _agreeing(rule.part(shape, part), rho[part], noise[part, None])
    return Moments(*found.reshape(6, *shape))


def _agreeing(rule: Rule, rho: Array, noise: Array) -> Array:
    _, sine, tau = angles(rho[:, None])
    tau = np.clip(tau, -1e200, 1e200)  # infinity times a node at 0 has no value
    t, weight = rule.half_line(_SCALES * np.minimum(sine, 1.0))  # [N, K]
    weight = 2 * PDF0 * weight * np.exp(-(t**2) / 2)  # both halves of the line
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        agrees = noise + (1 - 2 * noise) * ndtr(tau * t)
        edge = (1 - 2 * noise) * np.where(sine > 0, PDF0 * np.exp(-((tau * t) ** 2) / 2), 0.0)  # E[H; label] given t
        slope = np.where(edge > 0, tau * t * edge, 0.0)
    return np.stack(
        [
            (weight * agrees).sum(-1),
            (weight * agrees * t**2).sum(-1),
            (weight * edge).sum(-1),
            (weight * agrees * t).sum(-1),
            (weight * edge * t).sum(-1),
            (weight * (agrees - slope)).sum(-1),
        ]
    )


def angles(alignment: ArrayLike) -> tuple[Array, Array, Array]:
    """Return ``rho``, ``sqrt(1 - rho^2)`` and ``tau``."""
    rho = cosine("alignment", alignment)
    sine = np.sqrt((1 - rho) * (1 + rho))
    with np.errstate(divide="ignore"):
        return rho, sine, rho / sine
