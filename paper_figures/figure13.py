"""Figure 13: initial images beside those of the last addition."""

from paper_figures.exhibit import Exhibit
from paper_figures.figure11 import rows_and_diversity, side_by_side
from paper_figures.pictures import grids

STUDIES = ("grids",)


def make(profile: str) -> Exhibit:
    """From the grids study."""
    result = grids(profile)
    pools, additions = result["pools"], len(result["additions"])
    table = [
        {"images": name} | {measure: round(value, 3) for measure, value in found.items()}
        for name, found in result["diversity"].items()
    ]
    return Exhibit(
        "figure13",
        "Figure 13: the initial pool beside the last addition",
        f"The first images of each class of a DP run's initial pool (above) and of its last addition, number "
        f"{additions} (below). The table: precision, recall and coverage of {result['config']['images']:,} plain, "
        "guided and pruned images against real validation images, in the oracle's features; guided and pruned by the "
        f"run's last learner. One run. Stands for figure 13.",
        rows_and_diversity(pools, result["diversity"]),
        side_by_side({"initial pool": pools["initial"], f"addition {additions}": pools["last"]}),
        table=table,
    )
