"""C6 to C8: what selection costs and brings."""

from typing import Any

import numpy as np

from experiments.analysis.intervals import Interval, difference, difference_interval, drawn_interval
from experiments.analysis.table import Rows, curve, rows
from experiments.engine.results import load
from experiments.verdicts.verdict import (
    LEARNERS,
    Part,
    Verdict,
    above,
    in_words,
    of_all,
    several_seeds,
    times,
    untested,
    with_interval,
)

WAYS = ("prune", "exact", "cheap")
Strengths = dict[float, Rows]  # strength of a selection -> its runs


def guidance_cost(profile: str) -> Verdict:
    """Judge C6: a guided image costs 1.82 plain ones; holds if that variant's counted ratio is within a tenth of it."""
    from dp.paper.costs import cost_ratio, sd15_parts, sd15_timesteps  # imports torch

    as_published = _guided("unet", "vae", 5, (0.0, 1.0))
    ratio = cost_ratio(sd15_parts("vae"), sd15_timesteps(), as_published)
    runs = selection_runs(profile)
    here: dict[str, float] = {}
    seconds: dict[str, float] = {}
    if plain := runs.get("prune", {}).get(1.0):
        for way, strengths in runs.items():
            seconds |= {f"{way}-{strength:g}": _seconds(each) / _seconds(plain) for strength, each in strengths.items()}
        for way in ("exact", "cheap"):
            if way in runs:
                here[way] = _operations(next(iter(runs[way].values()))) / _operations(plain)
    small = ", ".join(f"{way} {ratio:.2f}" for way, ratio in here.items())
    return Verdict(
        "C6",
        "holds here" if abs(ratio / 1.82 - 1) < 0.1 else "does not hold here",
        f"operations counted, not timed, for Stable Diffusion 1.5 and ViT-B, through U-Net and autoencoder at every "
        f"fifth step: {ratio:.2f}; the cheap variant (U-Net held fixed, small decoder, late steps) costs "
        f"{cost_ratio(sd15_parts('tiny'), sd15_timesteps(), _guided('x0', 'tiny', 1, (0.0, 0.3))):.2f}"
        + (f". The runs here, small and guided at every step: {small}" if small else ""),
        ratio,
        None,
        0,
        ("dp/paper/costs.py", "selection"),
        {"seconds_on_the_small_pipeline": dict(sorted(seconds.items()))},
        unit="x",
    )


def _guided(gradient: Any, _decoder: str, every: int, interval: tuple[float, float]) -> Any:
    from dp.guidance.guidance import GuidanceConfig

    return GuidanceConfig(1.0, interval, every, gradient=gradient)


def cheaper_than_pruning(profile: str) -> Verdict:
    """Judge C7: at pruning's best accuracy guidance costs less (interval above 1), and its best is better (above 0).

    One addition, with the settings all methods share; guidance is the paper's, exact, and the cheap way is told beside
    it. And whole runs of one size, each method tuned: Deliberate Practice is better than pruning (above 0).
    """
    runs = selection_runs(profile)
    prune, exact, cheap = (runs.get(way, {}) for way in WAYS)
    if not prune or not exact:
        return untested("C7", "no pruned and guided runs")
    ratio, interval = cost_at_equal_accuracy(prune, exact)
    gain, gain_interval = _lead(exact, prune)
    aside = ""
    if cheap:
        aside = f"; the cheap way: {times(*cost_at_equal_accuracy(prune, cheap))}, {_lead(cheap, prune)[0]:+.2f} points"
    best = max(prune, key=lambda strength: np.mean(_tests(prune[strength])))
    tuned = pruning_tuned(profile)
    for name, each in tuned.items():
        aside += (
            f"; {in_words(name)}, tuned, DP minus pruning with {each['images']:,} images: {with_interval(each)} points"
        )
    return Verdict(
        "C7",
        of_all([above(interval, 1), above(gain_interval, 0)] + [above(each["interval"], 0) for each in tuned.values()]),
        f"one addition at equal settings: operations of pruning's best ratio ({best:g}"
        f"{', the largest measured' * (best == max(prune))}) over those of the cheapest guidance as good: "
        f"{times(ratio, interval)}; best guided minus best pruned accuracy "
        f"{with_interval({'gain': gain, 'interval': gain_interval})} points{aside}",
        ratio,
        interval,
        min(len(each) for strengths in runs.values() for each in strengths.values()),
        ("selection", *(f"{study}-{name}" for name in tuned for study in ("scaling-tuned", "comparison"))),
        {"best_gain": gain, "best_gain_interval": gain_interval, "tuned": tuned},
        unit="x",
    )


