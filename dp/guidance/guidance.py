"""Steer diffusion sampling toward images that a learner is unsure of: entropy guidance (equation 7).

The learner's entropy H plays the part of log pi in the paper's pruned distribution dQ = pi dP: adding omega grad H to
the score samples the hard images directly. `guided_eps` is that formula; `Guidance` applies it to one sampling run,
at any point of any sampler's path; `dp.guidance.guide` puts it into a pipeline.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from dp.guidance.config import Gradient, GuidanceConfig
from dp.guidance.decoders import decoder_of
from dp.guidance.objectives import (
    Entropy,
    Learner,
    Objective,
    entropy,
    frozen,
    keeping_weights,
    without_parameter_gradients,
)
from dp.guidance.path import Point
from dp.guidance.unet_gradient import NetworkInputs
from dp.utils.errors import UserError

__all__ = ["Gradient", "Guidance", "GuidanceConfig", "entropy", "entropy_guidance", "guided_eps"]

# Gradients are computed of 1024 times the objective: a power of two changes no bit of a float32 result, and keeps
# float16 ones above the smallest number of that format.
GRADIENT_SCALE = 1024.0


def guided_eps(
    eps: Tensor, gradient: Tensor, omega: Tensor | float, sigma: Tensor | float, relative: bool = True
) -> Tensor:
    """Return the guided noise prediction: equation 7 of arXiv 2502.15588, with the sign that raises H.

    The score is -eps / sigma, so omega grad H added to it is eps - omega sigma grad H (the paper prints a plus, which
    lowers H), with sigma = sqrt(1 - abar_t) on DDIM's path.

    Args:
        eps: noise predictions, float32 [B, ...].
        gradient: of the objective H with respect to x_t, of the same shape; not zero.
        omega: strength, a number or one for each sample, [B].
        sigma: the noise's scale in x_t.
        relative: rescales each sample's gradient to the length of its noise prediction, so that omega sigma is the
            fraction of that which changes.

    Example:
        >>> import torch
        >>> from dp import guided_eps
        >>> eps, gradient = torch.tensor([[3.0, 4.0]]), torch.tensor([[0.0, 2.0]])
        >>> guided_eps(eps, gradient, omega=0.1, sigma=1.0)  # by a tenth of the length of eps, against the gradient
        tensor([[3.0000, 3.5000]])
    """
    step = omega * sigma
    if relative:
        length = gradient.flatten(1).norm(dim=1)
        gradient = gradient / _per_sample(length.clamp_min(1e-30), gradient)
        step = step * eps.flatten(1).norm(dim=1)
    return eps - _per_sample(torch.as_tensor(step), gradient) * gradient


def guided_steps(timesteps: Sequence[int], config: GuidanceConfig) -> int:
    """Return how many of a sampler's steps are guided: of those inside the interval, every `config.every`-th."""
    low, high = config.interval
    inside = sum(low * 1000 <= t < high * 1000 for t in timesteps)
    return -(-inside // config.every) if config.omega > 0 else 0


@dataclass(repr=False)
class Guidance:
    """Guide one sampling run of a batch: `output = guidance(x, output, point)` before each of the sampler's steps.

    Each sample's noise prediction moves by `guided_eps`, along the gradient of the objective in x. A zero or
    non-finite gradient gives a zero step. Norms, the objective and x0_hat are float32 whatever the pipeline computes
    in. A guided scheduler renews the record where it sets its time steps; a loop of your own calls `renew`.

    Attributes:
        objective: images float32 [B, C, H, W], nominally in [-1, 1] -> what to raise, [B] (see `objectives`).
        decode: x0_hat [B, c, h, w] -> such images (see `dp.guidance.decoders`).
        config: strength and times.
        shares: float [B], what of omega each sample gets; None = all of it.
        zero_steps: int64 [B], the run's guided steps without a usable gradient so far; None before the first.
        before: float32 [B], the objective at the run's first guided step, before guidance; None before it.
        guided_steps: guided steps of the run so far.
    """

    objective: Objective
    decode: Callable[[Tensor], Tensor]
    config: GuidanceConfig = GuidanceConfig()
    shares: Tensor | None = None
    zero_steps: Tensor | None = field(default=None, init=False)
    before: Tensor | None = field(default=None, init=False)
    guided_steps: int = field(default=0, init=False)
    _inside: int = field(default=0, init=False)  # the run's steps inside the interval so far

    def __repr__(self) -> str:
        c = self.config
        return f"Guidance(omega={c.omega:g}, interval={c.interval}, gradient={c.gradient!r}, {self.guided_steps} steps)"

    def renew(self) -> None:
        """Begin a new run: the record is empty again."""
        self.zero_steps, self.before, self.guided_steps, self._inside = None, None, 0, 0

    def is_due(self, point: Point) -> bool:
        """Return whether a step at that point would be guided, if it were the next."""
        return self._is_inside(point) and self._inside % self.config.every == 0

    def active(self, point: Point) -> bool:
        """Return whether the step at that point is guided; to be asked once per step, in order."""
        due = self.is_due(point)
        self._inside += self._is_inside(point)
        return due

    def _is_inside(self, point: Point) -> bool:
        low, high = self.config.interval
        return self.config.omega > 0 and low * 1000 <= point.time < high * 1000 and not point.all_noise

    def __call__(self, x: Tensor, output: Tensor, point: Point) -> Tensor:
        """Return the guided network output, of the shape and dtype of `output`.

        Args:
            x: noisy samples [B, ...]; for gradient "unet" the tensor that `output` was computed from, with gradients.
            output: the network's prediction for them.
            point: their noise level and the kind of prediction (see `path.point_of`).
        """
        return self.guide(x, output, point) if self.active(point) else output

    def guide(
        self, x: Tensor, output: Tensor, point: Point, inputs: NetworkInputs | None = None, scale: float = 1.0
    ) -> Tensor:
        """Return the guided output at any point, without counting it as a step of the interval.

        `inputs` and `scale`: what the network was called with for gradient "unet", where that is not x itself, and
        what it was scaled by.
        """
        value, gradient, eps = self.ascent(x, output, point, inputs, scale)
        output = output.detach()
        own, rest = output[:, : x.shape[1]], output[:, x.shape[1] :]  # the rest is a learnt variance
        length = gradient.flatten(1).norm(dim=1)
        usable = length.isfinite() & (length > 0)
        fraction = point.noise / point.norm if self.config.relative else point.noise
        omega = self.config.omega * fraction.flatten().expand_as(length)
        if self.shares is not None:
            omega = omega * self.shares.to(omega).repeat_interleave(len(omega) // len(self.shares))
        guided = point.output_of(x.detach(), guided_eps(eps, gradient, omega, 1.0, self.config.relative))
        # Samples without a usable gradient are replaced, not multiplied by zero: 0 * nan is nan.
        guided = torch.where(_per_sample(usable, gradient), guided, own.float()).to(output.dtype)
        self.guided_steps += 1
        self.zero_steps = (0 if self.zero_steps is None else self.zero_steps) + (~usable).long()
        self.before = value if self.before is None else self.before
        return torch.cat([guided, rest], dim=1) if rest.shape[1] else guided

    def ascent(
        self, x: Tensor, output: Tensor, point: Point, inputs: NetworkInputs | None = None, scale: float = 1.0
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the objective [B], its gradient in x [B, ...] and the noise prediction, float32; see `guide`."""
        through_network = self.config.gradient == "unet"
        # A pipeline called inside inference_mode hands over tensors that no graph may hold: copies may.
        with torch.inference_mode(False), torch.enable_grad(), ExitStack() as stack:
            x, output = (each.clone() if each.is_inference() else each for each in (x, output))
            point = Point(*(each.clone() if each.is_inference() else each for each in vars(point).values()))
            output = output[:, : x.shape[1]]  # cut inside enable_grad: a view made without gradients leads nowhere
            if through_network and not output.requires_grad:
                raise UserError(
                    'gradient: "unet" needs a network output that was computed with gradients; guide the pipeline by '
                    'dp.guide, compute it from an x that requires them, or take gradient "x0"'
                )
            if not (through_network and x.requires_grad):
                x = x.detach().requires_grad_()
            # Parameters ask for no gradients until the backward pass is over: gradient checkpointing computes again.
            stack.enter_context(frozen(*self._parts()))
            stack.enter_context(keeping_weights(*self._parts()))
            stack.enter_context(without_parameter_gradients(*(inputs.networks if inputs is not None else ())))
            # "x0" holds the noise prediction fixed, whatever kind of output it is computed from.
            eps = point.noise_of(x, output) if through_network else point.noise_of(x.detach(), output.detach())
            images = self.decode(point.x0_of(x, eps))
            if not images.isfinite().all():
                raise UserError(
                    f"decoder: it makes images that are not finite numbers at t = {point.time:.0f}; if it computes in "
                    "float16 (the VAE of Stable Diffusion XL does not do there), take bfloat16 or float32, or another "
                    "decoder"
                )
            value = self.objective(images)
            if not isinstance(value, Tensor) or value.shape != x.shape[:1]:
                found = list(value.shape) if isinstance(value, Tensor) else type(value).__name__
                raise UserError(f"objective: gave {found}, expected one number an image, [{len(x)}]")
            leaves = [x, *(inputs.leaves if inputs is not None else ())]
            gradients: Sequence[Tensor | None] = [None]
            if value.requires_grad:
                gradients = torch.autograd.grad(GRADIENT_SCALE * value.sum(), leaves, allow_unused=True)
            if gradients[0] is None:
                raise UserError(
                    "objective: does not depend differentiably on the images; keep integers, arrays, PIL and no_grad "
                    "out of the learner and of what it does to images first (see dp.guidance.preprocessing)"
                )
            gradient = gradients[0].float()
            if inputs is not None:
                gradient = inputs.added(gradient, x, gradients[1:], scale)
        return value.detach().float(), gradient / GRADIENT_SCALE, eps.detach()

    def _parts(self) -> list[nn.Module]:
        """Return the modules of the objective and of the decoder."""
        return [*_modules_in(self.objective), *_modules_in(self.decode)]


def entropy_guidance(
    pipe: Any,
    learner: Learner,
    omega: float = 0.3,
    interval: tuple[float, float] = (0.0, 0.4),
    every: int = 1,
    decoder: Any = None,
    objective: Objective | None = None,
) -> Guidance:
    """Return guidance for a pipeline whose scheduler is one of `dp.guidance.schedulers`; `dp.guide` takes any other.

    Raises:
        UserError: the scheduler does not guide, learner or objective cannot be called, or a setting is out of range.

    Example:
        >>> from dp import EntropyGuidedDDIMScheduler, bundled_oracle, bundled_pipeline, entropy_guidance
        >>> pipe = bundled_pipeline()
        >>> pipe.scheduler = EntropyGuidedDDIMScheduler.from_config(pipe.scheduler.config)
        >>> pipe.scheduler.guidance = entropy_guidance(pipe, bundled_oracle(), omega=0.3)
        >>> len(pipe([0, 1]).images)
        2
    """
    scheduler = getattr(pipe, "scheduler", None)
    if not hasattr(scheduler, "guidance"):
        raise UserError(
            f"pipe.scheduler: found {type(scheduler).__name__}, which does not guide; dp.guide(pipe, classifier) takes "
            "it as it is"
        )
    config = GuidanceConfig(omega, interval, every)
    return Guidance(objective_for(learner, objective), decoder_of(pipe, decoder), config)


def objective_for(learner: Learner | None, objective: Objective | None) -> Objective:
    """Return the objective, by default the learner's entropy.

    Raises:
        UserError: what is given cannot be called.
    """
    name, called = ("classifier", learner) if objective is None else ("objective", objective)
    if not callable(called):
        raise UserError(f"{name}: got {type(called).__name__}, expected a module or a function of images")
    return Entropy(called) if objective is None else objective


def _modules_in(thing: Any) -> list[nn.Module]:
    """Return the modules that an objective or a decoder is, or holds as attributes at any depth."""
    if isinstance(thing, nn.Module):
        return [thing]
    return [module for each in vars(thing).values() for module in _modules_in(each)] if _is_ours(thing) else []


def _is_ours(thing: Any) -> bool:
    return type(thing).__module__.startswith("dp.guidance.") and hasattr(thing, "__dict__")


def _per_sample(values: Tensor, like: Tensor) -> Tensor:
    return values.reshape(-1, *[1] * (like.ndim - 1))
