"""Figure 11: guided images beside pruned ones."""

from matplotlib import pyplot as plt

from dp.data.fashion_mnist import CLASSES
from paper_figures.drawing.exhibit import MEASURED, Entry, Exhibit, Rows
from paper_figures.drawing.pictures import grids, show
from paper_figures.drawing.shared import grouped
from paper_figures.drawing.style import style
from paper_figures.exhibits.figure6_right import rows_of

ENTRY = Entry("figure11", "Figure 11: entropy-guided images beside pruned ones", MEASURED, 11, ("grids",))


def make(profile: str) -> Exhibit:
    """Make the exhibit from the grids study."""
    result = grids(profile)
    last = max(each["iteration"] for each in result["guided"])
    omega = min(
        {each["omega"] for each in result["guided"]}, key=lambda o: abs(o - result["config"]["guidance"]["omega"])
    )
    guided = [each for each in result["guided"] if each["iteration"] == last and each["omega"] == omega]
    sets = {f"entropy-guided, omega = {omega:g}": guided, "pruned, hardest quarter": result["pruned"]}
    figure = side_by_side(sets)
    found = result["diversity"]
    return Exhibit(
        ENTRY,
        "One column a class. Above: images guided by the last learner of a DP run; below: the hardest quarter of plain "
        f"images for the same learner. A dot marks what it gets wrong. The table: precision, recall and coverage of "
        f"{result['config']['images']:,} plain, guided and pruned images for that learner against as many real "
        "validation images, in the oracle's features. One run. "
        "Stands for figure 11.",
        rows_and_diversity({name.split(",")[0]: pictures for name, pictures in sets.items()}, found),
        figure,
        table=diversity_table(found),
        answer=f"guided images reach {_more(found, 'guided')} of the real ones than plain images, pruned images "
        f"{_more(found, 'pruned')} (recall)",
    )


def _more(found: dict[str, dict[str, float]], name: str) -> str:
    return "more" if found[name]["recall"] > found["plain"]["recall"] else "no more"


def side_by_side(sets: dict[str, Rows]) -> plt.Figure:
    """Draw sets of pictures one above the other, one column per class."""
    with style():
        deep = min(len(pictures) // len(CLASSES) for pictures in sets.values())
        size = (6.4, (0.62 * deep + 0.35) * len(sets) + 0.6)
        figure, axes = plt.subplots(len(sets), 1, figsize=size, squeeze=False, layout="constrained")
        for axis, (name, pictures) in zip(axes[:, 0], sets.items(), strict=True):
            classes = grouped(pictures, "label")
            lines = [[classes[(label,)][i] for label in range(10)] for i in range(deep)]
            show(axis, lines, None, list(CLASSES) if axis is axes[-1, 0] else None)
            axis.set_title(f"{name}: {deep} image{'s' * (deep > 1)} of each class")
        axes[-1, 0].tick_params(axis="x", rotation=45)
    return figure


def rows_and_diversity(sets: dict[str, Rows], diversity: dict[str, dict[str, float]]) -> Rows:
    """Return what is known of each picture, and the measured diversity of each kind of images."""
    pictures = [{"kind": "picture", "set": name, **row} for name, shown in sets.items() for row in rows_of(shown)]
    return pictures + [{"kind": "diversity", "set": name, **measured} for name, measured in diversity.items()]


def diversity_table(found: dict[str, dict[str, float]]) -> Rows:
    """Return one row per set of images."""
    return [
        {"images": name} | {measure: round(value, 3) for measure, value in measured.items()}
        for name, measured in found.items()
    ]
