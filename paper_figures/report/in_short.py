"""The main result in words: what Deliberate Practice saves and gains, a line a learner and way of choosing settings."""

from typing import Any

from experiments.analysis.efficiency import NEAR
from experiments.verdicts.verdict import between
from paper_figures.drawing.exhibit import Rows
from paper_figures.drawing.shared import title_of


def in_short(claims: Rows) -> list[str]:
    """Sentences from what is behind C1, C2, C7 and C12 (`experiments.verdicts.as_json`); none without runs."""
    by_id = {claim["id"]: claim for claim in claims}
    saved, gained = (by_id.get(id_, {}).get("comparisons", {}) for id_ in ("C1", "C2"))
    pruned = by_id.get("C7", {}).get("tuned", {})
    return [
        *[_said(name, saved[name], gained[name]) for name in sorted(saved) if name in gained],
        *[
            f"{title_of('tuned', learner)}, {each['seeds']} seeds: DP with {each['images']:,} images is "
            f"{_points(each)} than keeping the hardest of more plain images."
            for learner, each in pruned.items()
        ],
        *_why(by_id.get("C12", {})),
    ]


def _why(generators: dict[str, Any]) -> list[str]:
    """Where there is something to gain: DP over static on the most and the least diverse generator."""
    gains, recall = generators.get("gain_of_practice", {}), generators.get("recall", {})
    if len(gains) < 2:
        return []
    least, most = (choose(gains, key=lambda g: recall[g]) for choose in (min, max))
    return [
        f"With the settings chosen at scale 3 for all generators, DP is {_points(gains[least])} than static training "
        f"on as many images of the least diverse of {len(gains)} generators ({least.replace('-', ' ')}, recall "
        f"{recall[least]:.2f}), and {_points(gains[most])} on the most diverse ({most.replace('-', ' ')}, recall "
        f"{recall[most]:.2f}). The guidance scales that tuned methods chose stand above the panels of figure 4."
    ]


def effect(verdict: dict[str, Any]) -> str:
    """A verdict's effect with its unit and interval."""
    known, interval = verdict["effect"], verdict["interval"]
    if verdict["verdict"] == "not tested here" or not (known or interval):
        return ""
    if known is None:
        return f"never reached ({between(interval)}{verdict['unit'] * bool(interval[1])})"
    if interval is None or interval[0] == interval[1]:  # theory has neither seeds nor an interval
        spread = ""
    elif verdict["unit"] == "x":
        spread = f" ({between(interval)})"
    else:
        spread = " ({:.3g} to {:.3g})".format(*interval)
    return f"{known:.3g}{' ' * (verdict['unit'] == 'points')}{verdict['unit']}{spread}"


def _said(name: str, saved: dict[str, Any], gained: dict[str, Any]) -> str:
    return (
        f"{title_of(*name.split('-'))}, {saved['seeds']} seeds: DP is as good as static training at its best "
        f"{_fewer(saved)}, and within {NEAR:g} points of that {_fewer(saved['near'])}. DP at its own best "
        f"({gained['dp_size']:,} images) is {_points(gained)} than static training at its best "
        f"({gained['static_size']:,})."
    )


def _fewer(found: dict[str, Any]) -> str:
    if found["ratio"] is None:
        said = "at no measured size"
    elif found["ratio"] >= 1:
        said = f"with {found['ratio']:.1f} times fewer images{' or still fewer' * found['at_least']}"
    else:  # the interval is the ratio's
        said = f"only with more images, a ratio of {found['ratio']:.1f}{' or more' * found['at_least']}"
    low, high = found["interval"]
    return said if low is None else f"{said} (95% {between((low, high))})"


def _points(found: dict[str, Any]) -> str:
    low, high = found["interval"]
    sds = f"; {abs(found['seed_deviations']):.1f} sd of the seeds" if found.get("seed_deviations") else ""
    spread = "" if low is None else f" (95% {low:+.2f} to {high:+.2f}{sds})"
    return f"{abs(found['gain']):.2f} points {'better' if found['gain'] > 0 else 'worse'}{spread}"
