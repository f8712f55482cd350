"""C6 to C8: what selection costs and brings."""

from collections.abc import Callable
from typing import Any

import numpy as np

from experiments.intervals import Interval, difference_interval
from experiments.results import load
from experiments.verdicts.verdict import Verdict, above, of_all, times, untested


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
        f"{ratio:.2f}; the cheap variant (U-Net held fixed, small decoder, late steps) costs "
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


def cheaper_than_pruning(profile: str) -> Verdict:
    """C7: at pruning's best accuracy guidance costs less (interval above 1), and its best is better (above 0).

    Guidance is the paper's, exact; the cheap way is told beside it.
    """
    runs = selection_runs(profile)
    prune, exact, cheap = (_ways(runs, way) for way in ("prune", "exact", "cheap"))
    if not prune or not exact:
        return untested("C7", "no pruned and guided runs")
    ratio, interval = cost_at_equal_accuracy(prune, exact)
    gain, gain_interval = _lead(exact, prune)
    aside = ""
    if cheap:
        aside = f"; the cheap way: {times(*cost_at_equal_accuracy(prune, cheap))}, {_lead(cheap, prune)[0]:+.2f} points"
    return Verdict(
        "C7",
        of_all([above(interval, 1), above(gain_interval, 0)]),
        f"operations of pruning's best ratio over those of the cheapest guidance as good: {times(ratio, interval)}; "
        f"best guided minus best pruned accuracy {gain:+.2f} points{aside}",
        ratio,
        interval,
        min(len(each) for each in runs.values()),
        ("selection",),
        {"best_gain": gain, "best_gain_interval": gain_interval},
    )


def _lead(
    guided: dict[float, list[dict[str, Any]]], prune: dict[float, list[dict[str, Any]]]
) -> tuple[float, Interval]:
    """Mean test accuracy of the best guidance minus that of the best pruning, with its interval."""
    ours, theirs = (max((_tests(each) for each in way.values()), key=np.mean) for way in (guided, prune))
    return float(np.mean(ours) - np.mean(theirs)), difference_interval(ours, theirs)


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
    if not {"prune", "exact"} <= found.keys():
        return untested("C8", "no pruned and guided runs")
    measured = {name: each for name, each in found.items() if not name.startswith("theory")}
    in_theory = [each["lead"] > 0 for name, each in found.items() if name.startswith("theory")]
    main = found["exact"]
    return Verdict(
        "C8",
        of_all(
            [each["lead"] > 0 and above(each["interval"], 0) for each in measured.values()]
            + [any(in_theory)] * bool(in_theory)
        ),
        "lead of the best strength over the strongest, points: "
        + ", ".join(f"{name} {each['lead']:+.2f} (best {each['best']:g})" for name, each in measured.items())
        + f"; in theory an interior optimum in {sum(in_theory)} of {len(in_theory)} settings",
        main["lead"],
        main["interval"],
        min(len(each) for each in runs.values()),
        ("selection", "theory/figure5c"),
        {"optima": found},
    )


def selection_runs(profile: str) -> dict[str, list[dict[str, Any]]]:
    """Results of the selection study by way and strength ("prune-4", "cheap-0.3"), seeds in order."""
    found: dict[str, list[dict[str, Any]]] = {}
    for name, result in load(profile, "selection").items():
        found.setdefault(name.rsplit("-", 1)[0], []).append(result)
    return {name: sorted(runs, key=lambda run: run["config"]["seed"]) for name, runs in found.items()}


def _tests(runs: list[dict[str, Any]]) -> list[float]:
    return [run["outcomes"][-1]["test_accuracy"] for run in runs]


def _operations(runs: list[dict[str, Any]]) -> float:
    return runs[0]["operations"]["addition"]


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
