"""Question: does it hold for a second data set, with nothing tuned for it?"""

from matplotlib import pyplot as plt

from experiments.analysis.intervals import mean_interval
from paper_figures.drawing.exhibit import QUESTIONS, Entry, Exhibit, Rows
from paper_figures.drawing.shared import draw, grouped, rows_of, seeds, spread
from paper_figures.drawing.style import at_width, style

ENTRY = Entry(
    "second_set",
    "Question: does it hold for a second data set, with nothing tuned for it?",
    QUESTIONS,
    9,
    ("second_set",),
)
METHODS = ("static", "DP", "omega = 0", "prune")
SETS = {"test_accuracy": "MNIST test", "other_digits": "digits of another source"}


def make(profile: str) -> Exhibit:
    """Make the exhibit from the study of the second data set."""
    rows = [{name: row[name] for name in ("method", "images", "seed", *SETS)} for row in rows_of(profile, "second_set")]
    rows.sort(key=lambda row: (METHODS.index(row["method"]), row["images"], row["seed"]))
    groups = grouped(rows, "method", "images")
    with style():
        figure, axes = plt.subplots(1, 2, figsize=at_width(6.75, 2.7), layout="constrained")
        for axis, (column, title) in zip(axes, SETS.items(), strict=True):
            for method in dict.fromkeys(row["method"] for row in rows):
                curve = {n: [row[column] for row in each] for (m, n), each in groups.items() if m == method}
                draw(axis, curve, method, line="-" if len(curve) > 1 else "")
            axis.set(xscale="log", xlabel="generated images trained on", ylabel="accuracy (%)", title=title)
        axes[0].legend()
    table = [
        {"method": method, "images": n}
        | {f"{title} %": spread([row[column] for row in each]) for column, title in SETS.items()}
        | {"seeds": len(each)}
        for (method, n), each in groups.items()
    ]
    return Exhibit(
        ENTRY,
        "MNIST: a generator of the same design trained on 3,000 of its images, all methods at the settings chosen on "
        "Fashion-MNIST; tested on 1,000 held-out images and on scikit-learn's 1,797 digits, by other writers and "
        f"another scanner. ConvNet. Means and 95% intervals over {seeds(map(len, groups.values()))}.",
        rows,
        figure,
        table=table,
        answer=_answer(rows),
    )


def _answer(rows: Rows) -> str:
    """Compare DP with static training at each size that both have."""
    reached = {(row["method"], row["images"], row["seed"]): row for row in rows}
    parts: list[str] = []
    signs: list[tuple[float, float]] = []
    for column, title in SETS.items():
        sizes = []
        for n in dict.fromkeys(row["images"] for row in rows if row["method"] == "DP"):
            gains = [
                each[column] - reached["static", n, seed][column]
                for (method, size, seed), each in reached.items()
                if method == "DP" and size == n and ("static", n, seed) in reached
            ]
            if len(gains) > 1:
                low, high = mean_interval(gains)
                signs.append((low, high))
                sizes.append(f"{sum(gains) / len(gains):+.2f} ({low:+.2f} to {high:+.2f}) at {n:,} images")
        parts.append(f"{title}: {', '.join(sizes) or 'no size in common with two seeds yet'}")
    won, lost = sum(low > 0 for low, _ in signs), sum(high < 0 for _, high in signs)
    answer = (
        f"DP is clearly better in {won} and clearly worse in {lost} of {len(signs)} comparisons" if signs else "open"
    )
    return f"{answer}. DP minus static, in points with 95% intervals: {'; '.join(parts)}."
