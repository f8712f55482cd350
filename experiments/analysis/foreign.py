"""Read the runs with a generator that has never seen the target: curves, references, gains."""

from typing import Any

import numpy as np

from experiments.analysis.efficiency import Curve
from experiments.analysis.intervals import Interval, mean_interval
from experiments.engine.results import load

METHODS = {"static": "static", "DP": "DP", "omega0": "omega = 0", "prune": "prune"}
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
    found: dict[str, Curve] = {}
    for result in _in_order(load(profile, f"fonts-{setting}-{learner}")):
        method = METHODS[result["name"].split("-")[0]]
        outcome = result["outcomes"][-1]
        found.setdefault(method, {}).setdefault(outcome["pool_size"], []).append(outcome[target])
    return {method: dict(sorted(found[method].items())) for method in METHODS.values() if method in found}


def references(profile: str, learner: str, target: str = "test_accuracy") -> dict[str, Curve]:
    """Return the accuracies of training on real handwriting ("real") and on printed digits ("glyphs"), by size."""
    found: dict[str, Curve] = {}
    for result in _in_order(load(profile, f"fonts-reference-{learner}")):
        source, size, _ = result["name"].split("-")
        found.setdefault(source, {}).setdefault(int(size), []).append(result["outcomes"][-1][target])
    return found


def recognised(profile: str, setting: str, learner: str) -> dict[str, tuple[float, float]]:
    """Return by method the mean percent of images that a classifier of handwriting takes for their class.

    Of the first images, and of the additions.
    """
    parts: dict[str, list[tuple[float, float]]] = {}
    for name, result in load(profile, f"fonts-{setting}-{learner}").items():
        first, *added = result["recognised"]
        if added:
            parts.setdefault(METHODS[name.split("-")[0]], []).append((first, float(np.mean(added))))
    return {method: tuple(map(float, np.mean(each, axis=0))) for method, each in parts.items()}  # type: ignore[misc]


def gaps(profile: str) -> dict[int, dict[str, Any]]:
    """Return for each generator, by percent of handwriting that it has seen, what practice gains over static training.

    Each of the two takes the guidance scale, and practice the way of guiding, with the best mean validation accuracy.
    The values: "static" and "DP", test accuracies by seed, "gain", its "interval" (of the seeds' differences) and the
    names of what was chosen. Generators without runs of both, all seeds in common, are left out.
    """
    runs: dict[int, dict[str, dict[int, dict[str, Any]]]] = {}
    for name, result in load(profile, "fonts_gap").items():
        way, seen, scale, seed = name.split("-")
        by_way = runs.setdefault(int(seen.removeprefix("seen")), {}).setdefault(f"{way}-{scale}", {})
        by_way[int(seed.removeprefix("seed"))] = result["outcomes"][-1]
    found: dict[int, dict[str, Any]] = {}
    for share, ways in sorted(runs.items()):
        seeds = sorted(set.intersection(*(set(each) for each in ways.values())))
        best = {}
        for method in ("static", "DP"):
            mine = [way for way in ways if way.startswith(method)]
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
            "chosen": best,
            "seeds": len(seeds),
        }
    return found


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


def _in_order(results: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(results.values(), key=lambda result: result["config"]["seed"])