def pruning_tuned(profile: str) -> dict[str, dict[str, Any]]:
    """Return DP's test accuracy minus that of pruning by learner, whole runs of as many images, each method tuned."""
    found: dict[str, dict[str, Any]] = {}
    for learner in LEARNERS:
        dp = curve(rows(profile, f"scaling-tuned-{learner}"), "DP")
        for size, theirs in curve(rows(profile, f"comparison-{learner}", setting="tuned"), "prune").items():
            if size in dp:
                found[learner] = {"images": size} | difference(dp[size], theirs)
    return several_seeds(found)


def _lead(guided: Strengths, prune: Strengths) -> tuple[float, Interval]:
    """Return the best guidance's mean test accuracy minus the best pruning's, with its interval, in every draw of which
    both are chosen anew."""

    def lead(ours: dict[float, float], theirs: dict[float, float]) -> float:
        return max(ours.values()) - max(theirs.values())

    curves = [{strength: _tests(runs) for strength, runs in way.items()} for way in (guided, prune)]
    measured = [{strength: float(np.mean(tests)) for strength, tests in curve.items()} for curve in curves]
    return lead(*measured), drawn_interval(lead, *curves, one_spread=True)


def cost_at_equal_accuracy(prune: Strengths, guided: Strengths) -> tuple[float | None, Interval]:
    """Return operations at pruning's best mean accuracy over those of the cheapest guidance as good, per addition."""

    def ratio(pruned: dict[float, float], as_good: dict[float, float]) -> float:
        best = max(pruned, key=lambda strength: pruned[strength])
        costs = [_operations(guided[strength]) for strength, mean in as_good.items() if mean >= pruned[best]]
        return _operations(prune[best]) / min(costs) if costs else 0.0

    curves = [{strength: _tests(runs) for strength, runs in way.items()} for way in (prune, guided)]
    measured = [{strength: float(np.mean(tests)) for strength, tests in curve.items()} for curve in curves]
    return ratio(*measured) or None, drawn_interval(ratio, *curves, one_spread=True)


