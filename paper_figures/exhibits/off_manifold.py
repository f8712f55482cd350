"""Question: when does guidance leave the images that the generator was trained on?"""

from statistics import mean
from typing import Any

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from scipy.stats import spearmanr

from experiments.analysis.table import rows as read
from experiments.studies.off_manifold import name as name_of
from paper_figures.drawing.exhibit import QUESTIONS, Entry, Exhibit, Rows
from paper_figures.drawing.shared import grouped, margin, missing, results_of, seeds, spread
from paper_figures.drawing.style import COLOURS, PLATE, at_width, style

ENTRY = Entry(
    "off_manifold",
    "Question: when does guidance leave the images that the generator was trained on?",
    QUESTIONS,
    4,
    ("off_manifold",),
)
WINDOWS = {"all": ("all noise levels", COLOURS["DP"], "o"), "late": ("late steps, t < 0.4 T", COLOURS["real"], "^")}
MEASURES = {
    "rejected": "rejected by a classifier\nof real images (%)",
    "far": "far from any\nreal image (%)",
    "refused": "refused by the\ngenerator itself (%)",
}
ALLOWED = 10  # points by which the generator may refuse more than of plain images: the rule without real labels


def make(profile: str) -> Exhibit:
    """Make the exhibit from the study of that name."""
    found = [result for result in results_of(profile, "off_manifold").values() if "measured" in result]
    measured = [{"seed": result["config"]["seed"], **row} for result in found for row in result["measured"]]
    if not measured:
        raise missing("off_manifold", profile, "measured images")
    settings = grouped(measured, "window", "omega")
    runs = grouped(read(profile, "off_manifold"), "window_low", "window_high", "omega")
    rows = [_line(window, omega, each, runs) for (window, omega), each in settings.items()]
    with style():
        figure, axes = plt.subplots(2, 2, figsize=at_width(6.75, 5), layout="constrained")
        for axis, (measure, label) in zip(axes.flat, MEASURES.items(), strict=False):
            _shares(axis, measured, measure, label)
        _accuracies(axes.flat[3], rows)
        axes.flat[0].legend()
    images = found[0]["config"]["images"]
    return Exhibit(
        ENTRY,
        f"Shares of {images:,} images of the same seeds over omega, guided by a learner trained for half as long as "
        "the runs, on their initial images, cool-down included (omega 0: "
        "plain images), and the test accuracy of full runs at these settings; means and 95% intervals over "
        f"{seeds(map(len, settings.values()))}. Rejected: a classifier of real images sees another class than the "
        "label. Far: farther from the nearest real image, in the features of that classifier, than 95% of other "
        "real images are. Refused: the generator's own errors of noise prediction are smaller for another class. "
        f"{_rule(rows)}",
        [{**row, "accuracies": " ".join(f"{a:.2f}" for a in row["accuracies"])} for row in rows],
        figure,
        table=[_shown(row) for row in rows],
        answer=_answer(rows),
    )


def _line(window: str, omega: float, each: Rows, runs: dict[tuple[Any, ...], Rows]) -> dict[str, Any]:
    trained = [
        run
        for (low, high, strength), mine in runs.items()
        if (name_of((low, high)), strength) == (window, omega)
        for run in mine
    ]
    return {
        "window": window,
        "omega": omega,
        **{measure: mean(row[measure] for row in each) for measure in (*MEASURES, "entropy")},
        "accuracies": [run["test_accuracy"] for run in trained],
    }


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "noise levels": WINDOWS[row["window"]][0] if row["window"] else "plain",
        "omega": row["omega"],
        **{f"{measure} %": f"{row[measure]:.1f}" for measure in MEASURES},
        "entropy (nats)": f"{row['entropy']:.2f}",
        "test % of runs": spread(row["accuracies"]),
    }


