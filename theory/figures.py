"""The numbers of every theory exhibit: one function each, returning rows (flat dicts), never drawing.

Every function is deterministic given ``seed`` and takes the paper's settings as defaults. Rows of series
``"exact"`` are the closed form, rows of series ``"simulation"`` the mean over replicates with its standard error (0
for exact rows).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from theory.error import isotropic_error
from theory.progress import progress
from theory.selection import KeepAll, KeepHard, Rule
from theory.simulate import banded

Row = dict[str, Any]


def figure3(
    *,
    d: int = 512,
    ridge: float = 1e-2,
    alignments: Sequence[float] = (1.0, 0.9),
    kept_fractions: Sequence[float] = (1.0, 0.9, 0.8, 0.5, 0.1),
    log2_selected: tuple[int, int] = (6, 12),
    replicates: int = 20,
    seed: int = 0,
) -> list[Row]:
    """Figure 3: accuracy against the number of SELECTED rows, keeping all or the hardest fraction ``p``.

    The pool that is searched is larger than the selected set: ``n_pool = n_selected / p``. The paper does not state
    the alignment; a perfect and an imperfect pruner are given.

    Returns:
        Rows with ``series``, ``rho``, ``kept_fraction``, ``n_pool``, ``n_selected``, ``test_accuracy`` (in [0, 1]),
        ``standard_error``, ``d``, ``ridge``.
    """
    low, high = log2_selected
    fine, coarse = 2.0 ** np.arange(low, high + 1 / 16, 1 / 8), [2**k for k in range(low, high + 1)]
    rng = np.random.default_rng(seed)
    rows: list[Row] = []
    for rho, p in progress([(rho, p) for rho in alignments for p in kept_fractions], "figure 3"):
        shared = {"rho": float(rho), "kept_fraction": float(p), "d": d, "ridge": ridge}
        exact = isotropic_error(hardest(p), d=d, n=fine / p, ridge=ridge, alignment=rho).test_error
        for selected, error in zip(fine, exact, strict=True):
            rows.append(_point("exact", selected / p, selected, 1 - error, 0.0) | shared)
        for selected in coarse:
            pool = round(selected / p)
            run = banded(hardest(p), d=d, n=pool, ridge=ridge, alignment=rho, replicates=replicates, seed=rng)
            rows.append(_point("simulation", pool, selected, 1 - run.mean, run.standard_error) | shared)
    return rows


def hardest(p: float) -> Rule:
    """Keep the hardest fraction ``p``; everything if ``p`` is 1."""
    return KeepAll() if p == 1 else KeepHard.keeping(p)


def _point(series: str, pool: float, selected: float, accuracy: float, standard_error: float) -> Row:
    return {
        "series": series,
        "n_pool": float(pool),
        "n_selected": float(selected),
        "test_accuracy": float(accuracy),
        "standard_error": float(standard_error),
    }
