"""Measure the bundled generator and write its model card, dp/assets/generator/README.md.

python -m dp.pretrained.model_card          # about 3 minutes
"""

import json
from pathlib import Path

import torch
import tyro
from tqdm import tqdm

from dp.data.fashion_mnist import ASSETS, CLASSES, validation_images
from dp.data.image_set import ImageSet
from dp.generation.diversity import diversity
from dp.generation.generator import Generator
from dp.generation.latent_class_pipeline import LatentClassPipeline
from dp.learner.evaluate import accuracy, logits_of
from dp.pretrained.load import BUNDLED, bundled_pipeline
from dp.pretrained.oracle import bundled_oracle, features
from dp.utils.command_line import run_command
from dp.utils.device import autocast
from dp.utils.errors import UserError
from dp.utils.pixels import normalise, to_bytes, unit
from dp.utils.seeding import MODEL_CARD, seed_for

SCALES = (1.0, 1.25, 1.5, 2.0, 3.0)


@torch.no_grad()
def reconstructed(pipe: LatentClassPipeline, real: ImageSet) -> ImageSet:
    """The images after encoding (posterior mean) and decoding."""
    parts = []
    for part in real.images.split(500):
        with autocast(pipe.device):
            decoded = pipe.vae.decode(pipe.vae.encode(normalise(part)).latent_dist.mean).sample
        parts.append(to_bytes(unit(decoded.float())))
    return ImageSet(torch.cat(parts), real.labels)


def measure(images: int = 2000, steps: int = 10) -> dict:
    """Recognition, reconstruction and diversity, all against the validation images."""
    pipe, oracle, real = bundled_pipeline(), bundled_oracle(), validation_images()
    labels = torch.arange(images) % len(CLASSES)
    real_features = features(oracle, real.images[::2])[:images]
    rows = []
    for scale in tqdm(SCALES, "guidance scales"):
        seeds = [seed_for(MODEL_CARD, i) for i in range(images)]
        made = Generator(pipe, scale, steps).generate(labels, seeds).images
        found = diversity(real_features, features(oracle, made))
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


def card(measured: dict, training: dict) -> str:
    """The model card."""
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

    from dp.pipelines import bundled_pipeline
    bundled_pipeline()([0, 1, 2]).images  # t-shirt, trouser, pullover

**Trained on** the 55,000 Fashion-MNIST training images that are not in this repository's validation set, by
`python -m dp.pretrained.train`; it has seen neither validation nor test images. Settings: {json.dumps(training)}.
Fashion-MNIST is distributed under the MIT licence by Zalando SE.

**Measured** by `python -m dp.pretrained.model_card` on {measured["images"]:,} images per guidance scale
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


def main(folder: tyro.conf.Positional[Path] = BUNDLED) -> None:
    """Measure the bundled generator; write its card and measured.json into `folder`."""
    if not folder.is_dir():
        raise UserError(f"folder: {folder} is no folder; make it, or give none for the generator's own")
    measured = measure()
    (folder / "measured.json").write_text(json.dumps(measured, indent=1) + "\n")
    (folder / "README.md").write_text(card(measured, json.loads((ASSETS / "generator" / "training.json").read_text())))
    print((folder / "README.md").read_text())


if __name__ == "__main__":
    run_command(lambda: tyro.cli(main))
