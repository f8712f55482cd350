"""What is run at which scale: a profile gives every study its settings."""

from dataclasses import dataclass

from dp.utils.errors import UserError
from experiments.studies.ablation import Ablation
from experiments.studies.comparison import Comparison
from experiments.studies.dynamics import Dynamics
from experiments.studies.filtering import Filtering
from experiments.studies.generators import Generators
from experiments.studies.image_grids import Grids
from experiments.studies.learners import Learners
from experiments.studies.length import Length
from experiments.studies.live import Live
from experiments.studies.objectives import Objectives
from experiments.studies.off_manifold import OffManifold
from experiments.studies.scaling import Scaling
from experiments.studies.second_set import SecondSet
from experiments.studies.selection import Selection
from experiments.studies.signals import Signals
from experiments.studies.static_settings import StaticSettings
from experiments.studies.theory import Theory
from experiments.studies.theory_practice import TheoryPractice
from experiments.studies.transfer import Transfer
from experiments.studies.tuned import Tuned
from experiments.studies.tuning import Tuning
from experiments.studies.validation_size import ValidationSize


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
