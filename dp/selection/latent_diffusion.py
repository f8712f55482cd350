"""The generator as filters use it: noise, and one step back."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from dp.generation.latent_class_pipeline import LatentClassPipeline
from dp.utils.device import autocast
from dp.utils.seeding import RENOISE, stream


@dataclass(frozen=True)
class LatentDiffusion:
    """A generator's parts, in whatever precision and on whatever device it computes.

    Attributes:
        encode: images float32 [B, C, H, W] in [-1, 1] -> latents [B, c, h, w] on the U-Net's scale.
        decode: its inverse; need not clamp.
        predict_noise: (x_t [B, c, h, w], time step, labels int64 [B]) -> eps [B, c, h, w], conditional only
            (guidance_scale 1): with classifier-free guidance it is no likelihood.
        alphas_cumprod: float [T], the scheduler's.
        num_classes: K; the labels are 0 .. K - 1.
    """

    encode: Callable[[Tensor], Tensor]
    decode: Callable[[Tensor], Tensor]
    predict_noise: Callable[[Tensor, int, Tensor], Tensor]
    alphas_cumprod: Tensor
    num_classes: int

    @classmethod
    def of(cls, pipe: LatentClassPipeline) -> "LatentDiffusion":
        """Take a pipeline's parts; encoding gives the mean, so that it is no matter of chance."""
        device = pipe._execution_device

        def encode(images: Tensor) -> Tensor:
            with autocast(device, pipe.vae.dtype):
                encoded = pipe.vae.encode(images.to(device, pipe.vae.dtype))
                return encoded.latent_dist.mean * pipe.vae.config.scaling_factor

        def decode(latents: Tensor) -> Tensor:
            with autocast(device, pipe.vae.dtype):
                return pipe.decode(latents)

        def predict_noise(x_t: Tensor, t: int, labels: Tensor) -> Tensor:
            with autocast(device, pipe.unet.dtype):
                return pipe.predict_noise(x_t, t, labels, guidance_scale=1)

        return cls(encode, decode, predict_noise, pipe.scheduler.alphas_cumprod, pipe.null_class)

    def noised(self, latents: Tensor, t: int, noise: Tensor) -> Tensor:
        """Return x_t of x_0 = latents."""
        abar_t = self.alphas_cumprod[t].item()
        return abar_t**0.5 * latents + (1 - abar_t) ** 0.5 * noise

    def denoised(self, x_t: Tensor, t: int, labels: Tensor) -> Tensor:
        """Return the estimate of x_0 in one step."""
        abar_t = self.alphas_cumprod[t].item()
        return (x_t - (1 - abar_t) ** 0.5 * self.predict_noise(x_t, t, labels).float()) / abar_t**0.5


def own_noise(seeds: Tensor, latents: Tensor, draws: int) -> Tensor:
    """Draw standard normal noise from each image's own stream: float32 [draws, B, c, h, w] for latents [B, c, h, w]."""
    each = [torch.randn(draws, *latents.shape[1:], generator=stream(seed, RENOISE)) for seed in seeds.tolist()]
    return torch.stack(each, 1).to(latents.device)
