"""Count the operations of guidance on full-size models, without weights, memory or a GPU.

The modules are built on torch's meta device from their public configurations, so only tensor shapes flow through them.
A multiplication and an addition count as two operations; what is counted is matrix products, convolutions and
attention (torch.utils.flop_counter), which is nearly all there is. Counts are per image.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, get_args

import timm
import torch
from diffusers import AutoencoderKL, AutoencoderTiny, DDIMScheduler, UNet2DConditionModel
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from dp.guidance.guidance import Gradient, GuidanceConfig, guided_steps
from dp.guidance.linear_decoder import LinearDecoder

Decoder = Literal["vae", "tiny", "linear"]

# The UNet of Stable Diffusion 1.x (unet/config.json of each repository); the rest are diffusers' defaults.
SD15_UNET: dict[str, Any] = {"sample_size": 64, "cross_attention_dim": 768, "attention_head_dim": 8}
SD21_UNET: dict[str, Any] = {
    "sample_size": 96,
    "cross_attention_dim": 1024,
    "attention_head_dim": (5, 10, 20, 20),
    "use_linear_projection": True,
}
SDXL_UNET: dict[str, Any] = {
    "sample_size": 128,
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "block_out_channels": (320, 640, 1280),
    "transformer_layers_per_block": (1, 2, 10),
    "attention_head_dim": (5, 10, 20),
    "cross_attention_dim": 2048,
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 2816,
}
SD15 = "stable-diffusion-v1-5/stable-diffusion-v1-5"
UNETS = {  # by Hugging Face Hub id
    "CompVis/stable-diffusion-v1-4": SD15_UNET,
    SD15: SD15_UNET,
    "stabilityai/stable-diffusion-2-1": SD21_UNET,
    "stabilityai/stable-diffusion-xl-base-1.0": SDXL_UNET,
}
# The autoencoder that all of them share (vae/config.json).
SD15_VAE = {
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "block_out_channels": (128, 256, 512, 512),
    "layers_per_block": 2,
    "latent_channels": 4,
    "sample_size": 512,
}
# Its scheduler's time steps (scheduler/scheduler_config.json).
SD15_SCHEDULE = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012, "steps_offset": 1}
TEXT_TOKENS = 77


@dataclass(frozen=True)
class Cost:
    """Operations of a module on one image.

    Attributes:
        forward: a forward pass.
        gradient: a forward pass and the gradient with respect to its input.
    """

    forward: int
    gradient: int


@dataclass(frozen=True)
class Parts:
    """The modules of a guided pipeline.

    Attributes:
        network: the U-Net or transformer, one pass.
        vae: the pipeline's decoder, which finishes each image.
        decoder: what guidance decodes with.
        learner: the classifier that guides.
        passes: network passes a step; two with classifier-free guidance.
    """

    network: Cost
    vae: Cost
    decoder: Cost
    learner: Cost
    passes: int = 2


def operations(run: Callable[[], object]) -> int:
    """Floating-point operations of a call."""
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()


def cost(module: Callable[[Tensor], Tensor], inputs: Tensor) -> Cost:
    """The cost of a map of one tensor, for that input; its parameters must ask for no gradients."""

    def gradient() -> None:
        x = inputs.detach().requires_grad_()
        module(x).sum().backward()

    with torch.no_grad():
        forward = operations(lambda: module(inputs))
    return Cost(forward, operations(gradient))


@cache
def latent_diffusion(name: str = SD15, size: int = 512) -> dict[str, Cost]:
    """Costs of "unet", "vae", "tiny" (TAESD) and "linear" of a model of `UNETS` for images of size x size pixels."""
    config = UNETS[name]
    if config is SD15_UNET and name != SD15:  # the same network with other weights: counted once
        return latent_diffusion(SD15, size)
    latents = torch.empty(1, 4, size // 8, size // 8, device="meta")
    text = torch.empty(1, TEXT_TOKENS, config["cross_attention_dim"], device="meta")
    t = torch.zeros(1, device="meta")
    # The pooled text embedding and the sizes that the XL model is told as well.
    added = {"text_embeds": torch.empty(1, 1280, device="meta"), "time_ids": torch.empty(1, 6, device="meta")}
    with torch.device("meta"):
        unet = _frozen(UNet2DConditionModel(**config))
        decoders = {"vae": AutoencoderKL(**SD15_VAE), "tiny": AutoencoderTiny(), "linear": LinearDecoder()}
    costs = {"unet": cost(lambda x: unet(x, t, encoder_hidden_states=text, added_cond_kwargs=added).sample, latents)}
    for part, decoder in decoders.items():
        costs[part] = cost(_decode(_frozen(decoder)), latents)
    return costs


def _decode(decoder: Any) -> Callable[[Tensor], Tensor]:
    return lambda latents: decoder.decode(latents).sample


def _timm(name: str) -> Any:
    """Return a timm classifier of 1,000 classes on the meta device."""
    try:
        with torch.device("meta"):
            return timm.create_model(name)
    except RuntimeError:  # older versions compute numbers while they build a model
        return timm.create_model(name).to("meta")


@cache
def classifier(name: str = "vit_base_patch16_224", size: int = 224) -> Cost:
    """The cost of a timm classifier of 1,000 classes on an image of size x size pixels."""
    return cost(_frozen(_timm(name)), torch.empty(1, 3, size, size, device="meta"))


@cache
def parameters(name: str = "vit_base_patch16_224") -> int:
    """Parameters of a timm classifier of 1,000 classes."""
    return sum(each.numel() for each in _timm(name).parameters())


@cache
def training_step(name: str = "vit_base_patch16_224", size: int = 224) -> int:
    """Operations of training a timm classifier on an image: forwards, and backwards to all of its parameters."""
    model, images = _timm(name).train(), torch.empty(1, 3, size, size, device="meta")
    return operations(lambda: model(images).sum().backward())


def parts_of(generator: str, decoder: str, learner: str, size: int, learner_size: int = 224) -> Parts:
    """A model of `UNETS` at size x size pixels, guided through "vae", "tiny" or "linear" by a timm classifier."""
    costs = latent_diffusion(generator, size)
    return Parts(costs["unet"], costs["vae"], costs[decoder], classifier(learner, learner_size))


def sd15_parts(decoder: str = "vae") -> Parts:
    """Stable Diffusion 1.5 at 512 x 512 pixels guided through "vae", "tiny" or "linear" by a ViT-B/16."""
    return parts_of(SD15, decoder, "vit_base_patch16_224", 512)


def sd15_timesteps(steps: int = 50) -> list[int]:
    """The time steps of Stable Diffusion 1.5's DDIM sampler, of 1,000."""
    scheduler = DDIMScheduler(**SD15_SCHEDULE)
    scheduler.set_timesteps(steps)
    return scheduler.timesteps.tolist()


