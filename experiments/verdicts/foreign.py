"""C1, C2, C5, C7 and C12 once more, with a generator that has never seen the target.

Of a claim's comparisons the effect is that of the ConvNet, each method tuned, or of equal settings until there are such
runs; the verdict is of all of them, and an untuned one alone makes a claim hold in part at most. What is measured is
near a claim, not always the claim itself; `ASKED` says what it is.
"""

from typing import Any

import numpy as np

from experiments.analysis import foreign
from experiments.analysis.efficiency import efficiency, several
from experiments.analysis.intervals import Interval, difference_interval, drawn_interval
from experiments.verdicts.verdict import LEARNERS, MAIN, Part, above, of_all, several_seeds

Found = dict[str, dict[str, Any]]  # comparison, such as tuned-convnet -> effect, interval, seeds
ASKED = {
    "C1": "static images over DP images at static's best accuracy",
    "C2": "the best DP size minus the best static size, points",
    "C5": "DP minus real handwriting, out of distribution, points",
    "C7": "DP minus pruning at equal sizes, points, whatever they cost",
    "C12": "what DP gains over static with the generator that has not seen the target, minus with one that has, points",
}


def foreign_generator(profile: str) -> dict[str, dict[str, Any]]:
    """Return {asked, verdict, effect, interval, seeds, comparisons} of each claim that has results, by its id."""
    static = _comparisons(profile, "static")
    rules: dict[str, tuple[Found, float]] = {
        "C1": ({name: _efficiency(*each) for name, each in static.items()}, 1),
        "C2": ({name: _best_gain(*each) for name, each in static.items()}, 0),
        "C5": (_out_of_distribution(profile), 0),
        "C7": ({name: _equal_size(*each) for name, each in _comparisons(profile, "prune").items()}, 0),
        "C12": (_gap(profile), 0),
    }
    return {
        id_: {"asked": ASKED[id_]} | _verdict(several_seeds(found), bound)
        for id_, (found, bound) in rules.items()
        if found
    }


def _verdict(found: Found, bound: float) -> dict[str, Any]:
    parts: list[Part] = [above(each["interval"], bound) for each in found.values()]
    if not any(name.startswith("tuned") or "-" not in name for name in found):
        parts.append(None)
    main = next((found[name] for name in (f"tuned-{MAIN}", f"equal-{MAIN}") if name in found), None)
    main = main or next(iter(found.values()))
    few = min(each["seeds"] for each in found.values())
    return {
        "verdict": of_all(parts) if few > 1 else "not tested here",
        "effect": main["effect"],
        "interval": main["interval"],
        "seeds": few,
        "comparisons": found,
    }


def _comparisons(profile: str, other: str) -> dict[str, tuple[foreign.Curve, foreign.Curve]]:
    """Return the curves of DP and of another method, by setting and learner, where there are both."""
    found = {}
    for setting in foreign.SETTINGS:
        for learner in LEARNERS:
            curves = foreign.curves(profile, setting, learner)
            dp, theirs = (several(curves.get(method, {})) for method in ("DP", other))
            if dp and theirs:
                found[f"{setting}-{learner}"] = dp, theirs
    return found


def _seeds(*curves: foreign.Curve) -> int:
    return min(len(values) for curve in curves for values in curve.values())


def _efficiency(dp: foreign.Curve, static: foreign.Curve) -> dict[str, Any]:
    found = efficiency(static, dp)
    more = {"target": found.target, "at_least": found.at_least}
    return {"effect": found.ratio, "interval": found.interval, "seeds": _seeds(dp, static), **more}


def _best_gain(dp: foreign.Curve, static: foreign.Curve) -> dict[str, Any]:
    def lead(ours: dict[int, float], theirs: dict[int, float]) -> float:
        return max(ours.values()) - max(theirs.values())

    means = [{n: float(np.mean(values)) for n, values in curve.items()} for curve in (dp, static)]
    return {"effect": lead(*means), "interval": drawn_interval(lead, dp, static), "seeds": _seeds(dp, static)}


def _equal_size(dp: foreign.Curve, other: foreign.Curve) -> dict[str, Any]:
    found = foreign.equal_size_gain(dp, other)
    gain, interval, seeds = found or (0.0, (-np.inf, np.inf), 0)
    return {"effect": gain, "interval": interval, "seeds": seeds}


def _out_of_distribution(profile: str) -> Found:
    """Compare the largest sets of DP, and beside it of static training, with real handwriting, on other digits."""
    found: Found = {}
    for setting in foreign.SETTINGS:
        for learner in LEARNERS:
            real = several(foreign.references(profile, learner, "other_digits", setting == "tuned").get("real", {}))
            curves = foreign.curves(profile, setting, learner, "other_digits")
            dp = several(curves.get("DP", {}))
            if not real or not dp:
                continue
            theirs = real[max(real)]
            compared = {
                method: (float(np.mean(values) - np.mean(theirs)), difference_interval(values, theirs))
                for method, curve in curves.items()
                if (values := several(curve).get(max(dp)))
            }
            gain, interval = compared["DP"]
            found[f"{setting}-{learner}"] = {
                "effect": gain,
                "interval": interval,
                "seeds": min(len(dp[max(dp)]), len(theirs)),
                "images": max(dp),
                "all": {method: {"gain": gain, "interval": each} for method, (gain, each) in compared.items()},
            }
    return found


def _gap(profile: str) -> Found:
    """Compare the gain of practice on the generator that has seen nothing with that on the one that has seen all."""
    gaps = {seen: each for seen, each in foreign.gaps(profile).items() if each["seeds"] > 1}
    if len(gaps) < 2:
        return {}
    least, most = gaps[min(gaps)], gaps[max(gaps)]
    interval: Interval = difference_interval(least["gains"], most["gains"])
    return {
        "gap": {
            "effect": least["gain"] - most["gain"],
            "interval": interval,
            "seeds": min(least["seeds"], most["seeds"]),
            "gain_by_percent_seen": {seen: {k: each[k] for k in ("gain", "interval")} for seen, each in gaps.items()},
        }
    }
