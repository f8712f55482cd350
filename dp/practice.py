"""Deliberate Practice: Algorithm 1 of arXiv 2502.15588.

Train a classifier on generated images only. Whenever its accuracy on a small real validation set stops improving, the
generator, guided by the classifier's current entropy, makes a few more images that the classifier finds hard.

Static training is rounds = 0; data added without guidance is omega = 0.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from timm.utils import ModelEmaV3
from torch import Tensor, nn

from dp.data import CLASSES, ImageSet
from dp.errors import UserError
from dp.evaluate import accuracy, logits_of
from dp.generator import Generator, Learner
from dp.guidance import entropy
from dp.learner import build_learner, center_crop, normalise, random_crop, wsd
from dp.patience import Patience
from dp.pool import Pool
from dp.precision import autocast
from dp.randomness import seed_for, stream

# Random streams of a run: seed_for(run seed, stream, ...).
IMAGES, BATCHES, WEIGHTS = 1, 2, 3


@dataclass(frozen=True)
class PracticeConfig:
    """One run. Sizes count images; iterations count mini-batches."""

    seed: int = 0
    n_initial: int = 1000  # N
    n_per_round: int = 100  # P
    rounds: int = 10  # additions; the final pool has N + rounds * P images; 0 = static
    branch_sizes: tuple[int, ...] = ()  # pool sizes at which a copy goes on without additions
    omega: float = 0.3  # entropy guidance, relative step; 0 = plain images
    guided_below: float = 0.4  # guide at noise levels t / T below this
    guidance_scale: float = 3.0  # classifier-free guidance, 1 + lambda_cfg
    inference_steps: int = 10  # DDIM steps
    validate_every: int = 50  # tau
    patience: int = 2  # T_max at the initial pool, in validations
    incremental: bool = False  # whether T_max grows with the pool
    backstop: bool = True  # make overdue additions on an even schedule, so that the final size is reached
    learner: str = "convnet"
    iterations: int = 5000
    batch_size: int = 64
    lr: float = 1e-3
    weight_decay: float = 0.05
    label_smoothing: float = 0.1
    ema_decay: float = 0.99  # of the averaged weights that validate, guide and are the result
    warmup: float = 0.1  # fraction of the iterations; no additions
    cooldown: float = 0.2  # fraction of the iterations; no additions

    def __post_init__(self) -> None:
        for name in ("n_initial", "validate_every", "patience", "iterations", "batch_size", "inference_steps"):
            if getattr(self, name) < 1:
                raise UserError(f"{name}: got {getattr(self, name)}, expected 1 or more")
        for name in ("rounds", "n_per_round", "omega", "lr", "weight_decay"):
            if not getattr(self, name) >= 0:
                raise UserError(f"{name}: got {getattr(self, name)}, expected 0 or more")
        if self.rounds and not self.n_per_round:
            raise UserError("n_per_round: got 0 with rounds > 0, expected 1 or more")
        if self.warmup < 0 or self.cooldown < 0 or self.warmup + self.cooldown >= 1:
            raise UserError(
                f"warmup, cooldown: got {self.warmup}, {self.cooldown}; expected fractions that add up to < 1"
            )
        reached = {self.n_initial + k * self.n_per_round for k in range(self.rounds)}
        if not set(self.branch_sizes) <= reached:
            raise UserError(f"branch_sizes: got {self.branch_sizes}, expected sizes out of {sorted(reached)}")


@dataclass
class State:
    """Everything a run needs to go on; a deep copy is a branch."""

    learner: nn.Module
    ema: ModelEmaV3
    optimizer: torch.optim.Optimizer
    pool: Pool
    patience: Patience
    iteration: int = 0
    log: list[dict[str, Any]] = field(default_factory=list)  # one entry a validation
    additions: list[dict[str, Any]] = field(default_factory=list)  # one entry an addition


def make_images(
    config: PracticeConfig,
    generator: Generator,
    round_: int,
    count: int,
    first: int = 0,
    learner: Learner | None = None,
) -> Pool:
    """Images `first` .. `first + count - 1` of a round, classes in turn so that every prefix is balanced."""
    index = torch.arange(first, first + count)
    labels = index % len(CLASSES)
    seeds = [seed_for(config.seed, IMAGES, round_, i) for i in index.tolist()]
    images = generator.generate(labels, seeds, learner, config.omega if learner else 0.0, config.guided_below)
    return Pool(images, labels, torch.tensor(seeds), torch.full_like(labels, round_))


def start(config: PracticeConfig, pool: Pool) -> State:
    """A new learner and its optimiser, before the first iteration."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_for(config.seed, WEIGHTS))
        learner = build_learner(config.learner, len(CLASSES), pool.images.shape[1])
    optimizer = torch.optim.AdamW(
        learner.parameters(), config.lr, betas=(0.9, 0.98), weight_decay=config.weight_decay, fused=True
    )
    ema = ModelEmaV3(learner, decay=config.ema_decay, use_warmup=True)
    return State(learner, ema, optimizer, pool, Patience(config.patience, config.incremental))


