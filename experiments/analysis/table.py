"""The results table: one row per trained learner, derived from the recorded runs and their configurations.

Figures, tables, verdicts and notebooks read its columns; nothing else looks into a run's configuration or the name of
its file. `python -m experiments table` prints it.

| column | meaning |
| --- | --- |
| study, name | folder and file of the result |
| method | static, DP, omega = 0, prune, real, glyphs; reference (judges hard images); transfer (from another's pool) |
| learner | what was trained |
| setting | how the settings were chosen: equal, tuned, or second (the search's second best); else empty |
| variant | what else tells the study's runs apart, in the words of its file's name |
| seed | of the run |
| generator | bundled, another of `experiments/studies/generators.py`, mnist, or fonts |
| seen | of fonts: percent of handwriting among the generator's training images |
| maker | of transfer: the learner whose practice has made the images |
| guidance_scale, omega, window_low, window_high, gradient | of generation and of its guidance |
| over_sampling, filter | how additions were selected |
| iterations, lr, patience, incremental, newest_weight, validation_images | of training |
| n_initial, n_per_round, planned | N, P and the planned number of additions |
| rounds, by_patience, first_addition | additions made, those that patience asked for, the first one's iteration |
| images | that the learner was trained on in the end |
| generated, candidates | images generated in all, and for the additions |
| branch_iteration | where a branch left its run; empty for a full run |
| validation_accuracy, test_accuracy, other_digits | percent |
| outline, rendition, corruption, geometric | mean test accuracy on each kind of shifted images, percent |
| error_before, misclassified | percent error of earlier learners on images misclassified when added, and how many |
| label_right | percent of the additions that are what their label says, as an oracle sees it |
| recognised_initial, recognised_added | percent that a classifier of handwriting reads, of first images and additions |
| operations_initial, operations_addition, operations_judging | floating-point operations per image |
| seconds_addition | of generation, the last addition |
| test_predictions | a digit for each test image (not printed) |
"""

from collections.abc import Iterator
from statistics import mean
from typing import Any

import numpy as np
import pandas as pd

from dp.utils.errors import UserError
from experiments.analysis.efficiency import Curve
from experiments.engine.results import folder, load

Rows = list[dict[str, Any]]
WORDS = {"static", "DP", "omega0", "prune", "real", "reference"}  # of file names, which say a method
SETTINGS = ("equal", "tuned", "second")


def table(profile: str) -> pd.DataFrame:
    """Return the rows of all of a profile's studies as one frame, without the predictions."""
    studies = sorted(path.name for path in folder(profile).glob("*/"))
    found = pd.DataFrame([row for study in studies for row in rows(profile, study)])
    return found.drop(columns="test_predictions", errors="ignore").convert_dtypes()


def rows(profile: str, study: str, **columns: Any) -> Rows:
    """Return a study's rows, those that have the given values in the given columns; in the order of the files."""
    every: Rows = []
    for name, result in load(profile, study).items():
        try:
            every += _of_result(study, name, result)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise UserError(
                f"{folder(profile) / study / name}.json: not as this version writes results ({error!r:.60}); restore "
                "it with git checkout, or delete it and it is computed again"
            ) from error
    return [row for row in every if all(row[column] == value for column, value in columns.items())]


