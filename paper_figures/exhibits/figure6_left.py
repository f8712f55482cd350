"""Figure 6, left: error on images that were misclassified at birth, before and after."""

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from experiments.analysis.table import rows as read
from experiments.engine.results import load
from experiments.verdicts.hardness import hardness_runs
from paper_figures.drawing.exhibit import MEASURED, Entry, Exhibit, Rows
from paper_figures.drawing.shared import LEARNERS, SETTINGS, grouped, margin, missing, seeds, spread, title_of
from paper_figures.drawing.style import COLOURS, MARKERS, at_width, style

ENTRY = Entry("figure6_left", "Figure 6, left: hardness moves", MEASURED, 6, ("dynamics", "scaling", "tuned"))


def make(profile: str) -> Exhibit:
    """Make the exhibit from the dynamics and scaling studies."""
    panels = {title: runs for title, runs in _panels(profile).items() if runs.get("DP")}
    if not panels:
        raise missing("dynamics", profile, "runs with additions whose learners were kept")
    rows = [
        {"panel": title, "method": method, "seed": run["seed"], **row}
        for title, methods in panels.items()
        for method, runs in methods.items()
        for run in runs
        for row in trajectory(load(profile, run["study"])[run["name"]])
    ]
    with style():
        columns = min(len(panels), 3)
        lines = -(-len(panels) // columns)
        figure, axes = plt.subplots(
            lines,
            columns,
            figsize=at_width(max(3.3 * columns, 5), 3.2 * lines),
            squeeze=False,
            sharey=True,
            layout="constrained",
        )
        for axis in axes.flat[len(panels) :]:
            axis.set_axis_off()
        for axis, title in zip(axes.flat, panels, strict=False):
            _draw(axis, [row for row in rows if row["panel"] == title], title)
        full = max(axes.flat, key=lambda axis: len(axis.get_legend_handles_labels()[1]))
        figure.legend(*full.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return Exhibit(
        ENTRY,
        "Error of the learners of a run on the images that were misclassified when they were added (100% at birth, by "
        "choice), aligned at birth: to the left the learners that guided earlier additions, to the right later ones. "
        f"Mean and its 95% interval over {seeds(len(each) for m in panels.values() for each in m.values())}, "
        "additions pooled; far from birth fewer additions contribute. "
        "Any learner but the one that chose them would do better on such images, so plain additions (omega = 0), "
        "chosen in the same way, are the control; few of them are misclassified. Mean error before birth, and the "
        f"images that it rests on: {_before(panels)} "
        "Stands for the left half of figure 6.",
        rows,
        figure,
    )


def _panels(profile: str) -> dict[str, dict[str, Rows]]:
    """Return the runs with known hardness by title and method, those of a study of one final size."""
    many = [row for row in read(profile, "dynamics") if row["planned"] > 2 and row["error_before"] is not None]
    panels = {"ConvNet, runs of figure 2": {"DP": many}}
    for setting in SETTINGS:
        for learner in LEARNERS:
            panels[title_of(setting, learner)] = hardness_runs(profile, setting, learner)
    return panels


def trajectory(result: dict) -> Rows:
    """Return the error on images misclassified at birth, pooled over additions, by distance from birth in additions."""
    hardness = result["hardness"]
    pooled: dict[int, list[tuple[int, float]]] = {}
    for addition, count in enumerate(hardness["misclassified"]):
        for learner, errors in enumerate(hardness["error"] if count else []):
            pooled.setdefault(learner - addition, []).append((count, errors[addition]))
    return [
        {"distance": distance, "error": float(np.average([e for _, e in pairs], weights=[n for n, _ in pairs]))}
        | {"images": sum(n for n, _ in pairs)}
        for distance, pairs in sorted(pooled.items())
    ]


def _draw(axis: Axes, rows: Rows, title: str) -> None:
    for method, line in (("omega = 0", "--"), ("DP", "-")):
        groups = grouped([row for row in rows if row["method"] == method], "distance")
        if not groups:
            continue
        x = sorted(distance for (distance,) in groups)
        errors = [[row["error"] for row in groups[(distance,)]] for distance in x]
        middle, spread_ = np.array([np.mean(each) for each in errors]), np.array([margin(each) for each in errors])
        colour, name = COLOURS[method], "DP: guided additions" if method == "DP" else "omega = 0: plain additions"
        axis.plot(x, middle, line, color=colour, marker=MARKERS[method], markersize=3.5, label=name)
        axis.fill_between(x, middle - spread_, middle + spread_, color=colour, alpha=0.18, linewidth=0)
    axis.axvline(0, color="#555555", linestyle=":", linewidth=1)
    axis.set(xlabel="additions since birth", ylabel="error (%)", title=title, ylim=(0, 103))


def _before(panels: dict[str, dict[str, Rows]]) -> str:
    parts = []
    for title, methods in panels.items():
        found = [
            f"{method} {spread([run['error_before'] for run in runs], 1)}% "
            f"({sum(run['misclassified'] for run in runs):,} images)"
            for method, runs in methods.items()
        ]
        parts.append(f"{title}: {', '.join(found)}")
    return "; ".join(parts) + "."
