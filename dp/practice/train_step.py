"""A step of training: the mini-batch, its augmentation, the optimiser."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from dp.config import PracticeConfig
from dp.learner.augment import ResizedCrop, Shift
from dp.practice.gradients import Batch, Gradient, my_parts
from dp.practice.interfaces import TrainingPool
from dp.practice.schedule import validates, warmup_stable_decay
from dp.practice.state import State
from dp.utils.seeding import BATCHES, stream


def draw_batch(config: PracticeConfig, pool: TrainingPool, iteration: int, ordered: bool = True) -> Batch:
    """Draw and augment this process's parts of a mini-batch, uniform from the pool; a function of its arguments."""
    rng = stream(config.seed, BATCHES, iteration)
    index = pool.draw(config.batch_size, rng, config.newest_weight)
    augment = augmentation(config, pool.image_shape, rng)
    batch = []
    for part, mine in my_parts(config, ordered):

        def change(images: Tensor, rows: slice, first: int = mine.start) -> Tensor:
            return augment(images, slice(first + rows.start, first + rows.stop)) if augment else images

        images, labels = pool.rows(index[mine], change if augment else None)
        if torch.cuda.is_available():  # copied to the GPU while it still computes
            images, labels = images.pin_memory(), labels.pin_memory()
        batch.append((part, images, labels))
    return batch


@contextmanager
def drawn_ahead(config: PracticeConfig, state: State) -> Iterator[Callable[[], Batch]]:
    """Give the mini-batches of a run, each drawn in a thread while the one before is trained on.

    None is drawn ahead past a validation, after which the pool may grow.
    """
    ahead: Future[Batch] | None = None
    ordered = state.compute.ordered
    with ThreadPoolExecutor(1) as thread:

        def following() -> Batch:
            nonlocal ahead
            batch = ahead.result() if ahead else draw_batch(config, state.pool, state.iteration, ordered)
            after = state.iteration + 1
            ahead = None if validates(config, after) else thread.submit(draw_batch, config, state.pool, after, ordered)
            return batch

        yield following


def augmentation(
    config: PracticeConfig, image_shape: tuple[int, int, int], rng: torch.Generator
) -> Shift | ResizedCrop | None:
    """Return the augmentation of a mini-batch of images, or None."""
    _, height, width = image_shape
    if not config.crop:
        return None
    kind = Shift if config.augment == "shift" else ResizedCrop
    return kind.draw(config.batch_size, (height, width), config.crop, rng)


def train_iteration(config: PracticeConfig, state: State, batch: Batch, gradient: Gradient) -> None:
    """Take one step on a mini-batch (Algorithm 1, step 2), of which `batch` is the part that this process computes."""
    lr = config.lr * warmup_stable_decay(state.iteration, config.iterations, config.warmup, config.cooldown)
    for group in state.optimizer.param_groups:
        group["lr"] = lr
    state.learner.train()
    loss = gradient(batch)
    nn.utils.clip_grad_norm_([p for p in state.learner.parameters() if p.requires_grad], 1.0)
    state.optimizer.step()
    state.iteration += 1
    state.ema.update(state.learner, step=state.iteration)
    state.losses.append(loss)
