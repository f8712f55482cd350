"""Figure 4: scaling of static training and Deliberate Practice, ours beside the published points."""

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from paper_figures import published
from paper_figures.efficiency import Curve, Efficiency, efficiency
from paper_figures.exhibit import Claim, Exhibit
from paper_figures.scaling_results import curve, outcomes
from paper_figures.style import COLOURS, style


def make(profile: str) -> Exhibit:
    """From the scaling study and tables 4 and 5 of the paper."""
    rows = outcomes(profile)
    static, dp = curve(rows, "static"), curve(rows, "DP")
    plain = curve(rows, "omega = 0")
    with style():
        figure, axes = plt.subplots(1, 3, figsize=(11, 3.3), layout="constrained")
        ours = axes[0]
        for method in ("static", "omega = 0", "DP"):
            _draw(ours, curve(rows, method), method)
        for size, values in curve(rows, "DP", branches=True).items():
            ours.plot(size, np.mean(values), "o", color=COLOURS["DP"], fillstyle="none", markeredgewidth=1)
        for size, values in curve(rows, "real").items():
            ours.axhline(float(np.mean(values)), color=COLOURS["real"], linestyle=":", linewidth=1)
            ours.annotate(
                f"{size:,} real images", (1, float(np.mean(values))), xycoords=("axes fraction", "data"),
                ha="right", va="bottom", fontsize=7, color=COLOURS["real"],
            )  # fmt: skip
        ours.set(title="Measured here: Fashion-MNIST", ylabel="real test accuracy (%)")
        for axis, number, title in ((axes[1], 4, "Published: ImageNet-100"), (axes[2], 5, "Published: ImageNet-1k")):
            _published(axis, number)
            axis.set(title=title, ylabel="real validation accuracy (%)")
        for axis in axes:
            axis.set(xscale="log", xlabel="final number of generated images")
            axis.legend(loc="lower right")
    seeds = len({row["seed"] for row in rows})
    found = efficiency(static, dp)
    return Exhibit(
        "figure4",
        "Figure 4: scaling laws of static training and Deliberate Practice",
        f"Left: mean and standard deviation over {seeds} seeds; every run has the same learner, iterations and "
        "guidance scale; hollow circles are DP branch-outs, filled ones full runs; omega = 0 adds plain images by the same rule. Dotted: the same "
        "learner on real images. Middle and right: single runs published in tables 4 and 5 of arXiv 2502.15588v1. "
        f"{_efficiency_sentence(found)} {_pairs_sentence(static, dp)}",
        rows,
        figure,
        claims=(
            Claim("C1", _efficiency_sentence(found), "holds here" if found.interval[0] > 1 else "does not hold here"),
            _omega_zero(static, plain),
        ),
    )


def _draw(axis: Axes, values: Curve, method: str) -> None:
    mean = [float(np.mean(v)) for v in values.values()]
    spread = [float(np.std(v, ddof=1)) if len(v) > 1 else 0.0 for v in values.values()]
    marker = {"static": "s-", "DP": "o-", "omega = 0": "^--"}[method]
    axis.errorbar(list(values), mean, spread, fmt=marker, color=COLOURS[method], label=method, capsize=2)


def _published(axis: Axes, number: int) -> None:
    rows = published.table(number)
    for method, chosen in (("static", lambda r: r["omega"] == 0), ("DP", lambda r: r["omega"] != 0)):
        points = sorted((r["n_final"], r["real_val"]) for r in rows if chosen(r))
        axis.plot(*zip(*points, strict=True), "s-" if method == "static" else "o-", color=COLOURS[method], label=method)


def _efficiency_sentence(found: Efficiency) -> str:
    low, high = found.interval
    if found.ratio is None:
        best = f"Static's best mean is {found.best:.1f}% at {found.static_size:,} images"
        return f"{best}; no DP size measured here reaches it."
    return (
        f"Static's best mean is {found.best:.1f}%, at {found.static_size:,} images; DP reaches it with about "
        f"{found.dp_size:,.0f}: {found.ratio:.1f}x fewer (95% bootstrap interval over seeds {low:.1f} to {high:.1f})."
    )


def _pairs_sentence(static: Curve, dp: Curve) -> str:
    gains = [f"{np.mean(dp[n]) - np.mean(static[n]):+.1f} at {n:,}" for n in dp if n in static]
    return f"DP minus static at equal size, points of test accuracy: {', '.join(gains)}."


def _omega_zero(static: Curve, plain: Curve) -> Claim:
    """C9, from the paired differences of all sizes and seeds."""
    gaps = np.concatenate([np.subtract(plain[n], static[n]) for n in plain if n in static])
    mean, error = gaps.mean(), gaps.std(ddof=1) / np.sqrt(len(gaps))
    measured = (
        f"omega = 0 minus static at equal size: {mean:+.2f} points (standard error {error:.2f}, {len(gaps)} pairs); "
        "equal means within 2 standard errors, or 0.5 points"
    )
    return Claim("C9", measured, "holds here" if abs(mean) < max(2 * error, 0.5) else "does not hold here")
