"""C11: patience and the sampling of new images."""

import numpy as np

from experiments.analysis.intervals import difference_interval
from experiments.analysis.table import rows
from experiments.verdicts.verdict import Verdict, above, below, of_all, untested, with_interval

MARGIN = 1.0  # points


def patience_and_sampling(profile: str) -> Verdict:
    """Judge C11: growing patience is not worse than fixed, and drawing new images twice as often does not help.

    Both say that something is not better, which few seeds cannot show: they hold where the interval has no gain of a
    point or more in it. How much patience must be tuned is not measured: each rule has one setting.
    """
    tests: dict[str, list[float]] = {}
    for row in rows(profile, "ablation"):
        tests.setdefault(row["variant"], []).append(row["test_accuracy"])
    if not {"base", "patience-fixed", "newest-twice"} <= tests.keys():
        return untested("C11", "no ablation runs")
    fixed = difference_interval(tests["base"], tests["patience-fixed"])
    newest = difference_interval(tests["newest-twice"], tests["base"])
    twice = float(np.mean(tests["newest-twice"]) - np.mean(tests["base"]))
    effect = float(np.mean(tests["base"]) - np.mean(tests["patience-fixed"]))
    return Verdict(
        "C11",
        of_all([above(fixed, -MARGIN), below(newest, MARGIN)]),
        f"growing minus fixed patience, points of test accuracy: {with_interval({'gain': effect, 'interval': fixed})}; "
        f"newest images twice as often: {with_interval({'gain': twice, 'interval': newest})}; how easy either is to "
        "tune was not measured",
        effect,
        fixed,
        min(map(len, tests.values())),
        ("ablation",),
        {"newest_twice": twice, "newest_twice_interval": newest},
    )
