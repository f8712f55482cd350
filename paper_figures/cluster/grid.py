"""Show what `dp grid` has drawn of a cluster's run: images over training time and omega, step by step, and hardness."""

from statistics import mean
from typing import Any

from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from dp.utils.files import read_record
from paper_figures.cluster.runs import Runs
from paper_figures.drawing.exhibit import CLUSTER, Entry, Exhibit, Missing, Rows
from paper_figures.drawing.pictures import show
from paper_figures.drawing.shared import grouped
from paper_figures.drawing.style import COLOURS, at_width, style
from paper_figures.exhibits.figure6_right import by_omega, rows_of

ENTRY = Entry(
    "cluster_grid",
    "At the paper's scale: what learners make of the same seeds (of the kind of figures 6, 8, 10 and 12)",
    CLUSTER,
    3,
)
SIDE, CLASSES, STEPS = 96, 3, 8  # pixels of a picture; at most as many classes and steps are shown


def make(runs: Runs) -> Exhibit | Missing | None:
    """Make the exhibit of the first run with a grid.json; None if there is none."""
    paths = sorted(runs.folder / each.folder / "grid.json" for each in runs.measured)
    path = next((each for each in paths if each.exists()), None)
    if path is None:
        return None
    try:
        found = read_record(path, "make it again", unsigned=True)
        times = found["hardness"]["iterations"]
        guided, steps, names = found["guided"], found["intermediate"], found["classes"]
    except (ValueError, KeyError, TypeError) as error:
        return Missing(ENTRY, f"{path}: not what dp grid writes ({error}); make it again")
    labels = list(dict.fromkeys(each["label"] for each in guided))[:CLASSES]
    with style():
        figure = plt.figure(figsize=at_width(6.75, 6), layout="constrained")
        halves: Any = figure.subfigures(2, 1, height_ratios=(1, 0.9))
        above, below = halves
        for axis, label in zip(above.subplots(1, len(labels), squeeze=False)[0], labels, strict=True):
            _grid(axis, [each for each in guided if each["label"] == label])
            axis.set(title=names[labels.index(label)], xlabel="omega")
        left, right = below.subplots(1, 2, width_ratios=(1.4, 1))
        _steps(left, [each for each in steps if each["label"] == labels[0]])
        rows = _hardness(right, times, found["hardness"])
    return Exhibit(
        ENTRY,
        f"Run {path.parent.name}. Above: one seed of each of {len(labels)} classes, guided by the learners of the "
        "run's iterations on the left at the omegas below; a dot marks what its learner gets wrong. "
        f"{by_omega(guided)} Below left: the denoised estimate at steps of sampling, plain and guided from the same "
        "noise. Below right: error of these learners on images that were misclassified when they were added (100% at "
        "birth, by choice); to the left learners before that.",
        [*rows_of(guided), *rows],
        figure,
    )


def _grid(axis: Axes, guided: Rows) -> None:
    cells = grouped(guided, "iteration", "omega")
    times, omegas = (sorted({key[i] for key in cells}) for i in (0, 1))
    lines = [[cells[time, omega][0] for omega in omegas] for time in times]
    show(axis, lines, [f"{time:,}" for time in times], [f"{omega:g}" for omega in omegas], size=SIDE)


def _steps(axis: Axes, steps: Rows) -> None:
    cells = {key: each[0] for key, each in grouped(steps, "omega", "t").items()}
    omegas, times = sorted({key[0] for key in cells}), sorted({key[1] for key in cells}, reverse=True)
    shown = [
        times[round(i * (len(times) - 1) / (min(STEPS, len(times)) - 1 or 1))] for i in range(min(STEPS, len(times)))
    ]
    lines = [[cells[omega, t] for t in shown] for omega in omegas]
    show(axis, lines, [f"omega {omega:g}" for omega in omegas], [str(t) for t in shown], size=SIDE)
    axis.set_xlabel("time step t (1,000 = noise)")


def _hardness(axis: Axes, times: list[int], hardness: dict[str, Any]) -> Rows:
    """Draw one thin line per addition; return the plotted numbers."""
    rows: Rows = []
    for addition, count in enumerate(hardness["misclassified"]):
        if count:
            after = [time - times[addition] for time in times]
            error = [line[addition] for line in hardness["error"]]
            axis.plot(after, error, "o-", color=COLOURS["DP"], alpha=0.6)
            rows += [
                {"added_at": times[addition], "since_birth": x, "misclassified": count, "error": y}
                for x, y in zip(after, error, strict=True)
            ]
    before = [row["error"] for row in rows if row["since_birth"] < 0]
    axis.axvline(0, color="#555555", linestyle=":", linewidth=1)
    axis.set(xlabel="iterations since birth", ylabel="error (%)", ylim=(0, 103))
    axis.set_title(f"mean error before birth {mean(before):.1f}%" if before else "hardness")
    return rows
