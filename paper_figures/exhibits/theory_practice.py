"""Question: does the linear model, fitted to static training, predict what practice gains?"""

from typing import Any

from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from experiments.studies.theory_practice import RIDGES
from paper_figures.drawing.exhibit import QUESTIONS, Entry, Exhibit, Rows
from paper_figures.drawing.shared import LEARNERS, SETTINGS, results_of, title_of
from paper_figures.drawing.style import COLOURS, at_width, style

ENTRY = Entry(
    "theory_practice",
    "Question: does the linear model, fitted to static training, predict what practice gains?",
    QUESTIONS,
    12,
    ("theory_practice",),
)
SERIES = {  # of the result -> label, colour, line
    "no_gain": ("model, no selection", COLOURS["static"], ":"),
    "practice": ("model, selection fitted", COLOURS["omega = 0"], "--"),
    "practice_own_ceiling": ("model, a better generator too", COLOURS["DP"], "-"),
}


def make(profile: str) -> Exhibit:
    """Make the exhibit from the study of theory and practice."""
    every = results_of(profile, "theory_practice")
    results = {name: result for name, result in every.items() if "loss" not in result["config"]}
    logistic = {title_of(*_parts(name)): result for name, result in every.items() if name not in results}
    shown = {
        title_of(setting, learner): results[f"scaling-{setting}-{learner}"]
        for learner in LEARNERS
        for setting in SETTINGS
        if f"scaling-{setting}-{learner}" in results
    }
    chosen = next((result for result in shown.values() if len(result["config"]["selection"]) > 1), None)
    rows: Rows = []
    with style():
        count = len(shown) + (chosen is not None)
        columns = min(count, 3)
        lines = -(-count // columns)
        figure, axes = plt.subplots(
            lines, columns, figsize=at_width(6.75, 2.5 * lines + 0.4), squeeze=False, layout="constrained"
        )
        for axis, (title, result) in zip(axes.flat, shown.items(), strict=False):
            rows += _sizes(axis, title, result)
            if title in logistic:
                rows += _logistic(axis, title, logistic[title])
        if chosen is not None:
            rows += _selection(axes.flat[count - 1], chosen)
        for axis in axes.flat[count:]:
            axis.set_axis_off()
        named = {
            label: line for axis in axes.flat for line, label in zip(*axis.get_legend_handles_labels(), strict=True)
        }
        named = {label: line for label, line in named.items() if not label.startswith("pruning")}
        figure.legend(named.values(), named, loc="outside lower center", ncols=3)
    table = [_line(title, result) for title, result in shown.items()]
    return Exhibit(
        ENTRY,
        "The model's first limitation: its loss is squared, the learners' is cross-entropy. "
        f"{' '.join(_with_logistic(title, result) for title, result in logistic.items())} "
        "The linear model's dimension, ridge and generator's error are fitted to static training (grey); the strength "
        "of selection, a kept fraction, to practice (dashed); and, in the solid line, also a generator that is nearer "
        "to the truth for practice than for static training. Last panel: gain of one addition of pruned images over "
        "one of plain images; there nothing is fitted to it. Means over seeds; the model's practice is simulated. "
        f"{' '.join(_fits(title, result) for title, result in shown.items())} {_over_selection(chosen)}".strip(),
        rows,
        figure,
        table=table,
        answer=_answer(list(results.values()), chosen),
    )


def _sizes(axis: Axes, title: str, result: dict[str, Any]) -> Rows:
    config = result["config"]
    static = [(n, accuracy) for n, accuracy in config["static"]]
    practised = [(n + p * k, accuracy) for n, p, k, accuracy in config["practice"]]
    axis.plot(*zip(*static, strict=True), "s", color=COLOURS["static"], label="static, measured")
    axis.plot(
        [n for n, _ in static], result["static"]["accuracy"], "-", color=COLOURS["static"], label="static, model fitted"
    )
    axis.plot(*zip(*practised, strict=True), "o", color=COLOURS["DP"], label="DP, measured")
    rows = [
        {"panel": title, "series": "static", "images": n, "measured": accuracy, "model": model}
        for (n, accuracy), model in zip(static, result["static"]["accuracy"], strict=True)
    ]
    for series, (label, colour, line) in SERIES.items():
        model = result[series]["accuracy"]
        axis.plot([n for n, _ in practised], model, line, color=colour, label=f"DP, {label}", linewidth=1.2)
        rows += [
            {"panel": title, "series": series, "images": n, "measured": accuracy, "model": predicted}
            for (n, accuracy), predicted in zip(practised, model, strict=True)
        ]
    axis.set(xscale="log", title=title, xlabel="images", ylabel="test accuracy (%)")
    return rows


def _parts(name: str) -> tuple[str, str]:
    """Return setting and learner of a result of logistic loss, such as "scaling-equal-convnet-logistic"."""
    _, setting, learner, _ = name.split("-")
    return setting, learner


def _logistic(axis: Axes, title: str, result: dict[str, Any]) -> Rows:
    """Draw the model with logistic loss: fitted static training, and practice with the best-fitting selection."""
    config, rows = result["config"], []
    for series, line, points in (
        ("static", "-", [(n, accuracy) for n, accuracy in config["static"]]),
        ("practice", "--", [(n + p * k, accuracy) for n, p, k, accuracy in config["practice"]]),
    ):
        model, label = result[series]["accuracy"], "static" if series == "static" else "DP, selection fitted"
        axis.plot([n for n, _ in points], model, line, color="#CC79A7", linewidth=1.2, label=f"logistic loss: {label}")
        rows += [
            {"panel": title, "series": f"logistic {series}", "images": n, "measured": accuracy, "model": predicted}
            for (n, accuracy), predicted in zip(points, model, strict=True)
        ]
    return rows


def _with_logistic(title: str, result: dict[str, Any]) -> str:
    return (
        f"With logistic loss {title} is fitted to {result['static']['rms']:.2f} points (root mean square) of static "
        f"training, and is off DP {result['no_selection']['rms']:.2f} without selection and "
        f"{result['practice']['rms']:.2f} keeping {result['practice']['kept_fraction']:g}, the best of three."
    )


def _gains(result: dict[str, Any]) -> tuple[list[float], list[float], list[float]]:
    """Return over-sampling ratios, and what each gains over the first, measured and by the model."""
    measured = [accuracy for *_, accuracy in result["config"]["selection"]]
    model = result["selection"]
    ratios = [ratio for *_, ratio, _ in result["config"]["selection"]]
    return ratios, [each - measured[0] for each in measured], [each - model[0] for each in model]


def _selection(axis: Axes, result: dict[str, Any]) -> Rows:
    ratios, measured, model = _gains(result)
    axis.plot(ratios, measured, "D-", color=COLOURS["prune"], label="pruning, measured")
    axis.plot(ratios, model, "--", color=COLOURS["omega = 0"], label="pruning, model")
    axis.axhline(0, color="#555555", linestyle=":", linewidth=1)
    axis.set(xscale="log", title="how much selection?", xlabel="images generated for each kept", ylabel="gain (points)")
    axis.set_xticks(ratios, [f"{ratio:g}" for ratio in ratios])
    axis.minorticks_off()
    axis.legend(fontsize=6)
    return [
        {"panel": "selection", "series": "prune", "ratio": ratio, "measured": gain, "model": predicted}
        for ratio, gain, predicted in zip(ratios, measured, model, strict=True)
    ]


def _line(title: str, result: dict[str, Any]) -> dict[str, Any]:
    model = result["model"]
    return {
        "runs": title,
        "dimension": round(model["d"]),
        "ridge": f"{model['ridge']:.2g}",
        "generator's error %": f"{model['generator_error'] * 180:.1f}",
        "off static (points)": result["static"]["rms"],
        "off DP: no selection": result["no_gain"]["rms"],
        "off DP: selection fitted": result["practice"]["rms"],
        "kept fraction": result["practice"]["kept_fraction"],
        "off DP: selection and generator fitted": result["practice_own_ceiling"]["rms"],
        "that generator's error, share of the first": result["practice_own_ceiling"]["share"],
        "kept fraction with it": result["practice_own_ceiling"]["kept_fraction"],
    }


def _answer(results: list[dict[str, Any]], chosen: dict[str, Any] | None) -> str:
    """Say no if the model with its best selection is over a point off practice, or lacks a gain where there is one."""
    missed = max(result["practice"]["rms"] for result in results) > 1
    over = ""
    if chosen is not None:
        ratios, measured, model = _gains(chosen)
        missed = missed or (measured[-1] > 0) != (model[-1] > 0)
        over = f" Pruning at ratio {ratios[-1]:g} gains {measured[-1]:+.1f} points, by the model {model[-1]:+.1f}."

    def off(name: str) -> str:
        points = [result[name]["rms"] for result in results]
        return f"{min(points):.1f} to {max(points):.1f}"

    return (
        f"{'no' if missed else 'nearly'}: the model is {off('static')} points off static training, to which it is "
        f"fitted (root mean square), and off DP {off('no_gain')} without selection, {off('practice')} with the "
        f"best-fitting selection; {off('practice_own_ceiling')} only if practice's generator may be nearer to the "
        "truth as well, "
        f"which is fitted to DP itself.{over}"
    )


def _fits(title: str, result: dict[str, Any]) -> str:
    ceiling = 100 - 180 * result["model"]["generator_error"]
    best, static = (max(accuracy for *_, accuracy in result["config"][name]) for name in ("practice", "static"))
    beyond = (
        f"DP reaches {best:.1f}%; learning from the generator's labels has a ceiling of {ceiling:.1f}% in the model"
    )
    if static > ceiling:
        beyond += f" (static training passes it by {static - ceiling:.1f} points: the fit is no better than that)"
    if (ridge := result["model"]["ridge"]) < 1.01 * RIDGES[0] or ridge > 0.99 * RIDGES[1]:
        beyond += f"; the fitted ridge, {ridge:.2g}, is at the end of its range"
    return (
        f"{title}: the fit is {result['static']['rms']:.2f} points off static training (root mean square), and off DP "
        f"{result['no_gain']['rms']:.2f} without selection, {result['practice']['rms']:.2f} with it, "
        f"{result['practice_own_ceiling']['rms']:.2f} with a better generator too; {beyond}."
    )


def _over_selection(result: dict[str, Any] | None) -> str:
    if result is None:
        return "Over-selection has not been measured yet."
    ratios, measured, model = _gains(result)
    return (
        f"The best over-sampling of those measured is {ratios[measured.index(max(measured))]:g}; the model says "
        f"{ratios[model.index(max(model))]:g}. At {ratios[-1]:g} the gain is {measured[-1]:+.2f} points, by the model "
        f"{model[-1]:+.2f}."
    )
