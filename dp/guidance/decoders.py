"""From latents to the images a learner sees, for guidance: exact or cheap.

Guidance needs only the gradient's direction, so a decoder far cheaper than the pipeline's VAE will do:
  the pipeline's VAE      exact; at 512 px three quarters of guidance's cost
  AutoencoderTiny         a small distilled network (TAESD for Stable Diffusion)
  LinearDecoder           one convolution, fitted by least squares (`dp.guidance.linear_decoder`)
  none                    for pipelines that work in pixels

`python -m dp.pretrained.fit_decoder` makes the second and the third kind for any pipeline.
"""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from dp.guidance.objectives import frozen
from dp.utils.errors import UserError

Decode = Callable[[Tensor], Tensor]


def latent_decoder(vae: Any) -> Decode:
    """The map of a pipeline's latents to images that a VAE, AutoencoderTiny or LinearDecoder makes.

    Latents [B, c, h, w] of any float dtype -> float32 [B, C, H, W], nominally in [-1, 1] (not clamped).
    """
    shift = getattr(vae.config, "shift_factor", None) or 0.0

    def decode(latents: Tensor) -> Tensor:
        scaled = latents / vae.config.scaling_factor + shift
        with frozen(vae):
            return vae.decode(scaled.to(vae.dtype)).sample.float()

    return decode


def pixels(x: Tensor) -> Tensor:
    """The decoder of a pixel-space pipeline: nothing to do."""
    return x.float()


def autoencoder_of(pipe: Any) -> Any:
    """What makes images of a pipeline's latents: its `vae`, or `vqvae` as LDM's pipelines call theirs; None without."""
    return getattr(pipe, "vae", None) or getattr(pipe, "vqvae", None)


def decoder_of(pipe: Any, decoder: Any = None) -> Decode:
    """The decoder to guide a pipeline with: `decoder`, by default the pipeline's VAE, by lack of one the identity.

    Raises:
        UserError: a decoder that does not decode, or a pipeline that decodes in a way of its own.
    """
    if decoder is None:
        decoder = autoencoder_of(pipe)
    if decoder is None:
        for name, part in pipe.components.items():
            if isinstance(part, nn.Module) and hasattr(part, "decode"):  # tokenizers decode too
                raise UserError(
                    f"decoder: none given, and {type(pipe).__name__} makes its images by its {name}, on a scale that "
                    "is not known here; give a decoder of its latents (see dp.guidance.decoders)"
                )
        return pixels
    if not hasattr(decoder, "decode"):
        raise UserError(
            f"decoder: got {type(decoder).__name__}, expected a module with .decode: an AutoencoderKL, an "
            "AutoencoderTiny or a LinearDecoder"
        )
    return latent_decoder(decoder)
