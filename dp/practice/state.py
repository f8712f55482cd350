"""The state of a run of Algorithm 1."""

from dataclasses import dataclass, field
from typing import Any

import torch
from timm.utils import ModelEmaV3
from torch import Tensor, nn

from dp.config import PracticeConfig
from dp.learner.models import build_learner
from dp.practice.compute import Compute
from dp.practice.interfaces import TrainingPool
from dp.practice.patience import Patience
from dp.utils.device import best_device
from dp.utils.seeding import WEIGHTS, seed_for


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
    log: list[dict[str, Any]] = field(default_factory=list)  # one entry per validation
    additions: list[dict[str, Any]] = field(default_factory=list)  # one entry per addition

    def __repr__(self) -> str:
        return f"State(iteration {self.iteration}, {len(self.pool)} images, {len(self.additions)} additions)"


def start(
    config: PracticeConfig,
    pool: TrainingPool,
    num_classes: int,
    net: nn.Module | None = None,
    compute: Compute = Compute(),
) -> State:
    """Return the state before the first iteration: a learner (a new one, or `net`) and its optimiser."""
    with torch.random.fork_rng():
        torch.manual_seed(seed_for(config.seed, WEIGHTS))
        learner = net or build_learner(config.learner, num_classes, pool.image_shape[0], config.crop or None)
    learner.to(best_device())
    weights = [p for p in learner.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(weights, config.lr, betas=(0.9, 0.98), weight_decay=config.weight_decay, fused=True)
    ema = ModelEmaV3(learner, decay=config.ema_decay, use_warmup=True)
    patience = Patience(config.patience, config.incremental, signal=config.signal)
    return State(learner, ema, optimizer, pool, patience, num_classes, compute)


def iterations_done(config: PracticeConfig, state: State) -> int:
    """Return the iterations done of a run and of its branches, which come one after the other, the smallest first."""
    before = 0 if state.branch is None else 1 + sorted(config.branch_sizes).index(state.branch)
    return before * config.iterations + state.iteration


def last_measured(state: State) -> dict[str, Any]:
    """Return what the last validation found, by name; nothing before the first."""
    return {name: value for name, value in (state.log or [{}])[-1].items() if name not in ("iteration", "pool_size")}
