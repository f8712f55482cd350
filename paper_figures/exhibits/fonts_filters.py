"""Question: does a filter help where the generator has never seen the target?"""

from matplotlib import pyplot as plt

from experiments.analysis.table import rows as read
from paper_figures.drawing.exhibit import QUESTIONS, Entry, Exhibit, Rows
from paper_figures.drawing.shared import SETTINGS, grouped, missing, spread
from paper_figures.drawing.style import COLOURS, at_width, style
from paper_figures.drawing.variants import DRAWN, Variant, clear, dots, points, table
from paper_figures.exhibits.filtering import FILTERS

ENTRY = Entry(
    "fonts_filters",
    "Question: does a filter help where the generator has never seen the target?",
    QUESTIONS,
    0,
    ("fonts",),
)


def make(profile: str) -> Exhibit:
    """Draw practice with each filter, with equal settings and tuned."""
    filtered = read(profile, "fonts-filters")
    if not filtered:
        raise missing("fonts", profile, "runs with filters")
    rows: Rows = []
    lines: Rows = []
    answers = []
    groups = grouped(filtered, "setting")
    with style():
        figure, axes = plt.subplots(
            1, len(groups), figsize=at_width(4.0 * len(groups), 1.9), squeeze=False, layout="constrained"
        )
        for axis, ((setting,), runs) in zip(axes.flat, groups.items(), strict=True):
            one = runs[0]
            images = one["n_initial"] + one["n_per_round"] * one["planned"]
            plain = read(profile, f"fonts-{setting}-{one['learner']}", method="DP", images=images)
            by_filter = grouped([*plain, *runs], "filter")
            found = [
                Variant(name, COLOURS["DP"] if value == "none" else COLOURS["prune"], {r["seed"]: r for r in mine})
                for value, (name, *_) in FILTERS.items()
                if (mine := by_filter.get((value,)))
            ]
            base = next((each for each in found if each.name == FILTERS["none"][0]), None)
            dots(axis, found)
            axis.set(xlabel="test accuracy on MNIST (%)", title=f"DP, {images:,} images, {SETTINGS[setting]}")
            for line, each in zip(table(found, base), found, strict=True):
                of = each.runs.values()
                judged = {
                    "additions recognised %": spread([run["recognised_added"] for run in of], 1),
                    "candidates an image": spread(
                        [run["candidates"] / run["n_per_round"] / run["planned"] for run in of]
                    ),
                    "scikit-learn's digits %": spread([run["other_digits"] for run in of]),
                }
                lines.append({"settings": SETTINGS[setting]} | line | judged)
            rows += [{"settings": setting} | each for each in points(found)]
            answers.append(f"{SETTINGS[setting]}: {clear([each for each in found if each is not base], base)}")
    return Exhibit(
        ENTRY,
        "Practice on printed digits with each filter of the library; a refused image gets two more attempts. "
        "Recognised: by a classifier of real handwriting, which decides nothing. ConvNet; test images of MNIST. "
        + DRAWN,
        rows,
        figure,
        table=lines,
        answer=" ".join(answers),
    )
