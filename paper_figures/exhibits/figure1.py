"""Figure 1, right: the best of static training and of Deliberate Practice."""

from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from experiments.analysis.efficiency import Curve
from experiments.analysis.table import curve
from paper_figures.drawing import published
from paper_figures.drawing.exhibit import MEASURED, Entry, Exhibit
from paper_figures.drawing.shared import LEARNERS, NOT_COMPARABLE, SETTINGS, margin, scaling, seeds, title_of
from paper_figures.drawing.style import COLOURS, at_width, style

ENTRY = Entry(
    "figure1",
    "Figure 1, right: the best of static training and of Deliberate Practice (DP)",
    MEASURED,
    1,
    ("scaling", "tuned"),
)

BARS = {"static, best": ("static", ""), "DP, smallest that is better": ("DP", "///"), "DP, best": ("DP", "")}


def make(profile: str) -> Exhibit:
    """Make the exhibit from the scaling studies and table 5 of the paper."""
    studies = scaling(profile, ("static", "DP"))
    groups = {
        f"{LEARNERS[learner]}\n{SETTINGS[setting]}": bars(curve(rows, "static"), curve(rows, "DP"))
        for (setting, learner), rows in studies.items()
    }
    paper = bars(**published.curves(5))
    with style():
        figure, axes = plt.subplots(
            1,
            2,
            figsize=at_width(3.4 + 1.9 * len(groups), 3.9),
            width_ratios=(len(groups) + 0.2, 1.2),
            layout="constrained",
        )
        draw(axes[0], groups, "Measured here: Fashion-MNIST", "real test accuracy (%)")
        draw(axes[1], {"ViT-B\nequal settings": paper}, "Published: ImageNet-1k", "real validation accuracy (%)")
        handles, labels = axes[1].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3)
    lost = [
        title_of(*study)
        for study, group in zip(studies, groups.values(), strict=True)
        if "DP, smallest that is better" not in group
    ]
    verdict = (
        f"No DP size measured here is better than static's best for: {'; '.join(lost)}." if lost
        else "DP is better than static's best in every comparison."
    )  # fmt: skip
    every = [bar["seeds"] for group in groups.values() for bar in group.values()]
    return Exhibit(
        ENTRY,
        f"Mean over {seeds(every)}, with its 95% interval; above each bar its mean and the images trained on. "
        "Each method is shown at its best size; hatched: the smallest DP size whose mean is above static's best. Bars "
        "do not start at zero. Where tuned, runs of more images are longer (figure 4). "
        f"{verdict} Stands for the right half of "
        f"figure 1; the published bars are the single runs of table 5. {NOT_COMPARABLE}",
        [
            {"group": name.replace("\n", ", "), "bar": label, **bar}
            for name, group in (groups | {"published, ImageNet-1k": paper}).items()
            for label, bar in group.items()
        ],
        figure,
    )


def bars(static: Curve, DP: Curve) -> dict[str, dict[str, Any]]:
    """Return the bars of a group, by name; the middle one is absent if no DP size is better than static's best."""
    at_best = max(static, key=lambda size: np.mean(static[size]))
    better = [size for size in DP if np.mean(DP[size]) > np.mean(static[at_best])]
    chosen = {
        "static, best": (static, at_best),
        "DP, best": (DP, max(DP, key=lambda size: np.mean(DP[size]))),
    }
    if better:
        chosen["DP, smallest that is better"] = (DP, min(better))
    return {
        name: {
            "images": int(chosen[name][1]),
            "accuracy": float(np.mean(values := chosen[name][0][chosen[name][1]])),
            "margin": margin(values),
            "seeds": len(values),
        }
        for name in BARS
        if name in chosen
    }


def draw(axis: Axes, groups: dict[str, dict[str, dict[str, Any]]], title: str, label: str) -> None:
    """Draw three bars per group."""
    heights = [bar["accuracy"] for group in groups.values() for bar in group.values()]
    floor = min(heights) - max(2.0, 0.8 * (max(heights) - min(heights)))
    for i, (name, (method, hatch)) in enumerate(BARS.items()):
        found = [(place, group[name]) for place, group in enumerate(groups.values()) if name in group]
        x = [place + 0.28 * (i - 1) for place, _ in found]
        top, spread = ([bar[key] for _, bar in found] for key in ("accuracy", "margin"))
        look: dict[str, Any] = {"color": COLOURS[method], "edgecolor": "white", "hatch": hatch}
        axis.bar(
            x,
            top,
            0.26,
            yerr=spread if any(spread) else None,
            capsize=2,
            label=name,
            error_kw={"elinewidth": 0.9},
            **look,
        )
        for at, (_, bar) in zip(x, found, strict=True):
            place: dict[str, Any] = {"xytext": (0, 3), "textcoords": "offset points", "ha": "center", "va": "bottom"}
            text = f"{bar['accuracy']:.1f}%\n{_short(bar['images'])}"
            axis.annotate(text, (at, bar["accuracy"] + bar["margin"]), fontsize=6, **place)
    axis.set_xticks(range(len(groups)), list(groups))
    axis.set(title=title, ylabel=label, ylim=(floor, max(heights) + 0.25 * (max(heights) - floor)))
    axis.grid(False, axis="x")


def _short(images: int) -> str:
    return f"{images / 1e6:.3g}M" if images >= 1e6 else f"{images / 1e3:.3g}k" if images >= 1000 else str(images)