def too_much_selection(profile: str) -> Verdict:
    """Judge C8: some selection is best and more is worse, over the ratio, over omega and in theory.

    Each holds if the best strength is better than none (ratio 1 or omega 0) and than the strongest, both leads beyond
    their intervals. Where the best is one of these ends it does not hold if the interval of its lead over the next best
    is above 0, and is undecided otherwise.
    """
    runs = selection_runs(profile)
    none = runs.get("prune", {}).get(1.0)
    plain = {0.0: none} if none else {}
    found: dict[str, dict[str, Any]] = {}
    for way in WAYS:
        strengths = runs.get(way)
        if not strengths:
            continue
        tests = {s: _tests(each) for s, each in (strengths if way == "prune" else plain | strengths).items()}
        best = max(tests, key=lambda s: np.mean(tests[s]))
        found[way] = {
            "best": best,
            "lead": float(np.mean(tests[best]) - np.mean(tests[max(tests)])),
            "interval": (0.0, 0.0) if best == max(tests) else difference_interval(tests[best], tests[max(tests)]),
            "holds": _is_interior(tests, best),
        }
    curves: dict[str, dict[float, float]] = {}
    for row in load(profile, "theory").get("figure5c", {}).get("rows", []):
        if row["series"] in ("exact", "tuned"):
            ridge = f"{row['ridge']:g}" if row["series"] == "exact" else "tuned"
            mine = curves.setdefault(f"theory, rho {row['rho']:g}, ridge {ridge}", {})
            mine[row["oversampling_ratio"]] = row["test_accuracy"]
    for name, mine in curves.items():
        best, lead = max(mine, key=lambda s: mine[s]), 100 * (max(mine.values()) - mine[max(mine)])
        found[name] = {"best": best, "lead": lead, "interval": (lead, lead), "holds": min(mine) < best < max(mine)}
    if not {"prune", "exact"} <= found.keys():
        return untested("C8", "no pruned and guided runs")
    measured = {name: each for name, each in found.items() if not name.startswith("theory")}
    fixed, tuned = (
        [each["holds"] for name, each in found.items() if name.startswith("theory") and ("tuned" in name) == wanted]
        for wanted in (False, True)
    )
    main = found["exact"]
    said = {True: "beyond its interval", False: "no optimum", None: "not decided"}
    return Verdict(
        "C8",
        of_all([each["holds"] for each in measured.values()] + [all(part) for part in (fixed, tuned) if part]),
        "one addition at equal settings, lead of the best strength over the strongest, points: "
        + ", ".join(
            f"{name} {each['lead']:+.2f} (best {each['best']:g}; {said[each['holds']]})"
            for name, each in measured.items()
        )
        + f"; in theory an interior optimum in {sum(fixed)} of {len(fixed)} settings with a fixed ridge and in "
        f"{sum(tuned)} of {len(tuned)} with a tuned one{_at_finite_dimension(profile)}",
        main["lead"],
        main["interval"],
        min(len(each) for strengths in runs.values() for each in strengths.values()),
        ("selection", "theory/figure5c", "theory/finite_optimum"),
        {"optima": found},
    )


def _is_interior(tests: dict[float, list[float]], best: float) -> Part:
    """Return whether the best strength is beyond its intervals better than both ends; see `too_much_selection`."""
    ends = {min(tests), max(tests)}
    if best in ends:
        following = max((strength for strength in tests if strength != best), key=lambda s: np.mean(tests[s]))
        return False if above(difference_interval(tests[best], tests[following]), 0) else None
    return True if all(above(difference_interval(tests[best], tests[end]), 0) for end in ends) else None


def selection_runs(profile: str) -> dict[str, Strengths]:
    """Return the rows of the selection study by way of selecting and strength, the weakest first.

    The strength of pruning is its over-sampling ratio, that of guidance omega.
    """
    found: dict[str, Strengths] = {}
    for row in rows(profile, "selection"):
        way = "prune" if not row["omega"] else "exact" if row["gradient"] == "unet" else "cheap"
        strength = row["omega"] or row["over_sampling"]
        found.setdefault(way, {}).setdefault(strength, []).append(row)
    return {way: {strength: mine[strength] for strength in sorted(mine)} for way, mine in found.items()}


def _tests(runs: Rows) -> list[float]:
    return [row["test_accuracy"] for row in runs]


def _operations(runs: Rows) -> float:
    return runs[0]["operations_addition"]


def _seconds(runs: Rows) -> float:
    """Return the seconds of the fastest run: what else a machine does only slows it down."""
    return min(row["seconds_addition"] for row in runs)


def _at_finite_dimension(profile: str) -> str:
    """Say how much the simulated optimum, with the best ridge at every ratio, leads the largest ratio."""
    found = load(profile, "theory").get("finite_optimum", {}).get("rows", [])
    told = []
    for rho in dict.fromkeys(row["rho"] for row in found):
        mine = [row for row in found if row["rho"] == rho]
        best, last = (
            max(mine, key=lambda row: row["test_accuracy"]),
            max(mine, key=lambda row: row["oversampling_ratio"]),
        )
        lead = 100 * (best["test_accuracy"] - last["test_accuracy"])
        half = 196 * float(np.hypot(best["standard_error"], last["standard_error"]))
        said = "none" if best is last else f"{lead:+.1f} ({lead - half:+.1f} to {lead + half:+.1f})"
        told.append(f"rho {rho:g}: {said}")
    return f"; simulated at d = {found[0]['d']} with a tuned one, lead in points, {', '.join(told)}" if found else ""
