"""Verdicts: what the recorded results say of each of the paper's claims.

A verdict is computed: an effect with a 95% interval over seeds, and a rule that turns it into "holds here", "holds in
part" or "does not hold here"; or "not decided here" where the interval leaves both open. What has no results, or those
of one seed, is "not tested here". The rules are in the files beside.
"""

import csv
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from dp.utils.errors import UserError
from experiments.verdicts.ablation import patience_and_sampling
from experiments.verdicts.comparison import shifted_images
from experiments.verdicts.foreign import foreign_generator
from experiments.verdicts.generators import diverse_generator
from experiments.verdicts.hardness import hardness_moves
from experiments.verdicts.scaling import beats_static, data_efficiency, less_of_everything, timing_alone
from experiments.verdicts.selection import cheaper_than_pruning, guidance_cost, too_much_selection
from experiments.verdicts.theory import linear_model
from experiments.verdicts.verdict import Verdict, untested

CLAIMS = Path(__file__).parents[1] / "claims.csv"

RULES: dict[str, Callable[[str], Verdict]] = {
    "C1": data_efficiency,
    "C2": beats_static,
    "C3": less_of_everything("C3", "convnet"),
    "C4": less_of_everything("C4", "vit"),
    "C5": shifted_images,
    "C6": guidance_cost,
    "C7": cheaper_than_pruning,
    "C8": too_much_selection,
    "C9": timing_alone,
    "C10": hardness_moves,
    "C11": patience_and_sampling,
    "C12": diverse_generator,
    "C13": linear_model,
}


def verdicts(profile: str) -> list[Verdict]:
    """Return a verdict for each claim, in order; a claim whose results cannot be read is untested, and says why."""
    found = []
    foreign = foreign_generator(profile)
    for id_, rule in RULES.items():
        try:
            found.append(beside(with_spread(rule(profile)), foreign.get(id_)))
        except UserError as error:
            found.append(untested(id_, str(error)))
    return found


def with_spread(found: Verdict) -> Verdict:
    """Return the verdict, but that one seed, which has no spread, decides nothing."""
    if found.seeds != 1:
        return found
    return replace(
        found, verdict="not tested here", interval=None, measured=f"{found.measured} (one seed, too few for a verdict)"
    )


def beside(found: Verdict, foreign: dict[str, Any] | None) -> Verdict:
    """Return the verdict with what the runs say whose generator has never seen the target, if there are such runs."""
    return replace(found, more=(found.more or {}) | {"foreign_generator": foreign}) if foreign else found


def claims() -> dict[str, dict[str, Any]]:
    """Return the paper's quantitative claims by id: the claim, and the names of the figures and tables that show it."""
    with CLAIMS.open(newline="") as file:
        return {row["id"]: {"claim": row["claim"], "shown_in": row["shown_in"].split()} for row in csv.DictReader(file)}


def as_json(found: list[Verdict]) -> list[dict[str, Any]]:
    """Return JSON values: id, claim, verdict, effect, unit, interval, seeds, sources, measured, shown_in and more.

    What is not finite (the interval of a single seed, a ratio's upper end that is not known) is null.
    """
    texts, listed = claims(), []
    for each in found:
        values = vars(each) | texts[each.id]
        names = ("id", "claim", "verdict", "effect", "unit", "interval", "seeds", "sources", "measured", "shown_in")
        listed.append(_finite({name: values[name] for name in names} | (each.more or {})))
    return listed


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
