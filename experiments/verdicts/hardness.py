"""C10: how hard images are before they are added."""

from typing import Any

import numpy as np

from experiments.analysis.intervals import difference_interval, mean_interval
from experiments.analysis.table import Rows, rows
from experiments.verdicts.verdict import LEARNERS, MAIN, Part, Verdict, below, in_words, of_all, several_seeds, untested

METHODS = ("DP", "omega = 0")


def hardness_moves(profile: str) -> Verdict:
    """Judge C10: images misclassified when added had a lower error before; each learner, at equal settings and tuned.

    At birth their error is 100% because they were chosen so, and any other learner would do better on them. So the same
    is measured on plain additions (omega = 0), and it holds if the error is below that of the plain ones; only where
    there are none an error below 100 will do.
    """
    found: dict[str, dict[str, Any]] = {}
    for setting in ("equal", "tuned"):
        for learner in LEARNERS:
            runs = hardness_runs(profile, setting, learner)
            guided, plain = ([row["error_before"] for row in runs.get(method, [])] for method in METHODS)
            if guided:
                found[f"{setting}-{learner}"] = {
                    "error": float(np.mean(guided)),
                    "interval": mean_interval(guided),
                    "images": [row["misclassified"] for row in runs["DP"]],
                    "plain_error": float(np.mean(plain)) if plain else None,
                    "plain_images": [row["misclassified"] for row in runs.get("omega = 0", [])],
                    "minus_plain": difference_interval(guided, plain) if plain else None,
                    "seeds": min(len(guided), len(plain)) if plain else len(guided),
                }
    if not found:
        return untested("C10", "no DP runs with stored learners")
    found = several_seeds(found)
    parts: list[Part] = []
    for each in found.values():
        parts.append(below(each["minus_plain"], 0) if each["minus_plain"] else below(each["interval"], 100))
    main = found.get(f"equal-{MAIN}") or next(iter(found.values()))
    return Verdict(
        "C10",
        of_all(parts),
        "error of earlier learners on images misclassified when added, percent (100 at birth by choice), and on plain "
        f"additions (the images of a run in brackets): {', '.join(map(_said, found, found.values()))}",
        main["error"],
        main["interval"],
        min(each["seeds"] for each in found.values()),
        tuple(f"scaling-{name}" for name in found),
        {"comparisons": found},
        unit="%",
    )


def hardness_runs(profile: str, setting: str, learner: str) -> dict[str, Rows]:
    """Return a scaling study's rows with known hardness by method, of the largest final size that all methods have."""
    found: dict[str, dict[int, Rows]] = {}
    for row in rows(profile, f"scaling-{setting}-{learner}", branch_iteration=None):
        if row["method"] in METHODS and row["error_before"] is not None:
            found.setdefault(row["method"], {}).setdefault(row["images"], []).append(row)
    common = set.intersection(*map(set, found.values())) if found else set()
    return {method: sizes[max(common)] for method, sizes in found.items()} if common else {}


def _said(name: str, each: dict[str, Any]) -> str:
    said = f"{in_words(name)} {each['error']:.1f} ({_range(each['images'])})"
    if each["minus_plain"]:
        said += f" against {each['plain_error']:.1f} ({_range(each['plain_images'])})"
    return said


def _range(counts: list[int]) -> str:
    return f"{min(counts)} to {max(counts)}" if min(counts) < max(counts) else str(counts[0])
