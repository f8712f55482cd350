"""Sample the bundled network on any path: under every scheduler, with every kind of prediction.

A denoiser knows one function, the noise in a sample at a ratio of noise to signal. Scaled to the network's own
variance-preserving path and asked at the time of that ratio, the bundled U-Net gives it for any sampler; its answer is
then written as the kind of output that the scheduler expects.
"""

import inspect
from typing import Any

import torch
from torch import Tensor, nn

from dp.generation.latent_class_pipeline import LatentClassPipeline
from dp.guidance.path import point_of, preserving
from dp.pretrained.load import bundled_pipeline
from dp.utils.seeding import stream


class Reparametrised(nn.Module):
    """Answer as the bundled U-Net would, had it been trained on the path of `scheduler`."""

    def __init__(self, unet: nn.Module, alphas_cumprod: Tensor):
        super().__init__()
        self.unet, self.config = unet, unet.config
        self.scheduler: Any = None
        self.alphas_cumprod = alphas_cumprod

    @property
    def dtype(self) -> torch.dtype:
        """Return the weights' number format."""
        return self.unet.dtype

    def forward(self, scaled: Tensor, t: Tensor, class_labels: Tensor) -> Any:
        """Return the output for samples [2 B, 4, h, w] as the scheduler scales them for its network."""
        place = point_of(self.scheduler, t)
        norm, signal, noise = (float(each.flatten()[0]) for each in (place.norm, place.signal, place.noise))
        by_x, by_output = (float(each.flatten()[0]) for each in (place.by_x, place.by_output))
        c = 1.0
        if hasattr(self.scheduler, "scale_model_input"):
            c = float(self.scheduler.scale_model_input(torch.ones(()), t))
        x = scaled / c
        own = preserving(self.alphas_cumprod[round(place.time)])
        answer = self.unet(x / norm, place.time, class_labels=class_labels)
        x0 = own.x0_of(x / norm, answer.sample)
        n = (x - signal * x0) / noise
        answer.sample = (n - by_x * x) / by_output if by_output else n - x0  # a flow's at pure noise
        return answer


def pipeline(scheduler: Any) -> LatentClassPipeline:
    """Return the bundled pipeline with that scheduler, whatever it is."""
    pipe = bundled_pipeline()
    net = Reparametrised(pipe.unet, pipe.scheduler.alphas_cumprod)
    return LatentClassPipeline(pipe.vae, net, scheduler)


@torch.no_grad()
def sampled(pipe: LatentClassPipeline, labels: Tensor, seeds: list[int], steps: int = 10, scale: float = 1.5) -> Tensor:
    """Return images float [n, 1, 32, 32] in [-1, 1]: diffusers' loop, with what single schedulers want more."""
    scheduler = pipe.unet.scheduler = pipe.scheduler
    name = type(scheduler).__name__
    rngs = [stream(seed) for seed in seeds]
    x = torch.stack([torch.randn(4, 8, 8, generator=rng) for rng in rngs])
    scheduler.set_timesteps(steps)
    x = x * getattr(scheduler, "init_noise_sigma", 1.0)
    accepted = inspect.signature(scheduler.step).parameters
    times = scheduler.timesteps
    times = times[:-1] if name in ("DDPMWuerstchenScheduler", "SCMScheduler") else times
    for i, t in enumerate(times):
        given = t.expand(len(x)) if name == "DDPMWuerstchenScheduler" else t
        more: dict[str, Any] = {"generator": rngs} if "generator" in accepted else {}
        if "prev_timestep" in accepted:
            more["prev_timestep"] = times[i + 1] if i + 1 < len(times) else None
        output = pipe.predict_noise(x, given, labels, scale)
        x = scheduler.step(output, given, x, **more).prev_sample
    if name == "SCMScheduler":
        x = x / scheduler.config.sigma_data
    return pipe.decode(x).clamp(-1, 1)
