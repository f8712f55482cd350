"""The exact theory of learning from hard examples (arXiv 2502.15588), and a simulator that costs O(n + d).

Needs numpy and scipy only. Start with::

    from theory import KeepHard, isotropic_error, banded
    isotropic_error(KeepHard.keeping(0.5), d=512, n=2048, ridge=0.01, alignment=0.9).test_error
    banded(KeepHard.keeping(0.5), d=512, n=2048, ridge=0.01, alignment=0.9, replicates=20).mean
"""

from theory.checks import ArgumentError
from theory.error import ExactError, general_error, isotropic_error
from theory.mixtures import Population, dense_mixture, mixture_error
from theory.practice import accumulated_rounds, fresh_rounds, practice_error
from theory.printed import printed_error
from theory.rules.selection import KeepAll, KeepEasy, KeepHard, Moments, Rule, Tempered, UserRule
from theory.sampling.simulate import Simulation, banded, dense, dense_general
from theory.scaling import best_general, best_isotropic, best_rounds, local_exponents, power_law
from theory.search import Best

__version__ = "0.2.0"

__all__ = [
    "ArgumentError",
    "Best",
    "ExactError",
    "KeepAll",
    "KeepEasy",
    "KeepHard",
    "Moments",
    "Population",
    "Rule",
    "Simulation",
    "Tempered",
    "UserRule",
    "__version__",
    "accumulated_rounds",
    "banded",
    "best_general",
    "best_isotropic",
    "best_rounds",
    "dense",
    "dense_general",
    "dense_mixture",
    "fresh_rounds",
    "general_error",
    "isotropic_error",
    "local_exponents",
    "mixture_error",
    "power_law",
    "practice_error",
    "printed_error",
]
