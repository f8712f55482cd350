"""Mistakes on the command line, told in one line."""

import os
import sys
import time
from collections.abc import Callable

from dp.utils.errors import Stopped, UserError

WORD = 30.0  # seconds that a process leaves the others to tell what is wrong, and to end


def run_command(main: Callable[[], None]) -> None:
    """Run a command line: a user's mistake ends it with one line and exit code 2, Ctrl-C with 130, SIGTERM with 143."""
    try:
        try:
            main()
        except (UserError, OSError, RuntimeError) as error:
            _leave_the_word(error)
            raise
    except UserError as error:
        sys.exit(_line(f"error: {error}", 2))
    except ModuleNotFoundError as error:
        sys.exit(_line(f"error: {install_line(error)}", 2))
    except OSError as error:
        sys.exit(_line(f"error: {error.filename or 'input/output'}: {error.strerror or error}", 2))
    except Stopped as stopped:
        sys.exit(_line("stopped; the same command goes on from here", 128 + stopped.number))
    except KeyboardInterrupt:
        sys.exit(_line("stopped; the same command goes on from the last checkpoint", 130))


def install_line(error: ModuleNotFoundError) -> str:
    """Return which library is missing, and how to install it with the others that are needed.

    Raises:
        ModuleNotFoundError: the missing module is one of this project, which no installation would bring.
    """
    library = (error.name or "").split(".")[0]
    if library in ("", "dp", "theory", "experiments", "paper_figures"):
        raise error
    return (
        f"{library}: not installed; dp and python -m experiments need the extra dp, python -m paper_figures the extra "
        "plots too (theory needs none): pip install '.[dp,plots]' in the repository, or pip install "
        "'deliberate-practice[dp]'"
    )


def _leave_the_word(error: Exception) -> None:
    """Let the others of a run's processes tell what is wrong.

    A mistake is mostly everybody's: the first process tells it, and torchrun or SLURM ends those who wait here. A
    `RuntimeError` is mostly a lost connection to a process that has ended: it knows why.
    """
    alone, first = os.environ.get("WORLD_SIZE", "1") == "1", os.environ.get("RANK") == "0"
    if not alone and (isinstance(error, RuntimeError) or not first):
        time.sleep(WORD)


def _line(text: str, code: int) -> int:
    print(text, file=sys.stderr)
    return code
