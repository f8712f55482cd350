"""Figure 9: plain images that come late (omega = 0) against plain images from the start."""

from statistics import mean

from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from experiments.analysis.table import curve
from paper_figures.drawing.exhibit import MEASURED, Entry, Exhibit, Rows
from paper_figures.drawing.shared import (
    LEARNERS,
    NOT_COMPARABLE,
    SETTINGS,
    draw,
    grouped,
    margin,
    scaling,
    seeds,
    title_of,
)
from paper_figures.drawing.style import COLOURS, at_width, style

ENTRY = Entry(
    "figure9", "Figure 9: timing alone (omega = 0) against static training", MEASURED, 9, ("scaling", "tuned")
)


def make(profile: str) -> Exhibit:
    """Make the exhibit from the scaling studies."""
    studies = scaling(profile, ("static", "omega = 0"))
    rows = [row for key, each in studies.items() for row in pairs(*key, each)]
    with style():
        columns = min(len(studies) + 1, 3)
        lines = -(-(len(studies) + 1) // columns)
        figure, grid = plt.subplots(lines, columns, figsize=at_width(2.9 * columns, 2.6 * lines), layout="constrained")
        axes, unused = grid.flat[: len(studies) + 1], grid.flat[len(studies) + 1 :]
        for axis in unused:
            axis.set_axis_off()
        for axis, (key, each) in zip(axes, studies.items(), strict=False):
            draw(axis, curve(each, "static"), "static")
            draw(axis, curve(each, "omega = 0"), "omega = 0", line="")
            axis.set_title(title_of(*key))
            axis.set(xscale="log", xlabel="final number of images", ylabel="real test accuracy (%)")
        axes[0].legend(loc="lower right")
        _gaps(axes[-1], rows)
    counts = [len(each) for each in grouped(rows, "setting", "learner", "images").values()]
    return Exhibit(
        ENTRY,
        "Static training has all its plain images from the start; omega = 0 adds plain images on the same schedule "
        f"rule as DP. Mean and its 95% interval over {seeds(counts or [0])}; last: differences of runs with one "
        f"seed and one size (small markers) and their mean. {_sentence(rows)} "
        "Stands for figure 9, where the two do not differ and whose curves are not published in numbers. "
        f"{NOT_COMPARABLE}",
        rows,
        figure,
    )


def pairs(setting: str, learner: str, rows: Rows) -> Rows:
    """Return omega = 0 minus static, one row per size and seed that both have."""
    found = {
        method: {(r["images"], r["seed"]): r["test_accuracy"] for r in rows if r["method"] == method}
        for method in ("static", "omega = 0")
    }
    return [
        {"setting": setting, "learner": learner, "images": key[0], "seed": key[1]}
        | {"static": found["static"][key], "omega_zero": late, "difference": late - found["static"][key]}
        for key, late in sorted(found["omega = 0"].items())
        if key in found["static"]
    ]


def _gaps(axis: Axes, rows: Rows) -> None:
    groups = grouped(rows, "setting", "learner")
    for i, each in enumerate(groups.values()):
        gaps, by_seed = [row["difference"] for row in each], _by_seed(each)
        axis.plot([i - 0.12] * len(gaps), gaps, "o", color=COLOURS["omega = 0"], markersize=3, alpha=0.6)
        axis.errorbar([i + 0.1], [mean(by_seed)], [margin(by_seed)], fmt="^", color=COLOURS["omega = 0"], capsize=3)
    names = [f"{LEARNERS[learner]}\n{SETTINGS[setting].split()[-1]}" for setting, learner in groups]
    axis.axhline(0, color="#555555", linestyle=":", linewidth=1)
    axis.set_xticks(range(len(groups)), [name.replace("settings", "equal") for name in names], fontsize=6)
    axis.set(ylabel="difference (points)", xlim=(-0.5, len(groups) - 0.5 if groups else 0.5))
    axis.set_title("omega = 0 minus static, at equal size")


def _by_seed(rows: Rows) -> list[float]:
    """Return the mean difference of each seed over its sizes."""
    return [mean(row["difference"] for row in each) for each in grouped(rows, "seed").values()]


def _sentence(rows: Rows) -> str:
    if not rows:
        return "No size and seed was run in both ways yet."
    parts = []
    for key, each in grouped(rows, "setting", "learner").items():
        by_seed = _by_seed(each)
        parts.append(f"{title_of(*key)}: {mean(by_seed):+.2f} ± {margin(by_seed):.2f} points ({len(each)} pairs)")
    return f"omega = 0 minus static: {'; '.join(parts)}."
