"""Deliberate Practice: Algorithm 1 of arXiv 2502.15588.

Train a classifier on generated images only. Whenever its accuracy on a small real validation set stops improving, the
generator, guided by the classifier's current entropy, makes a few more images that the classifier finds hard.

Static training is rounds = 0; data added without guidance is omega = 0; generate-then-prune is over_sampling > 1.
docs/method.md puts the paper's lines beside these; `dp.runs.folder` makes a run survive being killed.
"""

import copy
import math
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, fields, replace

import torch
from torch import nn

from dp.config import PracticeConfig
from dp.data.image_set import RealImages
from dp.learner.evaluate import accuracy
from dp.learner.models import on_full_images
from dp.practice.additions import candidates, classes_of, filter_of, image_maker
from dp.practice.checks import check_crop, check_images, check_learner, check_real
from dp.practice.compute import Compute
from dp.practice.interfaces import ImageGenerator
from dp.practice.signals import Signal, signal_of
from dp.practice.state import State, start
from dp.practice.store import InMemory, Store
from dp.practice.train_step import Batch, draw_batch, train_iteration
from dp.samples import Samples
from dp.selection.filters import Filter
from dp.utils.distributed import of_first, parts_of
from dp.utils.errors import UserError


def validate(config: PracticeConfig, state: State, signal: Signal) -> float:
    """The value of the signal, logged with the mean loss since the last validation."""
    loss = torch.stack(state.losses).mean().item()
    if not math.isfinite(loss):
        raise UserError(f"lr: the training loss is {loss} at iteration {state.iteration}; training diverged, lower lr")
    current, averaged = on_full_images(config, state.learner), on_full_images(config, state.ema.module)
    value = of_first(signal(current, averaged, state.losses))
    state.log.append(
        {
            "iteration": state.iteration,
            "train_loss": loss,
            signal.name.replace(" ", "_"): value,
            "pool_size": len(state.pool),
        }
    )
    state.losses = []
    return value


def stable_phase(config: PracticeConfig) -> tuple[float, float]:
    """The iterations between warm-up and cool-down: additions come from the first on, and before the second."""
    return config.warmup * config.iterations, (1 - config.cooldown) * config.iterations


def overdue(config: PracticeConfig, additions: int, iteration: int) -> bool:
    """Whether the next addition has reached its place on an even schedule over the stable phase."""
    begin, end = stable_phase(config)
    due = begin + (end - begin) * (additions + 1) / (config.rounds + 1)
    return config.backstop and iteration >= due


def check_schedule(config: PracticeConfig) -> None:
    """UserError if the schedule of `backstop` would not make all additions: there is one a validation at most."""
    begin, end = stable_phase(config)
    made = 0
    for iteration in range(config.validate_every, config.iterations, config.validate_every):
        if begin <= iteration < end and made < config.rounds and overdue(config, made, iteration):
            made += 1
    if config.backstop and made < config.rounds:
        raise UserError(
            f"rounds: got {config.rounds}, but validations every {config.validate_every} of {config.iterations} "
            f"iterations leave room for {made} between warm-up and cool-down; set fewer rounds, lower validate_every, "
            "train longer, or take whatever patience asks for (no backstop)"
        )


def add_images(
    config: PracticeConfig, state: State, generator: ImageGenerator, keep: Filter | None, store: Store
) -> None:
    """Grow the pool by P images guided by the current learner (Algorithm 1, step 3)."""
    round_ = len(state.additions) + 1
    new = store.round(state, round_, config.n_per_round, image_maker(config, generator, round_, state, keep, store))
    state.pool.append(new)
    state.additions.append(
        {
            "iteration": state.iteration,
            "trigger": state.pending,
            "pool_size": len(state.pool),
            "entropy": new.entropy.mean().item(),
            "correct_at_birth": new.correct.float().mean().item(),
            "zero_steps": int(new.zero_steps.sum()),
            "candidates": candidates(config, round_, new),
        }
    )
    state.pending = None


