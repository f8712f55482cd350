"""The exact theory of learning from hard examples (arXiv 2502.15588), and a simulator that costs O(n + d).

Needs numpy and scipy only. Start with::

    from theory import KeepHard, isotropic_error, banded
    isotropic_error(KeepHard.keeping(0.5), d=512, n=2048, ridge=0.01, alignment=0.9).test_error
    banded(KeepHard.keeping(0.5), d=512, n=2048, ridge=0.01, alignment=0.9, replicates=20).mean
"""

from theory.checks import ArgumentError
from theory.error import ExactError, general_error, isotropic_error
from theory.printed import printed_error
from theory.selection import KeepAll, KeepEasy, KeepHard, Moments, Rule, Tempered, UserRule
from theory.simulate import Simulation, banded, dense, dense_general

__all__ = [
    "ArgumentError",
    "ExactError",
    "KeepAll",
    "KeepEasy",
    "KeepHard",
    "Moments",
    "Rule",
    "Simulation",
    "Tempered",
    "UserRule",
    "banded",
    "dense",
    "dense_general",
    "general_error",
    "isotropic_error",
    "printed_error",
]
