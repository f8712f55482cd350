"""Question: does practice gain more, the less the generator has seen of the target?"""

import numpy as np
from matplotlib import pyplot as plt

from experiments.analysis import foreign
from experiments.verdicts.foreign import foreign_generator
from paper_figures.drawing.exhibit import QUESTIONS, Entry, Exhibit
from paper_figures.drawing.shared import missing, seeds, spread
from paper_figures.drawing.style import COLOURS, at_width, style

ENTRY = Entry(
    "fonts_gap",
    "Question: does practice gain more, the less the generator has seen of the target?",
    QUESTIONS,
    0,
    ("fonts_gap",),
)


def make(profile: str) -> Exhibit:
    """Draw the gain of each generator, those that have seen the least first."""
    gaps = foreign.gaps(profile)
    if not gaps:
        raise missing("fonts_gap", profile)
    with style():
        figure, axis = plt.subplots(figsize=at_width(6.75, 2.8), layout="constrained")
        low = [each["gain"] - max(each["interval"][0], -100) for each in gaps.values()]
        high = [min(each["interval"][1], 100) - each["gain"] for each in gaps.values()]
        gain = [each["gain"] for each in gaps.values()]
        axis.errorbar(range(len(gaps)), gain, [low, high], fmt="o-", capsize=2, color=COLOURS["DP"])
        axis.axhline(0, color="#555555", linewidth=0.8)
        names = [f"{seen}%\n{100 - float(np.mean(each['static'])):.1f}% wrong" for seen, each in gaps.items()]
        axis.set_xticks(range(len(gaps)), names)
        axis.set_xlabel("handwriting among the generator's training images; below, error of static training")
        axis.set_ylabel("DP minus static (points)")
    table = [
        {
            "handwriting seen %": seen,
            "static %": spread(each["static"]),
            "DP %": spread(each["DP"]),
            "DP minus static": f"{each['gain']:+.2f} ({each['interval'][0]:+.2f} to {each['interval'][1]:+.2f})",
            "chosen": ", ".join(each["chosen"].values()),
            "seeds": each["seeds"],
        }
        for seen, each in gaps.items()
    ]
    rows = [
        {"handwriting_seen_percent": seen, "seed_rank": i, "static": static, "DP": dp}
        for seen, each in gaps.items()
        for i, (static, dp) in enumerate(zip(each["static"], each["DP"], strict=True))
    ]
    found = foreign_generator(profile).get("C12")
    answer = ""
    if found:
        low_, high_ = found["interval"]
        answer = (
            "The gain on the generator that has seen the least, minus that on the one that has seen the most: "
            f"{found['effect']:+.2f} points ({low_:+.2f} to {high_:+.2f})."
        )
    return Exhibit(
        ENTRY,
        "Generators whose training images were handwriting to that percentage, printed digits for the rest. ConvNet, "
        "one final size. Static training takes the better of two guidance scales, practice the best of two scales and "
        "two ways of guiding, for each seed as validation says of the others. 95% intervals of the seeds' differences, "
        f"{seeds(each['seeds'] for each in gaps.values())}.",
        rows,
        figure,
        table=table,
        answer=answer,
    )
