"""C1 to C4 and C9: the scaling studies."""

from collections.abc import Callable
from typing import Any

import numpy as np

from experiments.analysis.efficiency import NEAR, Curve, efficiency, several
from experiments.analysis.intervals import drawn_interval, mean_interval
from experiments.analysis.table import curve, rows
from experiments.verdicts.verdict import (
    LEARNERS,
    MAIN,
    Part,
    Verdict,
    above,
    below,
    in_words,
    of_all,
    several_seeds,
    times,
    untested,
    with_interval,
)

NOT_TUNED = "; each method at its own best settings: no runs yet"


def data_efficiency(profile: str) -> Verdict:
    """Judge C1: DP reaches static's best accuracy with fewer images.

    Each comparison holds if its interval is above 1; until methods are tuned the claim holds in part at most.
    """
    found = _efficiencies(profile)
    if not found:
        return untested("C1", "no static and DP runs")
    main, equal = found.get(f"tuned-{MAIN}"), found.get(f"equal-{MAIN}")
    parts = ", ".join(f"{in_words(name)} {_times(each)}" for name, each in found.items())
    near = ", ".join(f"{in_words(name)} {_times(each['near'])}" for name, each in found.items())
    return Verdict(
        "C1",
        of_all([above(each["interval"], 1) for each in found.values()] + [None] * (main is None)),
        f"static images over DP images at static's best accuracy: {parts}; at {NEAR:g} points less, which depends "
        f"less on luck: {near}{'' if main else NOT_TUNED}",
        main["ratio"] if main else None,
        main["interval"] if main else None,
        min(each["seeds"] for each in found.values()),
        tuple(f"scaling-{name}" for name in found),
        {"effect_equal_scale": equal and equal["ratio"], "interval_equal_scale": equal and equal["interval"]}
        | {"comparisons": found},
        unit="x",
    )


def beats_static(profile: str) -> Verdict:
    """Judge C2: the best DP size is better than the best static size; both are chosen anew in every draw.

    Each comparison holds if its interval is above 0; until methods are tuned the claim holds in part at most.
    """
    found: dict[str, dict[str, Any]] = {}
    for name in _efficiencies(profile):
        setting, learner = name.split("-")
        curves = _curves(profile, setting, learner)
        static, dp = map(_best, curves)
        found[name] = {
            "gain": float(np.mean(dp[1]) - np.mean(static[1])),
            "interval": drawn_interval(lambda static, dp: max(dp.values()) - max(static.values()), *curves),
            "static_size": static[0],
            "dp_size": dp[0],
            "seeds": min(len(dp[1]), len(static[1])),
            "seed_deviations": float((np.mean(dp[1]) - np.mean(static[1])) / _pooled_sd(dp[1], static[1])),
        }
    if not found:
        return untested("C2", "no static and DP runs")
    main = found.get(f"tuned-{MAIN}")
    parts = ", ".join(
        f"{in_words(name)} {with_interval(each)} ({each['dp_size']:,} against {each['static_size']:,} images)"
        for name, each in found.items()
    )
    return Verdict(
        "C2",
        of_all([above(each["interval"], 0) for each in found.values()] + [None] * (main is None)),
        f"test accuracy of the best DP size minus that of the best static size, points: {parts}"
        f"{'' if main else NOT_TUNED}",
        main["gain"] if main else None,
        main["interval"] if main else None,
        min(each["seeds"] for each in found.values()),
        tuple(f"scaling-{name}" for name in found),
        {"comparisons": found},
    )


def less_of_everything(id_: str, learner: str) -> Callable[[str], Verdict]:
    """Judge C3 or C4: fewer images than static training at its best, for one learner.

    Iterations, the other half of the claim, are set beforehand here: it holds in part at most.
    """

    def rule(profile: str) -> Verdict:
        found = _efficiencies(profile).get(f"tuned-{learner}")
        if found is None:
            return untested(id_, f"no static and DP runs of the {in_words(learner)}, each at its own best settings")
        return Verdict(
            id_,
            of_all([above(found["interval"], 1), None]),
            f"{in_words(learner)}, tuned, against this repository's static training: images {_times(found)}; "
            "iterations are not compared: they are set beforehand here, and equal for many images. The prior work "
            "itself is on ImageNet: see table 1",
            found["ratio"],
            found["interval"],
            found["seeds"],
            (f"scaling-tuned-{learner}",),
            unit="x",
        )

    return rule


