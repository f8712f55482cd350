"""Figure 13: the initial pool beside the final one."""

from paper_figures.drawing.exhibit import MEASURED, Entry, Exhibit
from paper_figures.drawing.pictures import grids
from paper_figures.exhibits.figure11 import diversity_table, rows_and_diversity, side_by_side

ENTRY = Entry("figure13", "Figure 13: the initial pool beside the final one", MEASURED, 13, ("grids",))


def make(profile: str) -> Exhibit:
    """Make the exhibit from the grids study."""
    result = grids(profile)
    additions = len(result["additions"])
    names = {"initial": "initial pool", "final": "final pool", "last": f"addition {additions}"}
    pools = {names[key]: pictures for key, pictures in result["pools"].items()}
    measured = {names[key]: found for key, found in result["pool_diversity"].items()}
    initial, final = measured.values()
    return Exhibit(
        ENTRY,
        "Above, the first images of each class of a DP run's initial pool; in the middle, of the images drawn from "
        f"its final pool, initial ones among them; below, of its last addition, number {additions}. Diversity is "
        f"measured against {result['config']['n_initial']:,} real validation images, in the oracle's features. "
        "Stands for figure 13.",
        rows_and_diversity(pools, measured),
        side_by_side(pools),
        table=diversity_table(measured),
        answer=f"in one run, as many images drawn from the final pool as the initial one has reach "
        f"{'more' if final['recall'] > initial['recall'] else 'no more'} of the real images (recall), at "
        f"{'lower' if final['precision'] < initial['precision'] else 'no lower'} precision",
    )
