"""Command lines: words to a call, a mistake to one line, and an exit code."""

import contextlib
import functools
import io
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dp.utils.errors import Stopped, UserError

LONGEST = 1000  # characters of a line; what was got may be any length
WORD = 30.0  # seconds that a process leaves the others to tell what is wrong, and to end


def parsed(
    command: Callable[..., Any], prog: str, words: Sequence[str], headings: Mapping[str, str] | None = None
) -> Callable[[], Any]:
    """Return the call of a command that its words ask for.

    Args:
        command: annotated, with a docstring that says what its arguments are.
        prog: the name to show.
        words: the command line.
        headings: option -> what its help puts above it.

    Raises:
        UserError: the words are not arguments of the command; the line is what tyro says in a box.
        SystemExit: they ask for help, which has been printed.
    """

    @functools.wraps(command)
    def bound(*args: Any, **kwargs: Any) -> Callable[[], Any]:
        return functools.partial(command, *args, **kwargs)

    import tyro

    boxes, said = io.StringIO(), io.StringIO()
    helping = bool(headings) and not {"-h", "--help"}.isdisjoint(words)
    try:
        with contextlib.redirect_stderr(boxes), contextlib.redirect_stdout(said if helping else sys.stdout):
            return tyro.cli(bound, prog=prog, args=words)
    except SystemExit as end:
        if not end.code:
            if helping:
                print(_with_headings(said.getvalue(), headings or {}), end="")
            raise
    raise UserError(f"{_first_paragraph(boxes.getvalue())}; {prog} --help lists the settings")


def _with_headings(text: str, headings: Mapping[str, str]) -> str:
    """Put headings into a help of tyro, and lines of options that stand alone right under each other."""
    found: list[str] = []
    for line in re.sub(r"\n{2,}(?=--)", "\n", text).splitlines():
        option = line.strip().partition(" ")[0].rstrip(",")
        if option in headings and line.startswith(" "):
            found += ["", f" {headings[option]}"]
        found.append(line.rstrip())
    return "\n".join(found) + "\n"


def _first_paragraph(box: str) -> str:
    """Return what stands in a box up to its first rule, in one line; of ASCII there is a heading with a rule below."""
    lines = [line.strip("│ ") for line in box.splitlines() if not line.startswith(("╭", "╰"))]
    if lines[1:] and lines[1].startswith("---"):
        lines = lines[2:]
    until = next((i for i, line in enumerate(lines) if line.startswith(("─", "---"))), len(lines))
    text = " ".join(lines[:until]).rstrip(".")
    # "Error parsing --lr: why" and, of a check of our own, "Error parsing config: lr: why".
    parsing, _, why = text.removeprefix("Error parsing ").partition(": ")
    return (
        text.removeprefix("Error parsing ") if parsing.startswith("-") or not text.startswith("Error parsing") else why
    )


def run_command(main: Callable[[], None]) -> None:
    """Run a command line: a user's mistake ends it with one line and exit code 2, Ctrl-C with 130, SIGTERM with 143."""
    if sys.stdout is None:  # closed by the caller, who wants nothing of what is printed
        sys.stdout = open(os.devnull, "w")
    try:
        try:
            main()
            sys.stdout.flush()  # here, where a reader that has gone is not a traceback
        except (UserError, OSError, RuntimeError) as error:
            _leave_the_word(error)
            raise
    except UserError as error:
        sys.exit(_line(f"error: {error}", 2))
    except ModuleNotFoundError as error:
        sys.exit(_line(f"error: {install_line(error)}", 2))
    except BrokenPipeError:
        # The reader of what was printed has seen enough, as in `dp pool show POOL | head`.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)
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
    others, first = os.environ.get("WORLD_SIZE", "1") != "1" and "RANK" in os.environ, os.environ.get("RANK") == "0"
    if others and (isinstance(error, RuntimeError) or not first):
        time.sleep(WORD)


def _line(text: str, code: int) -> int:
    whole = " ".join(text.split("\n"))
    print(whole if len(whole) <= LONGEST else f"{whole[: LONGEST - 300]} ... {whole[-295:]}", file=sys.stderr)
    return code
