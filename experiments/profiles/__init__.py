"""Profiles: at which scale the studies are run.

cpu, the default, has every study's own settings: real images (Fashion-MNIST), of a size for a laptop; its results are
in the repository. smoke has small ones for all of them, see `smoke.py`.
"""

from dp.utils.errors import UserError
from experiments.engine.study import Profile


def profile(name: str) -> Profile:
    """Return the profile of that name.

    Raises:
        UserError: there is none.
    """
    if name == "cpu":
        return Profile("cpu")
    if name == "smoke":
        from experiments.profiles.smoke import PROFILE

        return PROFILE
    raise UserError(
        f'profile: got "{name}", expected one of cpu, smoke; the paper\'s scale is no profile of these: '
        "make table4 PROFILE=imagenet100"
    )
