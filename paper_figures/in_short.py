"""The main result in words: what Deliberate Practice saves and gains, a line a learner and way of choosing settings."""

from typing import Any

from experiments.efficiency import NEAR
from experiments.verdicts.verdict import between
from paper_figures.exhibit import Rows
from paper_figures.shared import title_of


def in_short(claims: Rows) -> list[str]:
    """Sentences from the comparisons behind C1, C2 and C7 (`experiments.verdicts.as_json`); none without runs."""
    saved, gained = (next((c for c in claims if c["id"] == id_), {}).get("comparisons", {}) for id_ in ("C1", "C2"))
    pruned = next((c for c in claims if c["id"] == "C7"), {}).get("tuned", {})
    return [
        *[_said(name, saved[name], gained[name]) for name in sorted(saved) if name in gained],
        *[
            f"{title_of('tuned', learner)}, {each['seeds']} seeds or more: DP with {each['images']:,} images is "
            f"{_points(each)} than keeping the hardest of more plain images."
            for learner, each in pruned.items()
        ],
    ]


def effect(verdict: dict[str, Any]) -> str:
    """A verdict's effect with its unit and interval."""
    known, interval = verdict["effect"], verdict["interval"]
    if verdict["verdict"] == "not tested here" or not (known or interval):
        return ""
    if known is None:
        return f"never reached ({between(interval)}{verdict['unit'] * bool(interval[1])})"
    low, high = interval or (None, None)
    # Theory has neither seeds nor an interval.
    spread = "" if low is None or low == high else f" ({low:.3g} to {high:.3g})"
    return f"{known:.3g}{' ' * (verdict['unit'] == 'points')}{verdict['unit']}{spread}"


def _said(name: str, saved: dict[str, Any], gained: dict[str, Any]) -> str:
    return (
        f"{title_of(*name.split('-'))}, {saved['seeds']} seeds or more: DP is as good as static training at its best "
        f"{_fewer(saved)}, and within {NEAR:g} points of that {_fewer(saved['near'])}. DP at its own best "
        f"({gained['dp_size']:,} images) is {_points(gained)} than static training at its best "
        f"({gained['static_size']:,})."
    )


def _fewer(found: dict[str, Any]) -> str:
    if found["ratio"] is None:
        said = "at no measured size"
    else:
        said = f"with {found['ratio']:.1f} times fewer images{' or still fewer' * found['at_least']}"
    low, high = found["interval"]
    return said if low is None else f"{said} (95% {between((low, high))})"


def _points(found: dict[str, Any]) -> str:
    low, high = found["interval"]
    spread = "" if low is None else f" (95% {low:+.2f} to {high:+.2f})"
    return f"{abs(found['gain']):.2f} points {'better' if found['gain'] > 0 else 'worse'}{spread}"
