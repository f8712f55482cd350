"""Verdicts: what the recorded results say of each of the paper's claims.

A verdict is computed: an effect with a 95% bootstrap interval over seeds, and a rule that turns it into "holds here",
"holds in part" or "does not hold here". What has no results is "not tested here". The rules are those below.
"""

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from scipy.stats import spearmanr

from experiments.efficiency import Curve, efficiency, mean_interval, means
from experiments.outcomes import Rows, curve, outcomes, shift_means
from experiments.results import load

CLAIMS = Path(__file__).parent / "claims.csv"
Answer = Literal["holds here", "holds in part", "does not hold here", "not tested here"]
Interval = tuple[float, float]
LEARNERS = ("convnet", "vit")
MAIN = "convnet"  # whose effect is a verdict's; the other learner's stands beside it


@dataclass(frozen=True)
class Verdict:
    """What was measured of a claim.

    Attributes:
        id: C1 to C13.
        verdict: see the top of this file.
        measured: in words, with what the effect is.
        effect: a number; None if nothing was measured, or if what was asked for is never reached.
        interval: of the effect.
        seeds: runs of each kind that it rests on.
        sources: result folders and files.
        more: other numbers that belong to it.
    """

    id: str
    verdict: Answer
    measured: str
    effect: float | None = None
    interval: Interval | None = None
    seeds: int = 0
    sources: tuple[str, ...] = ()
    more: dict[str, Any] | None = None


def verdicts(profile: str) -> list[Verdict]:
    """One for each claim, in order."""
    return [rule(profile) for rule in RULES.values()]


def claims() -> dict[str, str]:
    """The paper's quantitative claims, by id."""
    with CLAIMS.open(newline="") as file:
        return {row["id"]: row["claim"] for row in csv.DictReader(file)}


def as_json(found: list[Verdict]) -> list[dict[str, Any]]:
    """JSON values: {id, claim, verdict, effect, interval, seeds, sources, measured} and what a claim has besides."""
    texts, listed = claims(), []
    for each in found:
        values = vars(each) | {"claim": texts[each.id]}
        names = ("id", "claim", "verdict", "effect", "interval", "seeds", "sources", "measured")
        listed.append({name: values[name] for name in names} | (each.more or {}))
    return listed


def _untested(id_: str, why: str) -> Verdict:
    return Verdict(id_, "not tested here", why)


def _of_all(parts: list[bool]) -> Answer:
    """All parts of a claim hold, some do, or none."""
    return "holds here" if all(parts) else "holds in part" if any(parts) else "does not hold here"


def _scaling(profile: str, setting: str, learner: str) -> Rows:
    return outcomes(profile, f"scaling-{setting}-{learner}")


def _efficiencies(profile: str) -> dict[str, dict[str, Any]]:
    """Of every learner and way of choosing settings that has static and DP runs."""
    found: dict[str, dict[str, Any]] = {}
    for setting in ("tuned", "equal"):
        for learner in LEARNERS:
            rows = _scaling(profile, setting, learner)
            static, dp = curve(rows, "static"), curve(rows, "DP")
            if static and dp:
                seeds = min(len(values) for values in (*static.values(), *dp.values()))
                found[f"{setting}-{learner}"] = vars(efficiency(static, dp)) | {"seeds": seeds}
    return found


def data_efficiency(profile: str) -> Verdict:
    """C1: DP reaches static's best accuracy with fewer images. Each comparison holds if its interval is above 1."""
    found = _efficiencies(profile)
    main = found.get(f"tuned-{MAIN}")
    if main is None:
        return _untested("C1", "no static and DP runs, each at its own best settings")
    equal = found.get(f"equal-{MAIN}")
    parts = ", ".join(f"{name} {_times(each['ratio'], each['interval'])}" for name, each in found.items())
    return Verdict(
        "C1",
        _of_all([each["interval"][0] > 1 for each in found.values()]),
        f"static images over DP images at static's best accuracy: {parts}",
        main["ratio"],
        main["interval"],
        min(each["seeds"] for each in found.values()),
        tuple(f"scaling-{name}" for name in found),
        {"effect_equal_scale": equal and equal["ratio"], "interval_equal_scale": equal and equal["interval"]}
        | {"comparisons": found},
    )


def _times(ratio: float | None, interval: Interval) -> str:
    low, high = interval
    return "never reached" if ratio is None else f"{ratio:.1f}x (95% {low:.1f} to {high:.1f}; 0 = never reached)"


