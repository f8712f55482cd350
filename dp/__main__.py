"""Deliberate Practice on the command line.

    python -m dp run FOLDER                                # a run; the same command goes on where it stopped
    python -m dp run FOLDER --rounds 5 --guidance.omega 0.2 --dry-run
    python -m dp generate POOL --count 1000                # plain images
    python -m dp generate POOL --count 1000 --guided-by FOLDER --omega 0.3
    python -m dp prune POOL OUT --guided-by FOLDER --keep 250
    python -m dp evaluate FOLDER                           # a run's learners on real images
    python -m dp watch FOLDER                              # a page that shows a run, or a folder of runs, as they go on
    python -m dp grid FOLDER --omegas 0 0.1 0.2            # what a run's learners make of the same seeds
    python -m dp pool show FOLDER/pool                     # numbers of each round; or check, repair, export
    python -m dp plan --profile imagenet100                # what the paper's rows cost in images, operations, GPU-hours
    python -m dp submit --nodes 4 -- run FOLDER ...        # on a SLURM cluster, again until it is finished
    python -m dp data check IMAGENET                       # real images: all there, and readable?
    python -m dp train-generator FOLDER                    # the repository's own generator, from real images
    python -m dp model-card FOLDER                         # what it makes, measured
    python -m dp fit-decoder tiny FOLDER                   # a cheap decoder for guidance
    python -m dp completion bash                           # what lets a shell complete all of these (or zsh, tcsh)

`dp` is the same as `python -m dp`. `dp COMMAND --help` lists a command's settings. A mistake ends with one line and
exit code 2, Ctrl-C with 130.
"""

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Literal

from dp.utils.command_line import parsed, run_command
from dp.utils.errors import UserError

# Module and function of each; imported when it is called, so that no command waits for the libraries of another.
COMMANDS = {
    "run": ("cli.run", "run"),
    "generate": ("cli.generate", "generate"),
    "prune": ("cli.prune", "prune"),
    "evaluate": ("cli.evaluate", "evaluate"),
    "watch": ("cli.watch", "watch"),
    "grid": ("cli.grid", "grid"),
    "pool": ("cli.pool", "pool_command"),
    "data": ("cli.data", "data_command"),
    "plan": ("cli.plan", "plan_command"),
    "submit": ("cli.submit", "submit"),
    "train-generator": ("cli.train_generator", "train_generator"),
    "model-card": ("cli.model_card", "model_card"),
    "fit-decoder": ("cli.fit_decoder", "fit_decoder"),
    "completion": ("__main__", "completion"),
}

# Names that are the same in every command: word -> what the command calls it.
ALSO = {
    "run": {"--omega": "--guidance.omega", "--steps": "--inference-steps"},
    "grid": {"--omega": "--omegas"},
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line (by default the process's) and do what it says."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("-h", "--help"):
        print(f"usage: dp COMMAND ...\n\n{__doc__}")
        sys.exit(0 if words else 2)
    if words[0] not in COMMANDS:
        word = " ".join(words[0].split())
        raise UserError(f'command: got "{word}", expected {", ".join(COMMANDS)}; dp --help says what they do')
    module, function = COMMANDS[words[0]]
    found = import_module(f"dp.{module}")
    rest = [renamed(words[0], word) for word in words[1:]]
    parsed(getattr(found, function), f"dp {words[0]}", rest, getattr(found, "HEADINGS", None))()


def completion(shell: Literal["bash", "zsh", "tcsh"] = "bash", /) -> None:
    """Print what lets a shell complete commands and their settings.

    Args:
        shell: bash, zsh or tcsh; its manual says where such files go.
    """
    import tyro

    app = tyro.extras.SubcommandApp()
    for name, (module, function) in COMMANDS.items():
        app.command(getattr(import_module(f"dp.{module}"), function), name=name)
    app.cli(prog="dp", args=["--tyro-print-completion", shell])


def renamed(command: str, word: str) -> str:
    """Return what a command calls an option, of which other commands have another name: "--omega=0.3" too."""
    name, equals, value = word.partition("=")
    return ALSO.get(command, {}).get(name, name) + equals + value


def entry() -> None:
    """The console script `dp`."""
    run_command(main)


if __name__ == "__main__":
    entry()
