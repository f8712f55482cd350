"""Read studies, take means over seeds and draw them: what the exhibits share."""

from collections.abc import Iterable, Sequence
from statistics import mean
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from dp.utils.errors import UserError
from experiments.analysis.efficiency import Curve
from experiments.analysis.intervals import mean_interval
from experiments.analysis.table import rows as read
from experiments.engine.results import folder, load
from paper_figures.drawing.exhibit import Rows
from paper_figures.drawing.style import COLOURS, MARKERS

Results = dict[str, dict[str, Any]]  # file stem -> result
LEARNERS = {"convnet": "ConvNet", "vit": "ViT"}
SETTINGS = {"equal": "equal settings", "tuned": "each method tuned"}
RUN = {  # names in a CSV -> columns of the results table
    **{name: name for name in "study method variant learner guidance_scale iterations n_initial n_per_round".split()},
    "rounds": "rounds",
    "pool_size": "images",
    **{name: name for name in ("generated", "omega", "patience")},
    "triggered_by_patience": "by_patience",
    **{name: name for name in ("branch_iteration", "seed", "validation_accuracy", "test_accuracy")},
}
NOT_COMPARABLE = "Absolute accuracies on Fashion-MNIST and on ImageNet are not comparable."


def command(study: str, profile: str) -> str:
    """Return the command that makes a study's results."""
    return f"python -m experiments run {study}" + (f" --profile {profile}" if profile != "cpu" else "")


def missing(study: str, profile: str, what: str = "results") -> UserError:
    """Return the error of an exhibit that cannot be made."""
    return UserError(
        f"{study}: no {what} in {folder(profile).name}/; make them with {command(study.split('-')[0], profile)}"
    )


def results_of(profile: str, study: str) -> Results:
    """Return the results of a study by name.

    Raises:
        UserError: there are none.
    """
    if not (found := load(profile, study)):
        raise missing(study, profile)
    return found


def rows_of(profile: str, study: str, **columns: Any) -> Rows:
    """Return a study's rows of the results table that have these values in these columns.

    Raises:
        UserError: there are none.
    """
    if not (found := read(profile, study, **columns)):
        raise missing(study, profile)
    return found


def scaling(profile: str, methods: tuple[str, ...] = ("static",)) -> dict[tuple[str, str], Rows]:
    """Return the rows of the scaling studies that have runs of these methods, by setting and learner.

    Raises:
        UserError: no study has.
    """
    found = {}
    for setting in SETTINGS:
        for learner in LEARNERS:
            rows = read(profile, f"scaling-{setting}-{learner}")
            if rows and set(methods) <= {row["method"] for row in rows}:
                found[setting, learner] = rows
    if not found:
        raise missing("scaling", profile, f"runs of {' and '.join(methods)}" if methods else "results")
    return found


def title_of(setting: str, learner: str) -> str:
    """Return a scaling study in words."""
    return f"{LEARNERS[learner]}, {SETTINGS[setting]}"


def numbers(rows: Rows) -> Rows:
    """Return what a CSV has of each run."""
    return [{name: row[column] for name, column in RUN.items()} for row in rows]


def margin(values: Sequence[float]) -> float:
    """Return half the 95% interval of the mean over seeds (Student's t); 0 for one seed, which tells nothing of it."""
    if len(values) < 2:
        return 0.0
    low, high = mean_interval(list(values))
    return (high - low) / 2


def spread(values: Sequence[float | None], digits: int = 2) -> str | None:
    """Return the mean and, behind a ±, half its 95% interval over seeds."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    return f"{mean(known):.{digits}f}" + (f" ± {margin(known):.{digits}f}" if len(known) > 1 else "")


def seeds(counts: Iterable[int]) -> str:
    """Say "5 seeds", or "3 to 5 seeds" where some points have fewer."""
    low, high = min(found := list(counts)), max(found)
    return f"{high} seed{'s' * (high > 1)}" if low == high else f"{low} to {high} seeds"


def grouped(rows: Rows, *columns: str) -> dict[tuple[Any, ...], Rows]:
    """Group rows by their values in some columns, in order of appearance."""
    found: dict[tuple[Any, ...], Rows] = {}
    for row in rows:
        found.setdefault(tuple(row[name] for name in columns), []).append(row)
    return found


def draw(axis: Axes, curve: Curve, method: str, line: str = "-", **look: Any) -> None:
    """Draw the means of a curve with their 95% intervals, in the method's colour and marker."""
    look = {"label": method, "color": COLOURS[method], "marker": MARKERS[method], "linestyle": line, **look}
    heights = [float(np.mean(values)) for values in curve.values()]
    axis.errorbar(
        list(curve), heights, [margin(values) for values in curve.values()], capsize=2, elinewidth=0.9, **look
    )
