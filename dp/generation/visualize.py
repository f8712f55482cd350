"""Draw what the learners of a run make of the same seeds: over omega, time and steps (figures 6 to 12).

Pictures are kept as base64 PNG, so that they go into JSON with what is known of them.
"""

import base64
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
from dp.guidance.path import point_of
from dp.guidance.schedulers import guided_copy
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

    A step whose sample is all noise has no picture: x0_hat would be a division by nothing there.

    Returns:
        One row an image and step: omega, t, label and the image.
    """
    own = generator.pipe.scheduler
    decode = decoder_of(generator.pipe)
    size = getattr(decode, "watched", None)
    estimates: dict[float, tuple[int, Tensor]] = {}  # a solver that comes twice to a time is right the second time
    watched = guided_copy(own)
    kind: Any = type(watched)

    def guided_output(self: Any, *args: Any) -> Tensor:
        self.latest = kind._guided_output(self, *args)
        return self.latest

    @functools.wraps(kind.step)
    def step(self: Any, model_output: Tensor, timestep: Any, sample: Tensor, *args: Any, **kwargs: Any) -> Any:
        point, t = point_of(self, timestep), float(torch.as_tensor(timestep).flatten()[0])
        self.latest = model_output
        result = kind.step(self, model_output, timestep, sample, *args, **kwargs)
        if not point.all_noise:
            output = self.latest.detach()[:, : sample.shape[1]]  # the rest is a learnt variance
            estimates[t] = int(t), point.x0_of(sample.detach(), point.noise_of(sample.detach(), output))
        return result

    rows: Rows = []
    members = {"step": step, "_guided_output": guided_output, "__module__": kind.__module__}
    watched.__class__ = type(kind.__name__, (kind,), members)
    generator.pipe.scheduler = watched
    try:
        if size is not None:
            size.install()
        for omega in dict.fromkeys((0.0, guidance.omega)):
            estimates.clear()
            generator.generate(labels, seeds, learner, replace(guidance, omega=omega))
            for t, latents in estimates.values():
                with torch.no_grad():
                    seen = generator.finished(unit(decode(latents[: len(labels)])))
                rows += [
                    {"omega": omega, "t": t, "label": label, "png": png(image)}
                    for label, image in zip(labels.tolist(), seen.cpu(), strict=True)
                ]
    finally:
        if size is not None:
            size.remove()
        generator.pipe.scheduler = own
    return rows
