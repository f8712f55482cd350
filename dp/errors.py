"""Mistakes a user can mend, told in one line."""

import sys
from collections.abc import Callable


class UserError(Exception):
    """A wrong input: names the field or file, what was found, what was expected and what to do."""


class Stopped(Exception):  # noqa: N818  # not an error: everything is kept
    """The process was told to stop by a signal, and has kept what it had."""

    def __init__(self, number: int):
        super().__init__(f"stopped by signal {number}")
        self.number = number


def run_command(main: Callable[[], None]) -> None:
    """Run a command line: a user's mistake ends it with one line and exit code 2, Ctrl-C with 130, SIGTERM with 143."""
    try:
        main()
    except UserError as error:
        sys.exit(_line(f"error: {error}", 2))
    except OSError as error:
        sys.exit(_line(f"error: {error.filename or 'input/output'}: {error.strerror or error}", 2))
    except Stopped as stopped:
        sys.exit(_line("stopped; the same command goes on from here", 128 + stopped.number))
    except KeyboardInterrupt:
        sys.exit(_line("stopped; the same command goes on from the last checkpoint", 130))


def _line(text: str, code: int) -> int:
    print(text, file=sys.stderr)
    return code
