"""Figures 10 and 12: every class over training time and omega."""

from matplotlib import pyplot as plt

from dp.data.fashion_mnist import CLASSES
from paper_figures.drawing.exhibit import MEASURED, Entry, Exhibit
from paper_figures.drawing.pictures import grids, show
from paper_figures.drawing.shared import grouped
from paper_figures.drawing.style import at_width, style
from paper_figures.exhibits.figure6_right import by_omega, rows_of

ENTRY = Entry("figure10", "Figures 10 and 12: every class over training time and omega", MEASURED, 10, ("grids",))


def make(profile: str) -> Exhibit:
    """Make the exhibit from the grids study."""
    guided = grids(profile)["guided"]
    cells = grouped(guided, "label", "iteration", "omega")
    times, omegas = (sorted({key[i] for key in cells}) for i in (1, 2))
    with style():
        figure, axes = plt.subplots(
            2, 5, figsize=at_width(max(0.45 * len(omegas), 1.5) * 5 + 0.6, 2 * (max(0.45 * len(times), 1) + 0.5)),
            layout="constrained",
        )  # fmt: skip
        for label, axis in enumerate(axes.flat):
            lines = [[cells[label, time, omega][0] for omega in omegas] for time in times]
            names = [f"{time:,}" for time in times] if label % 5 == 0 else None
            show(axis, lines, names, [f"{omega:g}" for omega in omegas] if label >= 5 else None)
            axis.set_title(CLASSES[label])
        figure.supxlabel("omega")
        figure.supylabel("iteration of the guiding learner")
    return Exhibit(
        ENTRY,
        "One seed a class; down: learners from early to late in one DP run; across: omega. A dot marks what the "
        "guiding learner gets wrong. "
        "Stands for figures 10 and 12, which show more classes of ImageNet at omegas of another scale.",
        rows_of(guided),
        figure,
        answer=by_omega(guided).removesuffix("."),
    )
