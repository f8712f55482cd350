"""C5: shifted images."""

from typing import Any

from experiments.analysis.intervals import difference
from experiments.analysis.table import rows
from experiments.verdicts.verdict import LEARNERS, MAIN, Verdict, above, in_words, of_all, untested, with_interval


def shifted_images(profile: str) -> Verdict:
    """Judge C5: DP is better than real data on sketches and renditions. Both kinds, each learner."""
    found: dict[str, dict[str, Any]] = {}
    for learner in LEARNERS:
        dp = rows(profile, f"scaling-tuned-{learner}", method="DP")
        real = rows(profile, f"comparison-{learner}", method="real")
        if not dp or not real:
            continue
        largest = max(row["images"] for row in dp)
        all_real = max(row["images"] for row in real)
        for kind in ("outline", "rendition"):
            ours, theirs = (
                [row[kind] for row in every if row["images"] == size]
                for every, size in ((dp, largest), (real, all_real))
            )
            found[f"{learner}-{kind}"] = difference(ours, theirs)
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
