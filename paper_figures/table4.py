"""Table 4: the scaling runs in detail, ours beside the published rows."""

from statistics import mean, stdev
from typing import Any

from paper_figures import published
from paper_figures.exhibit import Exhibit, Rows
from paper_figures.scaling_results import outcomes

SETTINGS = ("guidance_scale", "method", "n_initial", "n_per_round", "rounds", "pool_size", "omega", "patience")


def make(profile: str) -> Exhibit:
    """From the scaling study."""
    groups: dict[tuple[Any, ...], Rows] = {}
    for row in outcomes(profile):
        groups.setdefault(tuple(row[name] for name in SETTINGS), []).append(row)
    order = {"DP": 0, "omega = 0": 1, "static": 2, "real": 3}
    rows = [
        _summary(key, groups[key]) for key in sorted(groups, key=lambda k: (-(k[0] or 99), order[k[1]], k[5], k[2]))
    ]
    return Exhibit(
        "table4",
        "Table 4: details of the scaling runs",
        "Every row is the mean (standard deviation) over its seeds, Fashion-MNIST, real images never trained on "
        "except in "
        "rows marked real. N initial images, P an addition, k additions. By patience: share of the additions "
        "that patience triggered; an even schedule made the overdue ones. Branch-out: mean iteration at which "
        "the branch "
        "stopped adding images; empty for full runs. Below, the rows published for ImageNet-100 (arXiv 2502.15588v1).",
        rows,
        table=rows,
        published=published.table(4),
    )


def _summary(key: tuple[Any, ...], rows: Rows) -> dict[str, Any]:
    settings = dict(zip(SETTINGS, key, strict=True))
    grows = settings["method"] in ("DP", "omega = 0")
    branches = [row["branch_iteration"] for row in rows if row["branch_iteration"]]
    additions = sum(row["rounds"] for row in rows)
    return {
        "guidance scale": settings["guidance_scale"],
        "method": settings["method"],
        "N": settings["n_initial"],
        "P": settings["n_per_round"] if grows else None,
        "k": settings["rounds"] if grows else None,
        "final size": settings["pool_size"],
        "omega": settings["omega"] if grows else None,
        "patience": settings["patience"] if grows else None,
        "by patience": f"{sum(r['triggered_by_patience'] for r in rows) / additions:.0%}" if additions else None,
        "branch-out": round(mean(branches)) if branches else None,
        "validation %": _spread([row["validation_accuracy"] for row in rows]),
        "test %": _spread([row["test_accuracy"] for row in rows]),
        "seeds": len(rows),
    }


def _spread(values: list[float]) -> str:
    return f"{mean(values):.2f} ({stdev(values):.2f})" if len(values) > 1 else f"{values[0]:.2f}"
