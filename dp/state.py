"""What a run of Algorithm 1 holds, and where it is kept."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from timm.utils import ModelEmaV3
from torch import Tensor, nn

from dp.config import PracticeConfig
from dp.guidance import GuidanceConfig
from dp.learner import build_learner
from dp.patience import Patience
from dp.pool.memory import Pool
from dp.precision import Compute, best_device
from dp.randomness import WEIGHTS, seed_for
from dp.samples import Samples


class ImageGenerator(Protocol):
    """What makes images: `dp.generator.Generator`, or anything with these two."""

    @property
    def num_classes(self) -> int | None:
        """Classes it can make."""

    def generate(
        self,
        labels: Tensor,
        seeds: list[int],
        learner: nn.Module | None = ...,
        guidance: GuidanceConfig = ...,
        other: nn.Module | None = ...,
        round_: int = ...,
    ) -> Samples:
        """One image a label, which depends on its label, its seed and the learners alone."""


class TrainingPool(Protocol):
    """A pool that a run trains on: `dp.pool.memory.Pool`, or one on disk (`dp.pool.on_disk.DiskPool`)."""

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""

    def __len__(self) -> int: ...

    def draw(self, size: int, rng: torch.Generator, newest_weight: float = ...) -> Tensor:
        """Rows int64 [size] of a mini-batch."""

    def rows(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Images uint8 [n, C, H, W] and labels int64 [n]."""

    def append(self, samples: Samples) -> None:
        """Take in the samples of a new round."""


@dataclass
class State:
    """Everything a run needs to go on; a deep copy is a branch."""

    learner: nn.Module  # crops float [B, C, crop, crop] in [-1, 1] -> logits [B, K]
    ema: ModelEmaV3
    optimizer: torch.optim.Optimizer
    pool: TrainingPool
    patience: Patience
    classes: int  # K
    compute: Compute = Compute()
    iteration: int = 0
    pending: str | None = None  # why an addition is due that has not been made yet
    branch: int | None = None  # the pool size at which this branch left the run; None: the run itself
    losses: list[Tensor] = field(default_factory=list)  # float32 [], since the last validation
    log: list[dict[str, Any]] = field(default_factory=list)  # one entry a validation
    additions: list[dict[str, Any]] = field(default_factory=list)  # one entry an addition


class Store(Protocol):
    """Where a run keeps what it must not lose; `InMemory`, or a folder (`dp.run_folder`)."""

    def round(self, state: State | None, round_: int, count: int, make: Callable[[range], Samples]) -> Samples:
        """The samples of a round: those there are already, and `make(slots)` of the missing ones.

        A store that trains from disk gives them without images: uint8 [n, 0, 0, 0].
        """

    def scores(self, round_: int, count: int, score: Callable[[range], Tensor]) -> Tensor | None:
        """Scores float32 [count] of a round's candidates, `score(numbers)` of those that have none yet.

        None: nothing to choose, the round is there; or scores are not kept, and the round is to be pruned in one go.
        """

    def pool(self, initial: Samples) -> TrainingPool:
        """The pool to train on, of the initial samples."""

    def iteration(self, state: State) -> None:
        """Called after every iteration and before every addition: the moments at which a run can be interrupted."""

    def put_branch(self, state: State) -> None:
        """Keep a state that will go on without additions when the run is finished."""

    def branches(self) -> list[int]:
        """Pool sizes of the branches kept."""

    def resume(self, fresh: State, branch: int | None = None) -> State:
        """The run (or branch) as it was kept last; `fresh` if there is nothing."""


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


def start(
    config: PracticeConfig,
    pool: TrainingPool,
    num_classes: int,
    net: nn.Module | None = None,
    compute: Compute = Compute(),
) -> State:
    """A learner (a new one, or `net`) and its optimiser, before the first iteration."""
    with torch.random.fork_rng():
        torch.manual_seed(seed_for(config.seed, WEIGHTS))
        learner = net or build_learner(config.learner, num_classes, pool.image_shape[0], config.crop or None)
    learner.to(best_device())
    weights = [p for p in learner.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(weights, config.lr, betas=(0.9, 0.98), weight_decay=config.weight_decay, fused=True)
    ema = ModelEmaV3(learner, decay=config.ema_decay, use_warmup=True)
    patience = Patience(config.patience, config.incremental, signal=config.signal)
    return State(learner, ema, optimizer, pool, patience, num_classes, compute)
