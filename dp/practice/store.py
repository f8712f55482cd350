"""Keep a run while it goes on: in memory, or in a folder."""

import copy
from collections.abc import Callable
from typing import Protocol

from torch import Tensor

from dp.pool.in_memory import Pool
from dp.practice.interfaces import TrainingPool
from dp.practice.state import State
from dp.samples import Samples


class Store(Protocol):
    """The place of what a run must not lose: `InMemory`, or a folder (`dp.runs.folder`)."""

    def round(self, state: State | None, round_: int, count: int, make: Callable[[range], Samples]) -> Samples:
        """Return the samples of a round: those there are already, and `make(slots)` of the missing ones.

        A store that trains from disk gives them without images: uint8 [n, 0, 0, 0].
        """

    def scores(self, round_: int, count: int, score: Callable[[range], Tensor]) -> Tensor | None:
        """Return scores float32 [count] of a round's candidates, `score(numbers)` of those that have none yet.

        None: nothing to choose, the round is there; or scores are not kept, and the round is to be pruned in one go.
        """

    def pool(self, initial: Samples) -> TrainingPool:
        """Return the pool to train on, with the initial samples in it."""

    def iteration(self, state: State) -> None:
        """Take note of an iteration or an addition that is done: a moment at which the run can be interrupted."""

    def put_branch(self, state: State) -> None:
        """Keep a state that will go on without additions when the run is finished."""

    def branches(self) -> list[int]:
        """Return the pool sizes of the branches kept."""

    def resume(self, fresh: State, branch: int | None = None) -> State:
        """Return the run (or branch) as it was kept last; `fresh` if there is nothing."""


class InMemory:
    """A store that ends with the process."""

    def __init__(self) -> None:
        self._branches: dict[int, State] = {}

    def round(self, state: State | None, round_: int, count: int, make: Callable[[range], Samples]) -> Samples:
        return make(range(count))

    def scores(self, round_: int, count: int, score: Callable[[range], Tensor]) -> Tensor | None:
        return None

    def pool(self, initial: Samples) -> TrainingPool:
        return Pool(initial)

    def iteration(self, state: State) -> None:
        pass

    def put_branch(self, state: State) -> None:
        assert state.branch is not None
        self._branches[state.branch] = copy.deepcopy(state)

    def branches(self) -> list[int]:
        return sorted(self._branches)

    def resume(self, fresh: State, branch: int | None = None) -> State:
        return fresh if branch is None else self._branches.pop(branch)
