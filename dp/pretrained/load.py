"""The models that the repository brings: a generator of Fashion-MNIST, and cheap decoders of its latents."""

from functools import cache
from pathlib import Path
from typing import Any

from diffusers import AutoencoderTiny

from dp.config import PracticeConfig
from dp.data.fashion_mnist import ASSETS
from dp.generation.generator import Generator
from dp.generation.latent_class_pipeline import LatentClassPipeline
from dp.generation.loading import load_pipeline
from dp.guidance.linear_decoder import LinearDecoder
from dp.utils.device import best_device
from dp.utils.errors import UserError
from dp.utils.validation import checked

BUNDLED = ASSETS / "generator"
DECODERS = ASSETS / "decoders"  # made by `dp fit-decoder` for it


@checked
def bundled_decoder(name: str) -> Any:
    """Return a cheap decoder of the repository's generator, for guidance (see `dp.guidance.decoders`).

    Args:
        name: linear or tiny.

    Raises:
        UserError: there is no such decoder.

    Example:
        >>> from dp import bundled_decoder, bundled_oracle, bundled_pipeline, guide
        >>> pipe = bundled_pipeline()
        >>> with guide(pipe, bundled_oracle(), decoder=bundled_decoder("linear")):
        ...     images = pipe([0, 1]).images
    """
    kinds = {"linear": LinearDecoder, "tiny": AutoencoderTiny}
    if name not in kinds:
        raise UserError(f"decoder: got {name} with the repository's own generator, expected vae, {' or '.join(kinds)}")
    kind: Any = kinds[name]
    path = DECODERS / name
    made = kind.from_pretrained(path, local_files_only=True, low_cpu_mem_usage=False, use_safetensors=True)
    return made.requires_grad_(False)


@checked
def bundled_pipeline(folder: Path = BUNDLED) -> LatentClassPipeline:
    """Load the Fashion-MNIST generator of the repository (see its model card), float32, without progress bars.

    Example:
        >>> from dp import bundled_pipeline
        >>> images = bundled_pipeline()([0, 1, 2], num_inference_steps=4).images
        >>> images[0].size
        (32, 32)
    """
    pipe: LatentClassPipeline = load_pipeline(folder)
    for module in (pipe.vae, pipe.unet):
        module.requires_grad_(False)
    return pipe


@cache
def _loaded() -> LatentClassPipeline:
    return bundled_pipeline().to(best_device())


def bundled_generator(config: PracticeConfig) -> Generator:
    """Load the repository's generator with a run's settings, on the best device there is.

    Example:
        >>> from dp import PracticeConfig, bundled_generator
        >>> bundled_generator(PracticeConfig(inference_steps=4))
        Generator(LatentClassPipeline, guidance_scale=3.0, steps=4, 10 classes)
    """
    decoder = None if config.decoder == "vae" else bundled_decoder(config.decoder).to(best_device())
    generator = Generator(_loaded(), config.guidance_scale, config.inference_steps, decoder=decoder)
    if config.rounds:
        generator.check_guidance(config.guidance)
    return generator