def beats_static(profile: str) -> Verdict:
    """C2: the best DP size is better than the best static size. Each comparison holds if its interval is above 0."""
    found: dict[str, dict[str, Any]] = {}
    for name in _efficiencies(profile):
        setting, learner = name.split("-")
        rows = _scaling(profile, setting, learner)
        static, dp = _best(curve(rows, "static")), _best(curve(rows, "DP"))
        found[name] = {
            "gain": float(np.mean(dp[1]) - np.mean(static[1])),
            "interval": difference_interval(dp[1], static[1]),
            "static_size": static[0],
            "dp_size": dp[0],
            "seeds": min(len(dp[1]), len(static[1])),
            "seed_deviations": float((np.mean(dp[1]) - np.mean(static[1])) / _pooled_sd(dp[1], static[1])),
        }
    main = found.get(f"tuned-{MAIN}")
    if main is None:
        return _untested("C2", "no static and DP runs, each at its own best settings")
    parts = ", ".join(
        f"{name} {each['gain']:+.2f} points ({each['dp_size']:,} against {each['static_size']:,} images)"
        for name, each in found.items()
    )
    return Verdict(
        "C2",
        _of_all([each["interval"][0] > 0 for each in found.values()]),
        f"test accuracy of the best DP size minus that of the best static size: {parts}",
        main["gain"],
        main["interval"],
        min(each["seeds"] for each in found.values()),
        tuple(f"scaling-{name}" for name in found),
        {"comparisons": found},
    )


def _best(of: Curve) -> tuple[int, list[float]]:
    size = max(of, key=lambda n: np.mean(of[n]))
    return size, of[size]


def _pooled_sd(a: list[float], b: list[float]) -> float:
    return float(np.sqrt((np.var(a, ddof=1) + np.var(b, ddof=1)) / 2)) if min(len(a), len(b)) > 1 else float("nan")