def timing_alone(profile: str) -> Verdict:
    """Judge C9: plain images that come late are as good as plain images from the start, at equal size; each learner.

    Equal if the interval of the mean difference lies within half a point of 0, not equal if it leaves out 0 otherwise;
    no gain if equal, or if it lies below 0. A seed's differences at several sizes are averaged first; of seeds that
    have the most sizes, so that all are means over the same.
    """
    found: dict[str, dict[str, Any]] = {}
    for learner in LEARNERS:
        static, late = (
            {
                (row["seed"], row["images"]): row["test_accuracy"]
                for row in rows(profile, f"scaling-equal-{learner}", method=method)
            }
            for method in ("static", "omega = 0")
        )
        by_seed: dict[int, list[float]] = {}
        for run in sorted(late.keys() & static.keys()):
            by_seed.setdefault(run[0], []).append(late[run] - static[run])
        if by_seed:
            sizes = max(map(len, by_seed.values()))
            gaps = [float(np.mean(each)) for each in by_seed.values() if len(each) == sizes]
            found[learner] = {"gap": float(np.mean(gaps)), "interval": mean_interval(gaps), "seeds": len(gaps)}
    if not found:
        return untested("C9", "no static and omega = 0 runs of one size")
    found = several_seeds(found)
    parts: list[Part] = []
    said = []
    for name, each in found.items():
        low, high = each["interval"]
        equal = True if -NEAR < low and high < NEAR else None if low <= 0 <= high else False
        parts += [equal, equal or below((low, high), 0)]
        kind = ", equal" if equal else ", a gain" if low > 0 else ", a loss" if high < 0 else ""
        said.append(f"{in_words(name)} {with_interval(each | {'gain': each['gap']})}{kind}")
    main = found.get(MAIN) or next(iter(found.values()))
    return Verdict(
        "C9",
        of_all(parts),
        "omega = 0 minus static at equal size, points of test accuracy, a mean over sizes for each seed: "
        + ", ".join(said),
        main["gap"],
        main["interval"],
        min(each["seeds"] for each in found.values()),
        tuple(f"scaling-equal-{learner}" for learner in LEARNERS),
        {"comparisons": found},
    )


def _efficiencies(profile: str) -> dict[str, dict[str, Any]]:
    """Return the efficiency of every learner and way of choosing settings that has static and DP runs."""
    found: dict[str, dict[str, Any]] = {}
    for setting in ("tuned", "equal"):
        for learner in LEARNERS:
            static, dp = _curves(profile, setting, learner)
            if static and dp:
                seeds = min(len(values) for values in (*static.values(), *dp.values()))
                near = vars(efficiency(static, dp, short=NEAR))
                found[f"{setting}-{learner}"] = vars(efficiency(static, dp)) | {"near": near, "seeds": seeds}
    return several_seeds(found)


def _curves(profile: str, setting: str, learner: str) -> tuple[Curve, Curve]:
    """Return the curves of static training and of DP."""
    found = rows(profile, f"scaling-{setting}-{learner}")
    return several(curve(found, "static")), several(curve(found, "DP"))


def _times(found: dict[str, Any]) -> str:
    return times(found["ratio"], found["interval"], found["at_least"])


def _best(of: Curve) -> tuple[int, list[float]]:
    size = max(of, key=lambda n: np.mean(of[n]))
    return size, of[size]


def _pooled_sd(a: list[float], b: list[float]) -> float:
    return float(np.sqrt((np.var(a, ddof=1) + np.var(b, ddof=1)) / 2)) if min(len(a), len(b)) > 1 else float("nan")
