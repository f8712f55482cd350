"""Table 3: ablation of omega, patience and sampling."""

from typing import Any

from paper_figures.drawing import published
from paper_figures.drawing.exhibit import MEASURED, Entry, Exhibit, Rows
from paper_figures.drawing.shared import NOT_COMPARABLE, grouped, rows_of, seeds, spread

ENTRY = Entry("table3", "Table 3: ablation", MEASURED, 23, ("ablation",))

ROWS = ("base", "omega-zero", "omega-small", "omega-large", "patience-fixed", "newest-twice")


def make(profile: str) -> Exhibit:
    """Make the exhibit from the ablation study."""
    found = grouped(rows_of(profile, "ablation"), "variant")
    groups = {name: found[(name,)] for name in ROWS if (name,) in found}
    table = [_row(runs) for runs in groups.values()]
    tests = {name: sum(run["test_accuracy"] for run in runs) / len(runs) for name, runs in groups.items()}
    best = max(tests, key=lambda name: tests[name])
    return Exhibit(
        ENTRY,
        "The first row has patience that grows, as the paper's table has; the others change one part of it. The other "
        "studies here have fixed patience, the fifth row. Mean ± half its 95% interval over "
        f"{seeds(row['seeds'] for row in table)}, percent of real images. Omegas are in the paper's proportions. Best "
        f"test accuracy here: {best.replace('-', ' ')}. Stands for table 3 "
        f"(ImageNet-100), below, whose held-out test is the real training set. {NOT_COMPARABLE}",
        table,
        table=table,
        published=published.table(3),
    )


def _row(runs: Rows) -> dict[str, Any]:
    first = runs[0]
    weight = first["newest_weight"]
    return {
        "omega": first["omega"],
        "patience": "incremental" if first["incremental"] else "fixed",
        "initial patience": first["patience"],
        "batch sampling": "uniform" if weight == 1 else f"newest {weight:g} times as often",
        "images": first["images"],
        "validation %": spread([run["validation_accuracy"] for run in runs]),
        "test %": spread([run["test_accuracy"] for run in runs]),
        "seeds": len(runs),
    }
