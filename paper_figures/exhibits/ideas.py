"""Question: can practice be made to win, each method at its own best?"""

from statistics import mean

from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from experiments.analysis import own_practice
from experiments.analysis.efficiency import Curve
from experiments.analysis.own_practice import OWN, SETS
from experiments.verdicts.verdict import times, with_interval
from paper_figures.drawing.exhibit import QUESTIONS, Entry, Exhibit, Rows
from paper_figures.drawing.gap import draw_gap
from paper_figures.drawing.shared import LEARNERS, draw, missing, spread, title_of
from paper_figures.drawing.style import COLOURS, at_width, style

ENTRY = Entry(
    "ideas",
    "Question: can practice be made to win, each method at its own best?",
    QUESTIONS,
    0,
    ("ideas", "fonts", "tuned"),
)


def make(profile: str) -> Exhibit:
    """Draw the search's trials and, below, own practice beside the other methods."""
    trials = {data: tried for data in SETS if (tried := own_practice.trials(profile, data))}
    if not trials:
        raise missing("ideas", profile)
    curves = {
        (data, learner): found
        for data in trials
        for learner in LEARNERS
        if OWN in (found := own_practice.curves(profile, data, learner))
    }
    learners = [learner for learner in LEARNERS if any(learner == each for _, each in curves)]
    rows: Rows = []
    table: Rows = []
    with style():
        heights = [0.8 + 0.2 * max(map(len, trials.values()))] + [3.2] * len(learners)
        figure, axes = plt.subplots(
            len(heights),
            len(trials),
            figsize=at_width(4.75 * len(trials), sum(heights)),
            height_ratios=heights,
            squeeze=False,
            layout="constrained",
        )
        for column, (data, tried) in enumerate(trials.items()):
            _draw_trials(axes[0, column], tried, SETS[data])
            for name, values in tried.items():
                rows += [{"data": data, "run": f"trial: {name}", "images": None, "accuracy": v} for v in values]
                line = {"data": SETS[data], "run": f"trial: {name}", "images": None}
                table.append(line | {"validation %": spread(values), "test %": None, "seeds": len(values)})
            for axis, learner in zip(axes[1:, column], learners, strict=True):
                if (data, learner) not in curves:
                    axis.set_axis_off()
                    continue
                for method, curve in curves[data, learner].items():
                    draw(axis, curve, method, line="-" if len(curve) > 1 else "")
                    for n, values in curve.items():
                        named = {"data": data, "run": f"{LEARNERS[learner]}, {method}", "images": n}
                        rows += [named | {"accuracy": v} for v in values]
                        numbers = {"validation %": None, "test %": spread(values), "seeds": len(values)}
                        table.append(named | {"data": SETS[data]} | numbers)
                if "static" in curves[data, learner]:
                    draw_gap(axis, curves[data, learner]["static"], curves[data, learner][OWN], COLOURS[OWN])
                axis.set(xscale="log", xlabel="final number of generated training images", ylabel="test accuracy (%)")
                axis.set_title(f"{SETS[data]}\n{title_of('tuned', learner)}")
                axis.legend(fontsize=6)
    return Exhibit(
        ENTRY,
        "Above: trials of the ConvNet, which start from practice's best point (none) and change how additions are "
        "made; ranked by mean validation accuracy (diamond; dots: seeds), they have not seen test images. Below: the "
        "best of all trials (own) with fresh seeds beside the other methods, each at the settings that its own search "
        "has found, on test images; means and 95% intervals. Practice was searched for longer: the others' searches "
        "are those that its own point comes from, without these trials. Own with omega = 0: the same ideas without "
        "guidance. The arrow: from static's best mean to the smallest size of own that has it. Where no idea is better "
        "than none, own practice is practice (DP) itself and has no runs.",
        rows,
        figure,
        table=table,
        answer=_answer(trials, curves),
    )


def _draw_trials(axis: Axes, found: dict[str, list[float]], title: str) -> None:
    for line, (name, values) in enumerate(found.items()):
        colour = COLOURS["DP"] if name == "none" else COLOURS[OWN]
        axis.plot(values, [line] * len(values), "o", color=colour, markersize=2.5, alpha=0.6)
        axis.plot([mean(values)], [line], "D", color=colour, markersize=4)
    axis.set_yticks(range(len(found)), [name.replace("_", " ") for name in found])
    axis.set_ylim(len(found) - 0.5, -0.5)
    axis.set(xlabel="validation accuracy (%)", title=f"{title}\nConvNet, trials")


def _answer(trials: dict[str, dict[str, list[float]]], curves: dict[tuple[str, str], dict[str, Curve]]) -> str:
    """Say which trial is best on each set, and what own practice gains and saves."""
    said = []
    for data, tried in trials.items():
        best = next(iter(tried))
        gain = mean(tried[best]) - mean(tried["none"]) if "none" in tried else 0.0
        words = f"best of {len(tried)} trials {best.replace('_', ' ')} ({gain:+.2f} points of validation accuracy)"
        said.append(f"{SETS[data]}: " + (words if best != "none" else "no trial is better than practice as it is"))
        for learner, name in LEARNERS.items():
            found, size = curves.get((data, learner), {}), own_practice.SIZES[data]
            if not (leads := own_practice.leads(found, size)):
                continue
            parts = []
            for method, lead in leads.items():
                gained = with_interval({"gain": lead.gain, "interval": lead.interval})
                parts.append(f"{method} {gained}, {lead.deviations:+.1f} standard deviations of a seed")
            said.append(f"{SETS[data]}, {name}, {size:,} images, own minus the others, points: {'; '.join(parts)}")
            if saved := own_practice.saved(found):
                ratio = times(saved.ratio, saved.interval, saved.at_least)
                said.append(f"{SETS[data]}, {name}, static over own images at static's best accuracy: {ratio}")
    return ". ".join(said) + "."
