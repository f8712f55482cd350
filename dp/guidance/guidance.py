"""Entropy guidance: steer diffusion sampling toward images a learner is unsure of.

    pipe.scheduler = EntropyGuidedDDIMScheduler.from_config(pipe.scheduler.config)
    pipe.scheduler.guidance = entropy_guidance(pipe, classifier, omega=0.3)
    images = pipe(...)

The learner's entropy H plays the part of log pi in the paper's pruned distribution dQ = pi dP: adding omega grad H to
the score samples the hard images directly. The score is -eps / sqrt(1 - abar_t), so RAISING entropy means
eps - omega sqrt(1 - abar_t) grad H (equation 7 of arXiv 2502.15588 prints a plus sign, which lowers it).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from dp.guidance.decoders import decoder_of
from dp.guidance.objectives import Entropy, Learner, Objective, entropy
from dp.utils.errors import UserError

__all__ = ["Guidance", "GuidanceConfig", "entropy", "entropy_guidance", "predict_x0"]

Gradient = Literal["x0", "unet"]
ObjectiveName = Literal["entropy", "margin", "loss", "disagreement"]
Prediction = Literal["epsilon", "v_prediction", "sample"]
Strengths = Literal["same", "uniform", "half"]

# Gradients are computed of 1024 times the objective: a power of two changes no bit of a float32 result, and keeps
# float16 ones above the smallest number of that format.
GRADIENT_SCALE = 1024.0
# A step with less of abar_t (a terminal SNR of 0, or DPM-Solver's 2**-24 for it) is not guided: x_t is all noise there,
# and x0_hat a division by nothing.
NO_SIGNAL = 1e-6


def predict_x0(x_t: Tensor, eps: Tensor, abar_t: Tensor | float) -> Tensor:
    """The denoised estimate x0_hat = (x_t - sqrt(1 - abar_t) eps) / sqrt(abar_t), float32."""
    abar_t = torch.as_tensor(abar_t, dtype=torch.float32, device=x_t.device)
    return (x_t.float() - (1 - abar_t).sqrt() * eps.float()) / abar_t.sqrt()


def predict_eps(x_t: Tensor, output: Tensor, abar_t: Tensor, prediction: Prediction) -> Tensor:
    """The noise prediction that a network's output of another kind amounts to, float32."""
    signal, noise = abar_t.sqrt(), (1 - abar_t).sqrt()
    if prediction == "v_prediction":
        return signal * output.float() + noise * x_t.float()
    if prediction == "sample":
        return (x_t.float() - signal * output.float()) / noise
    return output.float()


@dataclass(frozen=True)
class GuidanceConfig:
    """How strongly, when and how to guide.

    Attributes:
        omega: strength, >= 0; 0 guides nothing.
        interval: noise levels (low, high) in [0, 1]: guides where low <= t / T < high. (0.0, 0.4), the default of
            `GuidanceConfig`, is the late, less noisy part, where guidance hardly changes the class of an image; a run
            guides at all levels unless told otherwise, as in the paper.
        every: guides the first of the steps inside the interval and every k-th after it.
        relative: rescales each sample's gradient to the length of its noise prediction, so that omega is the fraction
            of that which changes; otherwise the raw gradient is taken (equation 7).
        gradient: "x0" holds the noise prediction fixed, so the U-Net's Jacobian is skipped; "unet" differentiates
            through it, which needs the sampling loop of `dp.guidance.unet_gradient`.
        objective: what to raise: "entropy", "margin", "loss" (to the label) or "disagreement" (of two learners).
        strengths: what of omega each image gets: "same" (all of it), "uniform" (its own share, between 0 and 2) or
            "half" (all or nothing, a coin for each image, so that additions mix guided and plain images). Drawn from
            the image's seed, so by `dp.generation.generator` alone: a scheduler knows no seeds.
    """

    omega: float = 0.3
    interval: tuple[float, float] = (0.0, 0.4)
    every: int = 1
    relative: bool = True
    gradient: Gradient = "x0"
    objective: ObjectiveName = "entropy"
    strengths: Strengths = "same"

    def __post_init__(self) -> None:
        if not (self.omega >= 0 and math.isfinite(self.omega)):
            raise UserError(
                f"omega: got {self.omega}, expected a finite number of 0 or more; negate the objective to go down"
            )
        if len(self.interval) != 2 or not 0 <= self.interval[0] < self.interval[1] <= 1:
            raise UserError(f"interval: got {self.interval}, expected two noise levels low < high in [0, 1]")
        if not (isinstance(self.every, int) and self.every >= 1):
            raise UserError(f"every: got {self.every}, expected an integer of 1 or more")
        for name, choices in (("gradient", Gradient), ("objective", ObjectiveName), ("strengths", Strengths)):
            if getattr(self, name) not in get_args(choices):
                raise UserError(f'{name}: got "{getattr(self, name)}", expected one of {", ".join(get_args(choices))}')


