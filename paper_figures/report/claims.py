"""The paper's claims part by part: what was published, what was measured with its interval, and whether it holds.

The rows of the forest plot that opens the report. A part's verdict follows the rule of its claim in
experiments/verdicts, and all parts together give the claim's verdict.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from experiments.analysis.efficiency import NEAR
from experiments.verdicts.ablation import MARGIN
from experiments.verdicts.verdict import above, below, between, in_words, of_all
from paper_figures.drawing import published
from paper_figures.drawing.exhibit import Rows

HOLDS = {True: "holds here", False: "does not hold here", None: "not decided here"}
KINDS = {  # verdict -> its colour's name in the style sheet
    "holds here": "holds",
    "holds in part": "part",
    "does not hold here": "not",
    "not decided here": "open",
    "not tested here": "untested",
}
TALLY = {  # verdict -> what one claim does, what several do
    "holds here": ("holds", "hold"),
    "holds in part": ("holds in part", "hold in part"),
    "does not hold here": ("does not hold", "do not hold"),
    "not decided here": ("is not decided", "are not decided"),
    "not tested here": ("is not tested", "are not tested"),
}


@dataclass(frozen=True)
class Part:
    """One part of a claim, such as a learner with one way of choosing settings.

    Attributes:
        name: the part in words.
        measured: the value with its 95% interval, in words.
        verdict: of this part alone.
        published: the paper's value in words; "" where it has none to compare with.
        value, low, high, paper: places on the plot (see `place`) of the value, its interval and the published value;
            None for what is not drawn.
        note: what else a reader must know of the part.
    """

    name: str
    measured: str
    verdict: str
    published: str = ""
    value: float | None = None
    low: float | None = None
    high: float | None = None
    paper: float | None = None
    note: str = ""


def parts(claim: dict[str, Any]) -> list[Part]:
    """Return the parts of a claim.

    Args:
        claim: as `experiments.verdicts.as_json` lists it.
    """
    if claim["verdict"] == "not tested here":
        return [Part("", claim["measured"], claim["verdict"])]
    return PARTS[claim["id"]](claim)


def place(value: float, unit: str) -> float:
    """Return the place on the plot in percent of its width: both scales have "no difference" at 25.

    Fifteen percent are 5 points, or a factor of 4.
    """
    share = 25 + 15 * (value / 5 if unit == "points" else math.log(value, 4) if value > 0 else -math.inf)
    return min(max(share, 0.0), 100.0)


def tally(claims: Rows) -> list[tuple[str, str]]:
    """Return how many claims have each verdict: (name of the colour, words), without verdicts that none has."""
    counts = Counter(claim["verdict"] for claim in claims)
    return [(KINDS[verdict], f"{n} {said[n > 1]}") for verdict, said in TALLY.items() if (n := counts[verdict])]


def answer(claims: Rows) -> str:
    """Return one sentence on the paper's main claim: where Deliberate Practice is better than static training."""
    found: dict[str, Any] = next((each.get("comparisons", {}) for each in claims if each["id"] == "C2"), {})
    said = []
    for setting, words in (
        ("equal", "With one set of settings for all methods, as the paper compares,"),
        ("tuned", "with each method tuned by its own search,"),
    ):
        better = [
            in_words(name.split("-")[1])
            for name, each in sorted(found.items())
            if name.startswith(setting) and above(_interval(each["interval"]), 0)
        ]
        of = sum(name.startswith(setting) for name in found)
        if not of:
            continue
        told = {0: "with neither learner"}.get(len(better), f"with the {' and the '.join(better)}")
        said.append(f"{words} it beats the best static training {told}{' alone' * (0 < len(better) < of)}")
    return f"{'; '.join(said)}." if said else "Static training and Deliberate Practice have not both been run yet."


def _interval(found: Sequence[float | None]) -> tuple[float, float]:
    """Return an interval read from JSON, where an end that is not finite is null."""
    low, high = found
    return -math.inf if low is None else low, math.inf if high is None else high


def _points(
    name: str, gain: float, interval: Sequence[float | None] | None, holds: bool | None, paper: float | None = None,
    note: str = "",
) -> Part:  # fmt: skip
    """Return a part that is a difference in points."""
    low, high = _interval(interval or (gain, gain))
    spread = f" ({low:+.2f} to {high:+.2f})" if interval and math.isfinite(low) and low < high else ""
    return Part(
        name,
        f"{gain:+.2f} points{spread}",
        HOLDS[holds],
        "" if paper is None else f"{paper:+.2f}",
        place(gain, "points"),
        place(low, "points") if spread else None,
        place(high, "points") if spread else None,
        None if paper is None else place(paper, "points"),
        note,
    )


