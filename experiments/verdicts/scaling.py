"""C1 to C4 and C9: the scaling studies."""

from collections.abc import Callable
from typing import Any

import numpy as np

from experiments.efficiency import Curve, efficiency
from experiments.intervals import difference_interval, mean_interval
from experiments.outcomes import Rows, curve, outcomes
from experiments.verdicts.verdict import LEARNERS, MAIN, Part, Verdict, above, below, of_all, times, untested

MARGIN = 0.5  # points that make no difference
NOT_TUNED = "; each method at its own best settings: no runs yet"


def data_efficiency(profile: str) -> Verdict:
    """C1: DP reaches static's best accuracy with fewer images.

    Each comparison holds if its interval is above 1; until methods are tuned the claim holds in part at most.
    """
    found = _efficiencies(profile)
    if not found:
        return untested("C1", "no static and DP runs")
    main, equal = found.get(f"tuned-{MAIN}"), found.get(f"equal-{MAIN}")
    parts = ", ".join(
        f"{name} {times(each['ratio'], each['interval'], each['at_least'])}" for name, each in found.items()
    )
    return Verdict(
        "C1",
        of_all([above(each["interval"], 1) for each in found.values()] + [None] * (main is None)),
        f"static images over DP images at static's best accuracy: {parts}{'' if main else NOT_TUNED}",
        main["ratio"] if main else None,
        main["interval"] if main else None,
        min(each["seeds"] for each in found.values()),
        tuple(f"scaling-{name}" for name in found),
        {"effect_equal_scale": equal and equal["ratio"], "interval_equal_scale": equal and equal["interval"]}
        | {"comparisons": found},
    )


def beats_static(profile: str) -> Verdict:
    """C2: the best DP size is better than the best static size.

    Each comparison holds if its interval is above 0; until methods are tuned the claim holds in part at most.
    """
    found: dict[str, dict[str, Any]] = {}
    for name in _efficiencies(profile):
        setting, learner = name.split("-")
        rows = scaling_rows(profile, setting, learner)
        static, dp = _best(curve(rows, "static")), _best(curve(rows, "DP"))
        found[name] = {
            "gain": float(np.mean(dp[1]) - np.mean(static[1])),
            "interval": difference_interval(dp[1], static[1]),
            "static_size": static[0],
            "dp_size": dp[0],
            "seeds": min(len(dp[1]), len(static[1])),
            "seed_deviations": float((np.mean(dp[1]) - np.mean(static[1])) / _pooled_sd(dp[1], static[1])),
        }
    if not found:
        return untested("C2", "no static and DP runs")
    main = found.get(f"tuned-{MAIN}")
    parts = ", ".join(
        f"{name} {each['gain']:+.2f} points ({each['dp_size']:,} against {each['static_size']:,} images)"
        for name, each in found.items()
    )
    return Verdict(
        "C2",
        of_all([above(each["interval"], 0) for each in found.values()] + [None] * (main is None)),
        f"test accuracy of the best DP size minus that of the best static size: {parts}{'' if main else NOT_TUNED}",
        main["gain"] if main else None,
        main["interval"] if main else None,
        min(each["seeds"] for each in found.values()),
        tuple(f"scaling-{name}" for name in found),
        {"comparisons": found},
    )


def less_of_everything(id_: str, learner: str) -> Callable[[str], Verdict]:
    """C3, C4: fewer images and fewer iterations than static training at its best, for one learner.

    Here all runs of a comparison are as long, or as long as their own search chose; so iterations are counted as they
    were set: static's at its best size, DP's at the size that is as good, or else at its largest.
    """

    def rule(profile: str) -> Verdict:
        found = _efficiencies(profile).get(f"tuned-{learner}")
        if found is None:
            return untested(id_, f"no static and DP runs of the {learner}, each at its own best settings")
        rows = scaling_rows(profile, "tuned", learner)
        sizes = sorted({row["pool_size"] for row in rows if row["method"] == "DP"})
        enough = next((size for size in sizes if size >= (found["dp_size"] or np.inf)), sizes[-1])
        iterations = {(row["method"], row["pool_size"]): row["iterations"] for row in rows}
        ratio = iterations["static", found["static_size"]] / iterations["DP", enough]
        reached = times(found["ratio"], found["interval"], found["at_least"])
        return Verdict(
            id_,
            of_all([above(found["interval"], 1), ratio > 1]),
            f"{learner}, tuned: images {reached}; iterations {ratio:.2g}x. The prior work itself is on ImageNet: see "
            "table 1",
            found["ratio"],
            found["interval"],
            found["seeds"],
            (f"scaling-tuned-{learner}",),
            {"iterations_ratio": ratio},
        )

    return rule


def timing_alone(profile: str) -> Verdict:
    """C9: plain images that come late are as good as plain images from the start, at equal size.

    Equal if the interval of the mean difference lies within half a point of 0, not equal if it leaves out 0 otherwise;
    no gain if equal, or if it lies below 0.
    """
    gaps: list[float] = []
    for learner in LEARNERS:
        rows = scaling_rows(profile, "equal", learner)
        static, late = (
            {(row["pool_size"], row["seed"]): row["test_accuracy"] for row in rows if row["method"] == method}
            for method in ("static", "omega = 0")
        )
        gaps += [late[run] - static[run] for run in late if run in static]
    if not gaps:
        return untested("C9", "no static and omega = 0 runs of one size")
    low, high = mean_interval(gaps)
    equal: Part = True if -MARGIN < low and high < MARGIN else None if low <= 0 <= high else False
    said = "; no gain from timing, but a loss" if high < 0 else "; timing alone gains" if low > 0 else ""
    return Verdict(
        "C9",
        of_all([equal, equal or below((low, high), 0)]),
        f"omega = 0 minus static at equal size, points of test accuracy, {len(gaps)} pairs of seeds{said}",
        float(np.mean(gaps)),
        (low, high),
        len(gaps),
        tuple(f"scaling-equal-{learner}" for learner in LEARNERS),
    )


def scaling_rows(profile: str, setting: str, learner: str) -> Rows:
    return outcomes(profile, f"scaling-{setting}-{learner}")


def _efficiencies(profile: str) -> dict[str, dict[str, Any]]:
    """Of every learner and way of choosing settings that has static and DP runs.

    Where only some sizes or none have several seeds it is left out, so that it does not keep the others from a verdict.
    """
    found: dict[str, dict[str, Any]] = {}
    for setting in ("tuned", "equal"):
        for learner in LEARNERS:
            rows = scaling_rows(profile, setting, learner)
            static, dp = curve(rows, "static"), curve(rows, "DP")
            if static and dp:
                seeds = min(len(values) for values in (*static.values(), *dp.values()))
                found[f"{setting}-{learner}"] = vars(efficiency(static, dp)) | {"seeds": seeds}
    return {name: each for name, each in found.items() if each["seeds"] > 1} or found


def _best(of: Curve) -> tuple[int, list[float]]:
    size = max(of, key=lambda n: np.mean(of[n]))
    return size, of[size]


def _pooled_sd(a: list[float], b: list[float]) -> float:
    return float(np.sqrt((np.var(a, ddof=1) + np.var(b, ddof=1)) / 2)) if min(len(a), len(b)) > 1 else float("nan")
