"""Read the runs with a generator that has never seen the target: curves, references, gains."""

from typing import Any

import numpy as np

from experiments.analysis.efficiency import Curve
from experiments.analysis.intervals import Interval, mean_interval
from experiments.analysis.table import Rows, curve, rows

METHODS = ("static", "DP", "omega = 0", "prune")
SETTINGS = ("tuned", "equal")
TARGETS = {"test_accuracy": "MNIST", "other_digits": "scikit-learn's digits"}


def curves(profile: str, setting: str, learner: str, target: str = "test_accuracy") -> dict[str, Curve]:
    """Return accuracies by method and final size, one per seed, seeds in order; empty if there are no runs.

    Args:
        profile: whose results.
        setting: "equal" or "tuned".
        learner: "convnet" or "vit".
        target: a key of `TARGETS`.
    """
    return _curves(rows(profile, f"fonts-{setting}-{learner}"), METHODS, target)


def references(profile: str, learner: str, target: str = "test_accuracy") -> dict[str, Curve]:
    """Return the accuracies of training on real handwriting ("real") and on printed digits ("glyphs"), by size."""
    return _curves(rows(profile, f"fonts-reference-{learner}"), ("real", "glyphs"), target)


def _curves(found: Rows, methods: tuple[str, ...], target: str) -> dict[str, Curve]:
    each = {method: curve(found, method, column=target) for method in methods}
    return {method: by_size for method, by_size in each.items() if by_size}


def recognised(profile: str, setting: str, learner: str) -> dict[str, tuple[float, float]]:
    """Return by method the mean percent of images that a classifier of handwriting takes for their class.

    Of the first images, and of the additions.
    """
    parts: dict[str, list[tuple[float, float]]] = {}
    for row in rows(profile, f"fonts-{setting}-{learner}"):
        if row["recognised_added"] is not None:
            parts.setdefault(row["method"], []).append((row["recognised_initial"], row["recognised_added"]))
    return {method: tuple(map(float, np.mean(each, axis=0))) for method, each in parts.items()}  # type: ignore[misc]


def gaps(profile: str) -> dict[int, dict[str, Any]]:
    """Return for each generator, by percent of handwriting that it has seen, what practice gains over static training.

    Each of the two takes the guidance scale, and practice the way of guiding, with the best mean validation accuracy.
    The values: "static" and "DP", test accuracies by seed, "gain", its "interval" (of the seeds' differences) and the
    names of what was chosen. Generators without runs of both, all seeds in common, are left out.
    """
    runs: dict[int, dict[tuple[str, str], dict[int, dict[str, Any]]]] = {}
    for row in rows(profile, "fonts_gap"):
        way = row["method"], row["variant"]
        runs.setdefault(row["seen"], {}).setdefault(way, {})[row["seed"]] = row
    found: dict[int, dict[str, Any]] = {}
    for share, ways in sorted(runs.items()):
        seeds = sorted(set.intersection(*(set(each) for each in ways.values())))
        best = {}
        for method in ("static", "DP"):
            mine = [way for way in ways if way[0] == method]
            if mine and seeds:
                best[method] = max(mine, key=lambda w: np.mean([ways[w][s]["validation_accuracy"] for s in seeds]))
        if len(best) < 2:
            continue
        tests = {method: [ways[way][seed]["test_accuracy"] for seed in seeds] for method, way in best.items()}
        gains = [dp - static for dp, static in zip(tests["DP"], tests["static"], strict=True)]
        found[share] = {
            **tests,
            "gains": gains,
            "gain": float(np.mean(gains)),
            "interval": mean_interval(gains),
            "chosen": {method: _in_words(ways[way][seeds[0]]) for method, way in best.items()},
            "seeds": len(seeds),
        }
    return found


def _in_words(row: dict[str, Any]) -> str:
    guided = f", {row['gradient']}, t <= {row['window_high']:g} T" if row["method"] == "DP" else ""
    return f"{row['method']}, scale {row['guidance_scale']:g}{guided}"


def equal_size_gain(ours: Curve, theirs: Curve) -> tuple[float, Interval, int] | None:
    """Return the mean of ours minus theirs over the sizes that both have, its interval over seeds and their number.

    A seed's differences at all sizes are averaged first; None if no size is in common.
    """
    sizes = sorted(ours.keys() & theirs.keys())
    seeds = min((min(len(ours[n]), len(theirs[n])) for n in sizes), default=0)
    if not seeds:
        return None
    by_seed = [float(np.mean([ours[n][i] - theirs[n][i] for n in sizes])) for i in range(seeds)]
    return float(np.mean(by_seed)), mean_interval(by_seed), seeds
