"""Losses by their proximal operators: what a row contributes to a fit that it takes part in.

Leaving a row out of a large fit changes its margin from ``m``, the margin of the fit without it, to the proximal point
``u = argmin loss(u) + (u - m)^2 / (2 k)``, where ``k`` is the row's leverage. All that the fixed point of
``theory.losses.fixed_point`` asks of a loss is the slope at the proximal point and how it answers to ``m`` (Kolossov,
Montanari and Tandon 2023; arXiv 2502.15588 has squared loss only).
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from scipy.special import expit

from theory.checks import ArgumentError, Array

_POINTS = np.concatenate([[-1e9, -1e3], np.arange(-40, 40.01, 0.01), [1e3, 1e9]])


class Loss(ABC):
    """A convex loss of the margin ``y x . w``."""

    @abstractmethod
    def response(self, margin: Array, leverage: float) -> tuple[Array, Array]:
        """Return the slope at the proximal point and the derivative of that slope in the margin.

        Args:
            margin: Margins of fits without the row, any shape.
            leverage: ``k``, at least 0.

        Returns:
            ``loss'(u)``, at most 0, and ``loss''(u) / (1 + k loss''(u))``, at least 0.
        """

    @abstractmethod
    def bends(self, leverage: float) -> tuple[Array, float]:
        """Return the margins [E] around which the response changes, and over what distance it does."""


class Logistic(Loss):
    """``log(1 + exp(-u))``."""

    def response(self, margin: Array, leverage: float) -> tuple[Array, Array]:
        """Solve ``u - k expit(-u) = margin`` by Newton's method from a table of the inverse, and differentiate."""
        u = np.interp(margin, _POINTS - leverage * expit(-_POINTS), _POINTS)
        for _ in range(1):
            wrong = expit(-u)
            u -= (u - leverage * wrong - margin) / (1 + leverage * wrong * (1 - wrong))
        wrong = expit(-u)
        curvature = wrong * (1 - wrong)
        return -wrong, curvature / (1 + leverage * curvature)

    def bends(self, leverage: float) -> tuple[Array, float]:
        """The response is analytic up to pi away from the real line; closest at two margins, once ``k`` is large."""
        log = np.log(max(leverage, 1.0))
        return np.array([log + 1, -leverage - log - 1] if leverage > 4 else [-leverage / 2]), np.pi


class LargestMargin(Loss):
    """Margins of at least 1, whatever it costs: the limit of logistic loss at ridge 0 on separable rows.

    The leverage is infinite there, and so is the response times it; only leverages' ratios matter.
    """

    def response(self, margin: Array, leverage: float) -> tuple[Array, Array]:
        """Return the response of a row that is pulled to a margin of 1."""
        return -np.maximum(1 - margin, 0.0) / leverage, (margin < 1) / leverage

    def bends(self, leverage: float) -> tuple[Array, float]:
        """Return the one margin at which the response bends."""
        return np.array([1.0]), 0.0


LOSSES = ("squared", "logistic")


def checked_loss(loss: str) -> str:
    """Return the name of a loss, refused if there is none of that name."""
    if loss not in LOSSES:
        raise ArgumentError(f"loss: found {loss!r}, expected {' or '.join(LOSSES)}.")
    return loss
