"""Question: does it hold for learners that nothing was tuned for?"""

from statistics import mean
from typing import Any

from matplotlib import pyplot as plt
from matplotlib.lines import Line2D

from experiments.analysis.intervals import mean_interval
from paper_figures.drawing.exhibit import QUESTIONS, Entry, Exhibit, Rows
from paper_figures.drawing.shared import LEARNERS as SCALED
from paper_figures.drawing.shared import grouped, margin, rows_of, seeds, spread
from paper_figures.drawing.style import COLOURS, MARKERS, at_width, style
from paper_figures.drawing.variants import counterparts

ENTRY = Entry(
    "learners", "Question: does it hold for learners that nothing was tuned for?", QUESTIONS, 7, ("learners", "scaling")
)
NAMES = {
    "test_resnet": "ResNet (timm test_resnet)",
    "test_vit?patch_size=7": "plain ViT (timm test_vit, patches of 7)",
}


def make(profile: str) -> Exhibit:
    """Make the exhibit from the study of learners and the scaling studies at equal settings."""
    found = rows_of(profile, "learners")
    names = {learner: NAMES.get(learner, learner) for learner in dict.fromkeys(row["learner"] for row in found)}
    rows = [_row(names[row["learner"]], row) for row in found]
    run, used = next(row for row in found if row["planned"]), {row["seed"] for row in found}
    for learner, name in SCALED.items():
        rows += [_row(name, row) for each in counterparts(profile, learner, run, used).values() for row in each]
    groups = grouped(rows, "learner", "method")
    learners = list(dict.fromkeys(row["learner"] for row in rows))
    with style():
        figure, axis = plt.subplots(figsize=at_width(6.75, 0.9 + 0.42 * len(learners)), layout="constrained")
        for (learner, method), each in groups.items():
            line = learners.index(learner) + {"static": -0.22, "omega = 0": 0.0, "DP": 0.22}[method]
            values = [row["test_accuracy"] for row in each]
            axis.errorbar(
                [mean(values)], [line], xerr=[margin(values)], fmt=MARKERS[method], color=COLOURS[method], capsize=2,
                label=f"{learner}, {method}",
            )  # fmt: skip
        axis.set_yticks(range(len(learners)), learners)
        axis.set(xlabel="real test accuracy (%)", ylim=(len(learners) - 0.5, -0.5))
        handles = [
            Line2D([], [], color=COLOURS[m], marker=MARKERS[m], linestyle="", label=m)
            for m in dict.fromkeys(row["method"] for row in rows)
        ]
        figure.legend(handles=handles, loc="outside upper center", ncols=3)
    table = [_line(learner, groups) for learner in learners]
    final = rows[0]["images"]
    return Exhibit(
        ENTRY,
        f"Static training, practice and late plain images (omega = 0), {final:,} images each, at the settings of the "
        f"ConvNet's scaling study for every learner. Means and 95% intervals over "
        f"{seeds(map(len, groups.values()))}.",
        rows,
        figure,
        table=[{name: value for name, value in line.items() if name not in ("low", "high")} for line in table],
        answer=_answer(table),
    )


def _row(learner: str, row: dict[str, Any]) -> dict[str, Any]:
    return {"learner": learner} | {name: row[name] for name in ("method", "images", "seed", "test_accuracy")}


def _line(learner: str, groups: dict[tuple[Any, ...], Rows]) -> dict[str, Any]:
    reached = {
        method: {row["seed"]: row["test_accuracy"] for row in groups.get((learner, method), [])}
        for method in ("static", "omega = 0", "DP")
    }
    gains = [
        accuracy - reached["static"][seed] for seed, accuracy in reached["DP"].items() if seed in reached["static"]
    ]
    low, high = mean_interval(gains) if len(gains) > 1 else (None, None)
    return {
        "learner": learner,
        **{f"{method} %": spread(list(values.values())) for method, values in reached.items()},
        "DP - static": f"{mean(gains):+.2f}" if gains else None,
        "95% interval": f"{low:+.2f} to {high:+.2f}" if low is not None else None,
        "seeds": len(gains),
        "low": low,
        "high": high,
    }


def _answer(table: Rows) -> str:
    known = [line for line in table if line["low"] is not None]
    if not known:
        return "open. No learner has two seeds of both yet, and so no interval."
    better, worse = (
        [line["learner"] for line in known if sign * line[end] > 0] for sign, end in ((1, "low"), (-1, "high"))
    )
    rest = [line["learner"] for line in known if line["learner"] not in (*better, *worse)]
    return (
        f"DP is ahead of static training beyond its 95% interval with: {', '.join(better) or 'none'}"
        + "".join(
            f"; {word}: {', '.join(each)}"
            for word, each in (("behind it with", worse), ("undecided with", rest))
            if each
        )
        + "."
    )
