"""Composite Gauss-Legendre quadrature on the half line, with panels that resolve jumps and several scales at once."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import ArrayLike

from theory.checks import Array

TAIL = 13.0  # the standard normal mass beyond is below 1e-37
NODES = 20  # in a panel
TOWARDS_ZERO = np.float64(2) ** np.arange(-46, -1, dtype=np.float64)  # edges for integrands that change fastest at 0


def panel_nodes(edges: Array, count: int = NODES) -> tuple[Array, Array]:
    """Return nodes and weights of the panels between neighbouring edges.

    Args:
        edges: Increasing edges, [..., E]; panels without width have nodes of weight 0.
        count: Nodes per panel.

    Returns:
        Nodes and weights, both [..., (E - 1) count].
    """
    x, weight = _legendre(count)
    left, half = edges[..., :-1, None], np.diff(edges)[..., None] / 2
    shape = (*edges.shape[:-1], -1)
    return (left + half * (1 + x)).reshape(shape), (half * weight).reshape(shape)


def merged(edges: Array, *others: ArrayLike) -> Array:
    """Return the edges together with others [..., X] between the first and the last of them, in order."""
    low, high = edges[..., :1], edges[..., -1:]
    clipped = [np.clip(np.asarray(other, dtype=np.float64), low, high) for other in others]
    shape = np.broadcast_shapes(edges.shape[:-1], *(other.shape[:-1] for other in clipped))
    parts = [np.broadcast_to(part, (*shape, part.shape[-1])) for part in (edges, *clipped)]
    return np.sort(np.concatenate(parts, axis=-1), axis=-1)


def resolved_edges(function: Callable[[Array], Array], edges: Array) -> Array:
    """Return the edges with more between them, until every panel resolves ``function``, jumps included.

    A panel is halved while its rule disagrees with the sum over its halves, at most 60 times: what is left then is
    narrower than 1e-17.

    Args:
        function: Maps an array of points to an array of the same shape.
        edges: Increasing edges, [E].
    """
    left, right = edges[:-1], edges[1:]
    found = [edges]
    for _ in range(60):
        middle = (left + right) / 2
        whole = _panel_sums(function, left, right)
        halves = _panel_sums(function, left, middle) + _panel_sums(function, middle, right)
        bad = np.abs(whole - halves) > 1e-16
        if not bad.any():
            break
        found.append(middle[bad])
        left, right = np.append(left[bad], middle[bad]), np.append(middle[bad], right[bad])
    return _thinned(function, np.unique(np.concatenate(found)), edges)


def _thinned(function: Callable[[Array], Array], edges: Array, needed: Array) -> Array:
    """Return the edges without those that no panel needs: halving towards a jump leaves many beside it."""
    while True:
        left, middle, right = edges[:-2], edges[1:-1], edges[2:]
        whole = _panel_sums(function, left, right)
        halves = _panel_sums(function, left, middle) + _panel_sums(function, middle, right)
        idle = (np.abs(whole - halves) <= 1e-16) & ~np.isin(middle, needed)
        place = np.flatnonzero(idle)
        place = (
            place[place % 2 == place[0] % 2] if place.size else place
        )  # the panels beside every other edge are apart
        if not place.size:
            return edges
        edges = np.delete(edges, place + 1)


@cache
def _legendre(count: int) -> tuple[Array, Array]:
    return np.polynomial.legendre.leggauss(count)


def _panel_sums(function: Callable[[Array], Array], left: Array, right: Array) -> Array:
    t, weight = panel_nodes(np.stack([left, right], axis=-1))
    return np.asarray(np.sum(weight * function(t.ravel()).reshape(t.shape), axis=-1))
