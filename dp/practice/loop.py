"""Deliberate Practice: Algorithm 1 of arXiv 2502.15588.

Train a classifier on generated images only. Whenever its accuracy on a small real validation set stops improving, the
generator, guided by the classifier's current entropy, makes a few more images that the classifier finds hard.

Static training is rounds = 0; data added without guidance is omega = 0; generate-then-prune is over_sampling > 1.
docs/method.md puts the paper's lines beside these; `dp.runs.folder` makes a run survive being killed.
"""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from functools import partial

import torch
from torch import nn
from tqdm.auto import tqdm

from dp.config import PracticeConfig
from dp.data.image_set import RealImages
from dp.learner.evaluate import accuracy, kept_share
from dp.learner.models import on_full_images
from dp.practice.additions import add_images, classes_of, filter_of, image_maker, try_guided_batch
from dp.practice.checks import check_batch, check_crop, check_given, check_images, check_learner, check_real
from dp.practice.compute import Compute
from dp.practice.gradients import gradient_of, my_parts
from dp.practice.interfaces import ImageGenerator
from dp.practice.schedule import may_add, overdue, validates
from dp.practice.signals import Signal, signal_of
from dp.practice.state import State, iterations_done, last_measured, start
from dp.practice.store import InMemory, Store
from dp.practice.train_step import drawn_ahead, train_iteration
from dp.samples import Samples
from dp.selection.filters import Filter
from dp.utils.distributed import of_first, over_processes
from dp.utils.errors import UserError
from dp.utils.progress import in_notebook


def train(
    config: PracticeConfig,
    state: State,
    signal: Signal,
    generator: ImageGenerator | None,
    store: Store,
    validation: RealImages,
    keep: Filter | None = None,
    progress: Callable[[State], None] | None = None,
) -> State:
    """Run Algorithm 1 from the first mini-batch to the last; without a generator, nothing (more) is added.

    Step 1, the initial images, is made by `run_practice`.
    """
    state.compute.prepare(state.learner)
    gradient = gradient_of(config, state)
    if progress and state.iteration == config.iterations:
        progress(state)  # of a run that goes on with no validation to come
    with drawn_ahead(config, state) as next_batch:
        while state.iteration < config.iterations:
            # Step 3. Patience is exhausted: generate P images guided by the current learner, and add them to the pool.
            if state.pending and generator is not None:
                add_images(config, state, generator, keep, store, validation)
                if signal.of_pool:
                    state.patience.forget()
                store.iteration(state)
            # Step 2. Train on a mini-batch drawn uniformly from the pool. The learning rate warms up (step 1) and cools
            # down (step 4) by its schedule.
            train_iteration(config, state, next_batch(), gradient)
            # Step 2, every tau iterations. Validate: T = 0 where accuracy has improved, else T = T + 1.
            if validates(config, state.iteration):
                value = validate(config, state, signal)
                if progress:
                    progress(state)
                if generator is not None and may_add(config, len(state.additions), state.iteration):
                    if state.patience.exhausted(value, len(state.pool) / config.n_initial):
                        state.pending = "patience"
                    elif overdue(config, len(state.additions), state.iteration):
                        state.pending = "schedule"
                    # Branch-out. A copy of this state is trained to the end of the schedule without any addition.
                    if state.pending and len(state.pool) in config.branch_sizes:
                        store.put_branch(replace(state, branch=len(state.pool), pending=None))
            store.iteration(state)
    return state


