"""Table 3: ablation of omega, patience and sampling."""

from typing import Any

from paper_figures.drawing import published
from paper_figures.drawing.exhibit import MEASURED, Entry, Exhibit
from paper_figures.drawing.shared import NOT_COMPARABLE, results_of, seeds, spread

ENTRY = Entry("table3", "Table 3: ablation", MEASURED, 23, ("ablation",))

ROWS = ("base", "omega-zero", "omega-small", "omega-large", "patience-fixed", "newest-twice")


def make(profile: str) -> Exhibit:
    """From the ablation study."""
    results = results_of(profile, "ablation")
    groups = {name: [result for stem, result in results.items() if stem.rsplit("-", 1)[0] == name] for name in ROWS}
    table = [_row(runs) for runs in groups.values() if runs]
    tests = {
        name: sum(run["outcomes"][-1]["test_accuracy"] for run in runs) / len(runs)
        for name, runs in groups.items()
        if runs
    }
    best = max(tests, key=lambda name: tests[name])
    return Exhibit(
        ENTRY,
        "The first row has patience that grows, as the paper's table has; the others change one part of it. The other "
        "studies here have fixed patience, the fifth row. Mean (standard deviation) over "
        f"{seeds(row['seeds'] for row in table)}, percent of real images. Omegas are in the paper's proportions. Best "
        f"test accuracy here: {best.replace('-', ' ')}. Stands for table 3 "
        f"(ImageNet-100), below, whose held-out test is the real training set. {NOT_COMPARABLE}",
        table,
        table=table,
        published=published.table(3),
    )


def _row(runs: list[dict[str, Any]]) -> dict[str, Any]:
    config = runs[0]["config"]
    weight = config["newest_weight"]
    return {
        "omega": config["guidance"]["omega"],
        "patience": "incremental" if config["incremental"] else "fixed",
        "initial patience": config["patience"],
        "batch sampling": "uniform" if weight == 1 else f"newest {weight:g} times as often",
        "images": runs[0]["outcomes"][-1]["pool_size"],
        "validation %": spread([run["outcomes"][-1]["validation_accuracy"] for run in runs]),
        "test %": spread([run["outcomes"][-1]["test_accuracy"] for run in runs]),
        "seeds": len(runs),
    }
