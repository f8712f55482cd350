"""Figure 6, right: a class's images over training time and omega."""

from statistics import mean

from matplotlib import pyplot as plt

from dp.data.fashion_mnist import CLASSES
from paper_figures.drawing.exhibit import MEASURED, Entry, Exhibit, Rows
from paper_figures.drawing.pictures import grids, show
from paper_figures.drawing.shared import grouped
from paper_figures.drawing.style import at_width, style

ENTRY = Entry("figure6_right", "Figure 6, right: one class over training time and omega", MEASURED, 6, ("grids",))

SHOWN = CLASSES.index("shirt")


def make(profile: str) -> Exhibit:
    """Make the exhibit from the grids study."""
    guided = grids(profile)["guided"]
    own = [each for each in guided if each["label"] == SHOWN]
    cells = grouped(own, "iteration", "omega")
    times, omegas = (sorted({key[i] for key in cells}) for i in (0, 1))
    with style():
        blocks = min(map(len, cells.values()))
        figure, axes = plt.subplots(
            1, blocks, figsize=at_width(0.62 * len(omegas) * blocks + 1.1, 0.78 * len(times) + 0.8), squeeze=False,
            layout="constrained",
        )  # fmt: skip
        for seed, axis in enumerate(axes.flat):
            lines = [[cells[time, omega][seed] for omega in omegas] for time in times]
            show(axis, lines, [f"{time:,}" for time in times], [f"{omega:g}" for omega in omegas], "entropy")
            axis.set(xlabel="omega", title=f"seed {seed}")
        axes[0, 0].set_ylabel("iteration of the guiding learner")
    return Exhibit(
        ENTRY,
        f"The same seeds of the class {CLASSES[SHOWN]}, guided by the learners of one DP run at the iterations on the "
        "left, at the omegas below. Under each image the entropy (nats) that its learner gives it; a dot marks those "
        "it gets wrong. One run. Stands for the right half "
        "of figure 6, whose omegas are of another scale.",
        rows_of(own),
        figure,
        answer=f"from omega {omegas[0]:g} to {omegas[-1]:g} the learner's entropy on images of the class "
        f"{CLASSES[SHOWN]} {_said(own, omegas)} on average",
    )


def _said(own: Rows, omegas: list[float]) -> str:
    plain, guided = (mean(each["entropy"] for each in own if each["omega"] == o) for o in (omegas[0], omegas[-1]))
    return f"{'rises' if guided > plain else 'falls'} from {plain:.2f} to {guided:.2f} nats"


def by_omega(guided: Rows) -> str:
    """Return the mean entropy and the share that the learner gets wrong at each omega, over all classes and times."""
    parts = [
        f"{omega:g}: {mean(e['entropy'] for e in cell):.2f} nats, {mean(not e['correct'] for e in cell):.0%} wrong"
        for (omega,), cell in sorted(grouped(guided, "omega").items())
    ]
    return f"Over all classes and times, by omega: {'; '.join(parts)}."


def rows_of(pictures: Rows) -> Rows:
    """Return what is known of pictures, without the pictures."""
    return [{name: value for name, value in each.items() if name != "png"} for each in pictures]
