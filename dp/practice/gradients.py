"""The gradient of a mini-batch, computed by all processes of a run.

There are two engines. `ordered` adds the gradients of micro-batches along a tree that does not know of processes: the
same bits for any number of them, on CPUs always and elsewhere by `Compute.deterministic`. `distributed` is torch's
DistributedDataParallel, which sends gradients in buckets while it still computes others: faster on GPUs, for any number
of processes that divides the batch, and the same but for rounding and for which images Mixup and CutMix mix.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from dp.config import PracticeConfig
from dp.learner.augment import mixing
from dp.practice.state import State
from dp.utils.device import autocast
from dp.utils.distributed import from_first, pairwise_sum, parts_of, rank, share_of, world
from dp.utils.pixels import normalise
from dp.utils.seeding import LAYERS, seed_for

Part = tuple[int, slice]  # number of a micro-batch, and its rows of the batch
Batch = list[tuple[int, Tensor, Tensor]]  # of each part: its number, images uint8 [b, C, h, w], labels int64 [b]
Gradient = Callable[[Batch], Tensor]  # leaves the batch's gradient in the learner; returns the mean loss, float32 []


def my_parts(config: PracticeConfig, ordered: bool) -> list[Part]:
    """Return the micro-batches that this process computes.

    Raises:
        UserError: the processes cannot share a batch evenly.
    """
    if ordered:
        size = config.batch_size // config.parts
        return [(part, slice(part * size, (part + 1) * size)) for part in parts_of(config.parts)]
    mine = share_of(config.batch_size)
    pieces = math.ceil(len(mine) / (config.micro_batch or len(mine)))
    ends = [mine.start + len(mine) * k // pieces for k in range(pieces + 1)]
    return [(rank() * pieces + k, slice(ends[k], ends[k + 1])) for k in range(pieces)]


def gradient_of(config: PracticeConfig, state: State) -> Gradient:
    """Return the engine for a run's learner."""
    return ordered(config, state) if state.compute.ordered else distributed(config, state)


def ordered(config: PracticeConfig, state: State) -> Gradient:
    """Return the engine that gives the same bits for any number of processes."""
    weights = [p for p in state.learner.parameters() if p.requires_grad]
    # Statistics of batch norm are those of the first part, whichever process has it.
    statistics = list(state.learner.buffers()) if config.parts > 1 else []

    def gradient(batch: Batch) -> Tensor:
        kept: list[Tensor] = []

        def parts() -> Iterator[list[Tensor]]:
            for part, images, labels in batch:
                state.optimizer.zero_grad(set_to_none=True)
                loss = part_loss(config, state, state.learner, part, images, labels) / config.parts
                loss.backward()
                if part == 0:
                    kept.extend(each.clone() for each in statistics)
                yield [loss.detach().reshape(1), *(torch.zeros_like(p) if p.grad is None else p.grad for p in weights)]

        loss, *summed = pairwise_sum(parts())
        for weight, each in zip(weights, summed, strict=True):
            weight.grad = each
        for buffer, value in zip(statistics, from_first(kept or statistics), strict=True):
            buffer.copy_(value)
        return loss[0].clone()  # it may be a view of all gradients, which would stay in memory with it

    return gradient


def distributed(config: PracticeConfig, state: State) -> Gradient:
    """Return torch's engine; its loss is that of this process's share of the batch."""
    learner: nn.Module = state.learner
    if world() > 1:
        device = next(learner.parameters()).device
        here = [device.index] if device.type == "cuda" else None
        learner = DistributedDataParallel(learner, device_ids=here, gradient_as_bucket_view=True)
    share = config.batch_size // world()

    def gradient(batch: Batch) -> Tensor:
        state.optimizer.zero_grad(set_to_none=True)
        losses = []
        for part, images, labels in batch:
            last = part == batch[-1][0]
            later = nullcontext() if last or not isinstance(learner, DistributedDataParallel) else learner.no_sync()
            with later:
                loss = part_loss(config, state, learner, part, images, labels) * (len(labels) / share)
                loss.backward()
            losses.append(loss.detach())
        return torch.stack(losses).sum()

    return gradient


def part_loss(
    config: PracticeConfig, state: State, learner: nn.Module, part: int, images: Tensor, labels: Tensor
) -> Tensor:
    """Return the learner's mean loss in training mode on one micro-batch, mixed by Mixup and CutMix."""
    device = next(learner.parameters()).device
    # For dropout and the like. torch.manual_seed asks for every kind of device there may be, which takes its time.
    seed_layers = torch.default_generator.manual_seed if device.type == "cpu" else torch.manual_seed
    seed_layers(seed_for(config.seed, LAYERS, state.iteration, part))
    x, targets = normalise(images.to(device, non_blocking=True)), labels.to(device, non_blocking=True)
    if config.mixup or config.cutmix:
        x, targets = mixing(config.mixup, config.cutmix, state.classes)(x, targets)
    with autocast(device):
        logits = learner(state.compute.lay_out(x))
    return F.cross_entropy(logits.float(), targets, label_smoothing=config.label_smoothing)
