"""C11: patience and the sampling of new images."""

import numpy as np

from experiments.analysis.intervals import difference_interval
from experiments.engine.results import load
from experiments.verdicts.verdict import Verdict, above, below, of_all, untested, with_interval

MARGIN = 1.0  # points


def patience_and_sampling(profile: str) -> Verdict:
    """C11: growing patience is not worse than fixed, and drawing new images twice as often does not help.

    Both say that something is not better, which few seeds cannot show: they hold where the interval has no gain of a
    point or more in it. How much patience must be tuned is not measured: each rule has one setting.
    """
    rows: dict[str, list[float]] = {}
    for name, result in load(profile, "ablation").items():
        rows.setdefault(name.rsplit("-", 1)[0], []).append(result["outcomes"][-1]["test_accuracy"])
    if not {"base", "patience-fixed", "newest-twice"} <= rows.keys():
        return untested("C11", "no ablation runs")
    fixed = difference_interval(rows["base"], rows["patience-fixed"])
    newest = difference_interval(rows["newest-twice"], rows["base"])
    twice = float(np.mean(rows["newest-twice"]) - np.mean(rows["base"]))
    effect = float(np.mean(rows["base"]) - np.mean(rows["patience-fixed"]))
    return Verdict(
        "C11",
        of_all([above(fixed, -MARGIN), below(newest, MARGIN)]),
        f"growing minus fixed patience, points of test accuracy: {with_interval({'gain': effect, 'interval': fixed})}; "
        f"newest images twice as often: {with_interval({'gain': twice, 'interval': newest})}; how easy either is to "
        "tune was not measured",
        effect,
        fixed,
        min(map(len, rows.values())),
        ("ablation",),
        {"newest_twice": twice, "newest_twice_interval": newest},
    )
