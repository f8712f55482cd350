"""One look for every figure."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import matplotlib
from matplotlib import pyplot as plt

matplotlib.use("Agg")

# Okabe and Ito's colours: told apart by readers with any colour vision; markers tell them apart in greyscale.
COLOURS = {
    "static": "#555555",
    "DP": "#D55E00",
    "omega = 0": "#0072B2",
    "real": "#009E73",
    "prune": "#CC79A7",
    "own": "#56B4E9",
    "own, omega = 0": "#000000",
    "guided, exact": "#E69F00",
    "guided, cheap": "#D55E00",
}
MARKERS = {
    "static": "s",
    "DP": "o",
    "omega = 0": "^",
    "real": "*",
    "prune": "D",
    "own": "P",
    "own, omega = 0": "X",
    "guided, exact": "v",
    "guided, cheap": "o",
}


PLATE = {"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 0.5}  # behind a name among bars and lines
SHEET = Path(__file__).parent / "paper.mplstyle"
WIDTH = 6.75  # inches, the text width of the paper; figures are drawn at this size, so fonts are what they say


def at_width(width: float, height: float) -> tuple[float, float]:
    """Return the size of a figure of that shape, no wider than the text."""
    share = min(1.0, WIDTH / width)
    return width * share, height * share


@contextmanager
def style() -> Iterator[None]:
    """Draw inside this block."""
    with plt.rc_context(), plt.style.context(SHEET):
        plt.rcParams["figure.max_open_warning"] = 0  # all figures are drawn before any is saved
        yield
