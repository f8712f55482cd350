"""Sampling with the exact gradient: through the U-Net, which a scheduler never sees.

The loop of a pipeline, with the network called inside a graph at the guided steps. Costs a backward pass of the network
a guided step more than `dp.guidance.schedulers`, and as much memory as that; docs/guidance.md has what it gains.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline
from torch import Tensor

from dp.guidance.guidance import Guidance
from dp.utils.errors import UserError

PredictNoise = Callable[
    [Tensor, Tensor], Tensor
]  # (x_t [B, c, h, w], t) -> network output after classifier-free guidance


@torch.no_grad()
def sample(
    scheduler: Any,
    predict: PredictNoise,
    noise: Tensor,
    guidance: Guidance,
    steps: int,
    eta: float = 0.0,
    generator: torch.Generator | list[torch.Generator] | None = None,
) -> Tensor:
    """DDIM from noise [B, c, h, w] to finished latents (or pixels) with gradient "unet".

    Args:
        scheduler: a DDIM scheduler.
        predict: the network with its conditions, differentiable in x_t; see `predictor`.
        noise: standard normal [B, c, h, w].
        guidance: with gradient "unet".
        steps: DDIM steps.
        eta, generator: DDIM's stochasticity, as for the pipeline.
    """
    check(scheduler)
    scheduler.set_timesteps(steps, device=noise.device)
    guidance.renew()
    x_t = noise * scheduler.init_noise_sigma
    with _unguided(scheduler):
        for t in scheduler.timesteps:
            if guidance.active(int(t)):
                with torch.enable_grad():
                    x = x_t.detach().requires_grad_()
                    output = predict(x, t)
                output = guidance.guide(x, output, int(t))
            else:
                output = predict(x_t, t)
            x_t = scheduler.step(output, t, x_t, eta=eta, generator=generator).prev_sample
    return x_t


@contextmanager
def _unguided(scheduler: Any) -> Iterator[None]:
    """Without the guidance that a guided scheduler may have: its steps would guide once more."""
    kept = getattr(scheduler, "guidance", None)
    if kept is not None:
        scheduler.guidance = None
    try:
        yield
    finally:
        if kept is not None:
            scheduler.guidance = kept


def check(scheduler: Any) -> None:
    """UserError unless it is a scheduler that `sample` can use."""
    if not isinstance(scheduler, DDIMScheduler):
        raise UserError(
            f'pipe.scheduler: found {type(scheduler).__name__}, but gradient "unet" samples with DDIM; take gradient '
            '"x0", or EntropyGuidedDDIMScheduler'
        )


def predictor(pipe: Any, conditions: dict[str, Any], guidance_scale: float = 1.0) -> PredictNoise:
    """The network of a pipeline with its conditions bound, after classifier-free guidance.

    Args:
        pipe: a LatentClassPipeline or DiT pipeline (conditions {"class_labels": [...]}), a Stable Diffusion 1.x / 2.x
            text-to-image pipeline ({"prompt": [...]}) or an unconditional DDIM pipeline ({}).
        guidance_scale: 1 + lambda_cfg of the paper; 1 = none.
    """
    if hasattr(pipe, "predict_noise"):
        labels = torch.as_tensor(conditions["class_labels"], device=pipe._execution_device)
        return lambda x_t, t: pipe.predict_noise(x_t, t, labels, guidance_scale)
    if hasattr(pipe, "transformer") and "class_labels" in conditions:
        return _dit(pipe, conditions["class_labels"], guidance_scale)
    if isinstance(pipe, StableDiffusionPipeline):  # not XL, whose U-Net takes more than the prompt's embedding
        return _stable_diffusion(pipe, conditions["prompt"], guidance_scale)
    if hasattr(pipe, "unet") and not conditions:
        return lambda x_t, t: pipe.unet(x_t, t).sample
    raise UserError(
        f'pipe: exact guidance does not know how {type(pipe).__name__} calls its network; take gradient "x0", or give '
        "dp.guidance.unet_gradient.sample a predict function of your own"
    )


def _stable_diffusion(pipe: Any, prompts: list[str], guidance_scale: float) -> PredictNoise:
    with torch.no_grad():
        positive, negative = pipe.encode_prompt(
            prompt=prompts,
            device=pipe._execution_device,
            num_images_per_prompt=1,
            do_classifier_free_guidance=guidance_scale > 1,
        )[:2]
    if guidance_scale <= 1:
        return lambda x_t, t: pipe.unet(x_t, t, encoder_hidden_states=positive).sample
    both = torch.cat([negative, positive])

    def predict(x_t: Tensor, t: Tensor) -> Tensor:
        unconditional, conditional = pipe.unet(torch.cat([x_t, x_t]), t, encoder_hidden_states=both).sample.chunk(2)
        return unconditional + guidance_scale * (conditional - unconditional)

    return predict


def _dit(pipe: Any, labels: list[int], guidance_scale: float) -> PredictNoise:
    labels_ = torch.as_tensor(labels, device=pipe._execution_device)
    null = torch.full_like(labels_, pipe.transformer.config.num_embeds_ada_norm)
    both = torch.cat([labels_, null])

    def predict(x_t: Tensor, t: Tensor) -> Tensor:
        times = torch.as_tensor(t, device=x_t.device).expand(2 * len(x_t))
        output = pipe.transformer(torch.cat([x_t, x_t]), timestep=times, class_labels=both).sample
        conditional, unconditional = output[:, : x_t.shape[1]].chunk(2)  # the rest is a learnt variance
        return unconditional + guidance_scale * (conditional - unconditional)

    return predict
