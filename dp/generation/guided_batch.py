"""Find how many guided images a GPU's memory holds, by making one batch of them before a run begins.

A guided batch keeps the graph of the decoder, and with gradient "unet" that of the network: several times a plain
one's memory. The first is due at the first addition, hours into a run, which is too late to learn that it does not fit.

The rule. As many as of plain images, or the number given by hand, are tried first. Where they do not fit, gradient
checkpointing is switched on, which computes parts of the graph twice and changes no image. Where they still do not
fit, a number given by hand is refused; another is halved until it fits. All processes take the smallest of theirs.
"""

import copy
import sys
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from dp.generation.generator import Generator, OutOfMemoryError
from dp.guidance.guidance import GuidanceConfig
from dp.guidance.objectives import Learner
from dp.guidance.unet_gradient import networks_of
from dp.utils.distributed import largest, rank
from dp.utils.errors import UserError

MARGIN = 1.1  # times what the trial took: memory is in pieces after hours
TRIAL_STEPS = (2, 4, 8, 16, 32)  # of the trial, the first that has one to guide; memory does not grow with them


def fit_guided_batch(generator: Generator, learner: nn.Module, guidance: GuidanceConfig, reserve: int = 0) -> None:
    """Set how many images a generator guides at once, and gradient checkpointing, by the rule above; not on a CPU.

    Args:
        generator: its `guided_batch` is what is tried first.
        learner: guides the trial, as it will guide the run.
        guidance: of the run.
        reserve: bytes that training will take beside.

    Raises:
        UserError: the number given by hand does not fit, or not even one image does.
    """
    if generator.pipe._execution_device.type != "cuda" or guidance.omega == 0:
        return
    given = generator.guided_batch_is_given
    first = generator.guided_batch if given else generator.batch_size
    able = checkpointable(generator, guidance)
    found, taken = (0, bool(able)), 0
    for size, checkpointing in trials(first, bool(able)):
        if checkpointing:
            checkpoint(able)
        generator.guided_batch = size
        peak = peak_of(generator, learner, guidance)
        if peak is not None and MARGIN * peak + reserve <= room():
            found, taken = (size, checkpointing), peak
            break
    size, checkpointing = -largest(-found[0]), bool(largest(found[1]))
    if size < (first if given else 1):
        advice = f"{size} do: give --guided-batch {size}" if size else "take a smaller decoder, or bfloat16"
        raise UserError(
            f"guided_batch: {first} guided images at once do not fit the memory of a GPU ({room() / 1e9:.3g} GB), "
            f"with gradient checkpointing neither; {advice}"
        )
    generator.guided_batch = size
    if checkpointing:
        checkpoint(able)
    if rank() == 0:
        how = " with gradient checkpointing" if checkpointing else ""
        memory = f"{taken / 1e9:.3g} of {room() / 1e9:.3g} GB"
        print(f"guided batches: {size} images{how}, {memory}", file=sys.stderr)


def trials(first: int, able: bool) -> Iterator[tuple[int, bool]]:
    """Yield what is tried, in this order: images at once, and whether gradients are checkpointed, where that is so."""
    yield first, False
    size = first if able else first // 2
    while size:
        yield size, able
        size //= 2


def checkpointable(generator: Generator, guidance: GuidanceConfig) -> list[Any]:
    """Return the parts that a guided step differentiates and that know gradient checkpointing."""
    parts: list[Any] = [getattr(generator.decode, "module", None)]
    if guidance.gradient == "unet":
        parts += networks_of(generator.pipe)
    return [part for part in parts if getattr(part, "_supports_gradient_checkpointing", False)]


def checkpoint(parts: list[Any]) -> None:
    """Switch gradient checkpointing on."""
    for part in parts:
        part.enable_gradient_checkpointing()


def peak_of(generator: Generator, learner: Learner, guidance: GuidanceConfig) -> int | None:
    """Return the bytes of GPU memory that a guided batch takes at most; None: it does not fit."""
    trial = copy.copy(generator)
    trial.steps = next((steps for steps in TRIAL_STEPS if trial.guides_in(guidance, steps)), generator.steps)
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    try:
        trial.generate([0] * trial.guided_batch, range(trial.guided_batch), learner, guidance, learner)
    except OutOfMemoryError:
        return None
    finally:
        torch.cuda.empty_cache()
    return torch.cuda.max_memory_allocated()


def room() -> int:
    """Return the bytes of the GPU that are free or this process's."""
    return torch.cuda.mem_get_info()[0] + torch.cuda.memory_reserved()
