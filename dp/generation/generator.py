"""Labels and seeds in, images and their records out: a diffusion pipeline as Deliberate Practice uses it."""

import copy
import inspect
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from pydantic import SkipValidation
from torch import Tensor, nn

from dp.generation.pipeline_info import _batch_that_fits, _check_classes, _network, own_classes
from dp.guidance.decoders import decoder_of
from dp.guidance.guidance import Guidance, GuidanceConfig
from dp.guidance.guide import guided_by
from dp.guidance.objectives import Learner, checked_logits, entropy, objective_of
from dp.guidance.path import check_path, points_of
from dp.guidance.preprocessing import Resize
from dp.guidance.unet_gradient import networks_of
from dp.samples import Samples, concatenate
from dp.utils.device import autocast
from dp.utils.errors import UserError, in_a_line
from dp.utils.pixels import normalise, to_bytes
from dp.utils.progress import bar_of
from dp.utils.seeding import STRENGTH, stream
from dp.utils.validation import Count, Scale, Side, Steps, brief, checked

PLAIN = GuidanceConfig(omega=0.0)


class OutOfMemoryError(UserError):
    """So many images at once do not fit the device's memory."""


class Generator:
    """Samples images from a diffusers pipeline, plainly or guided by a learner.

    An image depends on its label, its seed and (guided) the learner alone: every batch is computed at exactly
    `batch_size` images (guided: `guided_batch`), the last one filled up, so neither the request's size nor its order
    changes a bit.

    Attributes:
        pipe: a class-conditional, text-to-image or unconditional pipeline; it samples with its own scheduler.
        guidance_scale: classifier-free guidance scale, 1 + lambda_cfg of the paper.
        steps: of the pipeline's own sampler.
        batch_size: plain images computed at once; by default as many as memory is sure to hold, at most 50.
        guided_batch: guided images computed at once, which need far more memory each; by default `batch_size` where
            that is given, else as many as memory is sure to hold (`dp.generation.guided_batch` measures how many do).
        classes: what the pipeline calls each class: a name, if it takes prompts; its own label, an integer, if it takes
            class labels (by default all of them in its order).
        template: prompt of a class, "{}" standing for its name.
        decoder: what guidance decodes with, by default the pipeline's VAE (see `dp.guidance.decoders`).
        side: images are resized to side x side pixels, and so the learner sees them; None leaves them alone.

    Example:
        >>> from dp import Generator, GuidanceConfig, bundled_oracle, bundled_pipeline
        >>> generator = Generator(bundled_pipeline(), guidance_scale=2.0, steps=4)
        >>> samples = generator.generate([0, 1, 2], [5, 6, 7], learner=bundled_oracle(), guidance=GuidanceConfig(0.3))
        >>> samples
        Samples(3 images [1, 32, 32])
        >>> samples.entropy.shape
        torch.Size([3])
    """

    @checked
    def __init__(
        self,
        pipe: Any,
        guidance_scale: Scale,
        steps: Steps = 10,
        batch_size: Count | None = None,
        classes: SkipValidation[Sequence[str] | Sequence[int] | None] = None,
        template: str = "{}",
        decoder: Any = None,
        side: Side | None = None,
        guided_batch: Count | None = None,
    ):
        self._accepts = inspect.signature(type(pipe).__call__).parameters
        _check_classes(pipe, classes, template)
        if getattr(pipe, "safety_checker", None) is not None:
            raise UserError(
                "pipe: has a safety checker, which makes images black; load the pipeline with safety_checker=None"
            )
        self.pipe = pipe
        self.guidance_scale = guidance_scale
        self.steps = steps
        self.decode = decoder_of(pipe, decoder)
        self.batch_size = batch_size or _batch_that_fits(pipe)
        self.guided_batch = guided_batch or batch_size or _batch_that_fits(pipe, guided=True)
        self.guided_batch_is_given = guided_batch is not None
        self.classes = classes or range(own_classes(pipe))
        self.template = template
        self.resize = None if side is None else Resize(side)

    @checked
    def generate(
        self,
        labels: SkipValidation[Sequence[int] | Tensor],
        seeds: SkipValidation[Sequence[int] | Tensor],
        learner: Learner | None = None,
        guidance: GuidanceConfig = PLAIN,
        other: Learner | None = None,
        round_: int = 0,
    ) -> Samples:
        """One image a label.

        Args:
            labels: n integers, the class of each image.
            seeds: n seeds, one an image.
            learner: images float [B, C, H, W] in [-1, 1] -> logits; guides where omega > 0 and judges the finished
                images. Used in eval mode and left as it was.
            guidance: strength and times; nothing by default.
            other: the second learner of the objective "disagreement".
            round_: goes into the records.

        Returns:
            n samples, on the CPU.

        Raises:
            UserError: labels and seeds do not match, a label is out of range, or guidance lacks its learner.
        """
        labels, seeds = _integers("labels", labels), _integers("seeds", seeds).tolist()
        self._check(labels, seeds, learner, guidance, other)
        parts = []
        size = self.batch_of(guidance) if learner is not None else self.batch_size
        with bar_of("images", len(labels), "images") as bar:
            for start in range(0, len(labels), size):
                part = slice(start, start + size)
                parts.append(self._batch(labels[part], seeds[part], learner, guidance, other, round_))
                bar.update(len(parts[-1]))
        return concatenate(parts)

    def _check(
        self,
        labels: Tensor,
        seeds: list[int],
        learner: Learner | None,
        guidance: GuidanceConfig,
        other: Learner | None,
    ) -> None:
        if len(labels) == 0 or len(labels) != len(seeds):
            raise UserError(f"seeds: got {len(seeds)} for {len(labels)} labels; give one or more labels, a seed each")
        if labels.min() < 0 or (self.num_classes and labels.max() >= self.num_classes):
            raise UserError(
                f"labels: got {labels.min()} .. {labels.max()}, expected integers in 0 .. {(self.num_classes or 0) - 1}"
            )
        if guidance.omega > 0 and learner is None:
            raise UserError(f"learner: none given with omega {guidance.omega}; give a classifier, or omega 0")
        if guidance.omega > 0 and guidance.objective == "disagreement" and other is None:
            raise UserError("other: none given; the objective disagreement needs a second learner")
        self.check_guidance(guidance)

    def check_guidance(self, guidance: GuidanceConfig) -> None:
        """UserError if this generator cannot be guided so, or none of its steps is at a noise level that would be."""
        if guidance.omega == 0:
            return
        check_path(self.pipe.scheduler)
        if guidance.gradient == "unet":
            networks_of(self.pipe)
        if not self.guides_in(guidance, self.steps):
            raise UserError(
                f"interval: none of the {self.steps} steps is at a noise level in {guidance.interval}, so omega "
                f"{guidance.omega} would do nothing; take more steps or a wider interval"
            )

    def guides_in(self, guidance: GuidanceConfig, steps: int) -> bool:
        """Return whether any of so many steps would be guided; also true where that is not known before the run."""
        scheduler = copy.deepcopy(self.pipe.scheduler)
        try:
            scheduler.set_timesteps(steps)
            points = points_of(scheduler)
        except (ValueError, TypeError):  # steps that depend on the image's size; the run itself warns
            return True
        return any(Guidance(entropy, self.decode, guidance).is_due(point) for point in points)

    def batch_of(self, guidance: GuidanceConfig) -> int:
        """Return how many images are computed at once, guided so or plain."""
        return self.guided_batch if guidance.omega > 0 else self.batch_size

    def __repr__(self) -> str:
        return (
            f"Generator({type(self.pipe).__name__}, guidance_scale={self.guidance_scale}, steps={self.steps}, "
            f"{self.num_classes or 'no'} classes)"
        )

    @property
    def num_classes(self) -> int | None:
        """Classes of the images; None for a pipeline without."""
        return len(self.classes) or None

    @property
    def sampler(self) -> str:
        """Return the class of the pipeline's own sampler, such as "DDIMScheduler"."""
        return type(self.pipe.scheduler).__name__

    def _batch(
        self,
        labels: Tensor,
        seeds: list[int],
        learner: Learner | None,
        guidance: GuidanceConfig,
        other: Learner | None,
        round_: int,
    ) -> Samples:
        if self.resize is not None:
            learner, other = (each and seen_through(self.resize, each) for each in (learner, other))
        n = len(labels)
        guided = learner is not None and guidance.omega > 0
        size = self.guided_batch if guided else self.batch_size
        missing = size - n
        filled = torch.cat([labels, labels[-1:].expand(missing)])
        rngs = [stream(seed) for seed in seeds + seeds[-1:] * missing]
        guide = None
        if learner is not None and guidance.omega > 0:
            objective = objective_of(guidance.objective, learner, filled, other)
            shares = None if guidance.strengths == "same" else shares_of(guidance, seeds + seeds[-1:] * missing)
            guide = Guidance(objective, self.decode, guidance, shares)
        device = self.pipe._execution_device
        # LDM's pipelines make arrays of what their decoder gives, and those know no bfloat16.
        mixed = nullcontext() if hasattr(self.pipe, "vqvae") else autocast(device, _network(self.pipe).dtype)
        try:
            with mixed:
                images = self._sample(filled, rngs, guide)
                logits = None if learner is None else judge(learner, images)
        except torch.OutOfMemoryError:
            name, option = ("guided_batch", "--guided-batch") if guided else ("batch_size", "--generation-batch")
            kind = "guided images" if guided else "images"
            raise OutOfMemoryError(
                f"{name}: {size} {kind} at once do not fit the memory of {device}; give a smaller one (dp: {option})"
            ) from None
        before, zero_steps = (None, None) if guide is None else (guide.before, guide.zero_steps)
        omega = torch.zeros(n) if guide is None else guidance.omega * shares_of(guidance, seeds)
        unknown = torch.full((n,), torch.nan)
        if before is None or guidance.objective != "entropy":
            before = unknown
        return Samples(
            images=images[:n].cpu(),
            labels=labels,
            seeds=torch.tensor(seeds),
            rounds=torch.full_like(labels, round_),
            omega=omega,
            entropy_before=torch.where(omega > 0, before[:n].cpu(), unknown),
            entropy=unknown if logits is None else entropy(logits)[:n].cpu(),
            correct=torch.full((n,), -1, dtype=torch.int8)
            if logits is None
            else (logits.argmax(1).cpu()[:n] == labels).to(torch.int8),
            zero_steps=torch.zeros_like(labels) if zero_steps is None else zero_steps[:n].cpu(),
        )

    def _sample(self, labels: Tensor, rngs: list[torch.Generator], guide: Guidance | None) -> Tensor:
        """Finished images uint8 [B, C, H, W]."""
        conditions = self._conditions(labels)
        scale = {"guidance_scale": self.guidance_scale} if "guidance_scale" in self._accepts else {}
        count = {"batch_size": len(labels)} if "batch_size" in self._accepts else {}
        kind = "np" if self._is_raw else "pt"
        settings = {"num_inference_steps": self.steps, "generator": rngs, "output_type": kind, "return_dict": False}
        try:
            with guided_by(self.pipe, guide):
                images = self.pipe(**conditions, **scale, **count, **settings)[0]
        except UserError:
            raise
        except ValueError as error:  # what diffusers says of settings that its parts cannot use
            raise UserError(f"pipeline: it makes no images: {in_a_line(error)}") from error
        if not isinstance(images, Tensor):  # an array [B, H, W, C]; some pipelines know no "pt"
            images = torch.from_numpy(images).permute(0, 3, 1, 2).to(self.pipe._execution_device)
        return self.finished(images)

    def finished(self, images: Tensor) -> Tensor:
        """Images float [B, C, H, W] in [0, 1] -> uint8, resized.

        Raises:
            UserError: an image is not of finite numbers; as bytes it would be black.
        """
        if not images.isfinite().all():
            dtype = _network(self.pipe).dtype
            advice = "take bfloat16 or float32" if dtype == torch.float16 else "check its weights, and omega"
            raise UserError(f"pipeline: it makes images that are not finite numbers in {dtype}; {advice}")
        if self.resize is not None:
            images = self.resize(images.float()).clamp(0, 1)
        return to_bytes(images)

    @property
    def _is_raw(self) -> bool:
        """Return whether the pipeline's tensors may be in [-1, 1], not clamped (Kandinsky, DeepFloyd IF)."""
        families = ("diffusers.pipelines.kandinsky", "diffusers.pipelines.deepfloyd_if")
        return type(self.pipe).__module__.startswith(families) and not hasattr(self.pipe, "image_processor")

    def _conditions(self, labels: Tensor) -> dict[str, Any]:
        if not self.classes:
            return {}
        called = [self.classes[label] for label in labels.tolist()]
        if "class_labels" in self._accepts:
            return {"class_labels": called}
        return {"prompt": [self.template.replace("{}", str(each)) for each in called]}


