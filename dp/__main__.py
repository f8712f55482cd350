"""Deliberate Practice on the command line.

    python -m dp run FOLDER                                # a run; the same command goes on where it stopped
    python -m dp run FOLDER --rounds 5 --guidance.omega 0.2 --dry-run
    python -m dp generate POOL --count 1000                # plain images
    python -m dp generate POOL --count 1000 --guided-by FOLDER --omega 0.3
    python -m dp prune POOL OUT --guided-by FOLDER --keep 250
    python -m dp evaluate FOLDER                           # a run's learners on real images
    python -m dp grid FOLDER --omegas 0 0.1 0.2            # what a run's learners make of the same seeds
    python -m dp pool show FOLDER/pool                     # or check, repair, export
    python -m dp plan --profile imagenet100                # what the paper's rows cost in images, operations, GPU-hours
    python -m dp submit --nodes 4 -- run FOLDER ...        # on a SLURM cluster, again until it is finished
    python -m dp data check IMAGENET                       # real images: all there, and readable?
    python -m dp train-generator FOLDER                    # the repository's own generator, from real images

`dp` is the same as `python -m dp`. `dp COMMAND --help` lists a command's settings. A mistake ends with one line and
exit code 2, Ctrl-C with 130.
"""

from collections.abc import Callable, Sequence
from typing import Any

import tyro

from dp.data_check import data_command
from dp.errors import run_command
from dp.evaluate_command import evaluate
from dp.grid import grid
from dp.plan_command import plan_command
from dp.pool_commands import generate, pool_command, prune
from dp.run_command import run
from dp.submit import submit
from dp.train_generator import train as train_generator

COMMANDS: dict[str, Callable[..., Any]] = {
    "run": run,
    "generate": generate,
    "prune": prune,
    "evaluate": evaluate,
    "grid": grid,
    "pool": pool_command,
    "data": data_command,
    "plan": plan_command,
    "submit": submit,
    "train-generator": train_generator,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line (by default the process's) and do what it says."""
    tyro.extras.subcommand_cli_from_dict(COMMANDS, prog="dp", description=__doc__, args=arguments)


def entry() -> None:
    """The console script `dp`."""
    run_command(main)


if __name__ == "__main__":
    entry()
