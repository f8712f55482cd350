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


class Stopped(BaseException):
    """The process was told to stop by a signal, and has kept what it had.

    Raised wherever the process is, it passes through `except Exception`, as KeyboardInterrupt does.
    """

    def __init__(self, number: int):
        super().__init__(f"stopped by signal {number}")
        self.number = number
