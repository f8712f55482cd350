"""Read off a diffusers pipeline how large its images are, how it is conditioned and what classes it has."""

import inspect
import math
import os
from collections.abc import Sequence
from typing import Any

import torch

from dp.guidance.decoders import autoencoder_of
from dp.utils.errors import UserError
from dp.utils.validation import brief, check_template

MAX_BATCH = 50  # more at once is no faster on a CPU, and an addition of 50 would be filled up
# Numbers in memory for each number of an image, plain, and guided through network and VAE without gradient
# checkpointing: counted for Stable Diffusion 1.5 at 512 pixels (benchmarks/guided_memory.py), rounded up.
PLAIN_NUMBERS, GUIDED_NUMBERS = 260, 3000
# What autoencoders call an image's channels, and their stages: most, Sana's and Qwen-Image's.
CHANNELS = ("out_channels", "in_channels", "input_channels")
STAGES = ("block_out_channels", "encoder_block_out_channels", "dim_mult")


def own_classes(pipe: Any) -> int:
    """Return how many classes a pipeline that takes class labels has; 0 for another."""
    if "class_labels" not in inspect.signature(type(pipe).__call__).parameters:
        return 0
    return getattr(pipe, "null_class", None) or pipe.transformer.config.num_embeds_ada_norm


def _check_classes(pipe: Any, classes: Sequence[str] | Sequence[int] | None, template: str) -> None:
    """UserError if the pipeline would not be asked for these classes."""
    kind, own = type(pipe).__name__, own_classes(pipe)
    if classes is not None and (isinstance(classes, str) or not isinstance(classes, Sequence)):
        raise UserError(f"classes: got {brief(classes)}, expected a list of names or labels")
    if "prompt" in inspect.signature(type(pipe).__call__).parameters:
        if not classes:
            raise UserError(f"classes: {kind} takes prompts; give the names of the classes")
        check_template(template)
        return
    if template != "{}":
        raise UserError(f'template: got "{template}", but {kind} takes no prompts; leave it out')
    if classes and not own:
        raise UserError(f"classes: got {len(classes)}, but {kind} takes neither prompts nor class labels")
    if not all(isinstance(each, int) and 0 <= each < own for each in classes or ()):
        raise UserError(
            f"classes: {kind} takes class labels; expected its own, integers in 0 .. {own - 1}, or none for all of them"
        )


def _network(pipe: Any) -> Any:
    return pipe.unet if hasattr(pipe, "unet") else pipe.transformer


def _sides(pipe: Any) -> tuple[int, int]:
    """Return height and width of what the network works on."""
    size = getattr(_network(pipe).config, "sample_size", None) or getattr(pipe, "default_sample_size", None)
    if not size:
        raise UserError("pipe: its network's configuration has no sample_size; add it to its config.json")
    return (size, size) if isinstance(size, int) else (size[0], size[1])


def image_shape_of(pipe: Any, side: int | None = None) -> tuple[int, int, int]:
    """(C, H, W) of the images a pipeline makes by default, or of those resized to `side`."""
    config = _network(pipe).config
    vae = autoencoder_of(pipe)
    channels = config.in_channels if vae is None else _first_of(vae, CHANNELS)
    if side is not None:
        return channels, side, side
    factor = 1 if vae is None else 2 ** (len(_first_of(vae, STAGES)) - 1)
    height, width = (side * factor for side in _sides(pipe))
    return channels, height, width


def _first_of(vae: Any, names: Sequence[str]) -> Any:
    """Return the first of some settings that an autoencoder has."""
    for name in names:
        if getattr(vae.config, name, None) is not None:
            return getattr(vae.config, name)
    raise UserError(f"pipe: the configuration of its {type(vae).__name__} has no {names[0]}; add it to its config.json")


def _batch_that_fits(pipe: Any, guided: bool = False) -> int:
    """Return how many images half of the device's memory is sure to hold, plain or guided."""
    device = pipe._execution_device
    if device.type == "cuda":
        memory = torch.cuda.get_device_properties(device).total_memory
    else:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    each = (GUIDED_NUMBERS if guided else PLAIN_NUMBERS) * _network(pipe).dtype.itemsize
    return max(1, min(MAX_BATCH, memory // 2 // (each * math.prod(image_shape_of(pipe)))))
