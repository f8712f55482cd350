"""Show the size of each further fault found in print, against simulation."""

from experiments.studies.theory_errata import errata_table
from paper_figures.drawing.exhibit import THEORY, Entry, Exhibit
from paper_figures.drawing.theory_plots import listed, theory_rows

ENTRY = Entry("theory_errata_sizes", "Errata: other printed forms, and how far off each is", THEORY, 4, ("theory",))


def make(profile: str) -> Exhibit:
    """Make the table from the theory study."""
    rows = theory_rows(profile, "errata_sizes")
    pools, ridges, rhos = (sorted({row[name] for row in rows}) for name in ("n_pool", "ridge", "rho"))
    caption = (
        "Squared loss. Forms of arXiv 2502.15588 v1 (February 2025), by a single reading of it, each way it can be "
        f"read, against simulation: d = {rows[0]['d']}, n {listed(pools)}, ridge {listed(ridges)}, alignment "
        f"{listed(rhos)}, the hardest rows kept; without a ridge, settings beside the interpolation threshold are "
        "left out. Corollary 1 with one beta has no value where its cosine passes 1, which is not counted. In "
        "brackets: standard errors."
    )
    return Exhibit(ENTRY, caption, rows, table=errata_table(rows))
