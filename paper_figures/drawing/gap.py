"""The horizontal gap between two scaling curves: how many static images do what fewer of Deliberate Practice's do."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke

from experiments.analysis.efficiency import Curve, means, several, size_reaching
from paper_figures.drawing.style import COLOURS


def draw_gap(axis: Axes, static: Curve, dp: Curve, colour: str = COLOURS["DP"]) -> None:
    """Draw an arrow at static's best mean accuracy, from the static size that has it to the smallest DP size that has.

    Where no DP size has it, a dotted line at that height says so.
    """
    static_means, dp_means = means(several(static)), means(several(dp))
    target = max(static_means.values())
    static_size, dp_size = size_reaching(static_means, target), size_reaching(dp_means, target)
    assert static_size is not None  # it is static's own
    halo = [withStroke(linewidth=2, foreground=axis.get_facecolor())]  # words stay readable on other curves
    above: dict[str, Any] = {"xytext": (0, 4), "textcoords": "offset points", "fontsize": 6.5, "color": colour}
    above |= {"path_effects": halo, "zorder": 5}
    if dp_size is None or dp_size > static_size:
        axis.axhline(target, color=colour, linestyle=":", linewidth=1)
        axis.annotate("static's best: not reached", (0.03, target), xycoords=("axes fraction", "data"), **above)
        return
    axis.annotate(
        "", (dp_size, target), (static_size, target), arrowprops={"arrowstyle": "->", "color": colour, "lw": 1.3}
    )
    words = f"{static_size / dp_size:.1f} times{' or more' * (dp_size == min(dp_means))}"
    low, high = min(*static_means, *dp_means), max(*static_means, *dp_means)
    if static_size**2 < 4 * low * high:  # there is room behind the arrow,
        axis.annotate(words, (static_size, target), **above | {"xytext": (2, 10)})
    elif dp_size**3 > low**2 * high:  # before its head,
        axis.annotate(words, (dp_size, target), ha="right", **above | {"xytext": (-6, 2)})
    else:  # or above it
        axis.annotate(words, (static_size, target), ha="right", **above | {"xytext": (0, 6)})