def image_cost(
    parts: Parts, steps: int, guided: int = 0, gradient: Gradient = "x0", differentiated: int | None = None
) -> int:
    """Operations of one image.

    Args:
        parts: the pipeline's modules.
        steps: sampling steps.
        guided: how many of them are guided.
        gradient: "unet" differentiates through the network as well.
        differentiated: with "unet", how many of a guided step's network passes. All of them (the default) is the
            gradient of x0_hat after classifier-free guidance, exactly; `unet_gradient` does that. 1 holds the
            unconditional prediction fixed, or takes x0_hat of the conditional prediction alone.
    """
    plain = steps * parts.passes * parts.network.forward + parts.vae.forward
    step = parts.decoder.gradient + parts.learner.gradient
    if gradient == "unet":
        # A guided step's forward passes are those of sampling; only their backward passes are extra.
        passes = parts.passes if differentiated is None else differentiated
        step += passes * (parts.network.gradient - parts.network.forward)
    return plain + guided * step


def cost_ratio(
    parts: Parts, timesteps: Sequence[int], config: GuidanceConfig, differentiated: int | None = None
) -> float:
    """Operations of a guided image over those of a plain one; `differentiated` as in `image_cost`."""
    guided = guided_steps(timesteps, config)
    whole = image_cost(parts, len(timesteps), guided, config.gradient, differentiated)
    return whole / image_cost(parts, len(timesteps))


def guidance_costs() -> list[dict[str, Any]]:
    """Count what each way of guiding costs: Stable Diffusion 1.5, 512 pixels, 50 DDIM steps, guided by a ViT-B/16.

    Every gradient, decoder and `every` over all noise levels, then late windows. `cost_ratio` is a guided image's
    operations over a plain one's, both with classifier-free guidance, where gradient "unet" differentiates through one
    network pass a guided step, the conditional one. `cost_ratio_both_passes` differentiates through both, which the
    gradient of x0_hat after classifier-free guidance takes and `unet_gradient` does. For gradient "x0" they are
    the same.
    """
    whole: tuple[float, float] = (0.0, 1.0)
    ways: list[tuple[Gradient, Decoder, int, tuple[float, float]]] = [
        (gradient, decoder, every, whole)
        for gradient in get_args(Gradient)
        for decoder in get_args(Decoder)
        for every in (1, 2, 5)
    ]
    ways += [("x0", decoder, every, (0.0, 0.4)) for decoder in get_args(Decoder) for every in (1, 2)]
    ways += [("x0", "tiny", 1, (0.0, 0.2)), ("unet", "vae", 1, (0.0, 0.4))]
    costs = []
    for gradient, decoder, every, interval in ways:
        config = GuidanceConfig(interval=interval, every=every, gradient=gradient)
        parts, timesteps = sd15_parts(decoder), sd15_timesteps()
        costs.append(
            {
                "gradient": gradient,
                "decoder": decoder,
                "every": every,
                "interval": list(interval),
                "cost_ratio": cost_ratio(parts, timesteps, config, differentiated=1),
                "cost_ratio_both_passes": cost_ratio(parts, timesteps, config),
            }
        )
    return costs


def _frozen(module: nn.Module) -> Any:
    return module.eval().requires_grad_(False)
