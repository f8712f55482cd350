"""C12: the diversity of the generator."""

import numpy as np
from scipy.stats import spearmanr

from experiments.analysis.efficiency import means
from experiments.analysis.generators import by_seed, diversities, runs
from experiments.analysis.intervals import difference_interval
from experiments.verdicts.verdict import Verdict, above, of_all, untested, with_interval


def diverse_generator(profile: str) -> Verdict:
    """Judge C12: the more diverse generator is the better one to train on: most minus least recall, and in rank."""
    recall = {name: measured["recall"] for name, measured in diversities(profile).items()}
    found = runs(profile)
    tests, practised = (
        {name: list(reached.values()) for name, each in found.items() if (reached := by_seed(each, method))}
        for method in ("static", "DP")
    )
    if len(recall) < 3 or recall.keys() != tests.keys():
        return untested("C12", "no static runs on generators of measured diversity")
    most, least = max(recall, key=lambda g: recall[g]), min(recall, key=lambda g: recall[g])
    gain = float(np.mean(tests[most]) - np.mean(tests[least]))
    interval = difference_interval(tests[most], tests[least])
    rank = spearmanr([recall[g] for g in recall], [np.mean(tests[g]) for g in recall]).statistic
    return Verdict(
        "C12",
        of_all([above(interval, 0), rank > 0.5]),
        "generators are the bundled one at several guidance scales, and others of its kind; static test accuracy on "
        f"the most diverse ({most}, recall {recall[most]:.2f}) minus that on the least ({least}, {recall[least]:.2f}), "
        f"points: {with_interval({'gain': gain, 'interval': interval})}; rank correlation over {len(recall)}: "
        f"{rank:.2f}",
        gain,
        interval,
        min(map(len, tests.values())),
        ("generators",),
        {
            "rank_correlation": float(rank),
            "recall": recall,
            "accuracy": {g: means({0: tests[g]})[0] for g in tests},
            "gain_of_practice": {
                g: {
                    "gain": float(np.mean(practised[g]) - np.mean(tests[g])),
                    "interval": difference_interval(practised[g], tests[g]),
                }
                for g in tests
                if g in practised
            },
        },
    )
