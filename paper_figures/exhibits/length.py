"""Question: does longer training change who wins?"""

from statistics import mean
from typing import Any

from matplotlib import pyplot as plt

from experiments.analysis.efficiency import Curve
from experiments.analysis.intervals import difference_interval
from experiments.analysis.table import rows as read
from paper_figures.drawing.exhibit import QUESTIONS, Entry, Exhibit, Rows
from paper_figures.drawing.shared import LEARNERS, draw, missing, numbers, seeds, spread
from paper_figures.drawing.style import at_width, style

ENTRY = Entry("length", "Question: does longer training change who wins?", QUESTIONS, 10, ("length", "tuned"))


def make(profile: str) -> Exhibit:
    """Make the exhibit from the study of length and the tuned runs of its sizes and seeds."""
    longer = read(profile, "length")
    if not longer:
        raise missing("length", profile)
    learner = longer[0]["learner"]
    shorter = read(profile, f"scaling-tuned-{learner}")
    both = set(map(_run, longer)) & set(map(_run, shorter))
    rows = [row for row in [*shorter, *longer] if _run(row) in both]
    static, dp = (_by_length(rows, method) for method in ("static", "DP"))
    if len(static) < 2 or static.keys() != dp.keys():
        raise missing("length" if shorter else "tuned", profile, "runs of both methods at both lengths")
    sizes = {row["method"]: row["images"] for row in rows}
    with style():
        figure, axis = plt.subplots(figsize=at_width(4.5, 2.6), layout="constrained")
        for method, curve in (("static", static), ("DP", dp)):
            draw(axis, curve, method, label=f"{method}, {sizes[method]:,} images")
        axis.set(xlabel="iterations", ylabel="real test accuracy (%)", xticks=list(static))
        axis.legend()
    short, long = static
    return Exhibit(
        ENTRY,
        f"The largest tuned runs of the {LEARNERS[learner]}: static training with "
        f"{sizes['static']:,} images, DP that ends with {sizes['DP']:,}. Each method has the settings that its search "
        f"found with runs of up to {short:,} iterations; they were not chosen anew for {long:,}. Means and standard "
        f"deviations over {seeds(map(len, [*static.values(), *dp.values()]))}, the same at both lengths.",
        numbers(rows),
        figure,
        table=[_line(n, static[n], dp[n], rows) for n in static],
        answer=answer(static, dp),
    )


def _run(row: dict[str, Any]) -> tuple[str, int, int]:
    """Return what a run and its longer one have in common."""
    return row["method"], row["images"], row["seed"]


def _by_length(rows: Rows, method: str) -> Curve:
    """Return the test accuracies of a method by iterations, the fewest first."""
    found: Curve = {}
    for row in sorted(rows, key=lambda row: row["iterations"]):
        if row["method"] == method:
            found.setdefault(row["iterations"], []).append(row["test_accuracy"])
    return found


def _line(iterations: int, static: list[float], dp: list[float], rows: Rows) -> dict[str, Any]:
    low, high = difference_interval(dp, static)
    mine = [row for row in rows if (row["method"], row["iterations"]) == ("DP", iterations)]
    asked = sum(row["by_patience"] for row in mine) / sum(row["rounds"] for row in mine)
    return {
        "iterations": iterations,
        "static %": spread(static),
        "DP %": spread(dp),
        "DP - static": f"{mean(dp) - mean(static):+.2f}",
        "95% interval": f"{low:+.2f} to {high:+.2f}" if min(len(static), len(dp)) > 1 else None,
        "additions by patience": f"{asked:.0%}",
        "seeds": min(len(static), len(dp)),
    }


def answer(static: Curve, dp: Curve) -> str:
    """Say whether another method is ahead at the second length than at the first, and what each gains from it.

    Args:
        static, dp: test accuracies by iterations, two lengths.
    """
    short, long = static
    first, second = (_ahead(static[n], dp[n]) for n in (short, long))
    changes = "not decided" if "neither" in (first, second) else "no" if first == second else "yes"
    ahead = (
        f"neither is ahead beyond the 95% interval, at {short:,} iterations or at {long:,}"
        if first == second == "neither"
        else f"ahead beyond the 95% interval is {first} at {short:,} iterations and {second} at {long:,}"
    )
    gains = (
        f"{name} {_difference(curve[long], curve[short])}" for name, curve in (("static training", static), ("DP", dp))
    )
    return (
        f"{changes}; {ahead} (DP minus static, in points: {_difference(dp[short], static[short])}; "
        f"{_difference(dp[long], static[long])}). Change with longer training, in points: {'; '.join(gains)}."
    )


def _ahead(static: list[float], dp: list[float]) -> str:
    low, high = difference_interval(dp, static)
    return "DP" if low > 0 else "static training" if high < 0 else "neither"


def _difference(a: list[float], b: list[float]) -> str:
    """Say mean(a) - mean(b) with its interval."""
    low, high = difference_interval(a, b)
    interval = f"95% {low:+.2f} to {high:+.2f}" if min(len(a), len(b)) > 1 else "one seed, no interval"
    return f"{mean(a) - mean(b):+.2f} ({interval})"
