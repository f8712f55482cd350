"""C5: shifted images."""

from typing import Any

import numpy as np

from experiments.analysis.intervals import difference_interval
from experiments.analysis.outcomes import outcomes, shift_means
from experiments.verdicts.scaling import scaling_rows
from experiments.verdicts.verdict import LEARNERS, MAIN, Verdict, above, in_words, of_all, untested, with_interval


def shifted_images(profile: str) -> Verdict:
    """C5: DP loses less than real data on sketches and renditions: it is better there. Both kinds, each learner."""
    found: dict[str, dict[str, Any]] = {}
    for learner in LEARNERS:
        dp = [row for row in scaling_rows(profile, "tuned", learner) if row["method"] == "DP"]
        real = [row for row in outcomes(profile, f"comparison-{learner}") if row["method"] == "real"]
        if not dp or not real:
            continue
        largest = max(row["pool_size"] for row in dp)
        all_real = max(row["pool_size"] for row in real)
        for kind in ("outline", "rendition"):
            ours, theirs = (
                [shift_means(row["shift_accuracy"])[kind] for row in rows if row["pool_size"] == size]
                for rows, size in ((dp, largest), (real, all_real))
            )
            found[f"{learner}-{kind}"] = {
                "gain": float(np.mean(ours) - np.mean(theirs)),
                "interval": difference_interval(ours, theirs),
                "seeds": min(len(ours), len(theirs)),
            }
    if not found:
        return untested("C5", "no DP and real-data runs with shift sets")
    main = found.get(f"{MAIN}-outline") or next(iter(found.values()))
    parts = ", ".join(f"{in_words(name)} {with_interval(each, 1)}" for name, each in found.items())
    return Verdict(
        "C5",
        of_all([above(each["interval"], 0) for each in found.values()]),
        f"accuracy of DP minus that of real-data training, points: {parts}; the generator has seen the very images of "
        "real-data training and no other, while the paper's has seen many styles elsewhere",
        main["gain"],
        main["interval"],
        min(each["seeds"] for each in found.values()),
        tuple(
            f"{study}-{learner}"
            for study in ("scaling-tuned", "comparison")
            for learner in LEARNERS
            if f"{learner}-outline" in found
        ),
        {"comparisons": found},
    )
