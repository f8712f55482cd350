"""Sizes of what else was found in print, beside ``theory_numbers.errata``: each printed form against simulation.

Like ``theory_numbers``: rows in, no drawing. The printed forms are taken from a single reading of arXiv 2502.15588 v1;
where it can be read in more than one way each reading is measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from theory.error import general_error, isotropic_error
from theory.progress import progress
from theory.rules.selection import KeepAll, KeepHard, Rule
from theory.sampling.simulate import Simulation, banded, dense_general, generator_of
from theory.scaling import power_law
from theory.spectrum import stieltjes

Row = dict[str, Any]


def errata_sizes(
    *,
    d: int = 350,
    pools: Sequence[int] = (500, 1000, 4000),
    ridges: Sequence[float] = (1e-2, 1e-1),
    alignments: Sequence[float] = (1.0, 0.9, 0.6),
    kept_fractions: Sequence[float] = (0.3, 0.5, 0.8),
    decay: float = 1.0,
    replicates: int = 20,
    general_replicates: int = 4,
    seed: int = 0,
) -> list[Row]:
    """Measure Corollary 1, the first moment of Propositions 1 and 2 with Lemma 4, and Corollary 2 of v1.

    Corollary 1 is compared in the test error, the first moment of a covariance ``k^-decay`` in the overlap, and
    Corollary 2 in the entry of the resolvent along the pruner, whose simulated value is the exact one.

    Returns:
        Rows with ``where``, ``reading``, ``quantity``, ``printed``, ``exact``, ``simulation``, ``standard_error``,
        ``n_pool``, ``ridge``, ``rho``, ``kept_fraction``, ``d``.
    """
    rng = generator_of(seed)
    rows: list[Row] = []
    cases = [(n, rho, p) for n in pools for rho in alignments for p in kept_fractions]
    for n, rho, p in progress(cases, "errata's sizes"):
        rule: Rule = KeepAll() if p == 1 else KeepHard.keeping(p)
        shared: Row = {"n_pool": n, "rho": float(rho), "kept_fraction": float(p), "d": d}
        if abs(n * p - d) > 4 * np.sqrt(n * p * (1 - p)):  # beside the interpolation threshold the limit is not reached
            run = banded(rule, d=d, n=n, alignment=rho, replicates=replicates, seed=rng)
            exact = float(isotropic_error(rule, d=d, n=n, alignment=rho).test_error)
            about = {"where": "Corollary 1", "quantity": "test error", "ridge": 0.0, "exact": exact}
            about |= {"simulation": run.mean, "standard_error": run.standard_error}
            for reading, error in _one_beta(rule, d, n, rho).items():
                rows.append(about | {"reading": reading, "printed": error} | shared)
        for ridge in ridges:
            k = rule.moments(rho)
            t = stieltjes(d / n, k.p, k.gamma, ridge)
            s = float(k.gamma / (1 + d / n * t.m))
            along = float(t.m_tilde)
            rows.append(
                {"where": "Corollary 2", "quantity": "resolvent along the pruner", "reading": "s for m~"}
                | {"printed": s, "exact": along, "simulation": along, "standard_error": 0.0, "ridge": ridge}
                | shared
            )
    for n in pools:
        for ridge in ridges:
            for rho in alignments:
                p = 0.5
                vectors: dict[str, Any] = power_law(d=d, decay=decay, teacher="flat", alignment=rho, seed=seed)
                rule = KeepHard.keeping(p)
                found = dense_general(rule, n=n, ridge=ridge, replicates=general_replicates, seed=rng, **vectors)
                mean, spread = _overlap(found)
                about = {"where": "Propositions 1 and 2", "quantity": f"overlap, eigenvalues k^-{decay:g}", "d": d}
                about |= {"exact": float(general_error(rule, n=n, ridge=ridge, **vectors).overlap), "ridge": ridge}
                about |= {"simulation": mean, "standard_error": spread, "n_pool": n, "rho": float(rho)}
                for reading, value in _ridge_inside(rule, n, ridge, rho, vectors).items():
                    rows.append(about | {"reading": reading, "printed": value, "kept_fraction": p})
    return rows


def _one_beta(rule: Rule, d: int, n: int, rho: float) -> dict[str, float]:
    """Return Corollary 1's error with one beta in both directions; left out beyond a cosine of 1."""
    k, phi = rule.moments(rho), d / n
    p, gamma = float(k.p), float(k.gamma)
    found = {}
    for reading, beta in (
        ("beta in both directions", float(k.beta)),
        ("beta~ in both directions", float(k.beta_tilde)),
    ):
        if phi < p:
            m, m1 = 1 / (p - phi), p / (p - phi) ** 3
            along = p / gamma * m
            along1 = along**2 * (1 + gamma * phi * m1 / (1 + phi * m) ** 2)
            push = 2 * phi * m1 / (1 + phi * m)
        else:  # everything times the ridge, or its square
            m = m1 = 1 - p / phi
            along = m / (gamma / phi + m)
            along1 = along**2 * (1 + gamma / (phi * m))
            push = 2.0
        dot = np.sqrt(1 - rho**2) * beta * m + rho * beta * along
        nu = p * phi * m1 + beta**2 * (m1 + along1) - push * beta**2 * (m + along)
        with np.errstate(invalid="ignore"):
            cosine = dot / np.sqrt(nu) if nu > 0 else np.inf
        if abs(cosine) <= 1:
            found[reading] = float(np.arccos(cosine) / np.pi)
    return found


