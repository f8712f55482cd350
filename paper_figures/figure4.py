"""Figure 4: scaling of static training and Deliberate Practice, ours beside the published points."""

from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from paper_figures import published
from paper_figures.efficiency import Curve, Efficiency, efficiency
from paper_figures.exhibit import Claim, Exhibit, Rows
from paper_figures.scaling_results import STUDIES, curve, outcomes
from paper_figures.style import COLOURS, style


def make(profile: str) -> Exhibit:
    """From the scaling studies and tables 4 and 5 of the paper."""
    rows = outcomes(profile)
    studies = [[row for row in rows if row["study"] == study] for study in STUDIES]
    with style():
        figure, axes = plt.subplots(2, 2, figsize=(9, 6.4), layout="constrained")
        for axis, runs in zip(axes[0], studies, strict=True):
            _measured(axis, runs)
        _published(axes[1, 0], 4, "Published: ImageNet-100")
        _published(axes[1, 1], 5, "Published: ImageNet-1k")
        for axis in axes.flat:
            axis.set(xscale="log", xlabel="final number of generated images")
            axis.legend(loc="lower right")
        for limits in ("xlim", "ylim"):  # the measured panels are to be compared
            low, high = zip(*(getattr(axis, f"get_{limits}")() for axis in axes[0]), strict=True)
            for axis in axes[0]:
                axis.set(**{limits: (min(low), max(high))})
        for axis in axes[0]:
            axis.legend(loc=(0.02, 0.68))
    found, at_low = (efficiency(curve(runs, "static"), curve(runs, "DP")) for runs in studies)
    large, small = (next(r["guidance_scale"] for r in runs if r["method"] == "static") for runs in studies)
    return Exhibit(
        "figure4",
        "Figure 4: scaling laws of static training and Deliberate Practice",
        f"Above, measured here: mean and standard deviation over {len({row['seed'] for row in rows})} seeds; "
        f"all runs of a "
        "panel have the same learner, iterations and guidance scale. Filled circles are full DP runs, hollow "
        "ones branch-outs; "
        "omega = 0 adds plain images by the same rule; dotted: the same learner on real images. Below: single runs "
        "published in tables 4 and 5 of arXiv 2502.15588v1. "
        f"At guidance scale {large:g}, as the paper compares: {_efficiency_sentence(found)} "
        f"{_pairs_sentence(studies[0])} "
        f"At scale {small:g}, where static training does better: {_efficiency_sentence(at_low)} "
        f"{_pairs_sentence(studies[1])}",
        rows,
        figure,
        claims=(
            Claim(
                "C1",
                f"Guidance scale {large:g}: {_efficiency_sentence(found)} Scale {small:g}: "
                f"{_efficiency_sentence(at_low)}",
                "holds here" if found.interval[0] > 1 else "does not hold here",
            ),
            _omega_zero(curve(studies[0], "static"), curve(studies[0], "omega = 0")),
        ),
    )


def _measured(axis: Axes, runs: Rows) -> None:
    for method in ("static", "omega = 0", "DP"):
        if curve(runs, method):
            _draw(axis, curve(runs, method), method)
    for size, values in curve(runs, "DP", branches=True).items():
        axis.plot(size, np.mean(values), "o", color=COLOURS["DP"], fillstyle="none", markeredgewidth=1)
    for size, values in curve(runs, "real").items():
        axis.axhline(float(np.mean(values)), color=COLOURS["real"], linestyle=":", linewidth=1)
        place: dict[str, Any] = {"xycoords": ("axes fraction", "data"), "ha": "left", "va": "bottom", "fontsize": 7}
        axis.annotate(f"{size:,} real images", (0.01, float(np.mean(values))), color=COLOURS["real"], **place)
    scale = next(row["guidance_scale"] for row in runs if row["method"] == "static")
    axis.set(title=f"Measured here: Fashion-MNIST, guidance scale {scale:g}", ylabel="real test accuracy (%)")


def _draw(axis: Axes, values: Curve, method: str) -> None:
    mean = [float(np.mean(v)) for v in values.values()]
    spread = [float(np.std(v, ddof=1)) if len(v) > 1 else 0.0 for v in values.values()]
    marker = {"static": "s-", "DP": "o-", "omega = 0": "^--"}[method]
    axis.errorbar(list(values), mean, spread, fmt=marker, color=COLOURS[method], label=method, capsize=2)


def _published(axis: Axes, number: int, title: str) -> None:
    axis.set(title=title, ylabel="real validation accuracy (%)")
    rows = published.table(number)
    for method, chosen in (("static", lambda r: r["omega"] == 0), ("DP", lambda r: r["omega"] != 0)):
        points = sorted((r["n_final"], r["real_val"]) for r in rows if chosen(r))
        axis.plot(*zip(*points, strict=True), "s-" if method == "static" else "o-", color=COLOURS[method], label=method)


def _efficiency_sentence(found: Efficiency) -> str:
    low, high = found.interval
    unreached = "" if low else "; 0 stands for never reached"
    if found.ratio is None:
        best = f"Static's best mean is {found.best:.1f}% at {found.static_size:,} images"
        return f"{best}; no DP size measured here reaches it."
    return (
        f"Static's best mean is {found.best:.1f}%, at {found.static_size:,} images; DP reaches it with about "
        f"{found.dp_size:,.0f}: {found.ratio:.1f}x fewer (95% bootstrap interval over seeds {low:.1f} to "
        f"{high:.1f}{unreached})."
    )


def _pairs_sentence(runs: Rows) -> str:
    static, dp = curve(runs, "static"), curve(runs, "DP")
    gains = [f"{np.mean(dp[n]) - np.mean(static[n]):+.1f} at {n:,}" for n in dp if n in static]
    return f"DP minus static at equal size, points of test accuracy: {', '.join(gains)}."


def _omega_zero(static: Curve, plain: Curve) -> Claim:
    """C9, from the paired differences of all sizes and seeds."""
    if not plain.keys() & static.keys():
        return Claim("C9", "no size measured in both ways", "not tested here")
    gaps = np.concatenate([np.subtract(plain[n], static[n]) for n in plain if n in static])
    mean, error = gaps.mean(), gaps.std(ddof=1) / np.sqrt(len(gaps))
    measured = (
        f"omega = 0 minus static at equal size: {mean:+.2f} points (standard error {error:.2f}, {len(gaps)} pairs); "
        "equal means within 2 standard errors, or 0.5 points"
    )
    return Claim("C9", measured, "holds here" if abs(mean) < max(2 * error, 0.5) else "does not hold here")
