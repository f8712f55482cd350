"""When to ask for more data: patience on the validation accuracy (Algorithm 1)."""

from dataclasses import dataclass


@dataclass
class Patience:
    """Counts validations without a new best; asks for data when the count reaches the limit.

    Fixed patience keeps the limit. Incremental patience lets it grow with the pool: a large pool is seen less often
    between two validations, and a fixed limit would ask for more before the new images have been learnt.

    Attributes:
        initial: the limit at the initial pool size, in validations, >= 1.
        incremental: whether the limit grows in proportion to the pool.
        best: best validation accuracy so far.
        waited: validations since the best one or the last addition.
    """

    initial: int
    incremental: bool = True
    best: float = -1.0
    waited: int = 0

    def limit(self, growth: float) -> int:
        """Validations to wait at a pool `growth` times the initial size."""
        return round(self.initial * growth) if self.incremental else self.initial

    def exhausted(self, accuracy: float, growth: float) -> bool:
        """Take in a validation accuracy; True if it is time for more data (the count then starts again)."""
        if accuracy > self.best:
            self.best, self.waited = accuracy, 0
            return False
        self.waited += 1
        if self.waited < self.limit(growth):
            return False
        self.waited = 0
        return True
