"""Decode latents into the images that a learner sees, for guidance: exactly or cheaply.

Guidance needs only the gradient's direction, so a decoder far cheaper than the pipeline's VAE will do:
  the pipeline's VAE      exact; at 512 px three quarters of guidance's cost
  AutoencoderTiny         a small distilled network (TAESD, TAESD-XL, TAESD3, TAEF1)
  LinearDecoder           one convolution, fitted by least squares (`dp.guidance.linear_decoder`)
  none                    for pipelines that work in pixels

`dp fit-decoder` makes the second and the third kind for any pipeline.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from dp.guidance.objectives import frozen
from dp.utils.errors import UserError

Decode = Callable[[Tensor], Tensor]

# Parts of a pipeline that decode its latents, in the order in which they are looked for.
AUTOENCODERS = ("vae", "vqvae", "movq", "vqgan")
# Autoencoders of videos, which pipelines of images use with one frame: latents [B, c, 1, h, w].
VIDEO_AUTOENCODERS = ("AutoencoderKLQwenImage", "AutoencoderKLWan")
IMAGE_AUTOENCODERS = (
    "AsymmetricAutoencoderKL",
    "AutoencoderDC",
    "AutoencoderKL",
    "AutoencoderTiny",
    "LinearDecoder",
    "PaellaVQModel",
    "VQModel",
)


@dataclass(repr=False)
class LatentDecoder:
    """Decode latents as the pipeline does: [B, c, h, w] of any float dtype -> float32 [B, C, H, W], not clamped.

    Attributes:
        module: the autoencoder, or what stands in for it.
        rule: "scaled", latents / scaling_factor + shift_factor; "normalised", with the latents' mean and standard
            deviation of each channel; "plain", as they are (Kandinsky's MoVQ); "unit", images in [0, 1] (Paella's).
        watched: the size of packed latents; None where they are not packed.
    """

    module: Any
    rule: str = "scaled"
    watched: "PackedSize | None" = None

    def __call__(self, latents: Tensor) -> Tensor:
        config, decode = self.module.config, self.module.decode
        if self.watched is not None and latents.ndim == 3:
            latents = self.watched.unpacked(latents)
        if self.rule == "normalised":
            shape = (1, -1, *[1] * (latents.ndim - 2))
            mean, std = (latents.new_tensor(each).reshape(shape) for each in (config.latents_mean, config.latents_std))
            latents = latents * std / (getattr(config, "scaling_factor", None) or 1.0) + mean
        elif self.rule == "scaled":
            latents = latents / config.scaling_factor + (getattr(config, "shift_factor", None) or 0.0)
        elif self.rule == "unit":
            latents = latents * config.scale_factor
        video = _name_of(self.module) in VIDEO_AUTOENCODERS
        if video and latents.ndim == 4:
            latents = latents.unsqueeze(2)
        options = {"force_not_quantize": True} if self.rule == "plain" and _name_of(self.module) == "VQModel" else {}
        with frozen(self.module):
            images = decode(latents.to(self.module.dtype), **options).sample.float()
        images = images[:, :, 0] if video else images
        return 2 * images - 1 if self.rule == "unit" else images


class PackedSize:
    """Know the height and width of latents that a transformer takes as a sequence of 2 x 2 patches (FLUX, Qwen-Image).

    The pipeline tells its transformer where each patch lies; a hook reads that.
    """

    def __init__(self, network: nn.Module):
        self.network = network
        self._size: tuple[int, int] | None = None
        self._hook: Any = None

    def install(self) -> None:
        """Watch the transformer."""
        self._hook = self.network.register_forward_pre_hook(self._before, with_kwargs=True)

    def remove(self) -> None:
        """Watch no longer."""
        if self._hook is not None:
            self._hook.remove()

    @torch.compiler.disable
    def _before(self, _network: nn.Module, _args: tuple, kwargs: dict[str, Any]) -> None:
        if kwargs.get("img_shapes") is not None:
            first = kwargs["img_shapes"][0]
            _, height, width = first[0] if isinstance(first, list) else first
            self._size = (int(height), int(width))
        elif kwargs.get("img_ids") is not None:
            ids = kwargs["img_ids"]
            ids = ids[0] if ids.ndim == 3 else ids
            own = ids[ids[:, 0] == ids[0, 0]]  # pictures that the pipeline is shown come after, under another number
            self._size = (int(own[:, 1].max()) + 1, int(own[:, 2].max()) + 1)

    def unpacked(self, latents: Tensor) -> Tensor:
        """Return [B, c, 2 h, 2 w] from [B, h w, 4 c]."""
        if self._size is None or self._size[0] * self._size[1] != latents.shape[1]:
            raise UserError(
                f"decoder: packed latents {list(latents.shape)} of unknown height and width; give decoder, a function "
                "of them to images float [B, C, H, W] in [-1, 1]"
            )
        (height, width), channels = self._size, latents.shape[2] // 4
        patches = latents.reshape(len(latents), height, width, channels, 2, 2).permute(0, 3, 1, 4, 2, 5)
        return patches.reshape(len(latents), channels, 2 * height, 2 * width)


def latent_decoder(vae: Any, watched: PackedSize | None = None) -> LatentDecoder:
    """Return the decoder of a pipeline's latents that an autoencoder of a known kind makes.

    Raises:
        UserError: the kind is unknown.
    """
    name = _name_of(vae)
    if name not in IMAGE_AUTOENCODERS + VIDEO_AUTOENCODERS:
        raise UserError(
            f"decoder: {name} scales latents in a way that is not known here; give a function of latents to images "
            f"float [B, C, H, W] in [-1, 1], or one of {', '.join(IMAGE_AUTOENCODERS)}"
        )
    if name == "PaellaVQModel":
        return LatentDecoder(vae, "unit", watched)
    normalised = all(getattr(vae.config, each, None) is not None for each in ("latents_mean", "latents_std"))
    return LatentDecoder(vae, "normalised" if normalised else "scaled", watched)


def pixels(x: Tensor) -> Tensor:
    """Return the images of a pixel-space pipeline: nothing to decode."""
    return x.float()


def autoencoder_of(pipe: Any) -> Any:
    """Return the autoencoder of a pipeline, whatever the pipeline calls it; None if it has none."""
    parts = (getattr(pipe, name, None) for name in AUTOENCODERS)
    return next((part for part in parts if part is not None), None)


def decoder_of(pipe: Any, decoder: Any = None) -> Decode:
    """Return the decoder to guide a pipeline with: `decoder`, by default its autoencoder, by lack of one the identity.

    Raises:
        UserError: a decoder that does not decode, or one that is not understood.
    """
    if not hasattr(pipe, "components"):
        raise UserError(f"pipe: got {type(pipe).__name__}, expected a diffusers pipeline")
    own = autoencoder_of(pipe) if decoder is None else None
    if decoder is not None and not hasattr(decoder, "decode"):
        if callable(decoder) and not isinstance(decoder, nn.Module):
            return decoder
        raise UserError(
            f"decoder: got {type(decoder).__name__}, expected a module with .decode (an AutoencoderKL, an "
            "AutoencoderTiny, a LinearDecoder), or a function of latents to images"
        )
    if decoder is None and own is None:
        for name, part in pipe.components.items():
            if isinstance(part, nn.Module) and hasattr(part, "decode"):  # tokenizers decode too
                raise UserError(
                    f"decoder: none given, and {type(pipe).__name__} makes its images by its {name}, on a scale that "
                    "is not known here; give a function of latents to images float [B, C, H, W] in [-1, 1]"
                )
        return pixels
    may_be_packed = hasattr(pipe, "transformer") and (hasattr(pipe, "_unpack_latents") or hasattr(pipe, "blocks"))
    watched = PackedSize(pipe.transformer) if may_be_packed else None
    made = latent_decoder(own if decoder is None else decoder, watched)
    if own is not None and own is getattr(pipe, "movq", None):
        made.rule = "plain"
    return made


def _name_of(module: Any) -> str:
    """Return the class of a module, or of the one that torch.compile has wrapped."""
    return type(getattr(module, "_orig_mod", module)).__name__
