"""Locate a sampler's sample on its way from noise to an image: x = signal x0 + noise n.

Every sampler with such a path is guided by one formula: guidance moves the noise prediction n, and n is a linear
function of the sample and the network's output. A `Point` holds the two scales and that function:

    samplers                              signal        noise           the network predicts
    DDIM, DDPM, PNDM, LCM, TCD            sqrt(abar)    sqrt(1-abar)    n, v or x0
    DPM-Solver, DEIS, UniPC, SA-Solver    the same from sigma, or a flow's
    Euler, Heun, KDPM2, LMS (Karras)      1             sigma           n, v or x0
    EDM, consistency models               1             sigma           a mixture that the scheduler undoes
    flow matching                         1 - sigma     sigma           n - x0
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import torch
from diffusers import DDIMScheduler
from torch import Tensor

from dp.utils.errors import UserError

Prediction = Literal["epsilon", "v_prediction", "sample", "flow_prediction"]

# A step with less than this share of the image in the sample's variance (a terminal SNR of 0, or the 2**-24 that some
# samplers put for it) is not guided: the sample is all noise there, and x0_hat a division by nothing.
NO_SIGNAL = 1e-6


@dataclass(frozen=True)
class Point:
    """Describe one noise level of a sampler: float32 tensors [], or [B, 1, 1, 1] where each sample has its own.

    Attributes:
        signal, noise: the scales in x = signal x0 + noise n; x0 in the scale that the decoder takes.
        norm: sqrt(signal^2 + noise^2), 1 on a variance-preserving path.
        by_x, by_output: n = by_x x + by_output output.
    """

    signal: Tensor
    noise: Tensor
    norm: Tensor
    by_x: Tensor
    by_output: Tensor

    def noise_of(self, x: Tensor, output: Tensor) -> Tensor:
        """Return the noise prediction n that a network's output amounts to, float32."""
        return self.by_output * output.float() + self.by_x * x.float()

    def output_of(self, x: Tensor, n: Tensor) -> Tensor:
        """Return the network's output that amounts to the noise prediction n, float32."""
        return (n - self.by_x * x.float()) / self.by_output

    def x0_of(self, x: Tensor, n: Tensor) -> Tensor:
        """Return the denoised estimate x0_hat = (x - noise n) / signal, float32."""
        return (x.float() - self.noise * n.float()) / self.signal

    def x_of(self, x0: Tensor, n: Tensor) -> Tensor:
        """Return the sample signal x0 + noise n at this noise level, float32."""
        return self.signal * x0 + self.noise * n

    @property
    def time(self) -> float:
        """Return Stable Diffusion's time step, 0 .. 999 and between, that has the same ratio of noise to signal."""
        ratio = float(self.noise.flatten()[0].double() / self.signal.flatten()[0].double())
        return float(np.interp(ratio, _RATIOS, np.arange(len(_RATIOS))))

    @property
    def all_noise(self) -> bool:
        """Return whether the sample holds next to nothing of an image."""
        return bool((self.signal / self.norm).square().min() < NO_SIGNAL)


def point(signal: Tensor, noise: Tensor, prediction: str = "epsilon", norm: Tensor | None = None) -> Point:
    """Return the point of two scales and of what the network predicts; `norm` where it is known to be exactly 1.

    Raises:
        UserError: the kind of prediction is unknown.
    """
    signal, noise = signal.float(), noise.float()
    norm = torch.hypot(signal, noise) if norm is None else norm
    zero, one = torch.zeros_like(signal), torch.ones_like(signal)
    # n as a function of x and the output, for each kind, from x = signal x0 + noise n.
    kinds: dict[str, Callable[[], tuple[Tensor, Tensor]]] = {
        "epsilon": lambda: (zero, one),
        "v_prediction": lambda: (noise / norm**2, signal / norm),
        "sample": lambda: (1 / noise, -signal / noise),
        "original_sample": lambda: (1 / noise, -signal / noise),  # the same, as Euler's scheduler calls it too
        "flow_prediction": lambda: (1 / (signal + noise), signal / (signal + noise)),
    }
    if prediction not in kinds:
        raise UserError(
            f'pipe.scheduler: prediction_type "{prediction}" is not known; expected one of '
            f"{', '.join(get_args(Prediction))}"
        )
    return Point(signal, noise, norm, *kinds[prediction]())


