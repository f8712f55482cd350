"""Numbers for what the paper leaves open: adaptive rounds, when pruning helps, and whether exponents change.

Like ``theory_numbers``: rows in, no drawing. :func:`answer` says in words what the rows of :func:`exponent` or
:func:`phase` show, computed from them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from theory.checks import ArgumentError, Array
from theory.practice import accumulated_rounds, fresh_rounds, practice_error
from theory.progress import progress
from theory.rules.selection import KeepAll, KeepEasy, KeepHard, Rule
from theory.sampling.simulate import banded, dense_general, generator_of
from theory.scaling import best_general, best_isotropic, best_rounds, local_exponents, power_law
from theory.search import TRUSTED

Row = dict[str, Any]
FINE_FRACTIONS = tuple(float(f) for f in np.geomspace(1e-4, 1, 201))


def adaptive(
    *,
    d: int = 400,
    n_selected: int = 1600,
    rounds: int = 6,
    kept_fractions: Sequence[float] = (1.0, 0.3, 0.1),
    ridges: Sequence[float] = (1e-3, 1e-5),
    replicates: int = 20,
    accumulated_replicates: int = 2,
    seed: int = 0,
) -> list[Row]:
    """Adaptive rounds: error after each, the pruner being the last round's classifier, the first round unpruned.

    Series ``"exact"`` and ``"simulation"`` train on a fresh pool a round; ``"accumulated"`` (simulation only) on
    the kept rows of all rounds so far.

    Returns:
        Rows with ``series``, ``kept_fraction``, ``ridge``, ``round`` (0 is unpruned), ``n_selected`` (a round),
        ``test_error``, ``standard_error``, ``d``.
    """
    rng = generator_of(seed)
    rows: list[Row] = []
    for ridge, p in progress([(ridge, p) for ridge in ridges for p in kept_fractions], "adaptive rounds"):
        rules: list[Rule] = [KeepAll(), *[KeepAll() if p == 1 else KeepHard.keeping(p)] * (rounds - 1)]
        pools = [n_selected, *[round(n_selected / p)] * (rounds - 1)]
        setting: dict[str, Any] = {"d": d, "pools": pools, "ridge": ridge}
        exact = practice_error(rules, **setting)
        fresh = fresh_rounds(rules, replicates=replicates, seed=rng, **setting)
        together = accumulated_rounds(rules, replicates=accumulated_replicates, seed=rng, **setting)
        shared = {"kept_fraction": float(p), "ridge": ridge, "n_selected": n_selected, "d": d}
        for k in range(rounds):
            for series, error, spread in (
                ("exact", float(exact[k]), 0.0),
                ("simulation", fresh[k].mean, fresh[k].standard_error),
                ("accumulated", together[k].mean, together[k].standard_error),
            ):
                point = {"series": series, "round": k, "test_error": error, "standard_error": spread}
                rows.append(point | shared)
    return rows


def phase(
    *,
    d: int = 512,
    generator_alignments: Sequence[float] = (1.0, 0.9, 0.7),
    points: int = 41,
    replicates: int = 10,
    seed: int = 0,
) -> list[Row]:
    """Phase diagram: the best selection from a pool of ``n`` rows, by ``n / d``, alignment and generator quality.

    Two kinds of pruner are told apart when the generator is imperfect. One is aligned with the generator's
    ``"labels"`` (as when trained on them): the cosine on the axis is with the labels. The other is aligned with the
    ``"truth"`` and errs independently of the generator (as when trained on other data): the cosine on the axis is
    with the truth. The ridge is tuned at every point, for keep all as well.

    Returns:
        Rows with ``pruner``, ``generator_alignment``, ``alignment``, ``n_over_d``, ``kept_fraction`` (1 is keep all),
        ``kind`` (``"hard"``, ``"easy"`` or ``"all"``), ``test_error``, ``keep_all_error``, ``gain`` (relative fall
        of the error), ``d``.
    """
    ratio, cosine = np.meshgrid(np.geomspace(0.25, 64, points), np.linspace(0, 1, points))  # [alignments, ratios]
    rng = generator_of(seed)
    rows: list[Row] = []
    cases = [(g, kind) for g in generator_alignments for kind in ("labels", "truth") if g < 1 or kind == "labels"]
    checked = {int(i) for i in np.linspace(points // 3, points - 1, 3)}  # along each axis
    for g, kind in progress(cases, "phase diagram"):
        # "truth": the pruner's cosine with the truth is on the axis and its cosine with the labels follows.
        labels = cosine if kind == "labels" else g * cosine
        truth = g * cosine if kind == "labels" else cosine
        angles: dict[str, Any] = {
            "alignment": labels,
            "generator_alignment": np.full_like(cosine, g),
            "pruner_truth_alignment": truth,
        }
        best = best_isotropic(d=d, n=ratio * d, budget="pool", **angles)
        plain = best_isotropic(d=d, n=ratio * d, budget="pool", **angles, fractions=[1.0])
        for index in np.ndindex(ratio.shape):
            kept, error, base = (float(x[index]) for x in (best.kept_fraction, best.test_error, plain.test_error))
            gain = 1 - error / base
            worth = gain > 1e-3 and kept < 1  # below that, "best" is the rounding of the grid
            row: Row = {
                "series": "exact",
                "pruner": kind,
                "generator_alignment": float(g),
                "alignment": float(cosine[index]),
                "n_over_d": float(ratio[index]),
                "kept_fraction": kept if worth else 1.0,
                "kind": ("easy" if best.easy[index] else "hard") if worth else "all",
                "test_error": error,
                "standard_error": 0.0,
                "keep_all_error": base,
                "gain": gain if worth else 0.0,
                "d": d,
            }
            rows.append(row)
            if set(index) <= checked:
                rule: Rule = KeepAll() if kept == 1 else (KeepEasy if best.easy[index] else KeepHard).keeping(kept)
                point = {name: float(value[index]) for name, value in angles.items()}
                n, ridge = round(float(ratio[index]) * d), float(best.ridge[index])
                run = banded(rule, d=d, n=n, ridge=ridge, replicates=replicates, seed=rng, **point)
                drawn = {"series": "simulation", "test_error": run.mean, "standard_error": run.standard_error}
                rows.append(row | drawn | {"gain": 1 - run.mean / base})
    return rows


def exponent(
    *,
    d: int = 500,
    isotropic_d: int = 10_000,
    decays: Sequence[float] = (0.5, 1.0, 1.5, 2.0),
    kept_fraction: float = 0.3,
    rounds: int = 4,
    replicates: int = 4,
    seed: int = 0,
) -> list[Row]:
    """Does selection change the exponent of the error, or only the constant?

    Isotropic inputs (``spectrum = 0``; in a large dimension ``isotropic_d``, so that very selective rules are within
    reach of the limit) and power-law spectra ``k^-spectrum``; a teacher ``"aligned"`` with the large
    eigenvalues (equal weights on all eigenvectors) or ``"flat"`` (equal share of the margin's variance in each).
    Policies: keep all, the hardest ``kept_fraction``, the best fraction of the pool, and (isotropic) adaptive
    rounds, each as selective as the limit is trusted for (see :func:`theory.best_rounds`). The ridge is tuned at
    every exact point. Simulated points use the exact point's rule and ridge.

    Returns:
        Rows with ``series``, ``spectrum``, ``teacher``, ``policy``, ``rho`` (``"learned"`` for adaptive),
        ``kept_fraction`` (of the last round), ``rounds``, ``n_selected`` and ``n_pool`` (all rounds),
        ``test_error``, ``standard_error``, ``exponent_selected`` and ``exponent_pool`` (local, against either
        count) with ``exponent_spread`` (the standard error of the former), ``d``.
    """
    rng = generator_of(seed)
    rows = _isotropic_exponents(isotropic_d, kept_fraction, rounds, replicates, rng)
    cases = [(a, t) for a in decays for t in ("aligned", "flat")]
    for decay, teacher in progress(cases, "power-law spectra"):
        sizes = np.array([2.0**k for k in range(5, 14)])
        search: dict[str, Any] = {"n": sizes, "ridges": np.geomspace(1e-8, 10, 19).tolist()}
        for rho in (1.0, 0.9):
            vectors: dict[str, Any] = power_law(d=d, decay=decay, teacher=teacher, alignment=rho, seed=seed)
            fixed = best_general(budget="selected", fractions=[kept_fraction], **search, **vectors)
            free = best_general(budget="pool", fractions=np.geomspace(0.01, 1, 17).tolist(), **search, **vectors)
            policies = [(f"hardest {kept_fraction:.0%}", fixed, "selected"), ("best fraction", free, "pool")]
            if rho == 1:
                plain = best_general(budget="selected", fractions=[1.0], **search, **vectors)
                policies.insert(0, ("keep all", plain, "selected"))
            for policy, best, budget in policies:
                shared = {"spectrum": decay, "teacher": teacher, "policy": policy, "rho": rho, "rounds": 1, "d": d}
                p = best.kept_fraction
                selected, pool = _counts(sizes, p, budget)
                rows += _curve(shared, selected, pool, best.test_error, p)
                if policy == "best fraction" or teacher == "flat":
                    continue
                for i in (1, 3, 5):
                    rule: Rule = KeepAll() if p[i] == 1 else KeepHard.keeping(p[i])
                    run = dense_general(
                        rule, n=round(pool[i]), ridge=float(best.ridge[i]), replicates=replicates, seed=rng, **vectors
                    )
                    rows.append(_simulated(shared, selected[i], pool[i], p[i], run.mean, run.standard_error))
    return rows


def _isotropic_exponents(d: int, kept: float, rounds: int, replicates: int, rng: np.random.Generator) -> list[Row]:
    sizes = np.array([d * 2.0**k for k in range(-2, 7)])
    rows: list[Row] = []
    cases: list[tuple[str, float, str, dict[str, Any]]] = [("keep all", 1.0, "selected", {"fractions": [1.0]})]
    for rho in (1.0, 0.9):
        cases.append((f"hardest {kept:.0%}", rho, "selected", {"fractions": [kept]}))
        cases.append(("best fraction", rho, "pool", {"fractions": FINE_FRACTIONS}))
    for policy, rho, budget, grid in cases:
        best = best_isotropic(d=d, n=sizes, budget=budget, alignment=rho, easy=False, **grid)
        p = best.kept_fraction
        selected, pool = _counts(sizes, p, budget)
        shared = {"spectrum": 0.0, "teacher": "isotropic", "policy": policy, "rho": rho, "rounds": 1, "d": d}
        rows += _curve(shared, selected, pool, best.test_error, p)
        for i in range(0, len(sizes), 2):
            rule: Rule = KeepAll() if p[i] == 1 else KeepHard.keeping(p[i])
            setting: dict[str, Any] = {"d": d, "n": round(pool[i]), "ridge": float(best.ridge[i]), "alignment": rho}
            run = banded(rule, replicates=replicates, seed=rng, **setting)
            rows.append(_simulated(shared, selected[i], pool[i], p[i], run.mean, run.standard_error))
    return rows + _adaptive_exponents(d, rounds, replicates, rng)


def _adaptive_exponents(d: int, rounds: int, replicates: int, rng: np.random.Generator) -> list[Row]:
    """Every round selects the same number of rows, from as large a fresh pool as the limit is trusted for."""
    sizes = np.array([d * 2.0 ** (k / 2) for k in range(12)])
    history = best_rounds(d=d, n=sizes, rounds=rounds, fractions=FINE_FRACTIONS)
    shared: Row = {"spectrum": 0.0, "teacher": "isotropic", "policy": "adaptive", "rho": "learned", "d": d}
    rows: list[Row] = []
    pool = np.zeros_like(sizes)
    for k, best in enumerate(history):
        pool = pool + sizes / best.kept_fraction
        rows += _curve(shared | {"rounds": k + 1}, sizes * (k + 1), pool, best.test_error, best.kept_fraction)
    for i in range(0, len(sizes), 2):
        kept = [float(best.kept_fraction[i]) for best in history]
        runs = fresh_rounds(
            [KeepAll() if p == 1 else KeepHard.keeping(p) for p in kept],
            d=d,
            pools=[round(sizes[i] / p) for p in kept],
            ridge=[float(best.ridge[i]) for best in history],
            replicates=replicates,
            seed=rng,
        )
        for k, run in enumerate(runs):
            searched = sum(sizes[i] / p for p in kept[: k + 1])
            point = _simulated(shared, sizes[i] * (k + 1), searched, kept[k], run.mean, run.standard_error)
            rows.append(point | {"rounds": k + 1})
    return rows


def _counts(sizes: Array, p: Array, budget: str) -> tuple[Array, Array]:
    """Rows selected and rows searched, where ``sizes`` counts one of them."""
    if budget == "selected":
        return sizes, np.asarray(sizes / p)
    return np.asarray(sizes * p), sizes


def _curve(shared: Row, selected: Array, pool: Array, error: Array, p: Array) -> list[Row]:
    by_pool, _ = local_exponents(pool, error, window=3)
    if np.all(np.diff(selected) > 0):
        by_selected, spread = local_exponents(selected, error, window=3)
    else:  # the best fraction may shrink faster than the pool grows: then no exponent in selected rows exists
        by_selected = spread = np.full(len(error), -1.0)
    return [
        shared
        | {
            "series": "exact",
            "n_selected": float(selected[i]),
            "n_pool": float(pool[i]),
            "kept_fraction": float(p[i]),
            "test_error": float(error[i]),
            "standard_error": 0.0,
            "exponent_selected": float(by_selected[i]) if spread[i] >= 0 else "undefined",
            "exponent_pool": float(by_pool[i]),
            "exponent_spread": float(spread[i]) if spread[i] >= 0 else "undefined",
        }
        for i in range(len(error))
    ]


def _simulated(shared: Row, selected: float, pool: float, p: float, error: float, standard_error: float) -> Row:
    counts = {"n_selected": float(selected), "n_pool": float(pool), "kept_fraction": float(p)}
    return shared | counts | {"series": "simulation", "test_error": error, "standard_error": standard_error}


def answer(rows: list[Row]) -> str:
    """Say in words what the rows of :func:`exponent` or :func:`phase` show; every number is computed from them.

    Raises:
        ArgumentError: If the rows are of neither.
    """
    if rows and "n_over_d" in rows[0]:
        return _phase_answer(rows)
    if rows and "exponent_pool" in rows[0]:
        return _exponent_answer(rows)
    raise ArgumentError("rows: expected the rows of the exponent or the phase exhibit.")


def _exponent_answer(rows: list[Row]) -> str:
    exact = [row for row in rows if row["series"] == "exact"]
    hardest = next(row["policy"] for row in exact if row["policy"].startswith("hardest"))
    d = exact[0]["d"]

    def pick(policy: str, rho: Any, spectrum: float = 0.0, teacher: str = "isotropic", rounds: int = 1) -> list[Row]:
        key = (policy, rho, spectrum, teacher, rounds)
        return [r for r in exact if (r["policy"], r["rho"], r["spectrum"], r["teacher"], r["rounds"]) == key]

    plain, perfect, good = pick("keep all", 1.0), pick("best fraction", 1.0), pick("best fraction", 0.9)
    fixed, worse = pick(hardest, 1.0), pick(hardest, 0.9)
    rounds = sorted({row["rounds"] for row in exact if row["policy"] == "adaptive"})
    ends = [pick("adaptive", "learned", rounds=k)[-1] for k in rounds]
    hurt = [(a["n_selected"], b["test_error"] / a["test_error"]) for a, b in zip(plain, worse, strict=True)]
    turn = max((n for n, ratio in hurt if ratio > 1), default=0.0)
    spectra = sorted({row["spectrum"] for row in exact} - {0.0})
    steep = spectra[-1]
    slopes = {
        (policy, rho): np.mean([r["exponent_selected"] for r in pick(policy, rho, steep, "aligned")])
        for policy, rho in (("keep all", 1.0), (hardest, 1.0), (hardest, 0.9))
    }
    best, exact_pruner, last = plain[-1], perfect[-1], good[-1]
    growth = ", ".join(f"{end['exponent_selected']:.2f}" for end in ends)
    searched = ", ".join(f"{end['exponent_pool']:.2f}" for end in ends)
    return (
        f"Isotropic inputs (d = {d}), many rows: keeping all has the exponent {best['exponent_pool']:.2f}, and so has "
        f"a fixed kept fraction ({fixed[-1]['exponent_pool']:.2f} for {hardest} at alignment 1), where only the "
        f"constant falls, {best['test_error'] / fixed[-1]['test_error']:.1f} times. The exponent changes when the kept "
        f"fraction shrinks as the pool grows and the pruner is exact: {exact_pruner['exponent_pool']:.2f} against the "
        f"pool searched, with about {exact_pruner['n_selected'] / d:.1f} d rows kept however large the pool. With a "
        f"pruner of fixed alignment 0.9 it is {last['exponent_pool']:.2f} again, and the error "
        f"{best['test_error'] / last['test_error']:.2f} times less than keeping all of the same pool. Practice removes "
        f"that limit, as the pruner improves with the data: after {', '.join(str(k) for k in rounds)} rounds the "
        f"exponent in selected rows is {growth}, and in rows searched {searched}. The latter rest on where the search "
        "stops: for given selected rows the exact error falls all the way as the kept fraction goes to 0, and a round "
        f"takes the smallest fraction for which the limit is trusted (finite size up to {TRUSTED:g}). Selection hurts "
        f"when rows are scarce: {hardest} at alignment 0.9 is worse than keeping all up to {turn / d:.2g} d selected "
        f"rows, by up to {max(r for _, r in hurt):.2f} times. "
        f"With eigenvalues k^-{steep:g} and an aligned teacher the mean exponent is {slopes['keep all', 1.0]:.2f} "
        f"keeping all, {slopes[hardest, 1.0]:.2f} for {hardest} at alignment 1 and {slopes[hardest, 0.9]:.2f} at 0.9. "
        "The ridge is tuned at every point."
    )


def _phase_answer(rows: list[Row]) -> str:
    parts = []
    drawn = [row for row in rows if row["series"] == "simulation"]
    rows = [row for row in rows if row["series"] == "exact"]
    for g, kind in dict.fromkeys((row["generator_alignment"], row["pruner"]) for row in rows):
        mine = [row for row in rows if (row["generator_alignment"], row["pruner"]) == (g, kind)]
        share = {name: sum(row["kind"] == name for row in mine) / len(mine) for name in ("hard", "easy", "all")}
        top = max(mine, key=lambda row: row["gain"])
        name = "a perfect generator" if g == 1 else f"a generator of quality {g:g} and a pruner aligned with the {kind}"
        parts.append(
            f"With {name}, the hard rows are best to keep on {share['hard']:.0%} of the diagram, the easy rows on "
            f"{share['easy']:.0%}, and all rows on {share['all']:.0%}; the error falls by {top['gain']:.0%} at most "
            f"(keeping the {top['kind']} {top['kept_fraction']:.0%} at n/d = {top['n_over_d']:.3g}, alignment "
            f"{top['alignment']:.2f})."
        )
    where = ("generator_alignment", "pruner", "alignment", "n_over_d")
    exact = {tuple(row[name] for name in where): row["test_error"] for row in rows}
    gap = max(abs(row["test_error"] - exact[tuple(row[name] for name in where)]) for row in drawn)
    parts.append(f"Simulated at {len(drawn)} points, the best rule's error is within {gap:.4f} of the exact one.")
    return " ".join(parts)
