"""Question: can a filter tell harmful outliers from informative hard images?"""

from statistics import mean
from typing import Any

from paper_figures.exhibit import Exhibit
from paper_figures.shared import seeds, spread
from paper_figures.variants import Variant, clear, figure_of, points, table, variants

STUDIES = ("filtering",)


def make(profile: str) -> Exhibit:
    """From the study of filters."""
    found = [
        Variant(_name(each.name), each.colour, each.runs)
        for each in sorted(variants(profile, "filtering", {}), key=lambda each: float(each.name.rpartition("-")[2]))
    ]
    by_omega: dict[str, list[Variant]] = {}
    for each in found:
        by_omega.setdefault(each.name.rpartition(", ")[2], []).append(each)
    rows, answers = [], []
    for omega, group in by_omega.items():
        base = next((each for each in group if each.name.startswith("none")), None)
        rows += [line | _judged(each) for line, each in zip(table(group, base), group, strict=True)]
        answers.append(f"{omega}: {clear([each for each in group if each is not base], base)}")
    return Exhibit(
        "filtering",
        "Question: can a filter tell harmful outliers from informative hard images?",
        "DP runs with each filter from a moderate to too large an omega, all noise levels. A refused image gets two "
        "more attempts. Label right: share of the additions that a classifier of real images takes for what their "
        "label says; it decides nothing. Cost: counted operations of generating and judging an image of the additions, "
        "in those of generating a candidate. ConvNet, guidance scale 3, "
        f"{seeds(len(each.runs) for each in found)}. {' '.join(answers)} {_optimum(found)}",
        points(found),
        figure_of(found),
        table=rows,
    )


def _name(stem: str) -> str:
    name, _, omega = stem.rpartition("-")
    return f"{name.replace('_', ' ')}, omega {omega}"


def _optimum(found: list[Variant]) -> str:
    """Of each filter the omega with the best mean."""
    best: dict[str, tuple[float, str]] = {}
    for each in found:
        name, _, omega = each.name.rpartition(", omega ")
        best[name] = max(best.get(name, (0.0, "")), (mean(each.accuracies().values()), omega))
    return "Best omega: " + ", ".join(f"{name} {omega} ({top:.1f}%)" for name, (top, omega) in best.items()) + "."


def _judged(each: Variant) -> dict[str, str | None]:
    runs = list(each.runs.values())
    right = [mean(run["label_right"]) for run in runs if run.get("label_right")]
    tried = mean(sum(a["candidates"] for a in run["additions"]) / _added(run) for run in runs)
    costs = runs[0]["operations"]
    return {
        "label right %": spread(right, 1),
        "candidates an image": f"{tried:.2f}",
        "cost (candidates)": f"{tried * (1 + costs['judging'] / costs['candidate']):.2f}",
    }


def _added(run: dict[str, Any]) -> int:
    return run["config"]["n_per_round"] * len(run["additions"])
