"""The main result in words: what Deliberate Practice saves and gains, a line a learner and way of choosing settings."""

from typing import Any

from paper_figures.exhibit import Rows
from paper_figures.shared import title_of


def in_short(claims: Rows) -> list[str]:
    """Sentences from the comparisons behind claims C1 and C2 (`experiments.verdicts.as_json`); none without runs."""
    saved, gained = (next((c for c in claims if c["id"] == id_), {}).get("comparisons", {}) for id_ in ("C1", "C2"))
    return [_said(name, saved[name], gained[name]) for name in sorted(saved) if name in gained]


def _said(name: str, saved: dict[str, Any], gained: dict[str, Any]) -> str:
    if saved["ratio"] is None:
        fewer = "no measured size of DP is as good as static training at its best"
    else:
        low, high = (f"{bound:.1f}" if bound else "never as good" for bound in saved["interval"])
        times = f"{'at least ' * saved['at_least']}{saved['ratio']:.1f} times"
        fewer = f"DP needs {times} fewer images to be as good as static training at its best (95% {low} to {high})"
    points, (low, high) = gained["gain"], gained["interval"]
    spread = "" if low is None else f" (95% {low:+.2f} to {high:+.2f})"
    better = f"{abs(points):.2f} points {'better' if points > 0 else 'worse'}{spread}"
    return (
        f"{title_of(*name.split('-'))}, {saved['seeds']} seeds or more: {fewer}; DP at its own best "
        f"({gained['dp_size']:,} images) is {better} than static training at its best ({gained['static_size']:,})."
    )
