"""Draws of kept rows, without the rest of the pool: the same law as drawing all rows and keeping some.

The number kept is binomial, their margins have the density ``q(t) phi(t) / p``, and everything else about a row is
independent of being kept. An agreeing rule then drops the rows whose label is not the pruner's. The cost is that of the
rows whose margin is kept, however large the pool.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from theory.checks import Array
from theory.rules.selection import Rule

CHUNK = 2**20  # rows drawn at a time


def kept_rows(
    rule: Rule, n: int, pruner: Array, generator: Array, label_noise: float, rng: np.random.Generator
) -> Iterator[tuple[Array, Array]]:
    """Yield the kept rows of a pool in whitened coordinates, in parts of a bounded size.

    Args:
        rule: Which rows are kept.
        n: Pool size.
        pruner: Unit vector, [r].
        generator: Unit vector, [r].
        label_noise: Probability that a label flips.
        rng: Source of randomness.

    Yields:
        Rows [m, r] and their labels [m]; once at least, perhaps empty.
    """
    left = int(rng.binomial(n, min(float(rule.kept_fraction), 1.0)))
    while True:
        count = min(left, max(1, 32 * CHUNK // len(pruner)))
        g = rng.standard_normal((count, len(pruner)))
        t = rule.draw(count, rng)
        g += np.outer(t - g @ pruner, pruner)
        y = noisy_labels(g @ generator, label_noise, rng)
        if rule.agreeing:
            agrees = t * y > 0
            g, y = g[agrees], y[agrees]
        yield g, y
        left -= count
        if not left:
            return


def kept_planes(
    rule: Rule, n: int, alignment: Array, label_noise: float, rng: np.random.Generator
) -> tuple[Array, np.ndarray]:
    """Draw what the banded sampler needs of the kept rows of several pools.

    Args:
        rule: Which rows are kept.
        n: Pool size.
        alignment: Cosine of pruner and generator for each pool, [R].
        label_noise: Probability that a label flips.
        rng: Source of randomness.

    Returns:
        Triangular factors of the kept rows' two coordinates and label [R, 3, 3], and how many were kept [R].
    """
    left = rng.binomial(n, min(float(rule.kept_fraction), 1.0), size=len(alignment))
    factor, kept = np.zeros((len(left), 3, 3)), np.zeros(len(left), np.int64)
    while left.any():
        # Pools with rows left, as many as fit, padded to the longest.
        open_pools = np.flatnonzero(left)
        width = min(int(left.max()), CHUNK)
        open_pools = open_pools[: max(1, CHUNK // width)]
        count = np.minimum(left[open_pools], width)
        shape = (len(open_pools), int(count.max()))
        rho = alignment[open_pools, None]
        t, across = rule.draw(shape, rng), rng.standard_normal(shape)
        y = noisy_labels(rho * t + np.sqrt((1 - rho) * (1 + rho)) * across, label_noise, rng)
        keep = np.arange(shape[1]) < count[:, None]
        if rule.agreeing:
            keep &= t * y > 0
        # Rows not kept become zero rows, which leave the factor unchanged; the old factor stands above the new rows.
        rows = np.where(keep[..., None], np.stack([t, across, y], axis=-1), 0.0)
        factor[open_pools] = np.linalg.qr(np.concatenate([factor[open_pools], rows], axis=1), mode="r")
        kept[open_pools] += keep.sum(1)
        left[open_pools] -= count
    exists = np.arange(3) < kept[:, None]  # with fewer than three rows kept, the last rows are rounding errors
    return factor * exists[..., None], kept


def noisy_labels(margin: Array, label_noise: float, rng: np.random.Generator) -> Array:
    """Return labels +1 or -1 of the generator's margins, each flipped with probability ``label_noise``."""
    y = np.where(margin >= 0, 1.0, -1.0)
    return np.where(rng.random(np.shape(y)) < label_noise, -y, y) if label_noise > 0 else y
