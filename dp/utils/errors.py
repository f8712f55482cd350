"""Mistakes a user can mend, told in one line."""


class UserError(ValueError):
    """A wrong input: names the field or file, what was found, what was expected and what to do.

    Example:
        >>> from dp import PracticeConfig, UserError
        >>> try:
        ...     PracticeConfig(rounds=-1)
        ... except UserError as error:
        ...     print("told:", str(error).split(":")[0])
        told: rounds
    """


def in_a_line(error: BaseException) -> str:
    """Return the first line of what an exception says, or its kind if it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]


class Stopped(BaseException):
    """The process was told to stop by a signal, and has kept what it had.

    Raised wherever the process is, it passes through `except Exception`, as KeyboardInterrupt does.
    """

    def __init__(self, number: int):
        super().__init__(f"stopped by signal {number}")
        self.number = number
