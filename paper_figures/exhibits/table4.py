"""Table 4: the scaling runs in detail, ours beside the published rows."""

from statistics import mean
from typing import Any

from paper_figures.drawing import published
from paper_figures.drawing.exhibit import MEASURED, Entry, Exhibit, Rows
from paper_figures.drawing.shared import LEARNERS, NOT_COMPARABLE, grouped, scaling, seeds, spread

ENTRY = Entry("table4", "Table 4: details of the scaling runs", MEASURED, 24, ("scaling", "tuned"))

COLUMNS = ("method", "n_initial", "n_per_round", "rounds", "images")
ORDER = ("DP", "omega = 0", "static")


def make(profile: str) -> Exhibit:
    """Make the exhibit from the scaling studies."""
    rows = []
    for (setting, learner), outcomes in scaling(profile, ()).items():
        groups = sorted(grouped(outcomes, *COLUMNS).items(), key=lambda item: (ORDER.index(item[0][0]), item[0][4]))
        rows += [{"learner": LEARNERS[learner], "settings": setting, **_summary(group)} for _, group in groups]
    return Exhibit(
        ENTRY,
        f"Every row is the mean ± half its 95% interval over its {seeds(row['seeds'] for row in rows)}; Fashion-MNIST, "
        "percent of real images, which are never trained on. N initial images, P an addition, k additions. By "
        "patience: share of the additions that patience triggered; an even schedule made the overdue ones. Branch-out: "
        "mean iteration at which the branch stopped adding images; empty for full runs. "
        f"Stands for table 4 (ImageNet-100), below. {NOT_COMPARABLE}",
        rows,
        table=rows,
        published=published.table(4),
    )


def _summary(rows: Rows) -> dict[str, Any]:
    first = rows[0]
    grows = first["method"] != "static"
    branches = [row["branch_iteration"] for row in rows if row["branch_iteration"] is not None]
    additions = sum(row["rounds"] for row in rows)
    return {
        "method": first["method"],
        "guidance scale": first["guidance_scale"],
        "iterations": first["iterations"],
        "N": first["n_initial"],
        "P": first["n_per_round"] if grows else None,
        "k": first["rounds"] if grows else None,
        "final size": first["images"],
        "omega": first["omega"] if grows else None,
        "patience": first["patience"] if grows else None,
        "by patience": f"{sum(r['by_patience'] for r in rows) / additions:.0%}" if additions else None,
        "branch-out": round(mean(branches)) if branches else None,
        "validation %": spread([row["validation_accuracy"] for row in rows]),
        "test %": spread([row["test_accuracy"] for row in rows]),
        "seeds": len(rows),
    }
