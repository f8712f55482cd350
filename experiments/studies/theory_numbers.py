"""The numbers of every theory exhibit: one function each, returning rows (flat dicts), never drawing.

Every function is deterministic given ``seed`` and takes the paper's settings as defaults. Rows of series
``"exact"`` are the closed form, rows of series ``"simulation"`` the mean over replicates with its standard error (0
for exact rows).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from experiments.studies.theory_errata import errata_sizes
from experiments.studies.theory_label_aware import label_aware
from experiments.studies.theory_open_questions import adaptive, answer, exponent, phase
from theory.error import general_error, isotropic_error
from theory.printed import VERSIONS, printed_error
from theory.progress import progress
from theory.rules.selection import KeepAll, KeepHard, Rule
from theory.sampling.simulate import banded, dense_general, generator_of
from theory.scaling import best_isotropic, power_law

__all__ = [
    "adaptive",
    "answer",
    "errata",
    "errata_sizes",
    "exponent",
    "figure3",
    "figure5c",
    "figure7",
    "general_covariance",
    "label_aware",
    "phase",
]

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
    rng = generator_of(seed)
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


def figure5c(
    *,
    d: int = 512,
    n_selected: int = 1024,
    ridges: Sequence[float] = (1e-2, 1e-4),
    alignments: Sequence[float] = (1.0, 0.9, 0.6),
    ratios: Sequence[float] = (1, 1.5, 2, 3, 4, 6, 9, 13, 18),
    replicates: int = 20,
    seed: int = 0,
) -> list[Row]:
    """Figure 5c: accuracy against the over-sampling ratio ``1 / p``, at a fixed number of selected rows.

    Returns:
        Rows with ``series``, ``rho``, ``ridge``, ``oversampling_ratio``, ``kept_fraction``, ``n_pool``,
        ``n_selected``, ``test_accuracy`` (in [0, 1]), ``standard_error``, ``d``. Those of series ``"tuned"`` are exact,
        with the ridge that is best at each ratio.
    """
    rng = generator_of(seed)
    fine = np.geomspace(min(ratios), max(ratios), 60)
    rows: list[Row] = []
    for ridge, rho in progress([(ridge, rho) for ridge in ridges for rho in alignments], "figure 5c"):
        shared = {"rho": float(rho), "ridge": ridge, "d": d}
        setting: dict[str, Any] = {"d": d, "ridge": ridge, "alignment": rho}
        exact = isotropic_error(KeepHard.keeping(1 / fine), n=n_selected * fine, **setting).test_error
        for ratio, error in zip(fine, exact, strict=True):
            point = _point("exact", n_selected * ratio, n_selected, 1 - error, 0.0)
            rows.append(point | shared | {"oversampling_ratio": float(ratio), "kept_fraction": float(1 / ratio)})
        for ratio in ratios:
            pool = round(n_selected * ratio)
            run = banded(hardest(1 / ratio), n=pool, replicates=replicates, seed=rng, **setting)
            point = _point("simulation", pool, n_selected, 1 - run.mean, run.standard_error)
            rows.append(point | shared | {"oversampling_ratio": float(ratio), "kept_fraction": 1 / ratio})
    for rho in alignments:
        for ratio in ratios:
            best = best_isotropic(
                d=d, n=n_selected, budget="selected", fractions=(1 / ratio,), alignment=rho, easy=False
            )
            point = _point("tuned", n_selected * ratio, n_selected, 1 - float(best.test_error), 0.0)
            at = {"oversampling_ratio": float(ratio), "kept_fraction": 1 / ratio}
            rows.append(point | {"rho": float(rho), "ridge": float(best.ridge), "d": d} | at)
    return rows


def finite_optimum(
    *,
    d: int = 512,
    n_selected: int = 1024,
    alignments: Sequence[float] = (1.0, 0.9, 0.6),
    ratios: Sequence[float] = (1, 1.5, 2, 3, 4, 6, 9, 13, 18),
    ridges: Sequence[float] = (0.0, 1e-4, 1e-3, 1e-2, 1e-1, 1.0),
    replicates: int = 60,
    seed: int = 0,
) -> list[Row]:
    """Figure 5c at a finite dimension: simulated accuracy with the best ridge at each over-sampling ratio.

    The best of ``ridges`` (per selected row) is chosen on one half of the replicates and measured on the other.

    Returns:
        Rows with ``series`` (``"tuned simulation"``), ``rho``, ``ridge``, ``oversampling_ratio``, ``kept_fraction``,
        ``n_pool``, ``n_selected``, ``test_accuracy`` (in [0, 1]), ``standard_error``, ``d``.
    """
    rng = generator_of(seed)
    rows: list[Row] = []
    for rho, ratio in progress([(rho, ratio) for rho in alignments for ratio in ratios], "finite optimum"):
        setting: dict[str, Any] = {"d": d, "n": round(n_selected * ratio), "alignment": rho, "seed": rng}
        rule, half = hardest(1 / ratio), replicates // 2
        runs = [banded(rule, ridge=ridge / ratio, replicates=replicates, **setting) for ridge in ridges]
        best = min(range(len(runs)), key=lambda i: runs[i].replicates[:half].mean())
        held_out = runs[best].replicates[half:]
        spread = float(held_out.std(ddof=1) / np.sqrt(len(held_out)))
        point = _point("tuned simulation", setting["n"], n_selected, 1 - float(held_out.mean()), spread)
        at = {"oversampling_ratio": float(ratio), "kept_fraction": 1 / ratio}
        rows.append(point | {"rho": float(rho), "ridge": ridges[best] / ratio, "d": d} | at)
    return rows


def figure7(
    *,
    d: int = 350,
    pools: Sequence[int] = (500, 1000, 4000),
    ridges: Sequence[float] = (1e-6, 1e-2),
    alignments: Sequence[float] = (1.0, 0.9, 0.6),
    replicates: int = 30,
    seed: int = 0,
) -> list[Row]:
    """Figure 7: error against the fraction of the pool KEPT, hardest first; interpolation threshold at ``p = d / n``.

    Returns:
        Rows with ``series``, ``rho``, ``ridge``, ``n_pool``, ``kept_fraction``, ``threshold`` (``d / n``),
        ``test_error``, ``standard_error``, ``d``.
    """
    rng = generator_of(seed)
    fine, coarse = np.linspace(0.02, 1, 197), np.linspace(0.1, 1, 10)
    settings = [(ridge, n, rho) for ridge in ridges for n in pools for rho in alignments]
    rows: list[Row] = []
    for ridge, n, rho in progress(settings, "figure 7"):
        shared = {"rho": float(rho), "ridge": ridge, "n_pool": n, "d": d, "threshold": d / n}
        setting: dict[str, Any] = {"d": d, "n": n, "ridge": ridge, "alignment": rho}
        exact = isotropic_error(KeepHard.keeping(fine), **setting).test_error
        for p, error in zip(fine, exact, strict=True):
            rows.append(_error_point("exact", error, 0.0) | shared | {"kept_fraction": float(p)})
        for p in coarse:
            run = banded(hardest(p), replicates=replicates, seed=rng, **setting)
            rows.append(_error_point("simulation", run.mean, run.standard_error) | shared | {"kept_fraction": float(p)})
    return rows


def errata(
    *,
    d: int = 350,
    pools: Sequence[int] = (500, 1000, 4000),
    ridges: Sequence[float] = (1e-6, 1e-2),
    alignments: Sequence[float] = (1.0, 0.9, 0.6),
    kept_fractions: Sequence[float] = (0.3, 0.5, 0.8, 1.0),
    replicates: int = 100,
    seed: int = 0,
) -> list[Row]:
    """The printed forms of the isotropic theorem, by version, and the right one, each beside the simulation.

    Returns:
        One row a setting and form with ``series`` (a name of ``theory.printed.VERSIONS``, ``"proved"`` being the
        right one), ``test_error`` (the string ``"undefined"`` where the printed form has no value), ``simulation``,
        ``standard_error``, ``deviation`` (form minus simulation, or ``"undefined"``), ``rho``, ``ridge``,
        ``n_pool``, ``kept_fraction``, ``d``.
    """
    rng = generator_of(seed)
    settings = [(n, ridge, rho, p) for n in pools for ridge in ridges for rho in alignments for p in kept_fractions]
    rows: list[Row] = []
    for n, ridge, rho, p in progress(settings, "errata"):
        setting: dict[str, Any] = {"d": d, "n": n, "ridge": ridge, "alignment": rho}
        run = banded(hardest(p), replicates=replicates, seed=rng, **setting)
        shared = {"simulation": run.mean, "standard_error": run.standard_error, "rho": float(rho), "ridge": ridge}
        for version in VERSIONS:
            error = float(printed_error(hardest(p), version, **setting))
            defined = not np.isnan(error)
            rows.append(
                {
                    "series": version,
                    "test_error": error if defined else "undefined",
                    "deviation": error - run.mean if defined else "undefined",
                    **shared,
                    "n_pool": n,
                    "kept_fraction": float(p),
                    "d": d,
                }
            )
    return rows


def general_covariance(
    *,
    d: int = 350,
    decay: float = 1.0,
    pools: Sequence[int] = (500, 1000, 2000, 4000, 6000),
    ridges: Sequence[float] = (1e-4, 0.1),
    alignments: Sequence[float] = (1.0, 0.91, 0.67),
    kept_fraction: float = 0.5,
    replicates: int = 8,
    seed: int = 0,
) -> list[Row]:
    """General covariance, eigenvalues ``k^-decay``: error against pool size, keeping the hardest half.

    Every eigenvector carries the same share of the generator's margin; ``alignments`` are cosines of margins.

    Returns:
        Rows with ``series``, ``rho``, ``ridge``, ``n_pool``, ``kept_fraction``, ``test_error``, ``standard_error``,
        ``d``.
    """
    rng = generator_of(seed)
    rule, fine = hardest(kept_fraction), np.geomspace(min(pools), max(pools), 60)
    rows: list[Row] = []
    for ridge, rho in progress([(ridge, rho) for ridge in ridges for rho in alignments], "general covariance"):
        vectors: dict[str, Any] = power_law(d=d, decay=decay, teacher="flat", alignment=rho, seed=seed)
        shared = {"rho": float(rho), "ridge": ridge, "kept_fraction": kept_fraction, "d": d, "decay": decay}
        exact = general_error(rule, n=fine, ridge=ridge, **vectors).test_error
        for n, error in zip(fine, exact, strict=True):
            rows.append(_error_point("exact", error, 0.0) | shared | {"n_pool": float(n)})
        for n in pools:
            run = dense_general(rule, n=n, ridge=ridge, replicates=replicates, seed=rng, **vectors)
            rows.append(_error_point("simulation", run.mean, run.standard_error) | shared | {"n_pool": float(n)})
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


def _error_point(series: str, error: float, standard_error: float) -> Row:
    return {"series": series, "test_error": float(error), "standard_error": float(standard_error)}