@dataclass(frozen=True)
class Outcome:
    """The end of a finished run, or of one of its branches; accuracies in percent, of the averaged weights."""

    pool_size: int
    branched_at: int | None  # iteration at which the branch left the run; None for the run itself
    validation_accuracy: float
    test_accuracy: float | None  # None: not looked at
    learner: nn.Module = field(repr=False, compare=False)  # in eval mode; images [B, C, H, W] in [-1, 1] -> logits

    def numbers(self) -> dict[str, float | None]:
        """Return all but the learner, as JSON values."""
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
    """Run Deliberate Practice: the whole of Algorithm 1, and the branches that leave it.

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
        progress: called after every validation, or once if none is to come; None: a bar, where a notebook runs this.
        compute: what makes training faster.

    Returns:
        The outcomes (branches in order of size, then the run) and the run's final state.

    Example:
        >>> from dp import PracticeConfig, bundled_generator, run_practice, validation_images
        >>> config = PracticeConfig(
        ...     n_initial=20, n_per_round=10, rounds=1, iterations=20, validate_every=10, inference_steps=4
        ... )
        >>> outcomes, state = run_practice(config, bundled_generator(config), validation_images(), test=None)
        >>> len(state.pool), len(state.additions)
        (30, 1)
    """
    check_given(config, generator, validation, test, net)
    my_parts(config, compute.ordered)  # whether the processes can share a batch
    compute.check()
    store = store or InMemory()
    try_guided_batch(config, generator, net)
    bar = None
    if progress is None and in_notebook():
        bar = tqdm(desc="practising", total=config.iterations * (1 + len(config.branch_sizes)), unit="it")
        progress = partial(show, bar, config)
    # Step 1. Generate N images plainly, the classes in turn.
    if initial is None:
        initial = store.round(None, 0, config.n_initial, image_maker(config, generator, 0))
    classes = classes_of(generator)
    pool = store.pool(initial)
    if initial.images.numel():
        check_images("initial", initial.images, initial.labels, classes)
    first_real = check_real("validation", validation, classes, pool.image_shape)
    validation = kept_share(validation)
    check_crop(config, pool.image_shape)
    signal = signal or signal_of(config, generator, validation)
    keep = keep or filter_of(config, generator)
    fresh = start(config, pool, classes, net, compute)
    for images in (pool.rows(torch.arange(min(2, len(pool))))[0], first_real):
        check_learner(on_full_images(config, fresh.learner), images, classes)
        check_batch(config, fresh.learner, images)
    blank = copy.deepcopy(fresh) if config.branch_sizes else fresh
    with torch.random.fork_rng():
        state = train(config, store.resume(fresh), signal, generator, store, validation, keep, progress)
        finished: list[tuple[int, int | None, nn.Module]] = []
        for size in store.branches():  # one after the other, and without its pool then: pools may be large
            branch = store.resume(copy.deepcopy(blank), size)
            train(config, branch, signal, None, store, validation, None, progress)
            finished.append((len(branch.pool), _left_at(state, size), branch.ema.module))
            del branch
        finished.append((len(state.pool), None, state.ema.module))
    held_out = test() if test else None
    if held_out is not None:
        check_real("test", held_out, classes, state.pool.image_shape)
    outcomes = []
    for size, left_at, averaged in finished:
        learner = on_full_images(config, averaged)
        result = None if held_out is None else accuracy(learner, held_out)
        outcomes.append(Outcome(size, left_at, accuracy(learner, validation), result, learner))
    if bar is not None:
        bar.close()
    return outcomes, state


def show(bar: tqdm, config: PracticeConfig, state: State) -> None:
    """Move a bar to where a run is; its branches come after it, in order of size."""
    bar.update(iterations_done(config, state) - bar.n)
    bar.set_postfix(images=len(state.pool), **last_measured(state))


def validate(config: PracticeConfig, state: State, signal: Signal) -> float:
    """Return the value of the signal; log it with the mean loss since the last validation."""
    losses = state.losses if state.compute.ordered else over_processes(state.losses)
    loss = torch.stack(losses).mean().item()
    if not math.isfinite(loss):
        raise UserError(f"lr: the training loss is {loss} at iteration {state.iteration}; training diverged, lower lr")
    current, averaged = on_full_images(config, state.learner), on_full_images(config, state.ema.module)
    value = of_first(signal(current, averaged, losses))
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


def _left_at(state: State, size: int) -> int:
    """Return the iteration at which the run outgrew a pool size."""
    return next(each["iteration"] for each in state.additions if each["pool_size"] > size)
