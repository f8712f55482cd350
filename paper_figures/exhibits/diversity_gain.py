"""Question: what does Deliberate Practice add, given the diversity of the generator?"""

from statistics import mean
from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from scipy.stats import spearmanr

from experiments.analysis.generators import by_seed, diversities, runs
from experiments.analysis.intervals import line_interval, mean_interval, slope_interval
from paper_figures.drawing.exhibit import QUESTIONS, Entry, Exhibit, Rows
from paper_figures.drawing.shared import missing, seeds
from paper_figures.drawing.style import COLOURS, PLATE, at_width, style

ENTRY = Entry(
    "diversity_gain",
    "Question: what does Deliberate Practice (DP) add, given the diversity of the generator?",
    QUESTIONS,
    3,
    ("generators",),
)
MEASURES = {"recall": "recall of real images", "coverage": "coverage of real images"}


def make(profile: str) -> Exhibit:
    """Make the exhibit from the generators study."""
    found = runs(profile)
    rows = [_row(name, measured, found.get(name, [])) for name, measured in diversities(profile).items()]
    rows = sorted((row for row in rows if row["gaps"]), key=lambda row: row["recall"])
    if len(rows) < 3:
        raise missing("generators", profile, "diversity and runs of three generators or more")
    with style():
        figure, axes = plt.subplots(1, 2, figsize=at_width(6.75, 2.8), sharey=True, layout="constrained")
        for axis, (measure, label) in zip(axes, MEASURES.items(), strict=True):
            for row in rows:
                low, high = (row["gain"], row["gain"]) if row["low"] is None else (row["low"], row["high"])
                axis.errorbar(
                    [row[measure]], [row["gain"]], [[row["gain"] - low], [high - row["gain"]]], fmt="o", capsize=2,
                    color=COLOURS["DP"],
                )  # fmt: skip
                right = row[measure] > mean(each[measure] for each in rows)  # names point inwards
                place: dict[str, Any] = {"xytext": (-5 if right else 5, 5), "ha": "right" if right else "left"}
                point = (row[measure], row["gain"])
                axis.annotate(row["generator"], point, textcoords="offset points", fontsize=6, bbox=PLATE, **place)
            of, gains = [row[measure] for row in rows], [row["gain"] for row in rows]
            at = np.linspace(min(of), max(of), 41)
            heights, bands = zip(*(line_interval(of, gains, each) for each in at), strict=True)
            axis.plot(at, heights, "--", color="#555555", linewidth=1)
            axis.fill_between(at, *zip(*bands, strict=True), color="#555555", alpha=0.15, linewidth=0)
            axis.axhline(0, color="#555555", linestyle=":", linewidth=1)
            axis.set_xlabel(f"{label} (of plain images)")
        axes[0].set_ylabel("DP minus static (points)")
    return Exhibit(
        ENTRY,
        "Test accuracy of DP minus that of static training on as many images, one point a "
        "generator: the repository's at several guidance scales and two weaker ones (narrow: fewer channels; short "
        "training), one setting of DP. Left against recall, right against coverage, both of plain images. Means, "
        f"95% intervals over {seeds(len(row['gaps']) for row in rows)}; grey: the fitted line's, over the generators.",
        [{name: value for name, value in row.items() if name != "gaps"} for row in rows],
        figure,
        answer=_answer(rows),
    )


def _row(label: str, found: dict[str, Any], trained: Rows) -> dict[str, Any]:
    tests = {method: by_seed(trained, method) for method in ("static", "DP")}
    gaps = [tests["DP"][seed] - tests["static"][seed] for seed in sorted(tests["DP"]) if seed in tests["static"]]
    low, high = mean_interval(gaps) if len(gaps) > 1 else (None, None)
    return {
        "generator": label.replace("-", " "),
        **{measure: found[measure] for measure in MEASURES},
        "gain": mean(gaps) if gaps else None,
        "low": low,
        "high": high,
        "gaps": gaps,
    }


def _answer(rows: Rows) -> str:
    rank = spearmanr([row["recall"] for row in rows], [row["gain"] for row in rows]).statistic
    slope, (low, high) = slope_interval([row["recall"] for row in rows], [row["gain"] for row in rows])
    trend = "less" if high < 0 else "more"
    answer = f"the {trend} diverse the generator, the more DP adds" if low > 0 or high < 0 else "not decided"
    known = [row for row in rows if row["low"] is not None]
    where = [row["generator"] for row in known if row["low"] > 0]
    against = [row["generator"] for row in known if row["high"] < 0]
    correlation = (
        f"{answer}. Rank correlation of recall with the gain: {rank:.2f}; {slope / 10:+.2f} points for 0.1 more recall"
    )
    if len(known) < len(rows):
        return f"{correlation} (dashed). Some generators have one seed, which has no interval."
    return (
        f"{correlation} (95% over generators {low / 10:+.2f} to {high / 10:+.2f}; dashed). DP is better beyond its "
        f"interval on: {', '.join(where) or 'none'}; worse on: {', '.join(against) or 'none'}."
    )
