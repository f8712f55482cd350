"""The model card of a generator of Fashion-MNIST: what it was trained on, and what was measured of it."""

import json
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from dp.data.image_set import ImageSet
from dp.generation.diversity import diversity
from dp.generation.generator import Generator
from dp.generation.latent_class_pipeline import LatentClassPipeline
from dp.learner.evaluate import accuracy, logits_of
from dp.pretrained.oracle import features
from dp.utils.device import autocast
from dp.utils.pixels import normalise, to_bytes, unit
from dp.utils.seeding import MODEL_CARD, seed_for

SCALES = (1.0, 1.25, 1.5, 2.0, 3.0)


@torch.no_grad()
def reconstructed(pipe: LatentClassPipeline, real: ImageSet) -> ImageSet:
    """Return the images after encoding (posterior mean) and decoding."""
    parts = []
    for part in real.images.split(500):
        with autocast(pipe.device):
            decoded = pipe.vae.decode(pipe.vae.encode(normalise(part)).latent_dist.mean).sample
        parts.append(to_bytes(unit(decoded.float())))
    return ImageSet(torch.cat(parts), real.labels)


def measure(
    pipe: LatentClassPipeline, oracle: nn.Sequential, real: ImageSet, images: int = 2000, steps: int = 10
) -> dict[str, Any]:
    """Measure recognition, reconstruction and diversity, all against real images that nothing was trained on.

    Args:
        pipe: the generator.
        oracle: judges its images (see `dp.pretrained.oracle`).
        real: the real images.
        images: made per guidance scale; diversity compares as many of them as there are real ones.
        steps: DDIM steps.
    """
    labels = torch.arange(images) % pipe.null_class
    compared = real.images[:: max(1, len(real) // images)][:images]
    real_features = features(oracle, compared)
    rows = []
    for scale in tqdm(SCALES, "guidance scales"):
        seeds = [seed_for(MODEL_CARD, i) for i in range(images)]
        made = Generator(pipe, scale, steps).generate(labels, seeds).images
        found = diversity(real_features, features(oracle, made[: len(compared)]))
        recognised = (logits_of(oracle, made).argmax(1) == labels).float().mean().item()
        rows.append({"guidance_scale": scale, "recognised": recognised, **vars(found)})
    return {
        "images": images,
        "steps": steps,
        "oracle_accuracy": accuracy(oracle, real),
        "oracle_accuracy_on_reconstructions": accuracy(oracle, reconstructed(pipe, real)),
        "scales": rows,
        "unet_parameters": sum(p.numel() for p in pipe.unet.parameters()),
        "vae_parameters": sum(p.numel() for p in pipe.vae.parameters()),
    }


def card(measured: dict[str, Any], training: dict[str, Any]) -> str:
    """Write the model card, from what `measure` found and the settings of the training."""
    rows = "\n".join(
        f"| {r['guidance_scale']} | {r['recognised']:.1%} | {r['precision']:.3f} | {r['recall']:.3f} | "
        f"{r['coverage']:.3f} |"
        for r in measured["scales"]
    )
    return f"""---
license: mit
library_name: diffusers
pipeline_tag: unconditional-image-generation
---
# Small class-conditional latent diffusion for Fashion-MNIST

A KL autoencoder (1 x 32 x 32 images, 4 x 8 x 8 latents, {measured["vae_parameters"]:,} parameters) and a U-Net
({measured["unet_parameters"]:,} parameters) with ten classes and a null class, in diffusers' folder layout (fp16
safetensors). Made to study synthetic training data on a laptop, not to make fashion.

    from dp import bundled_pipeline
    bundled_pipeline()([0, 1, 2]).images  # t-shirt, trouser, pullover

**Trained on** the 55,000 Fashion-MNIST training images that are not in this repository's validation set, by
`dp train-generator`; it has seen neither validation nor test images. Settings: {json.dumps(training)}.
Fashion-MNIST is distributed under the MIT licence by Zalando SE.

**Measured** by `dp model-card` on {measured["images"]:,} images per guidance scale
({measured["steps"]} DDIM
steps), against real validation images. The oracle is a classifier trained on the same 55,000 real images; it
reaches {measured["oracle_accuracy"]:.1f}% on the 5,000 validation images and
{measured["oracle_accuracy_on_reconstructions"]:.1f}% on their reconstructions by the autoencoder. Recognised: generated
images that the oracle assigns to their class. Precision, recall and coverage (k = 5) compare the oracle's features of
as many real images.

| guidance scale | recognised | precision | recall | coverage |
| --- | --- | --- | --- | --- |
{rows}

**Limits.** Larger guidance scales make typical images and fewer kinds of them. Shirts, T-shirts, pullovers and coats
are confused as they are among real images.
"""
