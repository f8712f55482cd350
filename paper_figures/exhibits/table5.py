"""Table 5: how many static images each size of Deliberate Practice stands for."""

from typing import Any

import numpy as np

from experiments.analysis.efficiency import Curve, equivalents
from experiments.analysis.table import curve
from paper_figures.drawing import published
from paper_figures.drawing.exhibit import MEASURED, Entry, Exhibit, Rows
from paper_figures.drawing.shared import LEARNERS, NOT_COMPARABLE, scaling, seeds, spread

ENTRY = Entry(
    "table5", "Table 5: data efficiency at each size of Deliberate Practice (DP)", MEASURED, 25, ("scaling", "tuned")
)


def make(profile: str) -> Exhibit:
    """Make the exhibit from the scaling studies and table 5 of the paper."""
    rows, counts = [], []
    for (setting, learner), outcomes in scaling(profile, ("static", "DP")).items():
        static, dp = curve(outcomes, "static"), curve(outcomes, "DP")
        counts += [len(values) for values in (*static.values(), *dp.values())]
        rows += [{"learner": LEARNERS[learner], "settings": setting, **row} for row in compare(static, dp)]
    printed = published.curves(5)
    rows += [
        {"learner": "ViT-B, published", "settings": "equal", **row} | {"95% interval": None}
        for row in compare(printed["static"], printed["DP"])
    ]
    measured = [row for row in rows if row["95% interval"]]
    below = sum(row["fewer"] is not None and row["fewer"] < 1 for row in measured)
    return Exhibit(
        ENTRY,
        "For the mean test accuracy of DP at each of its sizes: the smallest static size that does as well, read off "
        "linearly in the logarithm of the size, and how many times more images that is; not reached: no static size "
        f"measured does as well. Mean over {seeds(counts)}, 95% interval over seeds. In {below} of "
        f"{len(measured)} rows measured here static needs fewer images than DP by the means. The last rows apply the "
        "same to the single runs of the paper's table 5 (ImageNet-1k), below as printed: beside table 1 its columns of "
        f"ImageNet-Sketch and -R look swapped. {NOT_COMPARABLE}",
        rows,
        table=rows,
        published=published.table(5),
    )


def compare(static: Curve, dp: Curve) -> Rows:
    """Return one row per DP size."""
    return [
        {
            "DP images": each.dp_size,
            "DP %": spread(dp[each.dp_size]),
            "static's best %": round(max(float(np.mean(values)) for values in static.values()), 2),
            "static images as good": "not reached" if each.static_size is None else round(each.static_size),
            "fewer": None if each.ratio is None else round(each.ratio, 2),
            "95% interval": None if each.interval[0] < 0 else " to ".join(dict.fromkeys(map(_ratio, each.interval))),
        }
        for each in equivalents(static, dp)
    ]


def _ratio(value: float) -> Any:
    return "not reached" if np.isinf(value) else f"{value:.2f}"
