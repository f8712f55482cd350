"""Does entropy selection improve the exponent of a linear classifier's error, with either loss?"""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from experiments.analysis.exponents import DECADE, exponent, steeper
from paper_figures.drawing.exhibit import THEORY, Entry, Exhibit
from paper_figures.drawing.shared import results_of
from paper_figures.drawing.theory_plots import COLOURS, MARKERS, exhibit, pick, values

ENTRY = Entry(
    "linear_practice",
    "A linear classifier that practises: does its error's exponent improve?",
    THEORY,
    8,
    ("linear_practice",),
)
NAMES = {"logistic": "cross-entropy", "squared": "ridge"}


def make(profile: str) -> Exhibit:
    """Draw the linear_practice study."""
    results = results_of(profile, "linear_practice")
    rows = []
    for _, result in sorted(results.items()):
        config = result["config"]
        shared = {"label_noise": config["label_noise"], "ridge": "vanishing" if "penalty" in config else "fixed"}
        rows += [row | shared for row in result["rows"]]
    first, _, rest = answer(rows).partition(". ")
    caption = (
        f"Test error of a linear classifier in {config['d']} dimensions against the rows it has selected, trained by "
        "gradient descent on cross-entropy (left) and by ridge regression on the same rows, that is with squared loss "
        "(right), with clean labels (top) and with labels flipped (bottom). Selection keeps the "
        f"{config['kept_fraction']:.0%} of highest entropy; the ridge vanishes as rows grow. Points: means over "
        f"{config['seeds']} seeds with bars of two standard errors; lines: the exact theory where there is one; in the "
        f"legend the exponent over all sizes with its 95% interval, and that over the last decade."
    )
    return exhibit(ENTRY, f"{caption} {rest}", rows, draw, first, loss="")


def answer(rows: list[dict[str, Any]]) -> str:
    """Say in words what the exponents show, over all sizes and over the last decade of them."""
    vanishing, fixed = (pick(rows, ridge=ridge) for ridge in ("vanishing", "fixed"))
    clean = pick(fixed, label_noise=0.0)
    words = f"Over all sizes: {_told(vanishing, np.inf)} Over the last decade alone: {_told(vanishing, DECADE)}"
    if clean:
        found = ", ".join(
            f"{policy} {exponent(clean, policy, 'logistic')[0]:.2f}"
            for policy in values(pick(clean, series="trained"), "policy")
        )
        words += f" With a fixed ridge per row, clean labels and cross-entropy the last decade has: {found}."
    return words


def _told(rows: list[dict[str, Any]], span: float) -> str:
    sentences = []
    for noise in values(rows, "label_noise"):
        mine = pick(rows, label_noise=noise)
        labels = "clean labels" if noise == 0 else f"{noise:.0%} of the labels flipped"
        for loss, name in NAMES.items():
            base, _ = exponent(mine, "keep all", loss, span)
            told = {"larger": [], "smaller": [], "not told from it": []}  # type: dict[str, list[str]]
            for policy in values(pick(mine, series="trained"), "policy"):
                if policy == "keep all":
                    continue
                low, high = steeper(mine, policy, loss, span)
                which = "larger" if low > 0 else "smaller" if high < 0 else "not told from it"
                told[which].append(f"{policy} ({exponent(mine, policy, loss, span)[0]:.2f})")
            parts = [f"{which}: {', '.join(found)}" for which, found in told.items() if found]
            sentences.append(f"With {labels} and {name} keeping all has the exponent {base:.2f}; {'; '.join(parts)}.")
    return " ".join(sentences)


def draw(rows: list[dict[str, Any]]) -> Figure:
    """Draw a row of panels per label noise, a column per loss."""
    rows = pick(rows, ridge="vanishing")
    noises = values(rows, "label_noise")
    figure, axes = plt.subplots(len(noises), 2, figsize=(6.75, 4.2 * len(noises)), layout="constrained", squeeze=False)
    for across, noise in zip(axes, noises, strict=True):
        for axis, (loss, name) in zip(across, NAMES.items(), strict=True):
            mine = pick(rows, label_noise=noise)
            for i, policy in enumerate(values(pick(mine, series="trained"), "policy")):
                value, (low, high) = exponent(mine, policy, loss, np.inf)
                last, _ = exponent(mine, policy, loss)
                trained = pick(mine, policy=policy, loss=loss, series="trained")
                sizes = values(trained, "n_selected")
                errors = [[r["test_error"] for r in pick(trained, n_selected=n)] for n in sizes]
                look = {"color": COLOURS[i % len(COLOURS)], "marker": MARKERS[i % len(MARKERS)], "ms": 3.5}
                axis.errorbar(
                    sizes, [np.mean(e) for e in errors], [2 * np.std(e, ddof=1) / np.sqrt(len(e)) for e in errors],
                    ls="none", capsize=2, label=f"{policy}: {value:.2f} ({low:.2f} to {high:.2f}), {last:.2f}", **look,
                )  # fmt: skip
                exact = pick(mine, policy=policy, loss=loss, series="exact")
                axis.plot([r["n_selected"] for r in exact], [r["test_error"] for r in exact], color=look["color"], lw=1)
            axis.set_xscale("log")
            axis.set_yscale("log")
            axis.set_title(f"{name}, {'clean labels' if noise == 0 else f'{noise:.0%} of labels flipped'}")
            axis.grid(alpha=0.25)
            below: dict[str, Any] = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.14)}
            axis.legend(title="policy: exponent, of the last decade", title_fontsize=6, fontsize=5.5, **below)
            axis.set_xlabel("rows selected")
        across[0].set_ylabel("test error")
    return figure
