"""The recorded runs of the scaling studies, one row an outcome."""

from typing import Any

from experiments.results import load
from paper_figures.efficiency import Curve
from paper_figures.exhibit import Rows

STUDIES = ("scaling", "scaling-low")  # at a large and at a small classifier-free guidance scale


def outcomes(profile: str) -> Rows:
    """One row a run or branch: study, method, seed, sizes, settings and accuracies."""
    rows = []
    for study in STUDIES:
        for name, result in load(profile, study).items():
            method = {"static": "static", "real": "real", "dp": "DP", "plain": "omega = 0"}[name.split("-")[0]]
            rows += [_row(study, method, result["config"], each, result["additions"]) for each in result["outcomes"]]
    return rows


def _row(study: str, method: str, config: dict[str, Any], outcome: dict[str, Any], additions: Rows) -> dict[str, Any]:
    made = [a for a in additions if a["pool_size"] <= outcome["pool_size"]]
    return {
        "study": study,
        "method": method,
        "guidance_scale": config["guidance_scale"] if method != "real" else None,
        "n_initial": config["n_initial"],
        "n_per_round": config["n_per_round"],
        "rounds": len(made),
        "pool_size": outcome["pool_size"],
        "omega": config["guidance"]["omega"],
        "patience": config["patience"],
        "triggered_by_patience": sum(a["trigger"] == "patience" for a in made),
        "branch_iteration": outcome["branched_at"],
        "seed": config["seed"],
        "validation_accuracy": outcome["validation_accuracy"],
        "test_accuracy": outcome["test_accuracy"],
    }


def curve(rows: Rows, method: str, branches: bool = False) -> Curve:
    """Test accuracies of a method's full runs, or of its branch-outs, by pool size; one value a seed, seeds in "
    "order."""
    found: Curve = {}
    for row in sorted(rows, key=lambda row: row["seed"]):
        if row["method"] == method and (row["branch_iteration"] is not None) == branches:
            found.setdefault(row["pool_size"], []).append(row["test_accuracy"])
    return {size: found[size] for size in sorted(found)}
