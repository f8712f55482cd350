"""What is run at which scale: a profile gives every study its settings."""

from dataclasses import dataclass

from dp.errors import UserError
from experiments.dynamics import Dynamics
from experiments.live import Live
from experiments.scaling import Scaling
from experiments.theory import Theory
from experiments.tuning import Tuning


@dataclass(frozen=True)
class Profile:
    """Settings of every study."""

    scaling: tuple[Scaling, ...]
    dynamics: Dynamics
    theory: Theory
    live: Live
    tuning: Tuning


def profile(name: str) -> Profile:
    """The profile of that name.

    Raises:
        UserError: there is none.
    """
    from experiments.profiles import cpu, smoke

    profiles = {"cpu": cpu.PROFILE, "smoke": smoke.PROFILE}
    if name not in profiles:
        raise UserError(f'profile: got "{name}", expected one of {", ".join(profiles)}')
    return profiles[name]
