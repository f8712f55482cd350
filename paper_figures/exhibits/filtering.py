"""Question: can a filter tell harmful outliers from informative hard images?"""

from statistics import mean
from typing import Any

from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from paper_figures.drawing.exhibit import QUESTIONS, Entry, Exhibit
from paper_figures.drawing.shared import grouped, margin, rows_of, seeds, spread
from paper_figures.drawing.style import COLOURS, at_width, style
from paper_figures.drawing.variants import Variant, clear, points, table

ENTRY = Entry(
    "filtering",
    "Question: can a filter tell harmful outliers from informative hard images?",
    QUESTIONS,
    5,
    ("filtering",),
)
FILTERS = {  # as in result files: as shown, colour, marker and line
    "none": ("no filter", COLOURS["DP"], "o", "-"),
    "diffusion_classifier": ("diffusion classifier", COLOURS["omega = 0"], "^", "--"),
    "round_trip": ("round trip", COLOURS["real"], "s", "-."),
    "disagreement": ("disagreement", COLOURS["prune"], "D", ":"),
}
Curves = dict[str, dict[float, Variant]]  # filter -> omega -> runs


def make(profile: str) -> Exhibit:
    """Make the exhibit from the study of filters."""
    curves: Curves = {name: {} for name in FILTERS}
    for (name, omega), runs in grouped(rows_of(profile, "filtering"), "filter", "omega").items():
        shown = Variant(f"{FILTERS[name][0]}, omega {omega:g}", COLOURS["DP"], {run["seed"]: run for run in runs})
        curves[name][omega] = shown
    found = [each for curve in curves.values() for _, each in sorted(curve.items())]
    rows, answers = [], []
    for omega in sorted({omega for curve in curves.values() for omega in curve}):
        group = [curve[omega] for curve in curves.values() if omega in curve]
        base = curves["none"].get(omega)
        rows += [line | _judged(each) for line, each in zip(table(group, base), group, strict=True)]
        answers.append(clear([each for each in group if each is not base], base).removesuffix("."))
    with style():
        figure, axes = plt.subplots(1, 2, figsize=at_width(6.75, 2.9), layout="constrained")
        _draw(axes[0], curves, lambda each: list(each.accuracies().values()), "real test accuracy (%)")
        right = "additions that are what\ntheir label says (%)"
        _draw(axes[1], curves, lambda each: [run["label_right"] for run in _by_run(each)], right)
        axes[1].legend()
    return Exhibit(
        ENTRY,
        "DP runs with each filter from a moderate to too large an omega, all noise levels. A "
        "refused image gets two more attempts. Label right: share of the additions that a classifier of real images "
        "takes for what their label says; it decides nothing. Cost: counted operations of generating and judging an "
        "image of the additions, in those of generating a candidate. ConvNet, guidance scale 3, mean and standard "
        f"deviation over {seeds(len(each.runs) for each in found)}. Compared at each omega: {'; '.join(answers)}.",
        [line | more for each in found for line, more in zip(points([each]), _by_run(each), strict=True)],
        figure,
        table=rows,
        answer=_optimum(curves),
    )


def _draw(axis: Axes, curves: Curves, values: Any, label: str) -> None:
    for name, (shown, colour, marker, line) in FILTERS.items():
        of_omega = {omega: values(each) for omega, each in sorted(curves[name].items())}
        if of_omega:
            heights, spreads = [mean(each) for each in of_omega.values()], [margin(each) for each in of_omega.values()]
            axis.errorbar(list(of_omega), heights, spreads, color=colour, marker=marker, linestyle=line, capsize=2,
                          label=shown)  # fmt: skip
    axis.set(xlabel="omega", ylabel=label)


def _optimum(curves: Curves) -> str:
    """Say whether a filter moves the omega with the best mean."""
    best, parts = {}, []
    for name, curve in curves.items():
        tops = {omega: mean(each.accuracies().values()) for omega, each in curve.items()}
        if tops:
            best[name] = max(tops, key=lambda omega: tops[omega])
            parts.append(f"{FILTERS[name][0]} {best[name]:g} ({tops[best[name]]:.1f}%)")
    higher = [FILTERS[name][0] for name, omega in best.items() if omega > best.get("none", omega)]
    answer = f"a larger omega is best with {', '.join(higher)}" if higher else "no filter makes a larger omega the best"
    return f"{answer}. Best omega: {', '.join(parts)}."


def _judged(each: Variant) -> dict[str, str | None]:
    runs = _by_run(each)
    right, tried, cost = ([run[name] for run in runs] for name in runs[0])
    return {
        "label right %": spread(right, 1),
        "candidates an image": f"{mean(tried):.2f}",
        "cost (candidates)": f"{mean(cost):.2f}",
    }


def _by_run(each: Variant) -> list[dict[str, float]]:
    """Return for each run what the table has means of."""
    found = []
    for run in each.runs.values():
        tried = run["candidates"] / (run["n_per_round"] * run["rounds"])
        cost = tried * (1 + run["operations_judging"] / run["operations_addition"])
        found.append({"label_right": run["label_right"], "candidates_an_image": tried, "cost_candidates": cost})
    return found
