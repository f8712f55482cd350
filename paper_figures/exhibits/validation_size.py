"""Question: how many real validation images does patience need?"""

from dataclasses import replace

from paper_figures.drawing.exhibit import QUESTIONS, Entry, Exhibit
from paper_figures.drawing.shared import rows_of, seeds
from paper_figures.drawing.variants import DRAWN, baselines, clear, figure_of, points, table, variants

ENTRY = Entry(
    "validation_size",
    "Question: how many real validation images does patience need?",
    QUESTIONS,
    1,
    ("validation_size", "scaling"),
)


def make(profile: str) -> Exhibit:
    """Make the exhibit from the study of validation sizes."""
    sizes = sorted({run["validation_images"] for run in rows_of(profile, "validation_size")})
    names = {size: f"{size:,} validation images" for size in sizes}
    named = variants(profile, "validation_size", names, "validation_images")
    base = baselines(profile, named).get("DP")
    if base:
        base = replace(base, name="all 5,000 (DP)")
    shown = [*named, *([base] if base else [])]
    return Exhibit(
        ENTRY,
        f"{DRAWN} DP runs of one setting whose plateaus are told by a random part of the 5,000 "
        "real validation images, or all of them. ConvNet, guidance scale 3, "
        f"{seeds(len(each.runs) for each in shown)}. The first addition's iteration and the share that patience "
        "asked for say when additions came.",
        points(shown),
        figure_of(shown),
        table=table(shown, base),
        answer=clear(named, base),
    )
