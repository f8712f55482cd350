"""Exact sampling of the isotropic ridge fit at O(n + d): no design matrix, only a banded system.

The fit depends on the kept rows through their two coordinates ``S`` [m, 2] in span(pruner, generator), their labels
``y``, and an independent Gaussian matrix ``G`` [m, d - 2] in all other dimensions. Rotations change nothing about
``G``, so:

1. QR of ``[S, y]`` turns the rows so that only the first three carry ``S`` and ``y``.
2. Rotating columns and rows in turn, three at a time, and never the first three rows again, brings ``[S, G]`` to a
   block bidiagonal matrix of 3 x 3 blocks: ``A_b`` (upper triangular) on the diagonal and ``C_b`` (lower
   triangular) beside it. This is Golub-Kahan bidiagonalisation; on a Gaussian matrix its entries are known in law,
   and independent: a chi variable for every pivot, with as many degrees of freedom as there are rows or columns
   left, and standard normals.
3. The normal equations are then banded with half-width 3, solved by one banded Cholesky factorisation.

Whichever of the primal (d unknowns) and the dual (m unknowns) system is smaller is solved, so the minimum-norm fit at
``ridge = 0`` needs no special case. Replicates are laid end to end in one banded system.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import solveh_banded

from theory.checks import Array
from theory.rules.selection import Rule
from theory.sampling.rows import CHUNK, kept_planes


def banded_draws(
    rule: Rule, d: int, n: int, ridge: float, alignment: Array, label_noise: float, rng: np.random.Generator
) -> tuple[Array, Array, np.ndarray]:
    """Independent draws of the fitted classifier, up to rotation of the dimensions it does not see.

    Args:
        rule: Which rows are kept.
        d: Input dimension, at least 2.
        n: Pool size, at least 1.
        ridge: Ridge penalty, at least 0.
        alignment: Cosine of pruner and generator for each replicate, [R].
        label_noise: Probability that a label flips.
        rng: Source of randomness.

    Returns:
        The fit's coordinates along and across the pruner [R, 2], the length of the rest of it [R], and the number
        of rows kept [R].
    """
    count = len(alignment)
    plane, kept = kept_planes(rule, n, alignment, label_noise, rng)
    w, rest = np.zeros((count, 2)), np.zeros(count)
    for primal in (True, False):
        chosen = np.flatnonzero((kept >= d) == primal)
        unknowns = d + 1 if primal else kept[chosen].max(initial=1)  # the two columns of S are padded to three
        blocks = -(-int(unknowns) // 3)
        group = max(1, CHUNK // (8 * blocks))
        for start in range(0, chosen.size, group):
            rows = chosen[start : start + group]
            a, c = _bidiagonal(plane[rows], kept[rows], d, blocks, rng)
            w[rows], rest[rows] = _solve(a, c, plane[rows, :, 2], n * ridge, primal)
    return w, rest, kept


def _bidiagonal(plane: Array, kept: np.ndarray, d: int, blocks: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Blocks ``A_b`` and ``C_b`` of the bidiagonal matrix, both [R, blocks, 3, 3].

    Rows beyond ``kept`` and columns beyond ``d`` do not exist: their entries are zero.
    """
    count, index = len(plane), np.arange(3 * blocks).reshape(blocks, 3)
    rows_left = np.maximum(kept[:, None, None] - index, 0)  # [R, blocks, 3], counting the row itself
    columns_left = np.maximum(d - 2 - index, 0)  # [blocks, 3], of the columns right of the diagonal block
    a = np.triu(rng.standard_normal((count, blocks, 3, 3)))
    c = np.tril(rng.standard_normal((count, blocks, 3, 3)), -1)
    i = np.arange(3)
    a[..., i, i] = np.sqrt(2 * rng.standard_gamma(rows_left / 2))
    c[..., i, i] = np.sqrt(2 * rng.standard_gamma(np.broadcast_to(columns_left / 2, (count, blocks, 3))))
    a[:, 1:] *= (columns_left[:-1] > 0)[:, None, :]  # A_b stands on the columns that C_(b-1) opened
    c *= (columns_left > 0)[:, None, :]
    a *= (rows_left > 0)[..., None]
    c *= (rows_left > 0)[..., None]
    a[:, 0] = plane * [1.0, 1.0, 0.0]  # the first block of columns is S, two wide
    return a, c


def _solve(a: Array, c: Array, y: Array, penalty: float, primal: bool) -> tuple[Array, Array]:
    """Solve the ridge problem of the bidiagonal matrix for every replicate at once.

    Args:
        a: Diagonal blocks, [R, B, 3, 3].
        c: Blocks right of them, [R, B, 3, 3].
        y: Labels in the rotated frame: three entries, the others being zero, [R, 3].
        penalty: Ridge penalty times pool size.
        primal: Whether to solve over columns (there are B blocks of them) or over rows.

    Returns:
        Coordinates in the plane [R, 2] and length of the rest [R].
    """
    count, blocks = a.shape[:2]
    at, ct = a.swapaxes(-1, -2), c.swapaxes(-1, -2)
    right = np.zeros((count, blocks, 3))
    if primal:
        diagonal, beside = at @ a, at[:, :-1] @ c[:, :-1]
        diagonal[:, 1:] += ct[:, :-1] @ c[:, :-1]
        right[:, 0] = np.einsum("rij,ri->rj", a[:, 0], y)
        if blocks > 1:
            right[:, 1] = np.einsum("rij,ri->rj", c[:, 0], y)
    else:
        diagonal, beside = a @ at + c @ ct, c[:, :-1] @ at[:, 1:]
        right[:, 0] = y
    pivot = np.einsum("rbii->rbi", diagonal)  # a view
    absent = pivot == 0
    pivot += penalty
    pivot[absent] = 1.0  # rows or columns that do not exist: decoupled, with solution zero
    band = np.zeros((4, count, blocks, 3))  # upper form: band[3 - k, ..., j] holds the entry k above the diagonal
    for j in range(3):
        for i in range(j + 1):
            band[3 - (j - i), :, :, j] = diagonal[..., i, j]
            band[j - i, :, 1:, i] = beside[..., j, i]
    solution = solveh_banded(band.reshape(4, -1), right.reshape(-1), check_finite=False).reshape(count, blocks, 3)
    if primal:
        w = solution
    else:
        w = np.zeros((count, blocks + 1, 3))
        w[:, :-1] = np.einsum("rbij,rbi->rbj", a, solution)
        w[:, 1:] += np.einsum("rbij,rbi->rbj", c, solution)
    return w[:, 0, :2], np.sqrt((w[:, 1:] ** 2).sum((1, 2)))
