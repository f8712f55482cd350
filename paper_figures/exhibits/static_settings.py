"""Question: was static training's search right for more images than it searched with?"""

import math
from statistics import mean
from typing import Any

from experiments.analysis.efficiency import Efficiency, efficiency, several
from experiments.analysis.intervals import drawn_interval
from experiments.analysis.table import curve
from experiments.analysis.table import rows as read
from experiments.verdicts.verdict import times
from paper_figures.drawing.exhibit import QUESTIONS, Entry, Exhibit
from paper_figures.drawing.shared import LEARNERS, missing, rows_of, seeds
from paper_figures.drawing.style import COLOURS
from paper_figures.drawing.variants import DRAWN, Variant, figure_of, points, table, together

ENTRY = Entry(
    "static_settings",
    "Question: was static training's search right, for more images than it searched with?",
    QUESTIONS,
    11,
    ("static_settings", "tuned"),
)


def make(profile: str) -> Exhibit:
    """Make the exhibit from the study of static settings and the tuned static runs of its sizes and seeds."""
    groups: dict[tuple[str, int], dict[str, Variant]] = {}
    for run in rows_of(profile, "static_settings"):
        group = groups.setdefault((run["learner"], run["images"]), {})
        group.setdefault(run["setting"] or run["variant"], _variant(run)).runs[run["seed"]] = run
    shown: dict[str, list[Variant]] = {}
    lines, said = [], []
    for (learner, size), others in sorted(groups.items()):
        searched = _searched(profile, learner, size, list(others.values()))
        lines += table([searched, *others.values()], searched)
        compared = together(list(others.values()), searched)
        said += [_said(each.name, compared) for way, each in others.items() if way != "second"]
        shown.setdefault(learner, []).extend([searched, *others.values()])
    ratios = [_ratios(profile, learner, groups) for learner in shown]
    leads = [_lead(profile, learner, each) for learner, each in shown.items()]
    drawn = [each for of_learner in shown.values() for each in of_learner]
    kept = ("runs", "test %", "difference", "95% interval", "seeds")
    return Exhibit(
        ENTRY,
        f"{DRAWN} Static training at the settings that the search found (one run a trial, fewer images), and at "
        "others: the search's second best, and another guidance scale for the largest set. Intervals of one size "
        f"hold together (Dunnett's), {seeds(len(each.runs) for each in drawn)}. Data efficiency: runs of DP as in "
        "table 5, of the static sizes and the seeds that are here.",
        points(drawn),
        figure_of(drawn),
        table=[{name: line[name] for name in kept} for line in lines],
        answer=f"change of test accuracy in points: {'; '.join(said) or 'no runs at other scales yet'}. Static images "
        f"over DP images at static's best accuracy: {'; '.join(filter(None, ratios)) or 'no runs yet'}. DP at its best "
        "minus the best of these static runs, which their test accuracy chose, in points: "
        f"{'; '.join(filter(None, leads)) or 'no runs yet'}.",
    )


def _variant(run: dict[str, Any], note: str = "") -> Variant:
    return Variant(
        f"{LEARNERS[run['learner']]}, {run['images']:,} images, scale {run['guidance_scale']:g}, "
        f"learning rate {run['lr']:g}{note}",
        COLOURS["static"],
        {},
    )


def _searched(profile: str, learner: str, size: int, others: list[Variant]) -> Variant:
    """Return the tuned runs of the others' seeds.

    Raises:
        UserError: there are none.
    """
    tuned = {run["seed"]: run for run in read(profile, f"scaling-tuned-{learner}", method="static", images=size)}
    there = {seed: tuned[seed] for each in others for seed in each.runs if seed in tuned}
    if not there:
        raise missing("tuned", profile, f"static runs of the {LEARNERS[learner]} with {size:,} images")
    found = _variant(next(iter(there.values())), ", searched")
    found.runs.update(there)
    return found


def _said(name: str, compared: dict[str, tuple[float, float, float]]) -> str:
    if name not in compared:
        return f"{name}: open, it has no two seeds yet"
    gain, low, high = compared[name]
    return f"{name} instead of the searched {gain:+.2f} (95% {low:+.2f} to {high:+.2f})"


def _ratios(profile: str, learner: str, groups: dict[tuple[str, int], dict[str, Variant]]) -> str:
    """Say the data efficiency against static training at its best settings and its second best; of the same DP runs."""
    second = {size: ways["second"] for (of, size), ways in groups.items() if of == learner and "second" in ways}
    used = set.intersection(*(set(each.runs) for each in second.values())) if second else set()
    rows = [row for row in read(profile, f"scaling-tuned-{learner}") if row["seed"] in used]
    dp, best = curve(rows, "DP"), {size: found for size, found in curve(rows, "static").items() if size in second}
    if not dp or not best:
        return ""
    others = {size: [each.accuracies()[seed] for seed in sorted(used)] for size, each in second.items()}
    return (
        f"{LEARNERS[learner]}, settings second in the search {_times(efficiency(others, dp))}, "
        f"first {_times(efficiency(best, dp))}"
    )


def _lead(profile: str, learner: str, shown: list[Variant]) -> str:
    """Say the lead of DP at its best size over the best static run, of their seeds; chosen anew in every draw."""
    static = {k: list(each.accuracies().values()) for k, each in enumerate(shown) if len(each.runs) > 1}
    seeds = {seed for each in shown for seed in each.runs}
    dp = several(curve([row for row in read(profile, f"scaling-tuned-{learner}") if row["seed"] in seeds], "DP"))
    if not static or not dp:
        return ""
    low, high = drawn_interval(lambda dp, static: max(dp.values()) - max(static.values()), dp, static)
    if math.isinf(low):
        return ""
    lead = max(map(mean, dp.values())) - max(map(mean, static.values()))
    return f"{LEARNERS[learner]} {lead:+.2f} (95% {low:+.2f} to {high:+.2f})"


def _times(found: Efficiency) -> str:
    return times(found.ratio, found.interval, found.at_least)
