"""One look for every figure."""

from collections.abc import Iterator
from contextlib import contextmanager

import matplotlib
from matplotlib import pyplot as plt

matplotlib.use("Agg")

# Okabe and Ito's colours: told apart by readers with any colour vision.
COLOURS = {
    "static": "#555555",
    "DP": "#D55E00",
    "omega = 0": "#0072B2",
    "real": "#009E73",
}

RC = {
    "figure.dpi": 100,
    "savefig.dpi": 160,
    "savefig.bbox": "tight",
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "lines.linewidth": 1.6,
    "lines.markersize": 4.5,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "pdf.fonttype": 42,
    "svg.hashsalt": "deliberate-practice",
}


@contextmanager
def style() -> Iterator[None]:
    """Draw inside this block."""
    with plt.rc_context(RC):
        yield