def train_iteration(config: PracticeConfig, state: State) -> Tensor:
    """One step on a mini-batch drawn uniformly from the current pool; returns its loss."""
    rng = stream(config.seed, BATCHES, state.iteration)
    images, labels = state.pool.batch(config.batch_size, rng)
    lr = config.lr * wsd(state.iteration, config.iterations, config.warmup, config.cooldown)
    for group in state.optimizer.param_groups:
        group["lr"] = lr
    state.learner.train()
    with autocast(images.device):
        logits = state.learner(normalise(random_crop(images, rng)))
    loss = F.cross_entropy(logits.float(), labels, label_smoothing=config.label_smoothing)
    state.optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(state.learner.parameters(), 1.0)
    state.optimizer.step()
    state.iteration += 1
    state.ema.update(state.learner, step=state.iteration)
    return loss.detach()


def add_images(config: PracticeConfig, state: State, generator: Generator, trigger: str) -> None:
    """Grow the pool by P images guided by the entropy of the current learner (its averaged weights)."""
    learner = state.ema.module.eval()
    new = make_images(
        config, generator, len(state.additions) + 1, config.n_per_round, learner=lambda x: learner(center_crop(x))
    )
    logits = logits_of(learner, new.images)
    state.pool = state.pool.grown(new)
    state.additions.append(
        {
            "iteration": state.iteration,
            "trigger": trigger,
            "pool_size": len(state.pool),
            "entropy": entropy(logits).mean().item(),
            "correct_at_birth": (logits.argmax(1) == new.labels).float().mean().item(),
        }
    )


def validate(config: PracticeConfig, state: State, validation: ImageSet, losses: list[Tensor]) -> float:
    """Accuracy of the averaged weights on real images, logged with the mean loss since the last validation."""
    value = accuracy(state.ema.module.eval(), validation)
    state.log.append(
        {
            "iteration": state.iteration,
            "train_loss": torch.stack(losses).mean().item(),
            "validation_accuracy": value,
            "pool_size": len(state.pool),
        }
    )
    return value


def overdue(config: PracticeConfig, state: State) -> bool:
    """Whether the next addition has reached its place on an even schedule over the stable phase."""
    begin, end = config.warmup * config.iterations, (1 - config.cooldown) * config.iterations
    due = begin + (end - begin) * (len(state.additions) + 1) / (config.rounds + 1)
    return config.backstop and state.iteration >= due


def train(
    config: PracticeConfig,
    state: State,
    validation: ImageSet,
    generator: Generator | None,
    on_branch: Callable[[State], None] | None = None,
    progress: Callable[[State], None] | None = None,
) -> State:
    """Train to the end of the schedule. Without a generator: no (more) additions.

    Args:
        on_branch: called with a copy of the state just before an addition at a size of `config.branch_sizes`.
        progress: called after every validation.
    """
    begin, end = config.warmup * config.iterations, (1 - config.cooldown) * config.iterations
    losses: list[Tensor] = []
    while state.iteration < config.iterations:
        losses.append(train_iteration(config, state))
        if state.iteration % config.validate_every and state.iteration != config.iterations:
            continue
        value = validate(config, state, validation, losses)
        losses = []
        if progress:
            progress(state)
        if generator is None or not begin <= state.iteration < end or len(state.additions) == config.rounds:
            continue
        growth = len(state.pool) / config.n_initial
        trigger = (
            "patience" if state.patience.exhausted(value, growth) else "schedule" if overdue(config, state) else None
        )
        if trigger:
            if on_branch and len(state.pool) in config.branch_sizes:
                on_branch(copy.deepcopy(state))
            add_images(config, state, generator, trigger)
    return state


@dataclass(frozen=True)
class Outcome:
    """What a finished run, or one of its branches, has reached; accuracies in percent, of the averaged weights."""

    pool_size: int
    branched_at: int | None  # iteration at which the branch left the run; None for the run itself
    validation_accuracy: float
    test_accuracy: float


def practise(
    config: PracticeConfig,
    generator: Generator,
    validation: ImageSet,
    test: Callable[[], ImageSet],
    initial: Pool | None = None,
    progress: Callable[[State], None] | None = None,
) -> tuple[list[Outcome], State]:
    """A whole run with its branches.

    Args:
        config: settings.
        generator: makes the images.
        validation: real images for plateau detection.
        test: held-out real images, asked for once, at the end, for the final evaluation.
        initial: the initial pool if it exists already (see `make_images`).
        progress: called after every validation.

    Returns:
        The outcomes (branches in order of size, then the run) and the run's final state.
    """
    if initial is None:
        initial = make_images(config, generator, 0, config.n_initial)
    branches: list[State] = []
    state = train(config, start(config, initial), validation, generator, branches.append, progress)
    left_at = [branch.iteration for branch in branches]
    for branch in branches:
        train(config, branch, validation, None, progress=progress)
    held_out = test()
    outcomes = [
        Outcome(len(each.pool), at, each.log[-1]["validation_accuracy"], accuracy(each.ema.module.eval(), held_out))
        for each, at in zip([*branches, state], [*left_at, None], strict=True)
    ]
    return outcomes, state