def _ratio(name: str, found: dict[str, Any], holds: bool | None, paper: float | None = None, note: str = "") -> Part:
    """Return a part that is a ratio; `found` has ratio, interval and whether the ratio is a lower bound."""
    ratio, (low, high) = found["ratio"], found["interval"]
    said = "never reached" if ratio is None else f"{ratio:.1f} times{' or more' * bool(found.get('at_least'))}"
    drawn = low != high
    return Part(
        name,
        f"{said} ({between((low, high))})",
        HOLDS[holds],
        "" if paper is None else f"{paper:g} times",
        None if ratio is None else place(ratio, "x"),
        place(low, "x") if drawn else None,
        (100.0 if high is None else place(high, "x")) if drawn else None,
        None if paper is None else place(paper, "x"),
        note,
    )


def _named(name: str) -> str:
    """Return a comparison such as "tuned-convnet" in words, the learner first."""
    setting, _, learner = name.partition("-")
    return f"{in_words(learner)}, {setting} settings" if setting == "equal" else f"{in_words(learner)}, {setting}"


def _waiting(claim: dict[str, Any]) -> list[Part]:
    """Return the part that is open while no method is tuned."""
    return [] if "tuned-convnet" in claim["comparisons"] else [Part("each method tuned", "no runs yet", HOLDS[None])]


def _data_efficiency(claim: dict[str, Any]) -> list[Part]:
    rows = []
    for name, each in sorted(claim["comparisons"].items()):
        near = each["near"]
        said = "never reached" if near["ratio"] is None else f"{near['ratio']:.1f} times"
        note = f"within {NEAR:g} points of static's best: {said} ({between(near['interval'])})"
        rows.append(_ratio(_named(name), each, above(_interval(each["interval"]), 1), 7.5, note))
    return rows + _waiting(claim)


def _beats_static(claim: dict[str, Any]) -> list[Part]:
    curves = published.curves(5)
    best = {method: max(max(values) for values in curve.values()) for method, curve in curves.items()}
    paper = best["DP"] - best["static"]
    rows = [
        _points(
            _named(name), each["gain"], each["interval"], above(_interval(each["interval"]), 0), paper,
            f"{each['dp_size']:,} images against {each['static_size']:,}",
        )
        for name, each in sorted(claim["comparisons"].items())
    ]  # fmt: skip
    return rows + _waiting(claim)


def _less_of_everything(learner: str, paper: float):
    def rows(claim: dict[str, Any]) -> list[Part]:
        found = {"ratio": claim["effect"], "interval": claim["interval"]}
        return [
            _ratio(f"{learner}, tuned: images", found, above(_interval(claim["interval"]), 1), paper,
                   "against this repository's static training; the prior work is on ImageNet, see table 1"),
            Part("iterations", "set beforehand here", HOLDS[None]),
        ]  # fmt: skip

    return rows


def _shifted_images(claim: dict[str, Any]) -> list[Part]:
    note = "the generator has seen the images of real-data training and no other; the paper's has seen many styles"
    return [
        _points(in_words(name.replace("-", ", ")), each["gain"], each["interval"],
                above(_interval(each["interval"]), 0), 15.0, note)
        for name, each in claim["comparisons"].items()
    ]  # fmt: skip


def _cost(claim: dict[str, Any]) -> list[Part]:
    return [
        Part(
            "Stable Diffusion 1.5, every fifth step",
            f"{claim['effect']:.2f} times",
            claim["verdict"],
            "1.82 times",
            place(claim["effect"], "x"),
            paper=place(1.82, "x"),
            note="operations counted, not timed; other ways of guiding and the runs here: docs/guidance.md",
        )
    ]


def _cheaper_than_pruning(claim: dict[str, Any]) -> list[Part]:
    cost = {"ratio": claim["effect"], "interval": claim["interval"]}
    best = claim["best_gain_interval"]
    return [
        _ratio("one addition: cost at equal accuracy", cost, above(_interval(claim["interval"]), 1), 5.0),
        _points("one addition: best accuracy", claim["best_gain"], best, above(_interval(best), 0)),
        *[
            _points(f"{in_words(learner)}, tuned, {each['images']:,} images", each["gain"], each["interval"],
                    above(_interval(each["interval"]), 0))
            for learner, each in claim["tuned"].items()
        ],
    ]  # fmt: skip


