"""Question: are images that were made for one learner of use to another?"""

from statistics import mean
from typing import Any

from matplotlib import pyplot as plt

from experiments.analysis.intervals import difference_interval
from experiments.engine.results import load
from paper_figures.drawing.exhibit import QUESTIONS, Entry, Exhibit, Rows
from paper_figures.drawing.shared import LEARNERS, grouped, results_of, sd, seeds, spread
from paper_figures.drawing.style import COLOURS, at_width, style

ENTRY = Entry(
    "transfer",
    "Question: are images that were made for one learner of use to another?",
    QUESTIONS,
    8,
    ("transfer", "scaling"),
)


def make(profile: str) -> Exhibit:
    """From the study of transfer and the scaling studies at equal settings."""
    rows = [
        {"student": student, "images": f"made for the {LEARNERS[result['config']['learner']]}"}
        | {"seed": result["config"]["seed"], "accuracy": reached["outcomes"][-1]["test_accuracy"]}
        for result in results_of(profile, "transfer").values()
        for student, reached in result["students"].items()
    ]
    sizes = next(iter(results_of(profile, "transfer").values()))["config"]
    for student in dict.fromkeys(row["student"] for row in rows):
        rows += _known(profile, student, sizes, {row["seed"] for row in rows})
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
                axis.errorbar([mean(values)], [line], xerr=[sd(values)], fmt="D", color=colour, capsize=2, label=images)
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
        "as many plain images and practice of its own. Means and standard deviations over "
        f"{seeds(map(len, groups.values()))}.",
        rows,
        figure,
        table=table,
        answer=_answer(groups),
    )


def _known(profile: str, student: str, sizes: dict[str, Any], wanted: set[int]) -> Rows:
    """Static training and practice of the student's own, of the scaling study."""
    final = sizes["n_initial"] + sizes["rounds"] * sizes["n_per_round"]
    stems = {"plain, from the start": f"static-{final}", "its own practice": f"DP-{sizes['n_initial']}"}
    results = load(profile, f"scaling-equal-{student}")
    return [
        {"student": student, "images": images, "seed": seed}
        | {"accuracy": results[f"{stem}-seed{seed}"]["outcomes"][-1]["test_accuracy"]}
        for images, stem in stems.items()
        for seed in sorted(wanted)
        if f"{stem}-seed{seed}" in results
    ]


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
