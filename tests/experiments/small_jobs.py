"""What small results are computed by. In a file of its own: worker processes import it, and little else."""

import random

from dp.utils.errors import UserError


def square(config, progress):
    progress(0.5)
    return {"square": config["x"] ** 2}


def depends_on_the_day(config, progress):
    return {"runs": [{"value": 1.0}, {"value": random.random()}], "generation_seconds": random.random()}


def fails_at_three(config, progress):
    if config["x"] == 3:
        raise UserError("x: got 3, expected another number")
    return square(config, progress)
