"""Draw what the learners of a run make of the same seeds: over omega, time and steps (figures 6 to 12).

Pictures are kept as base64 PNG, so that they go into JSON with what is known of them.
"""

import base64
import copy
import functools
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from dp.generation.generator import Generator
from dp.guidance.decoders import decoder_of
from dp.guidance.guidance import GuidanceConfig
from dp.samples import Samples
from dp.utils.pixels import unit

Rows = list[dict[str, Any]]


def png(image: Tensor) -> str:
    """A uint8 image [1 or 3, H, W] as a base64 PNG."""
    buffer = io.BytesIO()
    array = np.ascontiguousarray(image.permute(1, 2, 0).numpy())
    Image.fromarray(array[..., 0] if len(image) == 1 else array).save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()


def pictures(made: Samples) -> Rows:
    """Label, entropy of the learner that guided or judged it, whether that was right, and the image."""
    rows = zip(made.images, made.labels.tolist(), made.entropy.tolist(), made.correct.tolist(), strict=True)
    return [
        {"label": label, "entropy": round(h, 4), "correct": correct, "png": png(image)}
        for image, label, h, correct in rows
    ]


def guided_grid(
    generator: Generator,
    learners: Mapping[int, nn.Module],
    guidance: GuidanceConfig,
    omegas: Sequence[float],
    labels: Tensor,
    seeds: list[int],
    progress: Callable[[float], None] = lambda _: None,
) -> Rows:
    """The same seeds guided by every learner at every omega (figures 6 right, 10 and 12).

    Args:
        generator: makes the images.
        learners: iteration -> the learner as it was then, for whole images, in eval mode.
        guidance: all but its omega.
        omegas: of the columns.
        labels: int64 [n].
        seeds: n of them.
        progress: told the fraction done.

    Returns:
        One row an image, with its iteration and omega; see `pictures`.
    """
    rows: Rows = []
    for number, (iteration, learner) in enumerate(learners.items(), 1):
        for omega in omegas:
            made = generator.generate(labels, seeds, learner, replace(guidance, omega=omega))
            rows += [{"iteration": iteration, "omega": omega} | each for each in pictures(made)]
        progress(number / len(learners))
    return rows


def denoised_estimates(
    generator: Generator, learner: nn.Module, guidance: GuidanceConfig, labels: Tensor, seeds: list[int]
) -> Rows:
    """x0_hat at every step, decoded, plain and guided from the same noise (figure 8).

    Returns:
        One row an image and step: omega, t, label and the image.
    """
    own = generator.pipe.scheduler
    kind = type(own)
    decode = decoder_of(generator.pipe)
    estimates: list[tuple[int, Tensor]] = []

    @functools.wraps(kind.step)
    def step(self: Any, model_output: Tensor, timestep: Any, *args: Any, **kwargs: Any) -> Any:
        result = kind.step(self, model_output, timestep, *args, **kwargs)
        estimates.append((int(timestep), result[1] if isinstance(result, tuple) else result.pred_original_sample))
        return result

    rows: Rows = []
    generator.pipe.scheduler = watched = copy.copy(own)
    watched.__class__ = type(kind.__name__, (kind,), {"step": step, "__module__": kind.__module__})
    try:
        for omega in dict.fromkeys((0.0, guidance.omega)):
            estimates.clear()
            generator.generate(labels, seeds, learner, replace(guidance, omega=omega))
            for t, latents in estimates:
                with torch.no_grad():
                    seen = generator.finished(unit(decode(latents[: len(labels)])))
                rows += [
                    {"omega": omega, "t": t, "label": label, "png": png(image)}
                    for label, image in zip(labels.tolist(), seen.cpu(), strict=True)
                ]
    finally:
        generator.pipe.scheduler = own
    return rows
