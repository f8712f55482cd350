"""What is run at which scale: a profile gives every study its settings."""

from dataclasses import dataclass

from dp.errors import UserError
from experiments.ablation import Ablation
from experiments.comparison import Comparison
from experiments.dynamics import Dynamics
from experiments.filtering import Filtering
from experiments.generators import Generators
from experiments.grids import Grids
from experiments.learners import Learners
from experiments.length import Length
from experiments.live import Live
from experiments.objectives import Objectives
from experiments.off_manifold import OffManifold
from experiments.scaling import Scaling
from experiments.second_set import SecondSet
from experiments.selection import Selection
from experiments.signals import Signals
from experiments.static_settings import StaticSettings
from experiments.theory import Theory
from experiments.theory_practice import TheoryPractice
from experiments.transfer import Transfer
from experiments.tuned import Tuned
from experiments.tuning import Tuning
from experiments.validation_size import ValidationSize


@dataclass(frozen=True)
class Profile:
    """Settings of every study; those that are made for each learner are tuples."""

    theory: Theory
    tuning: Tuning
    scaling: tuple[Scaling, ...]
    tuned: Tuned
    comparison: tuple[Comparison, ...]
    dynamics: Dynamics
    selection: Selection
    ablation: Ablation
    generators: Generators
    grids: Grids
    validation_size: ValidationSize
    signals: Signals
    filtering: Filtering
    objectives: Objectives
    off_manifold: OffManifold
    transfer: Transfer
    learners: Learners
    second_set: SecondSet
    length: Length
    static_settings: StaticSettings
    theory_practice: TheoryPractice
    live: Live


def profile(name: str) -> Profile:
    """The profile of that name.

    Raises:
        UserError: there is none.
    """
    from experiments.profiles import cpu, smoke

    profiles = {"cpu": cpu.PROFILE, "smoke": smoke.PROFILE}
    if name not in profiles:
        raise UserError(
            f'profile: got "{name}", expected one of {", ".join(profiles)}; the paper\'s scale is no profile of these: '
            "make table4 PROFILE=imagenet100"
        )
    return profiles[name]
