"""When to ask for more data: patience with a signal that has stopped improving (Algorithm 1)."""

import math
from dataclasses import dataclass

from dp.utils.errors import UserError


@dataclass
class Patience:
    """Counts validations without a new best; asks for data when the count reaches the limit.

    Fixed patience keeps the limit. Incremental patience lets it grow with the pool: a large pool is seen less often
    between two validations, and a fixed limit would ask for more before the new images have been learnt.

    Attributes:
        initial: the limit at the initial pool size, in validations, >= 1.
        incremental: whether the limit grows in proportion to the pool.
        best: best value of the signal so far; -inf before the first.
        waited: validations since the best one or the last addition that patience asked for. Additions that the schedule
            made (`PracticeConfig.backstop`; the paper has none) do not set it back, so the next one may come sooner
            than the limit after them.
        signal: what the values are, for error messages; see dp/practice/signals.py.
    """

    initial: int
    incremental: bool = True
    best: float = -math.inf
    waited: int = 0
    signal: str = "validation accuracy"

    def __post_init__(self) -> None:
        if not self.initial >= 1:
            raise UserError(f"patience: got {self.initial}, expected 1 or more validations")

    def limit(self, growth: float) -> int:
        """Validations to wait at a pool `growth` times the initial size."""
        return round(self.initial * growth) if self.incremental else self.initial

    def exhausted(self, accuracy: float, growth: float) -> bool:
        """Take in a value of the signal, higher = better; True if it is time for more data (the count starts again).

        Raises:
            UserError: the value is nan or infinite: it would count as no improvement for ever.
        """
        if not math.isfinite(accuracy):
            raise UserError(
                f"{self.signal}: got {accuracy} at a validation, expected a finite number; training has diverged "
                "(lower lr) or the signal's image set is empty"
            )
        if accuracy > self.best:
            self.best, self.waited = accuracy, 0
            return False
        self.waited += 1
        if self.waited < self.limit(growth):
            return False
        self.waited = 0
        return True

    def forget(self) -> None:
        """Start anew, for a signal whose values before and after an addition cannot be compared."""
        self.best, self.waited = -math.inf, 0