def difference_interval(a: list[float], b: list[float]) -> Interval:
    """95% bootstrap interval of mean(a) - mean(b), seeds of each drawn on their own."""
    rng = np.random.default_rng(0)
    drawn = rng.choice(a, (2000, len(a))).mean(1) - rng.choice(b, (2000, len(b))).mean(1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(low), float(high)


def less_of_everything(id_: str, learner: str) -> Callable[[str], Verdict]:
    """C3, C4: fewer images and fewer iterations than static training at its best, for one learner.

    Here all runs of a comparison are as long, or as long as their own search chose; so iterations are counted as they
    were set.
    """

    def rule(profile: str) -> Verdict:
        found = _efficiencies(profile).get(f"tuned-{learner}")
        if found is None:
            return _untested(id_, f"no static and DP runs of the {learner}, each at its own best settings")
        rows = _scaling(profile, "tuned", learner)
        iterations = {m: next(r["iterations"] for r in rows if r["method"] == m) for m in ("static", "DP")}
        ratio = iterations["static"] / iterations["DP"]
        reached = _times(found["ratio"], found["interval"])
        return Verdict(
            id_,
            _of_all([found["interval"][0] > 1, ratio > 1]),
            f"{learner}, tuned: images {reached}; iterations {ratio:.2g}x. The prior work itself is on ImageNet: see "
            "table 1",
            found["ratio"],
            found["interval"],
            found["seeds"],
            (f"scaling-tuned-{learner}",),
            {"iterations_ratio": ratio},
        )

    return rule


def shifted_images(profile: str) -> Verdict:
    """C5: DP loses less than real data on sketches and renditions: it is better there. Both kinds, each learner."""
    found: dict[str, dict[str, Any]] = {}
    for learner in LEARNERS:
        dp = [row for row in _scaling(profile, "tuned", learner) if row["method"] == "DP"]
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
        return _untested("C5", "no DP and real-data runs with shift sets")
    main = found.get(f"{MAIN}-outline") or next(iter(found.values()))
    parts = ", ".join(f"{name} {each['gain']:+.1f}" for name, each in found.items())
    return Verdict(
        "C5",
        _of_all([each["interval"][0] > 0 for each in found.values()]),
        f"accuracy of DP minus that of real-data training, points: {parts}",
        main["gain"],
        main["interval"],
        min(each["seeds"] for each in found.values()),
        tuple(f"{study}-{learner}" for study in ("scaling-tuned", "comparison") for learner in LEARNERS),
        {"comparisons": found},
    )


def guidance_cost(profile: str) -> Verdict:
    """C6: a guided image costs 1.82 plain ones; holds if the counted ratio of that variant is within a tenth of it."""
    from dp.costs import cost_ratio, sd15_parts, sd15_timesteps  # imports torch

    as_published = _guided("unet", "vae", 5, (0.0, 1.0))
    ratio = cost_ratio(sd15_parts("vae"), sd15_timesteps(), as_published)
    measured = _seconds_ratio(profile)
    return Verdict(
        "C6",
        "holds here" if abs(ratio / 1.82 - 1) < 0.1 else "does not hold here",
        f"counted operations, Stable Diffusion 1.5 and ViT-B, through U-Net and autoencoder at every fifth step: "
        f"{ratio:.2f}; the cheap variant recommended here costs "
        f"{cost_ratio(sd15_parts('tiny'), sd15_timesteps(), _guided('x0', 'tiny', 1, (0.0, 0.3))):.2f}",
        ratio,
        None,
        0,
        ("dp/costs.py", "selection"),
        {"measured_on_the_small_pipeline": measured},
    )


def _guided(gradient: Any, _decoder: str, every: int, interval: tuple[float, float]) -> Any:
    from dp.guidance import GuidanceConfig

    return GuidanceConfig(1.0, interval, every, gradient=gradient)


def selection_runs(profile: str) -> dict[str, list[dict[str, Any]]]:
    """Results of the selection study by way and strength ("prune-4", "cheap-0.3"), seeds in order."""
    found: dict[str, list[dict[str, Any]]] = {}
    for name, result in load(profile, "selection").items():
        found.setdefault(name.rsplit("-", 1)[0], []).append(result)
    return {name: sorted(runs, key=lambda run: run["config"]["seed"]) for name, runs in found.items()}


def _tests(runs: list[dict[str, Any]]) -> list[float]:
    return [run["outcomes"][-1]["test_accuracy"] for run in runs]


def _seconds(runs: list[dict[str, Any]]) -> float:
    return float(np.mean([run["additions"][-1]["generation_seconds"] for run in runs if run["additions"]]))


def _seconds_ratio(profile: str) -> dict[str, float]:
    runs = selection_runs(profile)
    if "prune-1" not in runs:
        return {}
    return {name: _seconds(each) / _seconds(runs["prune-1"]) for name, each in runs.items()}


def _ways(runs: dict[str, list[dict[str, Any]]], way: str) -> dict[float, list[dict[str, Any]]]:
    """Strength -> runs of a way of selecting, weakest first."""
    mine = {float(name.split("-")[1]): each for name, each in runs.items() if name.startswith(f"{way}-")}
    return {strength: mine[strength] for strength in sorted(mine)}


def cheaper_than_pruning(profile: str) -> Verdict:
    """C7: at pruning's best accuracy guidance costs less (interval above 1), and its best is better (above 0)."""
    runs = selection_runs(profile)
    prune, cheap = _ways(runs, "prune"), _ways(runs, "cheap")
    if not prune or not cheap:
        return _untested("C7", "no pruned and guided runs")
    ratio, interval = cost_at_equal_accuracy(prune, cheap)
    best = {
        name: max((_tests(each) for each in way.values()), key=np.mean)
        for name, way in (("prune", prune), ("guided", cheap))
    }
    gain = float(np.mean(best["guided"]) - np.mean(best["prune"]))
    gain_interval = difference_interval(best["guided"], best["prune"])
    return Verdict(
        "C7",
        _of_all([interval[0] > 1, gain_interval[0] > 0]),
        f"operations of pruning's best ratio over those of the cheapest guidance as good: {_times(ratio, interval)}; "
        f"best guided minus best pruned accuracy {gain:+.2f} points",
        ratio,
        interval,
        min(len(each) for each in runs.values()),
        ("selection",),
        {"best_gain": gain, "best_gain_interval": gain_interval},
    )


def cost_at_equal_accuracy(
    prune: dict[float, list[dict[str, Any]]], guided: dict[float, list[dict[str, Any]]]
) -> tuple[float | None, Interval]:
    """Operations of an addition at pruning's best mean accuracy, over those of the cheapest guidance as good."""

    def ratio(draw: Callable[[list[float]], Any]) -> float:
        pruned = {strength: np.mean(draw(_tests(runs))) for strength, runs in prune.items()}
        best = max(pruned, key=lambda strength: pruned[strength])
        costs = [_operations(runs) for runs in guided.values() if np.mean(draw(_tests(runs))) >= pruned[best]]
        return _operations(prune[best]) / min(costs) if costs else 0.0

    rng = np.random.default_rng(0)
    drawn = [ratio(lambda values: rng.choice(values, len(values))) for _ in range(2000)]
    low, high = np.quantile(drawn, [0.025, 0.975], method="nearest")
    return ratio(lambda values: values) or None, (float(low), float(high))


def _operations(runs: list[dict[str, Any]]) -> float:
    return runs[0]["operations"]["addition"]


def too_much_selection(profile: str) -> Verdict:
    """C8: an interior optimum over the ratio, over omega and in theory: the strongest selection is worse than the best.

    Each holds if the best strength is not the strongest and the interval of its lead over the strongest is above 0.
    """
    runs = selection_runs(profile)
    found: dict[str, dict[str, Any]] = {}
    for way in ("prune", "exact", "cheap"):
        strengths = _ways(runs, way)
        if not strengths:
            continue
        tests = {strength: _tests(each) for strength, each in strengths.items()}
        best, strongest = max(tests, key=lambda s: np.mean(tests[s])), max(tests)
        found[way] = {
            "best": best,
            "lead": float(np.mean(tests[best]) - np.mean(tests[strongest])),
            "interval": difference_interval(tests[best], tests[strongest]),
        }
    rows = load(profile, "theory").get("figure5c", {}).get("rows", [])
    exact = [row for row in rows if row["series"] == "exact"]
    for rho, ridge in sorted({(row["rho"], row["ridge"]) for row in exact}):
        mine = {
            row["oversampling_ratio"]: row["test_accuracy"]
            for row in exact
            if (row["rho"], row["ridge"]) == (rho, ridge)
        }
        best, lead = max(mine, key=lambda s: mine[s]), 100 * (max(mine.values()) - mine[max(mine)])
        found[f"theory, rho {rho:g}, ridge {ridge:g}"] = {"best": best, "lead": lead, "interval": (lead, lead)}
    if not {"prune", "cheap"} <= found.keys():
        return _untested("C8", "no pruned and guided runs")
    measured = {name: each for name, each in found.items() if not name.startswith("theory")}
    in_theory = [each["lead"] > 0 for name, each in found.items() if name.startswith("theory")]
    main = found["cheap"]
    return Verdict(
        "C8",
        _of_all([each["interval"][0] > 0 for each in measured.values()] + ([any(in_theory)] if in_theory else [])),
        "lead of the best strength over the strongest, points: "
        + ", ".join(f"{name} {each['lead']:+.2f} (best {each['best']:g})" for name, each in measured.items())
        + f"; in theory an interior optimum in {sum(in_theory)} of {len(in_theory)} settings",
        main["lead"],
        main["interval"],
        min(len(each) for each in runs.values()),
        ("selection", "theory/figure5c"),
        {"optima": found},
    )


def timing_alone(profile: str) -> Verdict:
    """C9: plain images that come late are as good as plain images from the start, at equal size.

    Holds if the interval of the mean difference has 0 in it, or lies within half a point of 0.
    """
    gaps: list[float] = []
    for learner in LEARNERS:
        rows = _scaling(profile, "equal", learner)
        static, late = (
            {(row["pool_size"], row["seed"]): row["test_accuracy"] for row in rows if row["method"] == method}
            for method in ("static", "omega = 0")
        )
        gaps += [late[run] - static[run] for run in late if run in static]
    if not gaps:
        return _untested("C9", "no static and omega = 0 runs of one size")
    low, high = mean_interval(gaps)
    return Verdict(
        "C9",
        "holds here" if low <= 0 <= high or (low > -0.5 and high < 0.5) else "does not hold here",
        f"omega = 0 minus static at equal size, points of test accuracy, {len(gaps)} pairs of seeds",
        float(np.mean(gaps)),
        (low, high),
        len(gaps),
        tuple(f"scaling-equal-{learner}" for learner in LEARNERS),
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
        return _untested("C10", "no DP runs with stored learners")
    low, high = mean_interval(found["DP"])
    parts, control = [high < 100], None
    if found["omega = 0"]:
        control = difference_interval(found["DP"], found["omega = 0"])
        parts.append(control[1] < 0)
    return Verdict(
        "C10",
        _of_all(parts),
        "error of earlier learners on images misclassified when added, percent (100 at birth by choice); the same for "
        f"plain additions: {np.mean(found['omega = 0']) if found['omega = 0'] else float('nan'):.1f}",
        float(np.mean(found["DP"])),
        (low, high),
        len(found["DP"]),
        tuple(f"scaling-equal-{learner}" for learner in LEARNERS),
        {"minus_plain_additions": control},
    )


def patience_and_sampling(profile: str) -> Verdict:
    """C11: growing patience is not worse than fixed, and drawing new images twice as often does not help.

    The first holds unless fixed is better beyond the interval, the second unless the weight is.
    """
    rows: dict[str, list[float]] = {}
    for name, result in load(profile, "ablation").items():
        rows.setdefault(name.rsplit("-", 1)[0], []).append(result["outcomes"][-1]["test_accuracy"])
    if not {"base", "patience-fixed", "newest-twice"} <= rows.keys():
        return _untested("C11", "no ablation runs")
    fixed = difference_interval(rows["base"], rows["patience-fixed"])
    newest = difference_interval(rows["newest-twice"], rows["base"])
    effect = float(np.mean(rows["base"]) - np.mean(rows["patience-fixed"]))
    return Verdict(
        "C11",
        _of_all([fixed[1] > 0, newest[0] < 0]),
        f"growing minus fixed patience, points of test accuracy; newest images twice as often: "
        f"{np.mean(rows['newest-twice']) - np.mean(rows['base']):+.2f} (95% {newest[0]:+.2f} to {newest[1]:+.2f})",
        effect,
        fixed,
        min(map(len, rows.values())),
        ("ablation",),
        {"newest_twice_interval": newest},
    )


def diverse_generator(profile: str) -> Verdict:
    """C12: the more diverse generator is the better one to train on (static): best minus least recall, and in rank."""
    results = load(profile, "generators")
    recall = {name.removeprefix("diversity-"): r["recall"] for name, r in results.items() if name.startswith("div")}
    tests: dict[str, list[float]] = {}
    for name, result in results.items():
        if name.startswith("static-"):
            label = name.removeprefix("static-").rsplit("-", 1)[0]
            tests.setdefault(label, []).append(result["outcomes"][-1]["test_accuracy"])
    if len(recall) < 3 or recall.keys() != tests.keys():
        return _untested("C12", "no static runs on generators of measured diversity")
    most, least = max(recall, key=lambda g: recall[g]), min(recall, key=lambda g: recall[g])
    interval = difference_interval(tests[most], tests[least])
    rank = spearmanr([recall[g] for g in recall], [np.mean(tests[g]) for g in recall]).statistic
    return Verdict(
        "C12",
        _of_all([interval[0] > 0, rank > 0.5]),
        f"static test accuracy on the most diverse generator ({most}, recall {recall[most]:.2f}) minus that on the "
        f"least ({least}, {recall[least]:.2f}), points; rank correlation over {len(recall)} generators: {rank:.2f}",
        float(np.mean(tests[most]) - np.mean(tests[least])),
        interval,
        min(map(len, tests.values())),
        ("generators",),
        {"rank_correlation": float(rank), "recall": recall, "accuracy": {g: means({0: tests[g]})[0] for g in tests}},
    )


def linear_model(profile: str) -> Verdict:
    """C13: with many selected rows and an aligned pruner some selection beats keeping all, and simulation agrees."""
    rows = load(profile, "theory").get("figure3", {}).get("rows")
    if not rows:
        return _untested("C13", "no theory results")
    aligned, largest = max(r["rho"] for r in rows), max(r["n_selected"] for r in rows)
    exact = {(r["rho"], r["kept_fraction"], round(r["n_selected"])): r for r in rows if r["series"] == "exact"}
    simulated = [r for r in rows if r["series"] == "simulation"]
    gaps = [
        r["test_accuracy"] - exact[r["rho"], r["kept_fraction"], round(r["n_selected"])]["test_accuracy"]
        for r in simulated
    ]
    end = {p: r["test_accuracy"] for (rho, p, n), r in exact.items() if rho == aligned and n == round(largest)}
    best = max(end, key=lambda p: end[p])
    agrees = all(abs(gap) < max(5 * r["standard_error"], 3 / r["d"]) for gap, r in zip(gaps, simulated, strict=True))
    gain = 100 * (end[best] - end[1.0])
    return Verdict(
        "C13",
        _of_all([best < 1, agrees]),
        f"theory at {largest:,.0f} selected rows, d = {rows[0]['d']}, rho = {aligned:g}: accuracy of keeping the "
        f"hardest {best:.0%} minus that of keeping all, points; simulation differs from the exact curves by "
        f"{100 * max(map(abs, gaps)):.2f} at most",
        gain,
        (gain, gain),
        0,
        ("theory/figure3",),
        {"largest_gap_to_simulation": 100 * max(map(abs, gaps))},
    )


RULES: dict[str, Callable[[str], Verdict]] = {
    "C1": data_efficiency,
    "C2": beats_static,
    "C3": less_of_everything("C3", "convnet"),
    "C4": less_of_everything("C4", "vit"),
    "C5": shifted_images,
    "C6": guidance_cost,
    "C7": cheaper_than_pruning,
    "C8": too_much_selection,
    "C9": timing_alone,
    "C10": hardness_moves,
    "C11": patience_and_sampling,
    "C12": diverse_generator,
    "C13": linear_model,
}