def preserving(abar: Tensor, prediction: str = "epsilon") -> Point:
    """Return the point of a variance-preserving path whose cumulative alpha (the paper's xi_t) is abar."""
    abar = abar.float()
    return point(abar.sqrt(), (1 - abar).sqrt(), prediction, torch.ones_like(abar))


def point_of(scheduler: Any, t: Any) -> Point:
    """Return where the scheduler's step at time step t, its next one, finds its sample.

    Raises:
        UserError: the scheduler has no path of this kind.
    """
    place = _place_of(scheduler)
    if getattr(scheduler, "step_index", 0) is None:  # as the scheduler's own step would begin
        scheduler._init_step_index(t)
    return place(scheduler, t)


def points_of(scheduler: Any) -> list[Point]:
    """Return the points of all steps that a scheduler has been set to; it is spoilt for sampling: give a copy."""
    points = []
    for place, t in enumerate(scheduler.timesteps):
        if hasattr(scheduler, "step_index"):
            scheduler._step_index = place
        points.append(_place_of(scheduler)(scheduler, t))
    return points


def next_point_of(scheduler: Any, t: Any) -> Point:
    """Return where the step at t leads, for the schedulers that are taken at first order (see `extrapolates`)."""
    if hasattr(scheduler, "plms_timesteps"):
        previous = int(t) - scheduler.config.num_train_timesteps // scheduler.num_inference_steps
        return preserving(scheduler.alphas_cumprod[previous] if previous >= 0 else scheduler.final_alpha_cumprod)
    i = scheduler.step_index + 1
    if _name_of(scheduler) == "IPNDMScheduler":
        return point(scheduler.alphas[i], scheduler.betas[i])
    if hasattr(scheduler, "_sigma_to_alpha_sigma_t"):
        signal, noise = scheduler._sigma_to_alpha_sigma_t(scheduler.sigmas[i])
        return point(signal, noise)
    return point(torch.ones(()), scheduler.sigmas[i])


def extrapolates(scheduler: Any) -> bool:
    """Return whether the solver extrapolates past noise predictions, which amplifies a change and takes it back."""
    if _name_of(scheduler) in ("PNDMScheduler", "LMSDiscreteScheduler", "IPNDMScheduler", "DEISMultistepScheduler"):
        return True
    noise_prediction = ("dpmsolver", "sde-dpmsolver", "noise_prediction")
    return (
        scheduler.config.get("algorithm_type") in noise_prediction and scheduler.config.get("solver_order", 2) > 1
    ) or scheduler.config.get("predict_x0") is False


def check_path(scheduler: Any) -> None:
    """Raise a UserError unless the scheduler has a path that guidance knows."""
    _place_of(scheduler)
    kind = scheduler.config.get("prediction_type", "epsilon")
    if kind not in ("trigflow", *get_args(Prediction), "original_sample"):
        point(torch.ones(()), torch.ones(()), kind)


def _by_time(scheduler: Any, t: Any) -> Point:
    return preserving(scheduler.alphas_cumprod[int(t)], scheduler.config.prediction_type)


def _wuerstchen(scheduler: Any, t: Tensor) -> Point:
    return preserving(scheduler._alpha_cumprod(t, t.device).reshape(-1, 1, 1, 1))


def _unit_norm(scheduler: Any, t: Any) -> Point:
    signal, noise = scheduler._sigma_to_alpha_sigma_t(scheduler.sigmas[scheduler.step_index])
    return point(signal, noise, scheduler.config.prediction_type)


def _exploding(scheduler: Any, t: Any) -> Point:
    return point(torch.ones(()), _sigma(scheduler), scheduler.config.prediction_type)


def _sigma(scheduler: Any) -> Tensor:
    """Return the noise level that the network was asked at: in a second-order solver's inner call, one between."""
    i, second = scheduler.step_index, not getattr(scheduler, "state_in_first_order", True)
    if second and getattr(scheduler, "mid_point_sigma", None) is not None:
        return torch.as_tensor(scheduler.mid_point_sigma)
    if second and hasattr(scheduler, "sigmas_interpol"):
        ancestral = hasattr(scheduler, "sigmas_up")  # which counts the levels between from another place
        return scheduler.sigmas_interpol[i - 1 if ancestral else i]
    return scheduler.sigmas[i]