def _of_result(study: str, name: str, result: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a row per outcome: of a run and its branches, or of each student that learned from a run's images."""
    for learner, student in result.get("students", {}).items():
        config = result["config"]
        for outcome in student["outcomes"]:
            row = _row(study, name, student | {"config": config | {"learner": learner}}, outcome)
            yield row | {"method": "transfer", "maker": config["learner"], "generated": outcome["pool_size"]}
    for outcome in result.get("outcomes", []):
        yield _row(study, name, result, outcome)


def _row(study: str, name: str, result: dict[str, Any], outcome: dict[str, Any]) -> dict[str, Any]:
    config, guidance = result["config"], result["config"]["guidance"]
    real = config.get("source") in ("real", "glyphs")
    made = [each for each in result["additions"] if each["pool_size"] <= outcome["pool_size"]]
    each_made = config.get("variant", {}).get("harder_of", 1)  # images, of which one is a candidate
    candidates = each_made * sum(each["candidates"] for each in made)
    words = name.split("-seed")[0].split("-")
    operations = result.get("operations") or {}
    recognised = result.get("recognised") or []
    error_before, misclassified = _hardness(result)
    return {
        "study": study,
        "name": name,
        "method": "reference" if "reference" in words else _method(config),
        "learner": config["learner"],
        "setting": next((each for each in SETTINGS if each in (*study.split("-"), *words)), None),
        "variant": "-".join(word for word in words if word not in WORDS | {config["learner"]}),
        "seed": config["seed"],
        "generator": config.get("generator", config.get("data", "bundled")),
        "seen": config.get("seen"),
        "maker": None,
        "guidance_scale": None if real else config["guidance_scale"],
        "omega": guidance["omega"],
        "window_low": guidance["interval"][0],
        "window_high": guidance["interval"][1],
        "gradient": guidance["gradient"],
        "over_sampling": config["over_sampling"],
        "filter": config["filter"],
        "iterations": config["iterations"],
        "lr": config["lr"],
        "patience": config["patience"],
        "incremental": config["incremental"],
        "newest_weight": config["newest_weight"],
        "validation_images": config.get("validation_images"),
        "n_initial": config["n_initial"],
        "n_per_round": config["n_per_round"],
        "planned": config["rounds"],
        "rounds": len(made),
        "by_patience": sum(each["trigger"] == "patience" for each in made),
        "first_addition": made[0]["iteration"] if made else None,
        "images": outcome["pool_size"],
        "generated": 0 if real else round(config["n_initial"] + candidates),
        "candidates": candidates,
        "branch_iteration": outcome["branched_at"],
        "validation_accuracy": outcome["validation_accuracy"],
        "test_accuracy": outcome["test_accuracy"],
        "other_digits": outcome.get("other_digits"),
        **_shifted(outcome.get("shift_accuracy")),
        "error_before": error_before,
        "misclassified": misclassified,
        "label_right": mean(result["label_right"]) if result.get("label_right") else None,
        "recognised_initial": recognised[0] if recognised else None,
        "recognised_added": float(np.mean(recognised[1:])) if len(recognised) > 1 else None,
        "operations_initial": operations.get("initial"),
        "operations_addition": operations.get("addition", operations.get("candidate")),
        "operations_judging": operations.get("judging"),
        "seconds_addition": made[-1].get("generation_seconds") if made else None,
        "test_predictions": outcome.get("test_predictions"),
    }


def _method(config: dict[str, Any]) -> str:
    if config.get("source") in ("real", "glyphs"):
        return config["source"]
    if not config["rounds"]:
        return "static"
    return "DP" if config["guidance"]["omega"] else "prune" if config["over_sampling"] > 1 else "omega = 0"


def _shifted(accuracies: dict[str, float] | None) -> dict[str, float | None]:
    """Return the mean accuracy on each kind of shifted images, percent."""
    from experiments.data.shift_sets import SHIFTS  # imports torch, which the theory need not

    return {
        kind: float(np.mean([accuracies[name] for name in sets])) if accuracies else None
        for kind, sets in SHIFTS.items()
    }


def _hardness(result: dict[str, Any]) -> tuple[float | None, int]:
    """Return the mean error before their addition of images misclassified when they were added, and their number.

    Of learners before the addition only, percent; of additions from the second on; weighted by the images.
    """
    hardness = result.get("hardness") or {"misclassified": [], "error": []}
    total = weight = 0.0
    for addition, count in enumerate(hardness["misclassified"]):
        if addition and count:
            before = [hardness["error"][learner][addition] for learner in range(addition)]
            total, weight = total + count * float(np.mean(before)), weight + count
    return total / weight if weight else None, sum(hardness["misclassified"][1:])


def curve(rows: Rows, method: str, branches: bool | None = None, column: str = "test_accuracy") -> Curve:
    """Return the test accuracies of a method by the final number of images, one per seed, seeds in order.

    Args:
        rows: of one study.
        method: which rows.
        branches: whether branches or full runs are meant; None for both. A size that has both keeps the full runs.
        column: which accuracy.
    """
    chosen = [row for row in rows if row["method"] == method]
    full = {row["images"] for row in chosen if row["branch_iteration"] is None}
    found: Curve = {}
    for row in sorted(chosen, key=lambda row: row["seed"]):
        is_branch = row["branch_iteration"] is not None
        wanted = is_branch == branches if branches is not None else not (is_branch and row["images"] in full)
        if wanted:
            found.setdefault(row["images"], []).append(row[column])
    return {size: found[size] for size in sorted(found)}