def _integers(name: str, values: Any) -> Tensor:
    """Return a list, range, array or tensor of integers as int64 [n]."""
    try:
        found = torch.as_tensor(values if isinstance(values, Tensor) else np.asarray(values))
    except (TypeError, ValueError):
        raise UserError(f"{name}: got {brief(values)}, expected a list of integers") from None
    if found.ndim != 1 or (found.is_floating_point() and len(found)) or found.is_complex() or found.dtype == torch.bool:
        raise UserError(f"{name}: got {brief(values)}, expected a list of integers")
    return found.long()


@torch.no_grad()
def shares_of(guidance: GuidanceConfig, seeds: list[int]) -> Tensor:
    """Return the share of omega that the image of each seed gets: float [n], see `GuidanceConfig.strengths`."""
    if guidance.strengths == "same":
        return torch.ones(len(seeds))
    drawn = torch.stack([torch.rand((), generator=stream(seed, STRENGTH)) for seed in seeds])
    return 2 * drawn if guidance.strengths == "uniform" else (drawn < 0.5).float()


def judge(learner: Learner, images: Tensor) -> Tensor:
    """The learner's logits float32 [B, K] on finished images uint8 [B, C, H, W]."""
    return checked_logits(learner, normalise(images)).float()


def seen_through(resize: Resize, learner: Learner) -> Learner:
    """A learner of images of any size."""
    if isinstance(learner, nn.Module):
        return nn.Sequential(resize, learner)
    return lambda images: learner(resize(images))