def _ridge_inside(rule: Rule, n: int, ridge: float, rho: float, vectors: dict[str, Any]) -> dict[str, float]:
    """Return the overlap with the ridge inside ``Sigma^1/2``: the isotropic resolvent between two ``Sigma^-1/2``."""
    root = np.sqrt(vectors["covariance"])
    k = rule.moments(rho)
    t = stieltjes(len(root) / n, k.p, k.gamma, ridge)
    pruner, generator = (root * vectors[name] for name in ("pruner", "generator"))
    pruner, generator = pruner / np.linalg.norm(pruner), generator / np.linalg.norm(generator)
    across = generator - rho * pruner
    across = across / max(float(np.linalg.norm(across)), 1e-12) if rho < 1 else 0 * across
    moment = k.beta_tilde * pruner + k.beta * across  # Lemma 4's c, which lacks Sigma^1/2
    found = {}
    for reading, c in (("Lemma 4's c with its missing factor", root * moment), ("Lemma 4's c as printed", moment)):
        whitened = c / root
        fitted = t.m * whitened + (t.m_tilde - t.m) * (pruner @ whitened) * pruner
        found[f"ridge inside, {reading}"] = float(generator @ fitted)
    return found


def _overlap(run: Simulation) -> tuple[float, float]:
    return float(run.overlap.mean()), float(run.overlap.std(ddof=1) / np.sqrt(len(run.overlap)))


def errata_table(rows: list[Row]) -> list[Row]:
    """Return a line per place and reading, with the largest distance from simulation of it and of the right form."""
    lines = []
    for where, reading in dict.fromkeys((row["where"], row["reading"]) for row in rows):
        mine = [row for row in rows if (row["where"], row["reading"]) == (where, reading)]
        worst = max(mine, key=lambda row: abs(row["printed"] - row["simulation"]))
        right = max(mine, key=lambda row: abs(row["exact"] - row["simulation"]))
        lines.append(
            {
                "v1": where,
                "as printed, read as": reading,
                "compared": mine[0]["quantity"],
                "settings": len(mine),
                "largest distance": f"{abs(worst['printed'] - worst['simulation']):.3g}",
                "printed there": f"{worst['printed']:.3g}",
                "simulated there": f"{worst['simulation']:.3g} "
                + (f"({worst['standard_error']:.2g})" if worst["standard_error"] else "(exact)"),
                "largest distance of the right form": f"{abs(right['exact'] - right['simulation']):.2g}",
            }
        )
    return lines
