"""Question: is it entropy that does it?"""

from paper_figures.drawing.exhibit import QUESTIONS, Entry, Exhibit
from paper_figures.drawing.shared import seeds
from paper_figures.drawing.variants import DRAWN, baselines, clear, figure_of, points, table, variants

ENTRY = Entry(
    "objectives",
    "Question: is it entropy that does it, and what do simpler ways reach?",
    QUESTIONS,
    6,
    ("objectives", "scaling"),
)
NAMES = {
    "margin": "DP by margin",
    "loss": "DP by loss",
    "disagreement": "DP by disagreement",
    "random_strength": "DP, random strength",
    "half_plain": "DP, half plain",
    "static_mixed": "static + Mixup and CutMix",
    "static_cropped": "static + resized crops",
}


def make(profile: str) -> Exhibit:
    """Make the exhibit from the study of objectives."""
    found = variants(profile, "objectives", NAMES)
    known = baselines(profile, found)
    base = known.get("DP")
    others = [each for name, each in known.items() if name != "DP"] + found
    shown = [*([base] if base else []), *others]
    return Exhibit(
        ENTRY,
        f"{DRAWN} "
        "Guidance by other objectives than entropy (DP, the first line), at the same omega; a strength of each image's "
        "own; guided images mixed with as many plain ones; plain images that come late (omega = 0); and static "
        "training on as many images, with and without stronger augmentation. ConvNet, guidance scale 3, "
        f"{seeds(len(each.runs) for each in shown)}.",
        points(shown),
        figure_of(shown),
        table=table(shown, base),
        answer=clear(others, base),
    )
