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


def references(profile: str, learner: str, target: str = "test_accuracy", tuned: bool = False) -> dict[str, Curve]:
    """Return the accuracies of training on real handwriting ("real") and on printed digits ("glyphs"), by size.

    Tuned: real handwriting with the learning rate that has the best mean validation accuracy, each size its own. Else,
    and glyphs always, with that of equal settings.
    """
    every = rows(profile, f"fonts-reference-{learner}")
    found = _curves([row for row in every if "lr" not in row["variant"]], ("real", "glyphs"), target)
    if tuned and "real" in found:
        by_lr = [[row for row in every if row["lr"] == lr] for lr in sorted({row["lr"] for row in every})]
        known, tested = ([curve(each, "real", column=c) for each in by_lr] for c in ("validation_accuracy", target))
        for size in found["real"]:
            there = [i for i, each in enumerate(known) if size in each]
            found["real"][size] = tested[max(there, key=lambda i: np.mean(known[i][size]))][size]
    return found


def _curves(found: Rows, methods: tuple[str, ...], target: str) -> dict[str, Curve]:
    each = {method: curve(found, method, column=target) for method in methods}
    return {method: by_size for method, by_size in each.items() if by_size}


def recognised(profile: str, setting: str, learner: str) -> dict[tuple[str, int], float]:
    """Return by method and final size the mean percent of additions that a classifier of handwriting recognises."""
    parts: dict[tuple[str, int], list[float]] = {}
    for row in rows(profile, f"fonts-{setting}-{learner}"):
        if row["recognised_added"] is not None:
            parts.setdefault((row["method"], row["images"]), []).append(row["recognised_added"])
    return {key: float(np.mean(each)) for key, each in parts.items()}


def gaps(profile: str) -> dict[int, dict[str, Any]]:
    """Return for each generator, by percent of handwriting that it has seen, what practice gains over static training.

    Each of the two takes the guidance scale, and practice the way of guiding, with the best mean validation accuracy;
    for the run of a seed that of the other seeds, so that nothing is chosen by what is reported. The values: "static"
    and "DP", test accuracies by seed, "gain", its "interval" (of the seeds' differences) and the names of what was
    chosen. Generators without runs of both, two seeds or more in common, are left out.
    """
    runs: dict[int, dict[tuple[str, str], dict[int, dict[str, Any]]]] = {}
    for row in rows(profile, "fonts_gap"):
        way = row["method"], row["variant"]
        runs.setdefault(row["seen"], {}).setdefault(way, {})[row["seed"]] = row
    found: dict[int, dict[str, Any]] = {}
    for share, ways in sorted(runs.items()):
        seeds = sorted(set.intersection(*(set(each) for each in ways.values())))
        if len(seeds) < 2 or {method for method, _ in ways} != {"static", "DP"}:
            continue
        chosen = {
            method: [_best_way(ways, method, seeds, without=seed) for seed in seeds] for method in ("static", "DP")
        }
        tests = {
            method: [ways[way][seed]["test_accuracy"] for way, seed in zip(each, seeds, strict=True)]
            for method, each in chosen.items()
        }
        gains = [dp - static for dp, static in zip(tests["DP"], tests["static"], strict=True)]
        found[share] = {
            **tests,
            "gains": gains,
            "gain": float(np.mean(gains)),
            "interval": mean_interval(gains),
            "chosen": {
                method: " or ".join(dict.fromkeys(_in_words(ways[way][seeds[0]]) for way in each))
                for method, each in chosen.items()
            },
            "seeds": len(seeds),
        }
    return found


def _best_way(
    ways: dict[tuple[str, str], dict[int, dict[str, Any]]], method: str, seeds: list[int], without: int
) -> tuple[str, str]:
    """Return the way of a method with the best mean validation accuracy of the seeds but one."""
    mine = [way for way in ways if way[0] == method]
    others = [seed for seed in seeds if seed != without]
    return max(mine, key=lambda way: np.mean([ways[way][seed]["validation_accuracy"] for seed in others]))


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
