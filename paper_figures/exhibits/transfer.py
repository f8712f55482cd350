"""Question: are images that were made for one learner of use to another?"""

from statistics import mean
from typing import Any

from matplotlib import pyplot as plt

from experiments.analysis.intervals import difference_interval
from paper_figures.drawing.exhibit import QUESTIONS, Entry, Exhibit, Rows
from paper_figures.drawing.shared import LEARNERS, grouped, margin, rows_of, seeds, spread
from paper_figures.drawing.style import COLOURS, at_width, style
from paper_figures.drawing.variants import counterparts

ENTRY = Entry(
    "transfer",
    "Question: are images that were made for one learner of use to another?",
    QUESTIONS,
    8,
    ("transfer", "scaling"),
)


def make(profile: str) -> Exhibit:
    """Make the exhibit from the study of transfer and the scaling studies at equal settings."""
    found = rows_of(profile, "transfer")
    rows = [_row(run, f"made for the {LEARNERS[run['maker']]}") for run in found]
    for student in dict.fromkeys(run["learner"] for run in found):
        known = counterparts(profile, student, found[0], {run["seed"] for run in found})
        for images, method in (("plain, from the start", "static"), ("its own practice", "DP")):
            rows += [_row(run, images) for run in known.get(method, [])]
    groups = grouped(rows, "student", "images")
    with style():
        students = list(dict.fromkeys(row["student"] for row in rows))
        figure, axes = plt.subplots(1, len(students), figsize=at_width(6.75, 2.4), squeeze=False, layout="constrained")
        for axis, student in zip(axes[0], students, strict=True):
            mine = {
                images: [row["accuracy"] for row in each] for (who, images), each in groups.items() if who == student
            }
            for line, (images, values) in enumerate(sorted(mine.items())):
                colour = COLOURS["static"] if images == "plain, from the start" else COLOURS["DP"]
                axis.errorbar(
                    [mean(values)], [line], xerr=[margin(values)], fmt="D", color=colour, capsize=2, label=images
                )
                axis.plot(values, [line + 0.2] * len(values), "o", color=colour, markersize=2.5, alpha=0.6)
            axis.set_yticks(range(len(mine)), sorted(mine))
            axis.set(
                title=f"the {LEARNERS[student]} learns from images", xlabel="real test accuracy (%)", ylim=(-0.5, None)
            )
    table = [
        {"learner": LEARNERS[student], "images": images, "test %": spread([r["accuracy"] for r in each])}
        | {"seeds": len(each)}
        for (student, images), each in sorted(groups.items())
    ]
    return Exhibit(
        ENTRY,
        "Test accuracy of a learner trained from the start on the final pool that another's practice has left, beside "
        "as many plain images and practice of its own. Means and 95% intervals over "
        f"{seeds(map(len, groups.values()))}.",
        rows,
        figure,
        table=table,
        answer=_answer(groups),
    )


def _row(run: dict[str, Any], images: str) -> dict[str, Any]:
    return {"student": run["learner"], "images": images, "seed": run["seed"], "accuracy": run["test_accuracy"]}


def _answer(groups: dict[tuple[Any, ...], Rows]) -> str:
    parts = []
    for (student, images), each in groups.items():
        plain = groups.get((student, "plain, from the start"))
        if plain and images.startswith("made for"):
            made, own = ([row["accuracy"] for row in rows] for rows in (each, plain))
            low, high = difference_interval(made, own)
            spread_ = f"95% {low:+.2f} to {high:+.2f}" if min(len(made), len(own)) > 1 else "one seed"
            parts.append(f"the {LEARNERS[student]} on images {images} {mean(made) - mean(own):+.2f} ({spread_})")
    return f"against as many plain images, in points: {'; '.join(parts) or 'no runs on plain images yet'}."
