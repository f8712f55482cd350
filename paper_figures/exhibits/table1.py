"""Table 1: every way of training, on test images, shifted ones and hard ones."""

from statistics import mean
from typing import Any

from experiments.analysis.hard_images import correct, hard_images
from experiments.analysis.table import rows as read
from experiments.data.shift_sets import SHIFTS
from paper_figures.drawing import published
from paper_figures.drawing.exhibit import MEASURED, Entry, Exhibit, Rows
from paper_figures.drawing.shared import LEARNERS, NOT_COMPARABLE, SETTINGS, grouped, missing, seeds, spread

ENTRY = Entry(
    "table1",
    "Table 1: real data, static sets, pruning and Deliberate Practice (DP)",
    MEASURED,
    21,
    ("comparison", "scaling", "tuned"),
)


def make(profile: str) -> Exhibit:
    """Make the exhibit from the comparison and scaling studies."""
    mask = hard_images(profile, [f"comparison-{learner}" for learner in LEARNERS])
    rows: Rows = []
    best = []
    for learner in LEARNERS:
        real = sorted(read(profile, f"comparison-{learner}", method="real"), key=lambda row: row["images"])
        rows += [{"settings": "", **row} for row in real]
        for setting in SETTINGS:
            pruned = read(profile, f"comparison-{learner}", method="prune", setting=setting)
            whole = [*read(profile, f"scaling-{setting}-{learner}", branch_iteration=None), *pruned]
            rows += [{"settings": setting, **row} for row in chosen(whole)]
            if whole:
                best.append(f"{LEARNERS[learner]}, {setting}: {_best(whole)}")
    if not rows:
        raise missing("comparison", profile)
    groups = grouped(rows, "learner", "settings", "method", "images", "n_initial")
    table = [{**_what(group[0]), **_measured(group, mask)} for group in groups.values()]
    hard = (
        f"the {mask.sum():,} test images that most of the real-trained reference learners get wrong, so that learners "
        "trained on real images are at a disadvantage there, the more the more they are like those; a learner that is "
        "worse on test images is often better on these, and this column is no measure of robustness"
    )
    return Exhibit(
        ENTRY,
        f"Percent, mean ± half its 95% interval over {seeds(map(len, groups.values()))}. Generated counts "
        "images made, those pruned away too. Outline, rendition, corruption and geometric are the mean over sets of "
        "changed test images, which stand for ImageNet-Sketch, -R and -V2; hard, which stands for ImageNet-A: "
        f"{hard if mask.any() else 'no reference learners yet'}. Equal: one guidance scale and one set of settings; "
        "tuned: each method at the best that its own search found (the table of the search). Real-data training has "
        "the equal settings and was not tuned. Highest test accuracy without real training images, of all sizes run: "
        f"{'; '.join(best) or 'none yet'}. "
        "Stands for table 1, whose rows are below (DP with "
        f"lambda_cfg = 2). {NOT_COMPARABLE}",
        table,
        table=table,
        published=published.table(1),
    )


def chosen(rows: Rows) -> Rows:
    """Pick static at the size of the pruned runs and its largest, the pruned runs, DP at that size and its largest."""
    small = {row["images"] for row in rows if row["method"] == "prune"}
    found: Rows = []
    for method in ("static", "prune", "DP"):
        mine = [row for row in rows if row["method"] == method]
        sizes = {row["images"] for row in mine}
        found += [
            row
            for size in sorted(sizes & small | {max(sizes)} if sizes else ())
            for row in mine
            if row["images"] == size
        ]
    return found


def _best(rows: Rows) -> str:
    groups = grouped(rows, "method", "images")
    method, size = max(groups, key=lambda key: mean(row["test_accuracy"] for row in groups[key]))
    return f"{method} with {size:,} images"


def _what(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "learner": LEARNERS[row["learner"]],
        "settings": row["settings"],
        "method": row["method"],
        "iterations": row["iterations"],
        "data size": row["images"],
        "generated": row["generated"],
    }


def _measured(group: Rows, mask: Any) -> dict[str, Any]:
    hard = 100 * correct(row["test_predictions"] for row in group)[:, mask].mean(1) if mask.any() else []
    return {
        "validation %": spread([row["validation_accuracy"] for row in group]),
        "test %": spread([row["test_accuracy"] for row in group]),
        **{f"{kind} %": spread([row[kind] for row in group], 1) for kind in SHIFTS},
        "hard %": spread(list(map(float, hard)), 1),
        "seeds": len(group),
    }
