"""A step of training: the mini-batch, its augmentation, the gradients of all processes."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dp.config import PracticeConfig
from dp.learner.augment import ResizedCrop, Shift, mixing
from dp.practice.interfaces import TrainingPool
from dp.practice.schedule import validates, warmup_stable_decay
from dp.practice.state import State
from dp.utils.device import autocast
from dp.utils.distributed import from_first, pairwise_sum, parts_of
from dp.utils.pixels import normalise
from dp.utils.seeding import BATCHES, LAYERS, seed_for, stream

Batch = list[tuple[Tensor, Tensor]]  # images uint8 [b, C, h, w] and labels int64 [b] of each part


def draw_batch(config: PracticeConfig, pool: TrainingPool, iteration: int) -> Batch:
    """Draw and augment this process's parts of a mini-batch, uniform from the pool; a function of its arguments."""
    rng = stream(config.seed, BATCHES, iteration)
    index = pool.draw(config.batch_size, rng, config.newest_weight)
    augment = augmentation(config, pool.image_shape, rng)
    size = config.batch_size // config.parts
    batch = []
    for part in parts_of(config.parts):
        mine = slice(part * size, (part + 1) * size)
        images, labels = pool.rows(index[mine])
        batch.append((augment(images, mine) if augment else images, labels))
    return batch


@contextmanager
def drawn_ahead(config: PracticeConfig, state: State) -> Iterator[Callable[[], Batch]]:
    """Give the mini-batches of a run, each drawn in a thread while the one before is trained on.

    None is drawn ahead past a validation, after which the pool may grow.
    """
    ahead: Future[Batch] | None = None
    with ThreadPoolExecutor(1) as thread:

        def following() -> Batch:
            nonlocal ahead
            batch = ahead.result() if ahead else draw_batch(config, state.pool, state.iteration)
            after = state.iteration + 1
            ahead = None if validates(config, after) else thread.submit(draw_batch, config, state.pool, after)
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


def train_iteration(config: PracticeConfig, state: State, batch: Batch) -> None:
    """Take one step on a mini-batch (Algorithm 1, step 2), of which `batch` is the part that this process computes."""
    weights = [p for p in state.learner.parameters() if p.requires_grad]
    lr = config.lr * warmup_stable_decay(state.iteration, config.iterations, config.warmup, config.cooldown)
    for group in state.optimizer.param_groups:
        group["lr"] = lr
    state.learner.train()
    # Statistics of batch norm are those of the first part, whichever process has it.
    statistics = list(state.learner.buffers()) if config.parts > 1 else []
    kept: list[Tensor] = []

    def gradients() -> Iterator[list[Tensor]]:
        for part, (images, labels) in zip(parts_of(config.parts), batch, strict=True):
            state.optimizer.zero_grad(set_to_none=True)
            loss = part_loss(config, state, part, images, labels) / config.parts
            loss.backward()
            if part == 0:
                kept.extend(each.clone() for each in statistics)
            yield [loss.detach().reshape(1), *(torch.zeros_like(p) if p.grad is None else p.grad for p in weights)]

    loss, *summed = pairwise_sum(gradients())
    for weight, gradient in zip(weights, summed, strict=True):
        weight.grad = gradient
    for buffer, value in zip(statistics, from_first(kept or statistics), strict=True):
        buffer.copy_(value)
    nn.utils.clip_grad_norm_(weights, 1.0)
    state.optimizer.step()
    state.iteration += 1
    state.ema.update(state.learner, step=state.iteration)
    state.losses.append(loss[0].clone())  # it may be a view of all gradients, which would stay in memory with it


def part_loss(config: PracticeConfig, state: State, part: int, images: Tensor, labels: Tensor) -> Tensor:
    """Return the learner's mean loss in training mode on one part of a mini-batch, mixed by Mixup and CutMix."""
    device = next(state.learner.parameters()).device
    # For dropout and the like. torch.manual_seed asks for every kind of device there may be, which takes its time.
    seed_layers = torch.default_generator.manual_seed if device.type == "cpu" else torch.manual_seed
    seed_layers(seed_for(config.seed, LAYERS, state.iteration, part))
    x, targets = normalise(images.to(device)), labels.to(device)
    if config.mixup or config.cutmix:
        x, targets = mixing(config.mixup, config.cutmix, state.classes)(x, targets)
    with autocast(device):
        logits = state.learner(state.compute.lay_out(x))
    return F.cross_entropy(logits.float(), targets, label_smoothing=config.label_smoothing)
