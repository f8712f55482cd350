"""A cheap decoder for guidance, fitted to what a pipeline's own VAE does, on latents that the pipeline makes.

`dp fit-decoder` does so and saves the decoder; a decoder of either kind goes into `guide(..., decoder=decoder)`.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from diffusers import AutoencoderTiny
from torch import Tensor

from dp.generation.generator import Generator
from dp.guidance.decoders import autoencoder_of
from dp.guidance.linear_decoder import LinearDecoder
from dp.utils.device import best_device
from dp.utils.errors import UserError
from dp.utils.seeding import seed_for


@torch.no_grad()
def fit_linear(latents: Tensor, images: Tensor) -> LinearDecoder:
    """Return the LinearDecoder that is nearest to the VAE in squared error.

    Args:
        latents: float [N, c, h, w], in the pipeline's scaling.
        images: what the VAE makes of them, float [N, C, H, W] in [-1, 1]; H = factor h, W = factor w.
    """
    _check_pairs(latents, images)
    n, channels = latents.shape[:2]
    factor = images.shape[-1] // latents.shape[-1]
    inputs = 9 * channels + 1  # a 3 x 3 neighbourhood and the bias
    outputs = images.shape[1] * factor**2
    gram = torch.zeros(inputs, inputs, dtype=torch.float64)
    cross = torch.zeros(inputs, outputs, dtype=torch.float64)
    for part in torch.arange(n).split(64):
        patches = F.unfold(latents[part].double().cpu(), 3, padding=1).transpose(1, 2).flatten(0, 1)
        patches = torch.cat([patches, torch.ones(len(patches), 1, dtype=torch.float64)], 1)  # [b h w, inputs]
        blocks = F.pixel_unshuffle(images[part].double().cpu(), factor).flatten(2).transpose(1, 2).flatten(0, 1)
        gram += patches.T @ patches
        cross += patches.T @ blocks
    ridge = 1e-9 * gram.diagonal().mean() * torch.eye(inputs, dtype=torch.float64)
    weights = torch.linalg.solve(gram + ridge, cross).T.float()  # [outputs, inputs]
    decoder = LinearDecoder(channels, images.shape[1], factor)
    decoder.map.weight.copy_(weights[:, :-1].reshape(outputs, channels, 3, 3))
    decoder.map.bias.copy_(weights[:, -1])
    return decoder.eval()


def distil_tiny(
    latents: Tensor,
    images: Tensor,
    iterations: int = 3000,
    width: int = 16,
    progress: Callable[[float], None] | None = None,
) -> AutoencoderTiny:
    """Train a small AutoencoderTiny whose decoder imitates the VAE (mean squared error); its encoder stays untrained.

    Args:
        latents, images: as for `fit_linear`; the factor between them a power of two.
        iterations: mini-batches of 64; they are moved to the best device there is, where the decoder then stays.
        width: channels of the decoder.
        progress: called with the fraction done.
    """
    _check_pairs(latents, images)
    factor = images.shape[-1] // latents.shape[-1]
    levels = factor.bit_length()
    if factor != 1 << (levels - 1):
        raise UserError(f"images: {factor} times the size of the latents, expected a power of two; fit a linear one")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        tiny = AutoencoderTiny(
            in_channels=images.shape[1],
            out_channels=images.shape[1],
            encoder_block_out_channels=(8,) * levels,
            decoder_block_out_channels=(width,) * levels,
            latent_channels=latents.shape[1],
            num_encoder_blocks=(1,) * levels,
            num_decoder_blocks=(1,) * levels,
        )
    device = best_device()
    tiny.to(device)
    optimizer = torch.optim.AdamW(tiny.decoder.parameters(), 3e-3, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, iterations)
    rng = torch.Generator().manual_seed(0)
    for iteration in range(iterations):
        index = torch.randint(len(latents), (64,), generator=rng)
        loss = F.mse_loss(tiny.decode(latents[index].to(device)).sample, images[index].to(device))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
        if progress and iteration % 50 == 49:
            progress((iteration + 1) / iterations)
    return tiny.eval().requires_grad_(False)


def _check_pairs(latents: Tensor, images: Tensor) -> None:
    if latents.ndim != 4 or images.ndim != 4 or len(latents) != len(images) or len(latents) == 0:
        raise UserError(
            f"latents, images: got {list(latents.shape)} and {list(images.shape)}, expected as many of one as of the "
            "other, [N, c, h, w] and [N, C, H, W]"
        )
    if (
        images.shape[-1] % latents.shape[-1]
        or images.shape[-1] * latents.shape[-2] != images.shape[-2] * latents.shape[-1]
    ):
        raise UserError(f"images: {list(images.shape[-2:])} is no multiple of the latents' {list(latents.shape[-2:])}")


@torch.no_grad()
def latents_and_images(generator: Generator, count: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Record what the pipeline gives its VAE, and what that makes of it, over plain samples of all classes in turn.

    Returns:
        On the CPU: latents float32 [count, c, h, w] in the pipeline's scaling, images [count, C, H, W] in [-1, 1].
    """
    vae = autoencoder_of(generator.pipe)
    latents: list[Tensor] = []
    images: list[Tensor] = []
    decode = vae.decode

    def recorded(z: Tensor, *args: Any, **kwargs: Any) -> Any:
        result = decode(z, *args, **kwargs)
        shift = getattr(vae.config, "shift_factor", None) or 0.0
        latents.append(((z.float() - shift) * vae.config.scaling_factor).cpu())
        images.append((result[0] if isinstance(result, tuple) else result.sample).float().cpu())
        return result

    vae.decode = recorded
    try:
        labels = torch.arange(count) % (generator.num_classes or 1)
        seeds = [seed_for(seed, i) for i in range(count)]
        generator.generate(labels, seeds)
    finally:
        del vae.decode
    return torch.cat(latents)[:count], torch.cat(images)[:count]


@torch.no_grad()
def explained(decoder: Any, latents: Tensor, images: Tensor) -> float:
    """Return the share of the images' variance that a decoder explains, <= 1; arguments as of `fit_linear`."""
    decoder = decoder.to(best_device())
    error = 0.0
    for z, image in zip(latents.split(16), images.split(16), strict=True):
        made = decoder.decode(z.to(decoder.device)).sample
        error += F.mse_loss(made, image.to(made), reduction="sum").item()
    return 1 - error / images.numel() / images.var().item()