def _shares(axis: Axes, measured: Rows, measure: str, label: str) -> None:
    plain = [row[measure] for row in measured if not row["window"]]
    for window, (name, colour, marker) in WINDOWS.items():
        points = {0.0: plain} | {
            key[0]: [row[measure] for row in each]
            for key, each in grouped([row for row in measured if row["window"] == window], "omega").items()
        }
        if len(points) > 1:
            heights = [mean(values) for values in points.values()]
            spreads = [margin(values) for values in points.values()]
            axis.errorbar(list(points), heights, spreads, color=colour, marker=marker, capsize=2, label=name)
    axis.set(xlabel="omega", ylabel=label)


def _accuracies(axis: Axes, rows: Rows) -> None:
    for window, (name, colour, marker) in WINDOWS.items():
        mine = [row for row in rows if row["window"] == window and row["accuracies"]]
        if mine:
            heights = [mean(row["accuracies"]) for row in mine]
            spreads = [margin(row["accuracies"]) for row in mine]
            axis.errorbar([row["rejected"] for row in mine], heights, spreads, color=colour, marker=marker, capsize=2,
                          label=name)  # fmt: skip
            for row, height in zip(mine, heights, strict=True):
                look: dict[str, Any] = {"textcoords": "offset points", "fontsize": 6, "color": colour}
                look |= {"xytext": (5, -9)} if window == "late" else {"xytext": (-5, 5), "ha": "right"}
                look["bbox"] = PLATE
                axis.annotate(f"{row['omega']:g}", (row["rejected"], height), **look)
    axis.set_xscale("symlog", linthresh=1)  # most settings are near 1%, and a share may be 0
    axis.set_xticks([0, 1, 2, 5, 10, 20, 50], ["0", "1", "2", "5", "10", "20", "50"])
    axis.minorticks_off()
    top = max((row["rejected"] for row in rows if row["accuracies"]), default=1)
    axis.set_xlim(0, 1.3 * max(top, 1))
    axis.set(
        xlabel="rejected by a classifier of real images (%)\n(numbers: omega)", ylabel="real test accuracy of runs (%)"
    )


def _rank(rows: Rows, measure: str) -> float:
    return spearmanr([row[measure] for row in rows], [mean(row["accuracies"]) for row in rows]).statistic


def _known(rows: Rows) -> Rows:
    return [row for row in rows if row["window"] and row["accuracies"]]


def _answer(rows: Rows) -> str:
    known = _known(rows)
    if len(known) < 3:
        return "open; too few runs yet to compare with accuracy."
    top = max(known, key=lambda row: mean(row["accuracies"]))
    plain = next(row["rejected"] for row in rows if not row["window"])
    return (
        f"accuracy is highest at omega {top['omega']:g}, {WINDOWS[top['window']][0]}, where a classifier of real "
        f"images rejects {top['rejected']:.0f}% of guided images ({plain:.0f}% of plain ones); rank correlation of the "
        f"rejected share with accuracy over {len(known)} settings: {_rank(known, 'rejected'):.2f}."
    )


def _rule(rows: Rows) -> str:
    """Say what a rule without real labels would choose."""
    known = _known(rows)
    plain = next(row["refused"] for row in rows if not row["window"])
    parts = []
    for window, (name, *_) in WINDOWS.items():
        mine = [row for row in known if row["window"] == window]
        safe = [row for row in mine if row["refused"] - plain <= ALLOWED]
        if mine:
            best = max(mine, key=lambda row: mean(row["accuracies"]))
            chosen = max(safe, key=lambda row: row["omega"], default=None)
            text = "none" if chosen is None else f"{chosen['omega']:g} ({mean(chosen['accuracies']):.1f}%)"
            end = ", the largest measured" * (best is mine[-1])
            parts.append(f"{name}: {text}; best {best['omega']:g}{end} ({mean(best['accuracies']):.1f}%)")
    return (
        f"Largest omega at which the generator refuses at most {ALLOWED} points more than of plain images, a rule that "
        f"needs no real labels, and best omega: {'. '.join(parts) or 'no runs yet'}."
    )
