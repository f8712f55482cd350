"""The schedule of a run: learning rate, the phase in which images are added, and when an addition is overdue."""

import math

from dp.config import PracticeConfig
from dp.utils.errors import UserError


def warmup_stable_decay(iteration: int, iterations: int, warmup: float, cooldown: float) -> float:
    """Return the learning-rate factor in (0, 1]: linear warm-up, stable, cosine decay (section 4: 10% and 20%).

    Args:
        iteration: 0 .. iterations - 1.
        warmup, cooldown: fractions of the run.
    """
    warm, cool = warmup * iterations, cooldown * iterations
    if iteration < warm:
        return (iteration + 1) / (warm + 1)
    left = (iterations - iteration) / cool if cool else 1.0
    return 0.5 - 0.5 * math.cos(math.pi * min(1.0, left))


def validates(config: PracticeConfig, iteration: int) -> bool:
    """Tell whether a validation follows this many iterations: every tau of them, and at the end."""
    return iteration % config.validate_every == 0 or iteration == config.iterations


def stable_phase(config: PracticeConfig) -> tuple[float, float]:
    """Return the iterations between warm-up and cool-down: additions come from the first on, and before the second."""
    return config.warmup * config.iterations, (1 - config.cooldown) * config.iterations


def may_add(config: PracticeConfig, additions: int, iteration: int) -> bool:
    """Tell whether images may be added now: after the warm-up, before the cool-down, and not all rounds are made."""
    begin, end = stable_phase(config)
    return begin <= iteration < end and additions < config.rounds


def overdue(config: PracticeConfig, additions: int, iteration: int) -> bool:
    """Tell whether the next addition has reached its place on an even schedule over the stable phase."""
    return config.backstop and iteration >= due(config, additions + 1)


def due(config: PracticeConfig, number: int) -> float:
    """Return the iteration of the first, second ... addition on an even schedule over the stable phase."""
    begin, end = stable_phase(config)
    return begin + (end - begin) * number / (config.rounds + 1)


def check_schedule(config: PracticeConfig) -> None:
    """Raise UserError if the schedule of `backstop` has no room for all additions.

    There is one addition per validation at most.
    """
    every, made, last = config.validate_every, 0, 0
    while made < config.rounds:  # by additions, of which there are fewer than iterations
        last = max(last + every, math.ceil(due(config, made + 1) / every) * every)
        if last >= stable_phase(config)[1]:
            break
        made += 1
    if config.backstop and made < config.rounds:
        raise UserError(
            f"rounds: got {config.rounds}, but validations every {config.validate_every} of {config.iterations} "
            f"iterations leave room for {made} between warm-up and cool-down; set fewer rounds, lower validate_every, "
            "train longer, or take whatever patience asks for (no backstop)"
        )