def _preconditioned(scheduler: Any, t: Any) -> Point:
    sigma = scheduler.sigmas[scheduler.step_index]
    zero, one = torch.zeros(()), torch.ones(())
    if hasattr(scheduler, "precondition_outputs"):
        skip = scheduler.precondition_outputs(one, zero, sigma)
        out = scheduler.precondition_outputs(zero, one, sigma)
    else:
        skip, out = scheduler.get_scalings_for_boundary_condition(sigma)
    return Point(one, sigma, torch.hypot(one, sigma), (1 - skip) / sigma, -out / sigma)


def _flow(scheduler: Any, t: Any) -> Point:
    sigma = scheduler.sigmas[scheduler.step_index].float()
    if scheduler.config.get("invert_sigmas"):  # sigma is the signal's scale, and the output x0 - n
        return Point(sigma, 1 - sigma, torch.hypot(sigma, 1 - sigma), torch.ones_like(sigma), -sigma)
    return point(1 - sigma, sigma, "flow_prediction")


def _multistep_angle(scheduler: Any, t: Any) -> Point:
    i = scheduler.step_index
    return point(scheduler.alphas[i], scheduler.betas[i], "v_prediction")


def _trigflow(scheduler: Any, t: Any) -> Point:
    angle, scale = scheduler.timesteps[scheduler.step_index].float().cpu(), scheduler.config.sigma_data
    sin, cos = angle.sin(), angle.cos()
    return Point(scale * cos, scale * sin, torch.full_like(sin, scale), sin / scale, cos / scale)


# By name, since some of these classes cannot be imported without a library that few have (torchsde).
_PLACES: dict[str, Callable[[Any, Any], Point]] = {
    **dict.fromkeys(
        ("DDIMScheduler", "DDIMParallelScheduler", "CogVideoXDDIMScheduler", "DDPMScheduler", "DDPMParallelScheduler"),
        _by_time,
    ),
    **dict.fromkeys(("PNDMScheduler", "LCMScheduler", "TCDScheduler", "UnCLIPScheduler"), _by_time),
    "DDPMWuerstchenScheduler": _wuerstchen,
    **dict.fromkeys(
        (
            "DEISMultistepScheduler",
            "DPMSolverMultistepScheduler",
            "DPMSolverSinglestepScheduler",
            "SASolverScheduler",
            "UniPCMultistepScheduler",
        ),
        _unit_norm,
    ),
    **dict.fromkeys(
        (
            "DPMSolverSDEScheduler",
            "EulerAncestralDiscreteScheduler",
            "EulerDiscreteScheduler",
            "HeunDiscreteScheduler",
            "KDPM2AncestralDiscreteScheduler",
            "KDPM2DiscreteScheduler",
            "LMSDiscreteScheduler",
        ),
        _exploding,
    ),
    **dict.fromkeys(
        (
            "CMStochasticIterativeScheduler",
            "CosineDPMSolverMultistepScheduler",
            "EDMDPMSolverMultistepScheduler",
            "EDMEulerScheduler",
        ),
        _preconditioned,
    ),
    **dict.fromkeys(
        (
            "FlowMatchEulerDiscreteScheduler",
            "FlowMatchHeunDiscreteScheduler",
            "FlowMatchLCMScheduler",
            "LTXEulerAncestralRFScheduler",
        ),
        _flow,
    ),
    "IPNDMScheduler": _multistep_angle,
    "SCMScheduler": _trigflow,
}
SCHEDULERS = tuple(sorted(_PLACES))


def _name_of(scheduler: Any) -> str:
    """Return the name of the known class that the scheduler is of, or comes from."""
    return next((kind.__name__ for kind in type(scheduler).__mro__ if kind.__name__ in _PLACES), "")


def _place_of(scheduler: Any) -> Callable[[Any, Any], Point]:
    name = _name_of(scheduler)
    if not name:
        raise UserError(
            f"pipe.scheduler: {type(scheduler).__name__} follows no path signal x0 + noise n that guidance knows; take "
            "DDIMScheduler where the model has a beta schedule, FlowMatchEulerDiscreteScheduler for flow matching"
        )
    return _PLACES[name]


def _stable_diffusion_ratios() -> np.ndarray:
    scheduler = DDIMScheduler(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012)
    abar = scheduler.alphas_cumprod
    return ((1 - abar).sqrt().double() / abar.sqrt().double()).numpy()


_RATIOS = _stable_diffusion_ratios()
