"""Question: can it run without real images, by a signal of its own or on a schedule?"""

from paper_figures.drawing.exhibit import QUESTIONS, Entry, Exhibit
from paper_figures.drawing.shared import seeds
from paper_figures.drawing.variants import DRAWN, baselines, clear, figure_of, points, table, variants

ENTRY = Entry("signals", "Question: can it run without real images?", QUESTIONS, 2, ("signals", "scaling"))
NAMES = {
    "synthetic": "held-out generated images",
    "loss": "training loss",
    "agreement": "agreement of weights and average",
    "schedule": "no signal: even schedule",
    "real_alone": "real, no schedule behind it",
    "synthetic_alone": "held-out generated, no schedule",
    "loss_alone": "training loss, no schedule",
    "agreement_alone": "agreement, no schedule",
}


def make(profile: str) -> Exhibit:
    """Make the exhibit from the study of signals."""
    found = variants(profile, "signals", NAMES)
    base = baselines(profile, found).get("DP")
    shown = [*([base] if base else []), *found]
    return Exhibit(
        ENTRY,
        f"{DRAWN} "
        "What must stop improving before images are added: real validation (DP, the first line), or signals that need "
        "no real image. An even schedule makes overdue additions; in the last lines it does not, and a run may end "
        f"with fewer. ConvNet, guidance scale 3, {seeds(len(each.runs) for each in shown)}.",
        points(shown),
        figure_of(shown),
        table=table(shown, base),
        answer=clear(found, base),
    )
