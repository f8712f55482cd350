"""Expectations over kept rows of a loss's response to them, by quadrature in the row's two random coordinates.

The margin of a row that a fit has not seen is ``y z`` with ``z = a G + b H + r Z``: ``G`` and ``H`` are the row's
coordinates along the pruner and across it, towards the generator, ``Z`` is all the rest, and ``a``, ``b`` and ``r`` are
the fit's. Rows come in pairs ``(x, y)`` and ``(-x, -y)``, so ``G = t > 0`` is integrated over with the rule's own
panels, and ``W = b H + r Z``, normal with deviation ``s = hypot(b, r)``, within it; given both, the clean label is 1
with probability ``Phi((s tau t + b W / s) / r)``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from theory.checks import Array
from theory.losses.loss import Loss
from theory.rules.moments import PDF0
from theory.rules.quadrature import merged, panel_nodes
from theory.rules.selection import Rule

_LADDER = np.array([-9.0, -3.0, -1.0, 0.0, 1.0, 3.0, 9.0])
_BASE = np.linspace(-9, 9, 13)  # deviations of W; the mass beyond is below 1e-18


@dataclass(frozen=True)
class KeptRows:
    """The law of the kept rows.

    Attributes:
        rule: Which margins are kept.
        alignment: Cosine of pruner and generator.
        label_noise: Probability that a label flips.
        share: Of all rows of the pool.
    """

    rule: Rule
    alignment: float
    label_noise: float
    share: float = 1.0

    def respond(
        self, fit: tuple[float, float, float], leverage: float, loss: Loss, count: int = 10
    ) -> tuple[float, float, float, float]:
        """Return what the kept rows contribute to a fit.

        Args:
            fit: ``a``, ``b`` and ``r``.
            leverage: The rows' leverage.
            loss: Whose response is meant.
            count: Nodes of quadrature per panel.

        Returns:
            ``-E[y G loss']`` and ``-E[y H loss']``, the mean curvature, and the mean of ``loss'^2``, per row of the
            population; rows not kept count as 0.
        """
        a, b, r = fit
        rho = self.alignment
        sine = np.sqrt((1 - rho) * (1 + rho))
        spread = max(np.hypot(b, r), 1e-150)
        t, weight = self.rule.half_line(self._margin_edges(a, spread, leverage, loss, sine), count)
        weight = 2 * PDF0 * weight * np.exp(-(t**2) / 2)
        used = weight > 1e-14
        t, weight = t[used][:, None], weight[used][:, None]
        total = np.zeros(4)
        bends, width = loss.bends(leverage)
        if width > 0:
            bends = (bends[:, None] + width * _LADDER).ravel() if spread > 1 else np.empty(0)
        for y in (1.0,) if self.rule.agreeing else (1.0, -1.0):
            edges = [(y * bends - a * t) / spread]
            if abs(b) > 0.2 * r and sine > 0:
                edges.append(_LADDER * max(r / abs(b), 1e-12) - spread * rho * t / (sine * b))
            zeta, inner = panel_nodes(merged(_BASE, *edges), count)  # W in units of its deviation, [T, Z]
            inner = inner * np.exp(-(zeta**2) / 2) * PDF0
            positive, across = self._labels(t, zeta, b, r, spread, sine)
            if y < 0:
                positive, across = 1 - positive, b / spread * zeta - across
            slope, curvature = loss.response(y * (a * t + spread * zeta), leverage)
            mass = weight * inner
            chance = mass * positive
            total += (
                -y * np.sum(chance * t * slope),
                -y * np.sum(mass * across * slope),
                np.sum(chance * curvature),
                np.sum(chance * slope**2),
            )
        return float(total[0]), float(total[1]), float(total[2]), float(total[3])

    def _margin_edges(self, a: float, spread: float, leverage: float, loss: Loss, sine: float) -> Array:
        """Return edges in ``t``, where the label's probability and the response change fastest."""
        edges = [sine * np.array([1.0, 2.0, 4.0, 8.0])]
        if abs(a) > 3 * spread:  # W does not smooth the response along the pruner
            bends, width = loss.bends(leverage)
            centres = np.concatenate([np.abs(bends), [0.0]])
            edges.append((centres[:, None] + max(width, spread) * _LADDER).ravel() / abs(a))
        return np.maximum(np.concatenate(edges), 0.0)

    def _labels(self, t: Array, zeta: Array, b: float, r: float, spread: float, sine: float) -> tuple[Array, Array]:
        """Return the probability of label 1 given ``t`` and W, and the mean of ``H`` times its indicator."""
        noise, rho = self.label_noise, self.alignment
        mean = b / spread * zeta  # of H
        if sine == 0:
            clean = np.full(np.broadcast_shapes(t.shape, zeta.shape), 1.0 if rho > 0 else 0.0)
            return noise + (1 - 2 * noise) * clean, mean * (noise + (1 - 2 * noise) * clean)
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            point = (spread * rho / sine * t + b * zeta) / max(r, 1e-150)
            clean = ndtr(point)
            edge = r / spread * PDF0 * np.exp(-np.minimum(point**2, 1e4) / 2)
        positive = noise + (1 - 2 * noise) * clean
        return positive, mean * positive + (1 - 2 * noise) * edge
