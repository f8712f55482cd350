"""C10: how hard images are before they are added."""

from typing import Any

import numpy as np

from experiments.intervals import difference_interval, mean_interval
from experiments.results import load
from experiments.verdicts.verdict import LEARNERS, Verdict, below, of_all, untested


def hardness_moves(profile: str) -> Verdict:
    """C10: images misclassified when added had a lower error before.

    At birth their error is 100% because they were chosen so, and any other learner would do better on them. So the same
    is measured on plain additions (omega = 0): the first part of the claim is an error below 100, the second an error
    below that of the plain ones.
    """
    found: dict[str, list[float]] = {"DP": [], "omega = 0": []}
    for learner in LEARNERS:
        for name, result in load(profile, f"scaling-equal-{learner}").items():
            method = {"DP": "DP", "omega0": "omega = 0"}.get(name.split("-")[0])
            value = error_before(result) if method else None
            if method and value is not None and name.split("-")[1] == "1000":
                found[method].append(value)
    if not found["DP"]:
        return untested("C10", "no DP runs with stored learners")
    low, high = mean_interval(found["DP"])
    parts, control = [below((low, high), 100)], None
    if found["omega = 0"]:
        control = difference_interval(found["DP"], found["omega = 0"])
        parts.append(below(control, 0))
    return Verdict(
        "C10",
        of_all(parts),
        "error of earlier learners on images misclassified when added, percent (100 at birth by choice); the same for "
        f"plain additions: {np.mean(found['omega = 0']) if found['omega = 0'] else float('nan'):.1f}",
        float(np.mean(found["DP"])),
        (low, high),
        len(found["DP"]),
        tuple(f"scaling-equal-{learner}" for learner in LEARNERS),
        {"minus_plain_additions": control},
    )


def error_before(result: dict[str, Any]) -> float | None:
    """Percent of the images misclassified when they were added that earlier learners of the run got wrong, on average.

    Learners before the addition only; additions from the second on. Weighted by the images.
    """
    hardness = result["hardness"]
    total = weight = 0.0
    for addition, count in enumerate(hardness["misclassified"]):
        if addition == 0 or count == 0:
            continue
        before = [hardness["error"][learner][addition] for learner in range(addition)]
        total, weight = total + count * float(np.mean(before)), weight + count
    return total / weight if weight else None
