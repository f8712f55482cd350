"""What the recorded runs have reached, one row an outcome: what figures, tables and verdicts are made from."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from dp.data.fashion_mnist import test_images
from experiments.analysis.efficiency import Curve
from experiments.data.shift_sets import SHIFTS
from experiments.engine.results import load

Rows = list[dict[str, Any]]
METHODS = {"static": "static", "DP": "DP", "omega0": "omega = 0", "prune": "prune", "real": "real"}


def outcomes(profile: str, study: str) -> Rows:
    """One row a run or branch of a study; references are left out."""
    found = []
    for name, result in load(profile, study).items():
        method, *rest = name.split("-")
        if method in METHODS:
            found += [_row(study, METHODS[method], rest[0], result, each) for each in result["outcomes"]]
    return found


def _row(study: str, method: str, variant: str, result: dict[str, Any], outcome: dict[str, Any]) -> dict[str, Any]:
    config = result["config"]
    made = [a for a in result["additions"] if a["pool_size"] <= outcome["pool_size"]]
    return {
        "study": study,
        "method": method,
        "variant": variant,  # the size, or the name of a pruned run's settings
        "learner": config["learner"],
        "guidance_scale": config["guidance_scale"] if method != "real" else None,
        "iterations": config["iterations"],
        "n_initial": config["n_initial"],
        "n_per_round": config["n_per_round"],
        "rounds": len(made),
        "pool_size": outcome["pool_size"],
        "generated": round(config["n_initial"] + sum(a["candidates"] for a in made)) if method != "real" else 0,
        "omega": config["guidance"]["omega"],
        "patience": config["patience"],
        "triggered_by_patience": sum(a["trigger"] == "patience" for a in made),
        "branch_iteration": outcome["branched_at"],
        "seed": config["seed"],
        "validation_accuracy": outcome["validation_accuracy"],
        "test_accuracy": outcome["test_accuracy"],
        "test_predictions": outcome["test_predictions"],
        "shift_accuracy": outcome["shift_accuracy"],
    }


def curve(rows: Rows, method: str, branches: bool | None = None, value: str = "test_accuracy") -> Curve:
    """Values of a method by final size, one a seed, seeds in order.

    Args:
        rows: of one study.
        method: a value of `METHODS`.
        branches: whether branch-outs or full runs are meant; None for both. A size that has both keeps the full runs.
        value: column.
    """
    chosen = [row for row in rows if row["method"] == method]
    full = {row["pool_size"] for row in chosen if row["branch_iteration"] is None}
    found: Curve = {}
    for row in sorted(chosen, key=lambda row: row["seed"]):
        is_branch = row["branch_iteration"] is not None
        wanted = is_branch == branches if branches is not None else not (is_branch and row["pool_size"] in full)
        if wanted:
            found.setdefault(row["pool_size"], []).append(row[value])
    return {size: found[size] for size in sorted(found)}


def correct(predictions: Iterable[str]) -> np.ndarray:
    """Which test images each string of predictions has right: bool [n, 10000]."""
    labels = test_images().labels.numpy()
    return np.array([np.frombuffer(each.encode(), np.uint8) - ord("0") == labels for each in predictions])


def hard_images(profile: str, studies: Iterable[str]) -> np.ndarray:
    """The naturally hard subset: test images that most reference learners get wrong; bool [10000]."""
    references = [
        outcome["test_predictions"]
        for study in studies
        for name, result in load(profile, study).items()
        if name.startswith("reference-")
        for outcome in result["outcomes"]
    ]
    if not references:
        return np.zeros(len(test_images()), bool)
    return correct(references).mean(0) < 0.5


def shift_means(shift_accuracy: dict[str, float]) -> dict[str, float]:
    """Mean accuracy of each kind of shift, percent."""
    return {kind: float(np.mean([shift_accuracy[name] for name in sets])) for kind, sets in SHIFTS.items()}