def _too_much_selection(claim: dict[str, Any]) -> list[Part]:
    names = {"prune": "pruning", "exact": "guidance", "cheap": "cheap guidance"}
    optima = claim["optima"]
    rows = [
        _points(f"{words}, best at {optima[way]['best']:g}", optima[way]["lead"], optima[way]["interval"],
                optima[way]["holds"], note="lead of the best strength over the strongest")
        for way, words in names.items()
        if way in optima
    ]  # fmt: skip
    for ridge in ("fixed", "tuned"):
        found = [
            each["holds"]
            for name, each in optima.items()
            if name.startswith("theory") and name.endswith("tuned") == (ridge == "tuned")
        ]
        if found:
            said = f"an optimum inside in {sum(found)} of {len(found)} settings"
            rows.append(Part(f"theory, {ridge} ridge", said, HOLDS[all(found)]))
    return rows


def _timing_alone(claim: dict[str, Any]) -> list[Part]:
    rows = []
    for learner, each in claim["comparisons"].items():
        low, high = _interval(each["interval"])
        equal = True if -NEAR < low and high < NEAR else None if low <= 0 <= high else False
        part = _points(f"{in_words(learner)}, equal settings", each["gap"], each["interval"], None)
        rows.append(Part(**vars(part) | {"verdict": of_all([equal, equal or below((low, high), 0)])}))
    return rows


def _hardness(claim: dict[str, Any]) -> list[Part]:
    rows = []
    for name, each in sorted(claim["comparisons"].items()):
        if each["minus_plain"]:
            low, high = each["minus_plain"]
            gain, interval = each["plain_error"] - each["error"], (-high, -low)
            note = f"error {each['error']:.1f}% before they were added, plain additions {each['plain_error']:.1f}%"
            rows.append(_points(_named(name), gain, interval, above(_interval(interval), 0), note=note))
        else:
            low, high = each["interval"]
            gain, interval = 100 - each["error"], (100 - high, 100 - low)
            rows.append(_points(_named(name), gain, interval, above(_interval(interval), 0)))
    return rows


def _patience_and_sampling(claim: dict[str, Any]) -> list[Part]:
    rows = {(row["patience"], row["batch_sampling"], row["omega"]): row["real_val"] for row in published.table(3)}
    base = rows["incremental", "uniform", 0.05]
    newest = claim["newest_twice_interval"]
    return [
        _points("growing minus fixed patience", claim["effect"], claim["interval"],
                above(_interval(claim["interval"]), -MARGIN), base - rows["fixed", "uniform", 0.05],
                "how easy either is to tune was not measured"),
        _points("newest images twice as often", claim["newest_twice"], newest, below(_interval(newest), MARGIN),
                rows["incremental", "non-uniform", 0.05] - base),
    ]  # fmt: skip


def _diverse_generator(claim: dict[str, Any]) -> list[Part]:
    accuracies = [row["real_val"] for row in published.table(2)]
    recall, accuracy = claim["recall"], claim["accuracy"]
    most, least = (choose(recall, key=lambda g: recall[g]) for choose in (max, min))
    note = (
        f"static training on {most} (recall {recall[most]:.2f}) minus {least} ({recall[least]:.2f}); rank correlation "
        f"of recall and accuracy over {len(accuracy)}: {claim['rank_correlation']:.2f}"
    )
    return [
        _points("most minus least diverse", claim["effect"], claim["interval"],
                above(_interval(claim["interval"]), 0), max(accuracies) - min(accuracies), note),
        *([] if claim["rank_correlation"] > 0.5 else [Part("in rank", "no", HOLDS[False])]),
    ]  # fmt: skip


def _linear_model(claim: dict[str, Any]) -> list[Part]:
    holds, gap = claim["parts"], claim["largest_gap_to_simulation"]
    rows = [
        _points(f"keeping the hardest {claim['kept']:.0%}", claim["effect"], None, holds["better"]),
        Part("simulation", f"{gap:.2f} points off at most", HOLDS[holds["simulation agrees"]]),
    ]
    if "steeper" in holds:
        said = " against ".join(f"{exponent:.2f} ({name})" for name, exponent in claim["exponents"].items())
        rows.append(Part("exponent", said, HOLDS[holds["steeper"]]))
    for name, (own, plain) in claim.get("trained", {}).items():
        rows.append(Part(f"exponent, trained: {name}", f"{own:.2f} against {plain:.2f} (keep all)", HOLDS[holds[name]]))
    return rows


PARTS = {
    "C1": _data_efficiency,
    "C2": _beats_static,
    "C3": _less_of_everything("ConvNet", 3.4),
    "C4": _less_of_everything("ViT", 8.0),
    "C5": _shifted_images,
    "C6": _cost,
    "C7": _cheaper_than_pruning,
    "C8": _too_much_selection,
    "C9": _timing_alone,
    "C10": _hardness,
    "C11": _patience_and_sampling,
    "C12": _diverse_generator,
    "C13": _linear_model,
}