def train(
    config: PracticeConfig,
    state: State,
    signal: Signal,
    generator: ImageGenerator | None,
    store: Store,
    keep: Filter | None = None,
    progress: Callable[[State], None] | None = None,
) -> State:
    """Train to the end of the schedule. Without a generator: no (more) additions."""
    begin, end = stable_phase(config)
    state.compute.prepare(state.learner)
    ahead: Future[Batch] | None = None
    with ThreadPoolExecutor(1) as thread:
        while state.iteration < config.iterations:
            if state.pending and generator is not None:
                add_images(config, state, generator, keep, store)
                if signal.of_pool:
                    state.patience.forget()
                store.iteration(state)
            following = state.iteration + 1
            validates = following % config.validate_every == 0 or following == config.iterations
            batch = ahead.result() if ahead else draw_batch(config, state.pool, state.iteration)
            # The next mini-batch, while this one is trained on; not past a validation, where the pool may grow.
            ahead = None if validates else thread.submit(draw_batch, config, state.pool, following)
            train_iteration(config, state, batch)
            if validates:
                value = validate(config, state, signal)
                if progress:
                    progress(state)
                may_add = begin <= state.iteration < end and len(state.additions) < config.rounds
                if generator is not None and may_add:
                    if state.patience.exhausted(value, len(state.pool) / config.n_initial):
                        state.pending = "patience"
                    elif overdue(config, len(state.additions), state.iteration):
                        state.pending = "schedule"
                    if state.pending and len(state.pool) in config.branch_sizes:
                        store.put_branch(replace(state, branch=len(state.pool), pending=None))
            store.iteration(state)
    return state


@dataclass(frozen=True)
class Outcome:
    """What a finished run, or one of its branches, has reached; accuracies in percent, of the averaged weights."""

    pool_size: int
    branched_at: int | None  # iteration at which the branch left the run; None for the run itself
    validation_accuracy: float
    test_accuracy: float | None  # None: not looked at
    learner: nn.Module = field(repr=False, compare=False)  # in eval mode; images [B, C, H, W] in [-1, 1] -> logits

    def numbers(self) -> dict[str, float | None]:
        """All but the learner, as JSON values."""
        return {each.name: getattr(self, each.name) for each in fields(self) if each.name != "learner"}


def run_practice(
    config: PracticeConfig,
    generator: ImageGenerator,
    validation: RealImages,
    test: Callable[[], RealImages] | None,
    net: nn.Module | None = None,
    initial: Samples | None = None,
    signal: Signal | None = None,
    keep: Filter | None = None,
    store: Store | None = None,
    progress: Callable[[State], None] | None = None,
    compute: Compute = Compute(),
) -> tuple[list[Outcome], State]:
    """A whole run with its branches.

    Args:
        config: settings; a schedule that has no room for all additions makes fewer (`check_schedule` tells).
        generator: makes the images.
        validation: real images for plateau detection (with another signal: for the outcome only).
        test: held-out real images, asked for once, at the end, for the final evaluation; None while tuning.
        net: trains this module instead of the one that config.learner names; crops in [-1, 1] -> logits.
        initial: the initial images if they exist already (see `image_maker`).
        signal: what must stop improving, instead of what config.signal names.
        keep: refuses harmful outliers, instead of what config.filter names.
        store: keeps the run; by default it ends with the process.
        progress: called after every validation.
        compute: what makes training faster.

    Returns:
        The outcomes (branches in order of size, then the run) and the run's final state.
    """
    parts_of(config.parts)  # whether the processes can share a batch
    compute.check()
    store = store or InMemory()
    if initial is None:
        initial = store.round(None, 0, config.n_initial, image_maker(config, generator, 0))
    classes = classes_of(generator)
    pool = store.pool(initial)
    if initial.images.numel():
        check_images("initial", initial.images, initial.labels, classes)
    first_real = check_real("validation", validation, classes)
    check_crop(config, pool.image_shape)
    signal = signal or signal_of(config, generator, validation)
    keep = keep or filter_of(config, generator)
    fresh = start(config, pool, classes, net, compute)
    for images in (pool.rows(torch.arange(min(2, len(pool))))[0], first_real):
        check_learner(on_full_images(config, fresh.learner), images, classes)
    blank = copy.deepcopy(fresh) if config.branch_sizes else fresh
    with torch.random.fork_rng():
        state = train(config, store.resume(fresh), signal, generator, store, keep, progress)
        finished: list[tuple[int, int | None, nn.Module]] = []
        for size in store.branches():  # one after the other, and without its pool then: pools may be large
            branch = store.resume(copy.deepcopy(blank), size)
            train(config, branch, signal, None, store, None, progress)
            finished.append((len(branch.pool), _left_at(state, size), branch.ema.module))
            del branch
        finished.append((len(state.pool), None, state.ema.module))
    held_out = test() if test else None
    if held_out is not None:
        check_real("test", held_out, classes)
    outcomes = []
    for size, left_at, averaged in finished:
        learner = on_full_images(config, averaged)
        result = None if held_out is None else accuracy(learner, held_out)
        outcomes.append(Outcome(size, left_at, accuracy(learner, validation), result, learner))
    return outcomes, state


def _left_at(state: State, size: int) -> int:
    """The iteration at which the run outgrew a pool size."""
    return next(each["iteration"] for each in state.additions if each["pool_size"] > size)
