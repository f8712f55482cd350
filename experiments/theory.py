"""Theory: the numbers of the theory figures, exact and simulated.

Question   What does the linear model say about learning from hard examples? (claim C13)
Feeds      figure 3
Command    python -m experiments run theory
Time       under a minute
Expected   keeping the hardest examples helps when the pruner is good and data is plenty; simulation agrees with theory
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import theory.figures
from experiments.results import Job


@dataclass(frozen=True)
class Figure3:
    """Settings of figure 3; d as in the paper."""

    d: int = 512
    replicates: int = 20
    seed: int = 0


def jobs(settings: Figure3) -> list[Job]:
    """One result a figure."""
    return [Job("theory", "figure3", asdict(settings), compute_figure3, estimate=30.0)]


def compute_figure3(config: dict[str, Any], progress: Callable[[float], None]) -> dict[str, Any]:
    """The rows of figure 3."""
    return {"rows": theory.figures.figure3(**config)}
