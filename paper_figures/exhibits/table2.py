"""Table 2: generators, their diversity, and what training on each gives."""

from typing import Any

from experiments.analysis.generators import by_seed, diversities, runs
from paper_figures.drawing import published
from paper_figures.drawing.exhibit import MEASURED, Entry, Exhibit, Rows
from paper_figures.drawing.shared import NOT_COMPARABLE, missing, seeds, spread

ENTRY = Entry("table2", "Table 2: the choice of the generator", MEASURED, 22, ("generators",))


def make(profile: str) -> Exhibit:
    """Make the exhibit from the generators study."""
    found, measured = runs(profile), diversities(profile)
    if not (found or measured):
        raise missing("generators", profile)
    table = [_row(name, measured.get(name, {}), found.get(name, [])) for name in measured | found]
    order = sorted(table, key=lambda row: -(row["recall"] or 0))
    compared = [row for row in order if row["difference"]]
    lost = [row["generator"] for row in compared if row["difference"].startswith("-")]
    better = f"DP is above static on {len(compared) - len(lost)} of {len(compared)} generators that have both"
    better += f", below on: {', '.join(lost)}." if lost else "."
    return Exhibit(
        ENTRY,
        "Generators by recall of real validation images in the oracle's features, the most diverse first: the "
        "repository's at several classifier-free guidance scales, and two weaker ones (narrow: fewer channels; short "
        "training). Recognised: share of images that the oracle, trained on real images, takes for their class. "
        "Static training and DP end with as many images; accuracies are on real test images, mean (standard "
        f"deviation) over {seeds(row['seeds'] for row in table)}; the difference is of runs that have their seed in "
        f"common. {better} Stands for table 2 (ImageNet-100, static, versions of Stable Diffusion), below. "
        f"{NOT_COMPARABLE}",
        order,
        table=order,
        published=published.table(2),
    )


def _row(label: str, found: dict[str, Any], trained: Rows) -> dict[str, Any]:
    tests = {method: by_seed(trained, method) for method in ("static", "DP")}
    gaps = [tests["DP"][seed] - tests["static"][seed] for seed in tests["DP"] if seed in tests["static"]]
    return {
        "generator": label.replace("-", " "),
        "guidance scale": trained[0]["guidance_scale"] if trained else found["config"]["guidance_scale"],
        **{measure: round(found[measure], 3) if found else None for measure in ("recall", "coverage", "precision")},
        "recognised %": round(100 * found["recognised"], 1) if found else None,
        "images": max((run["images"] for run in trained), default=None),
        "static %": spread(list(tests["static"].values())),
        "DP %": spread(list(tests["DP"].values())),
        "difference": spread(gaps),
        "seeds": max(map(len, tests.values())),
    }
