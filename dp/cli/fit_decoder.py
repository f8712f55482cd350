"""A cheap decoder for guidance: `dp fit-decoder`."""

import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from pydantic import Field
from tqdm import tqdm

from dp.generation.generator import Generator
from dp.generation.loading import load_pipeline
from dp.guidance.decoders import autoencoder_of
from dp.pretrained.fit_decoder import distil_tiny, explained, fit_linear, latents_and_images
from dp.pretrained.load import bundled_pipeline
from dp.utils.device import best_device
from dp.utils.errors import UserError
from dp.utils.folders import whole_folder
from dp.utils.validation import Scale, Steps, checked

ITERATIONS = 3000
Images = Annotated[int, Field(ge=10, le=1_000_000)]
Iterations = Annotated[int, Field(ge=1, le=10**7)]


@checked
def fit_decoder(
    kind: tyro.conf.Positional[Literal["linear", "tiny"]],
    folder: tyro.conf.Positional[Path],
    pipeline: Path | None = None,
    classes: tuple[str, ...] = (),
    images: Images = 2000,
    guidance_scale: Scale = 1.5,
    steps: Steps = 10,
    iterations: Iterations | None = None,
) -> None:
    """Fit a cheap decoder to what a pipeline's VAE does, for guidance; about a minute for the repository's generator.

    Args:
        kind: linear, one convolution; or tiny, a distilled AutoencoderTiny.
        folder: a new folder for the decoder, in diffusers' format; whole or absent afterwards.
        pipeline: a saved diffusers pipeline; without it the repository's generator.
        classes: class names, for a pipeline that takes prompts.
        images: made to fit on; another fifth of that many is held out.
        guidance_scale: classifier-free guidance, 1 + lambda_cfg.
        steps: DDIM steps.
        iterations: of a tiny decoder, 3,000 by default.
    """
    if kind == "linear" and iterations is not None:
        raise UserError(f"iterations: got {iterations} with linear, which is fitted in one go; leave them out")
    rounds = (iterations or ITERATIONS) if kind == "tiny" else 0
    made_of = {
        "kind": kind,
        "pipeline": pipeline and str(pipeline.resolve()),
        "classes": classes,
        "images": images,
        "guidance_scale": guidance_scale,
        "steps": steps,
        "iterations": rounds,
    }
    with whole_folder(folder, {"decoder": made_of}, "decoder") as partial:
        if partial is not None:
            pipe: Any = load_pipeline(pipeline) if pipeline else bundled_pipeline()
            if autoencoder_of(pipe) is None:
                raise UserError(f"pipeline: {type(pipe).__name__} works in pixels; it needs no decoder")
            generator = Generator(pipe.to(best_device()), guidance_scale, steps, classes=classes or None)
            _fitted(generator, images, rounds).save_pretrained(partial)
    print(f"{folder} has the decoder")


def _fitted(generator: Generator, images: int, iterations: int) -> Any:
    """Return a decoder, a linear one if `iterations` is 0, and say how near it comes to the VAE on held-out latents."""
    latents, pictures = latents_and_images(generator, images + images // 5)
    fitted, held_out = (latents[:images], pictures[:images]), (latents[images:], pictures[images:])
    if iterations == 0:
        decoder: Any = fit_linear(*fitted)
    else:
        with tqdm(total=1.0, desc="distilling", bar_format="{l_bar}{bar}| {elapsed}<{remaining}") as bar:
            decoder = distil_tiny(*fitted, iterations, progress=lambda done: (bar.update(done - bar.n), None)[1])
    print(f"explains {explained(decoder, *held_out):.1%} of the variance of held-out images", file=sys.stderr)
    return decoder