def guided_steps(timesteps: Sequence[int], config: GuidanceConfig, train_steps: int = 1000) -> int:
    """How many of a sampler's steps are guided: of those inside the interval, every `config.every`-th."""
    low, high = config.interval
    inside = sum(low * train_steps <= t < high * train_steps for t in timesteps)
    return -(-inside // config.every) if config.omega > 0 else 0


@dataclass
class Guidance:
    """guide(x_t, output, t) -> output, for one sampling run of a batch.

    The state is renewed where a guided scheduler sets its time steps; in a loop without one when t goes up again.

    Each sample's noise prediction eps becomes eps - omega sqrt(1 - abar_t) d, where d is the gradient of the objective
    with respect to x_t, rescaled to |eps| where relative. A zero or non-finite gradient gives a zero step. Norms, the
    objective and x0_hat are float32 whatever the pipeline computes in.

    Attributes:
        objective: images float32 [B, C, H, W], nominally in [-1, 1] -> what to raise, [B] (see `objectives`).
        decode: x0_hat [B, c, h, w] -> such images (see `dp.guidance.decoders`).
        alphas_cumprod: float [T], the scheduler's.
        config: strength and times.
        prediction: what the network predicts.
        shares: float [B], what of omega each sample gets; None = all of it.
        zero_steps: int64 [B], the run's guided steps without a usable gradient so far; None before the first.
        before: float32 [B], the objective at the run's first guided step, before guidance; None before it.
        guided_steps: guided steps of the run so far.
    """

    objective: Objective
    decode: Callable[[Tensor], Tensor]
    alphas_cumprod: Tensor
    config: GuidanceConfig = GuidanceConfig()
    prediction: Prediction = "epsilon"
    shares: Tensor | None = None
    zero_steps: Tensor | None = field(default=None, init=False)
    before: Tensor | None = field(default=None, init=False)
    guided_steps: int = field(default=0, init=False)
    _inside: int = field(default=0, init=False)  # the run's steps inside the interval so far
    _last_t: int = field(default=-1, init=False)

    def __post_init__(self) -> None:
        if self.prediction not in get_args(Prediction):
            raise UserError(f'prediction: got "{self.prediction}", expected one of {", ".join(get_args(Prediction))}')

    def active(self, t: int) -> bool:
        """Whether the step at t is guided; to be asked (by `__call__` or `unet_gradient`) once a step, in order."""
        if not 0 <= t < len(self.alphas_cumprod):
            raise UserError(f"t: got {t}, expected a time step in 0 .. {len(self.alphas_cumprod) - 1}")
        if t > self._last_t:
            self.renew()
        self._last_t = t
        low, high = self.config.interval
        if self.config.omega == 0 or not low * len(self.alphas_cumprod) <= t < high * len(self.alphas_cumprod):
            return False
        if self.alphas_cumprod[t] < NO_SIGNAL:
            return False
        self._inside += 1
        return (self._inside - 1) % self.config.every == 0

    def renew(self) -> None:
        """Begin a new run."""
        self.zero_steps, self.before, self.guided_steps, self._inside, self._last_t = None, None, 0, 0, -1

    def __call__(self, x_t: Tensor, output: Tensor, t: int) -> Tensor:
        """The guided network output, of the shape and dtype of `output`.

        Args:
            x_t: noisy samples [B, c, h, w].
            output: the network's prediction for them, of kind `prediction`; a noise prediction unless said otherwise.
            t: time step, 0 .. T - 1.
        """
        return self.guide(x_t, output, t) if self.active(t) else output

    def guide(self, x_t: Tensor, output: Tensor, t: int) -> Tensor:
        """As `__call__`, at any t and without counting it as a step of the interval."""
        abar_t = self.alphas_cumprod[t].to(x_t.device, torch.float32)
        value, gradient, eps = self.ascent(x_t, output, t)
        length = gradient.flatten(1).norm(dim=1)
        usable = length.isfinite() & (length > 0)
        step = self.config.omega * (1 - abar_t).sqrt().expand_as(length)
        if self.shares is not None:
            step = step * self.shares.to(step).repeat(len(step) // len(self.shares))  # some pipelines double a batch
        direction = gradient
        if self.config.relative:
            direction = gradient / _per_sample(length.clamp_min(1e-30), gradient)
            step = step * eps.flatten(1).norm(dim=1)
        # d output / d eps of the kind of prediction, at fixed x_t; minus: see the top of this file.
        scale = {"epsilon": torch.ones_like(abar_t), "v_prediction": 1 / abar_t.sqrt()}.get(
            self.prediction, -((1 - abar_t) / abar_t).sqrt()
        )
        change = -scale * _per_sample(step, gradient) * direction
        # Samples without a usable gradient are replaced, not multiplied by zero: 0 * nan is nan.
        guided = torch.where(_per_sample(usable, gradient), output.float() + change, output.float())
        self.guided_steps += 1
        self.zero_steps = (0 if self.zero_steps is None else self.zero_steps) + (~usable).long()
        self.before = value if self.before is None else self.before
        return guided.to(output.dtype).detach()

    def ascent(self, x_t: Tensor, output: Tensor, t: int) -> tuple[Tensor, Tensor, Tensor]:
        """The objective [B], its gradient with respect to x_t [B, c, h, w] and the noise prediction, float32."""
        abar_t = self.alphas_cumprod[t].to(x_t.device, torch.float32)
        # A pipeline called inside inference_mode hands over tensors that no graph may hold: copies may.
        with torch.inference_mode(False), torch.enable_grad():
            x_t, output = (each.clone() if each.is_inference() else each for each in (x_t, output))
            if self.config.gradient == "unet":
                if not (x_t.requires_grad and output.requires_grad):
                    raise UserError(
                        'gradient: "unet" needs a network output that was computed from x_t with gradients, which a '
                        'scheduler does not see; sample with dp.guidance.unet_gradient, or take gradient "x0"'
                    )
                x, eps = x_t, predict_eps(x_t, output, abar_t, self.prediction)
            else:
                x = x_t.detach().requires_grad_()
                eps = predict_eps(x_t.detach(), output.detach(), abar_t, self.prediction)
            images = self.decode(predict_x0(x, eps, abar_t))
            if not images.isfinite().all():
                raise UserError(
                    f"decoder: it makes images that are not finite numbers at t = {t}; if it computes in float16 (the "
                    "VAE of Stable Diffusion XL does not do there), take bfloat16 or float32, or another decoder"
                )
            value = self.objective(images)
            if not isinstance(value, Tensor) or value.shape != x.shape[:1]:
                found = list(value.shape) if isinstance(value, Tensor) else type(value).__name__
                raise UserError(f"objective: gave {found}, expected one number an image, [{len(x)}]")
            gradient = None
            if value.requires_grad:
                (gradient,) = torch.autograd.grad(GRADIENT_SCALE * value.sum(), x, allow_unused=True)
            if gradient is None:
                raise UserError(
                    "objective: does not depend differentiably on the images; keep integers, arrays, PIL and no_grad "
                    "out of the learner and of what it does to images first (see dp.guidance.preprocessing)"
                )
        return value.detach().float(), gradient.float() / GRADIENT_SCALE, eps.detach()


def entropy_guidance(
    pipe: Any,
    learner: Learner,
    omega: float = 0.3,
    interval: tuple[float, float] = (0.0, 0.4),
    every: int = 1,
    decoder: Any = None,
    objective: Objective | None = None,
) -> Guidance:
    """Guidance of a diffusers pipeline by a classifier, to be given to the pipeline's guided scheduler.

    Args:
        pipe: any diffusers pipeline whose scheduler is one of `dp.guidance.schedulers`.
        learner: images float [B, C, H, W] in [-1, 1], at the pipeline's resolution -> logits [B, K]; put
            `dp.guidance.preprocessing.Preprocess` before a classifier with another size or normalisation.
        omega, interval, every: see `GuidanceConfig`.
        decoder: what turns latents into images: by default the pipeline's own VAE (nothing for a pixel-space
            pipeline); an AutoencoderTiny or a `LinearDecoder` costs a fraction.
        objective: raise this instead of the learner's entropy.

    Raises:
        UserError: the scheduler does not guide, learner or objective cannot be called, or a setting is out of range.
    """
    scheduler = pipe.scheduler
    if not hasattr(scheduler, "guidance"):
        raise UserError(
            f"pipe.scheduler: found {type(scheduler).__name__}, which does not guide; set pipe.scheduler = "
            "EntropyGuidedDDIMScheduler.from_config(pipe.scheduler.config) first"
        )
    name, called = ("learner", learner) if objective is None else ("objective", objective)
    if not callable(called):
        raise UserError(f"{name}: got {type(called).__name__}, expected a module or a function of images")
    return Guidance(
        objective or Entropy(learner),
        decoder_of(pipe, decoder),
        scheduler.alphas_cumprod,
        GuidanceConfig(omega, interval, every),
        scheduler.config.prediction_type,
    )


def _per_sample(values: Tensor, like: Tensor) -> Tensor:
    return values.reshape(-1, *[1] * (like.ndim - 1))
