"""utils.command_line."""

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
    except OSError as error:
        sys.exit(_line(f"error: {error.filename or 'input/output'}: {error.strerror or error}", 2))
    except Stopped as stopped:
        sys.exit(_line("stopped; the same command goes on from here", 128 + stopped.number))
    except KeyboardInterrupt:
        sys.exit(_line("stopped; the same command goes on from the last checkpoint", 130))


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
