"""Numbers for label-aware selection: when it beats every rule that does not look at labels, the pruner, and the labels.

Like ``theory_numbers``: rows in, no drawing. :func:`label_aware_answer` says in words what the rows show.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from theory.progress import progress
from theory.rules.selection import KeepAll, KeepEasy, KeepHard, Rule
from theory.sampling.simulate import banded, generator_of
from theory.scaling import best_isotropic
from theory.search import Best

Row = dict[str, Any]
BEYOND = 1e-3  # relative difference of errors below which neither of two rules is better
SIMULATED = ((1.0, 0.9), (4.0, 0.6), (16.0, 0.9))  # pool over dimension, and the pruner's cosine, nearest on the grid


def label_aware(
    *,
    d: int = 512,
    generator_alignments: Sequence[float] = (1.0, 0.9, 0.7),
    label_noises: Sequence[float] = (0.0, 0.2),
    points: int = 25,
    replicates: int = 20,
    seed: int = 0,
) -> list[Row]:
    """Best rule that looks at labels and best that does not, by ``n / d``, pruner, generator and label noise.

    The pruner errs independently of the generator; its cosine is with the truth. Both rules are the best of keeping
    all, the hardest and the easiest of the margins at any fraction, with the ridge tuned at every point; the one that
    looks at labels then drops the rows whose label is not the pruner's.

    Returns:
        Rows with ``series``, ``generator_alignment``, ``label_noise``, ``alignment`` (pruner and truth), ``n_over_d``,
        ``aware_error``, ``agnostic_error``, ``aware_kept`` and ``agnostic_kept`` (such as ``"hard 0.3"``),
        ``pruner_error``, ``label_error`` (share of wrong labels in the pool), ``aware_spread`` and ``agnostic_spread``
        (standard errors; 0 for exact rows), ``d``.
    """
    ratio, cosine = np.meshgrid(np.geomspace(0.25, 64, points), np.linspace(0, 1, points))  # [cosines, ratios]
    rng = generator_of(seed)
    rows: list[Row] = []
    cases = [(g, noise) for noise in label_noises for g in generator_alignments]
    for g, noise in progress(cases, "label-aware"):
        angles: dict[str, Any] = {
            "alignment": g * cosine,
            "generator_alignment": np.full_like(cosine, g),
            "pruner_truth_alignment": cosine,
        }
        found = {
            name: best_isotropic(d=d, n=ratio * d, budget="pool", agreeing=name == "aware", label_noise=noise, **angles)
            for name in ("aware", "agnostic")
        }
        wrong = float(np.arccos(g) / np.pi)
        checked = {
            tuple(int(i) for i in np.unravel_index((abs(np.log(ratio / n)) + abs(cosine - c)).argmin(), ratio.shape))
            for n, c in SIMULATED
        }
        for index in np.ndindex(ratio.shape):
            row: Row = {
                "series": "exact",
                "generator_alignment": float(g),
                "label_noise": float(noise),
                "alignment": float(cosine[index]),
                "n_over_d": float(ratio[index]),
                "pruner_error": float(np.arccos(cosine[index]) / np.pi),
                "label_error": wrong + (1 - 2 * wrong) * noise,
                "d": d,
            }
            drawn = row | {"series": "simulation"}
            for name, best in found.items():
                kept, end, error = float(best.kept_fraction[index]), _end(best, index), float(best.test_error[index])
                row |= {f"{name}_error": error, f"{name}_kept": f"{end} {kept:.3g}", f"{name}_spread": 0.0}
                if index in checked:
                    run = banded(
                        _rule(end, kept, name == "aware"),
                        d=d,
                        n=round(float(ratio[index]) * d),
                        ridge=float(best.ridge[index]),
                        label_noise=noise,
                        replicates=replicates,
                        seed=rng,
                        **{key: float(value[index]) for key, value in angles.items()},
                    )
                    drawn |= {f"{name}_error": run.mean, f"{name}_kept": row[f"{name}_kept"]}
                    drawn |= {f"{name}_spread": run.standard_error}
            rows += [row, drawn] if index in checked else [row]
    return rows


def _end(best: Best, index: tuple[int, ...]) -> str:
    return "all" if best.kept_fraction[index] == 1 else "easy" if best.easy[index] else "hard"


def _rule(end: str, kept: float, agreeing: bool) -> Rule:
    if end == "all":
        return KeepAll(agreeing=agreeing)
    return (KeepEasy if end == "easy" else KeepHard).keeping(kept, agreeing=agreeing)


def wins(row: Row) -> dict[str, bool]:
    """Say which of its rivals the best label-aware rule beats at a point."""
    rivals = {"every agnostic rule": "agnostic", "the pruner": "pruner", "the labels": "label"}
    return {name: row["aware_error"] < (1 - BEYOND) * row[f"{short}_error"] for name, short in rivals.items()}


def label_aware_table(rows: list[Row]) -> list[dict[str, str]]:
    """Say for each generator on which share of the diagram label-aware selection beats its rivals, and where most.

    Args:
        rows: those of the study, of which the exact ones count.
    """
    rows = [row for row in rows if row["series"] == "exact"]
    table = []
    for noise, g in dict.fromkeys((row["label_noise"], row["generator_alignment"]) for row in rows):
        mine = [row for row in rows if (row["label_noise"], row["generator_alignment"]) == (noise, g)]
        won = [wins(row) for row in mine]
        hurt = sum(row["agnostic_error"] < (1 - BEYOND) * row["aware_error"] for row in mine) / len(mine)
        top = min(mine, key=lambda row: row["aware_error"] / row["agnostic_error"])
        table.append(
            {
                "generator's cosine": f"{g:g}",
                "labels flipped": f"{noise:.0%}",
                "labels wrong": f"{mine[0]['label_error']:.1%}",
                **{f"beats {name}": f"{sum(each[name] for each in won) / len(mine):.0%}" for name in won[0]},
                "beats all three": f"{sum(all(each.values()) for each in won) / len(mine):.0%}",
                "worse than not looking": f"{hurt:.0%}",
                "beats every agnostic rule from the pruner's cosine": _onset(mine),
                "largest fall of the error": f"{1 - top['aware_error'] / top['agnostic_error']:.0%} at n/d = "
                f"{top['n_over_d']:.3g}, cosine {top['alignment']:.2f}",
            }
        )
    return table


def label_aware_answer(rows: list[Row]) -> str:
    """Say in words when label-aware selection beats its rivals; every number is computed from the rows."""
    table = label_aware_table(rows)
    best, worst = table[0], table[-1]  # the perfect generator with clean labels; the worst with the noisiest
    better, hurts = "beats every agnostic rule", "worse than not looking"
    exact, drawn = ([row for row in rows if row["series"] == series] for series in ("exact", "simulation"))
    where = ("label_noise", "generator_alignment", "alignment", "n_over_d")
    at = {tuple(row[name] for name in where): row for row in exact}
    gaps = [
        abs(row[f"{name}_error"] - at[tuple(row[key] for key in where)][f"{name}_error"])
        for row in drawn
        for name in ("aware", "agnostic")
    ]
    return (
        f"It beats every rule that does not look at them on {best[better]} of the diagram "
        f"with {best['labels wrong']} of the labels wrong, on {worst[better]} with {worst['labels wrong']}; there "
        f"looking at labels is worse on {best[hurts]} and on {worst[hurts]}. Simulated at {len(drawn)} points, the "
        f"errors are within {max(gaps):.4f} of the exact ones."
    )


def _onset(rows: list[Row]) -> str:
    """Say from which pruner's cosine on it beats every agnostic rule, at few rows and at many."""
    sizes = sorted({row["n_over_d"] for row in rows})
    told = []
    for ratio in (sizes[int(np.argmin([abs(np.log(size / n)) for size in sizes]))] for n in (1, 4, 16)):
        column = sorted((row for row in rows if row["n_over_d"] == ratio), key=lambda row: row["alignment"])
        better = [wins(row)["every agnostic rule"] for row in column]
        if any(better):
            told.append(f"{column[better.index(True)]['alignment']:.2f} at n/d = {ratio:.3g}")
    return ", ".join(told)
