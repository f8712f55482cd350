"""Figure 8: what the image looks like at every step of sampling."""

from statistics import mean

import numpy as np
from matplotlib import pyplot as plt

from dp.data.fashion_mnist import CLASSES
from paper_figures.drawing.exhibit import MEASURED, Entry, Exhibit, Rows
from paper_figures.drawing.pictures import STEP, decode, grids, show
from paper_figures.drawing.shared import grouped
from paper_figures.drawing.style import at_width, style

ENTRY = Entry("figure8", "Figure 8: the denoised estimate at every step", MEASURED, 8, ("grids",))


def make(profile: str) -> Exhibit:
    """Make the exhibit from the grids study."""
    result = grids(profile)
    cells = {key: each[0] for key, each in grouped(result["intermediate"], "omega", "label", "t").items()}
    omegas = sorted({key[0] for key in cells})
    steps = sorted({key[2] for key in cells}, reverse=True)
    low, high = result["config"]["guidance"]["interval"]
    begins = next((i for i, t in enumerate(steps) if 1000 * low <= t < 1000 * high), 0)  # 0: at the first step
    with style():
        figure, axes = plt.subplots(1, 2, figsize=at_width(0.46 * len(steps) * 2 + 2.4, 5.3), layout="constrained")
        for half, axis in enumerate(axes):
            labels = range(5 * half, 5 * half + 5)
            lines = [[cells[omega, label, t] for t in steps] for label in labels for omega in omegas]
            names = [f"{CLASSES[label]}, {omega:g}" for label in labels for omega in omegas]
            show(axis, lines, names, [str(t) for t in steps])
            if begins:
                axis.axvline(STEP * begins - 1.5, color="#D55E00", linewidth=1.2, linestyle="--")
            axis.set_xlabel("time step t (1,000 = noise)")
            axis.set_ylabel("class, omega", labelpad=8)
            axis.set_title(f"{CLASSES[labels[0]]} to {CLASSES[labels[-1]]}")
    rows = differences(cells, omegas, steps)
    last = [row["difference"] for row in rows if row["t"] == steps[-1]]
    return Exhibit(
        ENTRY,
        f"The estimate of the finished image at each of {len(steps)} sampling steps, decoded; for every class plain "
        f"(omega 0) and guided (omega {omegas[-1]:g}) from the same noise. Guidance begins at the "
        f"{'dashed line' if begins else 'first step'}. One learner, "
        "the last of a DP run. Stands for figure 8.",
        rows,
        figure,
        answer=f"at the last step guided and plain images differ by {mean(last):.1f} grey levels of 255 per pixel",
    )


def differences(cells: dict, omegas: list[float], steps: list[int]) -> Rows:
    """Return the mean absolute difference of guided and plain images, grey levels per pixel."""
    return [
        {"label": label, "t": t, "difference": float(np.mean(np.abs(plain.astype(int) - guided.astype(int))))}
        for label in range(10)
        for t in steps
        for plain, guided in [(decode(cells[omegas[0], label, t]["png"]), decode(cells[omegas[-1], label, t]["png"]))]
    ]
