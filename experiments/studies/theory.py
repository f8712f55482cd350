"""Theory: the numbers of the theory figures, exact and simulated.

Question   What does the linear model say about learning from hard examples? (claims C8, C13)
Feeds      figures 3, 5c and 7, and ours: errata, general covariance, adaptive rounds, phase diagrams, exponents
Command    python -m experiments run theory
Time       about a minute
Expected   simulation agrees with the exact theory; keeping the hardest examples helps when data is plenty
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from experiments.engine.results import Job
from experiments.engine.study import Profile, Study
from experiments.studies import theory_numbers

FIGURES = (
    "figure3", "figure5c", "finite_optimum", "figure7", "errata", "errata_sizes", "general_covariance", "adaptive",
    "phase", "label_aware", "exponent",
)  # fmt: skip


@dataclass(frozen=True)
class Theory:
    """Settings of the study: those of `experiments.studies.theory_numbers`, with other replicates if given."""

    replicates: int | None = None


def jobs(settings: Theory, _: Profile) -> list[Job]:
    """List one result per figure."""
    found = []
    for name in FIGURES:
        parameters = inspect.signature(getattr(theory_numbers, name)).parameters
        config = {key: parameter.default for key, parameter in parameters.items()}
        if settings.replicates is not None:
            config["replicates"] = settings.replicates
        found.append(Job("theory", name, {"figure": name, **config}, compute, estimate=10.0))
    return found


def compute(config: dict[str, Any], progress: Callable[[float], None]) -> dict[str, Any]:
    """Compute the rows of a figure."""
    settings = {key: value for key, value in config.items() if key != "figure"}
    return {"rows": getattr(theory_numbers, config["figure"])(**settings)}


STUDY = Study("theory", Theory(), jobs)
