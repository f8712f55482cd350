"""The study of generators: its runs, and how diverse the images of each generator are."""

from typing import Any

from experiments.analysis.table import Rows, rows
from experiments.engine.results import load


def _label(generator: str, guidance_scale: float) -> str:
    """Name the bundled generator by its guidance scale, another by its own name."""
    return f"scale-{guidance_scale:g}" if generator == "bundled" else generator.replace(" ", "-")


def runs(profile: str) -> dict[str, Rows]:
    """Return the runs on each generator, by its label such as "scale-3" or "narrow"."""
    found: dict[str, Rows] = {}
    for row in rows(profile, "generators"):
        found.setdefault(_label(row["generator"], row["guidance_scale"]), []).append(row)
    return found


def diversities(profile: str) -> dict[str, dict[str, Any]]:
    """Return the results that measure each generator's images, by its label: precision, recall, coverage, recognised.

    Recognised is the share of images that the oracle takes for what their label says.
    """
    found = [each for each in load(profile, "generators").values() if "recall" in each]
    return {_label(each["config"]["generator"], each["config"]["guidance_scale"]): each for each in found}


def by_seed(found: Rows, method: str) -> dict[int, float]:
    """Return the test accuracy of each seed of a method."""
    return {row["seed"]: row["test_accuracy"] for row in found if row["method"] == method}
