"""The search for each method's own best settings."""

from typing import Any

from experiments.studies.tuning import GROWING, METHODS, SHARED, additions_of
from paper_figures.drawing.exhibit import MEASURED, Entry, Exhibit, Rows
from paper_figures.drawing.shared import LEARNERS, grouped, rows_of

ENTRY = Entry("tuning", "The search: every method's settings", MEASURED, 30, ("tuning",))

RANGES = {
    "guidance scale": SHARED["guidance_scale"],
    "learning rate": SHARED["lr"],
    "patience": METHODS["DP"]["patience"],
    "omega": METHODS["DP"]["omega"],
    "over-sampling": METHODS["prune"]["over_sampling"],
}


def make(profile: str) -> Exhibit:
    """Make the exhibit from the tuning study."""
    rows = [_row(run) for run in rows_of(profile, "tuning")]
    searches = grouped(
        sorted(rows, key=lambda r: (list(LEARNERS.values()).index(r["learner"]), r["method"])), "learner", "method"
    )
    for search in searches.values():
        max(search, key=lambda row: row["validation %"])["best"] = "best"
    table = [row for search in searches.values() for row in sorted(search, key=lambda row: row["trial"])]
    sizes = sorted({len(search) for search in searches.values()})
    return Exhibit(
        ENTRY,
        f"{' to '.join(map(str, dict.fromkeys((sizes[0], sizes[-1]))))} trials a method and learner, one run (one "
        "seed) each, all with the same number of images in the end; judged on real validation images, never on test "
        "images. Noise levels: at which guidance acts, 0 = clean. An empty cell is an axis that the method does not "
        "have. The best of a search is partly luck: the other studies run the settings it ends with on seeds of "
        f"their own. The paper has no such table.",
        table,
        table=table,
        answer=f"best at the end of its range, beyond which there may be better: {_ends(table)}",
    )


def _ends(table: Rows) -> str:
    found = []
    lengths = {row["iterations"] for row in table}
    for row in (row for row in table if row["best"]):
        ranges = RANGES | {"iterations": lengths} | _of_growing(row)
        at = [
            f"{axis} {row[axis]:g}"
            for axis, values in ranges.items()
            if len(set(values)) > 2 and row[axis] in (min(values), max(values))
        ]
        if at:
            found.append(f"{row['learner']}, {row['method']}: {', '.join(at)}")
    return "; ".join(found) or "none"


def _of_growing(row: dict[str, Any]) -> dict[str, list[int]]:
    """Return the numbers N and k that the search chooses from, for a run that grows to this row's size."""
    if not row["k"]:
        return {}
    added = row["k"] * row["P"]
    return {
        "N": [round((row["N"] + added) * share) for share in GROWING["initial"]],
        "k": [additions_of(added, about) for about in GROWING["additions"]],
    }


def _row(run: dict[str, Any]) -> dict[str, Any]:
    method = run["method"]
    grows = method != "static"
    return {
        "learner": LEARNERS[run["learner"]],
        "method": method,
        "trial": int(run["variant"]),
        "validation %": round(run["validation_accuracy"], 2),
        "best": "",
        "guidance scale": run["guidance_scale"],
        "learning rate": run["lr"],
        "iterations": run["iterations"],
        "N": run["n_initial"],
        "P": run["n_per_round"] if grows else None,
        "k": run["planned"] if grows else None,
        "patience": run["patience"] if grows else None,
        "omega": run["omega"] if method == "DP" else None,
        "noise levels": f"{run['window_low']:g} to {run['window_high']:g}" if method == "DP" else None,
        "over-sampling": run["over_sampling"] if method == "prune" else None,
    }
