"""The generator of printed digits, which has never seen an image of MNIST, and those that have seen some.

    python -m experiments.studies.fonts_generator make       # trains it again (about 40 minutes on a core; resumes)
    python -m experiments.studies.fonts_generator make --seen 1 5 100   # those of the study of the gap, 20 minutes each
    python -m experiments.studies.fonts_generator card       # measures them, writes the model card (5 minutes)

An autoencoder and a U-Net of the repository's kind are trained on 48,000 images: the glyphs of
experiments/data/fonts.py, each changed a little at random about four times. In the study of the gap 1, 5 or all 100
in a hundred of the 48,000 are handwriting instead, of the 1,500 training images, changed in the same way (1 in a
hundred are 480 of them, once each); their U-Nets work with the autoencoder of the glyphs. Two classifiers, one trained
on glyphs and one on the 1,500 images of handwriting, judge generated images. No run is guided by them, and nothing is
chosen by them.
"""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import tyro
from safetensors.torch import load_model, save_model
from torch import nn

from dp.config import PracticeConfig
from dp.data.image_set import ImageSet
from dp.generation.diversity import diversity
from dp.generation.generator import Generator
from dp.generation.latent_class_pipeline import LatentClassPipeline
from dp.generation.real_images import RealData
from dp.learner.evaluate import accuracy
from dp.learner.models import CROP, CenterCrop, ConvNet
from dp.practice.additions import image_maker
from dp.practice.loop import run_practice
from dp.pretrained.load import bundled_pipeline
from dp.pretrained.oracle import features
from dp.pretrained.train import GeneratorConfig, encode_all, new_scheduler, train_pipeline, train_unet
from dp.utils.command_line import run_command
from dp.utils.files import atomic, write_json
from dp.utils.pixels import normalise
from experiments.data.digits import handwriting
from experiments.data.fonts import FOLDER as ASSETS
from experiments.data.fonts import changed, glyphs
from experiments.engine.practice_runs import generator_files, generator_in
from experiments.paths import BUILD, ROOT

GENERATORS = ROOT / "experiments" / "assets" / "generators"
TRAINING = GeneratorConfig(vae_iterations=2000, unet_iterations=3500)
IMAGES = 48_000  # trained on
SCALES = (1.0, 1.25, 1.5, 2.0, 3.0)
JUDGES: dict[str, Callable[[], ImageSet]] = {
    "glyphs": lambda: changed(glyphs(), IMAGES // 4, seed=1),
    "handwriting": lambda: handwriting("train"),
}


def folder_of(seen: int) -> Path:
    """Return where the generator is of whose training images `seen` percent were handwriting."""
    return GENERATORS / (f"fonts-seen-{seen}" if seen else "fonts")


def weights_of(seen: int) -> tuple[Path, ...]:
    """Return the files of that generator's weights."""
    return generator_files(folder_of(seen))


def trained(seen: int) -> bool:
    """Return whether that generator is there."""
    return all(path.exists() for path in weights_of(seen))


def generator_of(seen: int, config: PracticeConfig) -> Generator:
    """Return that generator with a run's settings, on the best device there is."""
    return generator_in(folder_of(seen), config)


def judge_file(name: str) -> Path:
    """Return where a judge's weights are."""
    return ASSETS / f"judge-of-{name}.safetensors"


def judge(name: str) -> nn.Sequential:
    """Return a classifier of whole images [B, 1, 32, 32] in [-1, 1], in eval mode: "glyphs" or "handwriting"."""
    net = ConvNet(10)
    load_model(net, judge_file(name))
    return nn.Sequential(CenterCrop(CROP), *net).float().eval().requires_grad_(False)


def training_images(seen: int) -> ImageSet:
    """Return the images that a generator is trained on, `seen` percent of them handwriting."""
    real = IMAGES * seen // 100
    parts = [changed(glyphs(), IMAGES - real)] if seen < 100 else []
    parts += [changed(handwriting("train"), real)] if seen else []
    return ImageSet(torch.cat([each.images for each in parts]), torch.cat([each.labels for each in parts]))


def make(seen: tuple[int, ...] = (0,)) -> None:
    """Train generators and write them to experiments/assets; the same command resumes.

    Args:
        seen: percent of handwriting among each generator's training images.
    """
    for share in seen:
        images, checkpoints = training_images(share), BUILD / "generators" / folder_of(share).name
        checkpoints.mkdir(parents=True, exist_ok=True)
        if share == 0:
            pipe = train_pipeline(TRAINING, images, checkpoints)
        else:
            vae = bundled_pipeline(folder_of(0)).vae
            scale = vae.config.scaling_factor
            means, stds = encode_all(vae, normalise(images.images))
            unet = train_unet(TRAINING, means * scale, stds * scale, images.labels, checkpoints / "unet.safetensors")
            pipe = LatentClassPipeline(vae.half(), unet.half(), new_scheduler())
        pipe.save_pretrained(folder_of(share))
        settings = asdict(TRAINING) | {"images": len(images), "percent_handwriting": share}
        used = {k: v for k, v in settings.items() if "oracle" not in k and k != "mirror"}  # there is no oracle
        write_json(folder_of(share) / "training.json", used)


def make_judges() -> None:
    """Train the two classifiers; about a minute each."""
    for name, images in JUDGES.items():
        data = images()
        config = PracticeConfig(n_initial=len(data), rounds=0, n_per_round=0, iterations=4000, validate_every=4000)
        source = RealData(data, 10, len(data), seed=0)
        some = ImageSet(data.images[:1000], data.labels[:1000])  # the loop wants some; they decide nothing here
        net = ConvNet(10)
        outcomes, state = run_practice(config, source, some, None, net, initial=source.samples(range(len(data))))
        del outcomes
        with atomic(judge_file(name)) as partial:
            save_model(state.ema.module.half(), partial)


def measure(seen: int, images: int = 2000) -> dict[str, Any]:
    """Return how a generator's images look to the judges, and how diverse they are beside its source's images."""
    by_glyphs, by_hand = judge("glyphs"), judge("handwriting")
    order = torch.randperm(len(glyphs()), generator=torch.Generator().manual_seed(0))[:images]
    source = features(by_glyphs, glyphs().images[order])
    rows = []
    for scale in SCALES:
        config = PracticeConfig(seed=10**6, guidance_scale=scale)
        made = image_maker(config, generator_of(seen, config), 0)(range(images))
        found = diversity(source, features(by_glyphs, made.images))
        of_made = ImageSet(made.images, made.labels)
        judged = {"by_glyphs": accuracy(by_glyphs, of_made), "by_handwriting": accuracy(by_hand, of_made)}
        rows.append({"guidance_scale": scale} | judged | asdict(found))
    return {
        "images": images,
        "judge_of_glyphs_on_validation": accuracy(by_glyphs, handwriting("validation")),
        "judge_of_handwriting_on_validation": accuracy(by_hand, handwriting("validation")),
        "scales": rows,
    }


def card(seen: tuple[int, ...] = (0,)) -> None:
    """Train the judges if they are missing, measure generators and write measured.json and the model card of each.

    Args:
        seen: percent of handwriting among each generator's training images.
    """
    if not all(judge_file(name).exists() for name in JUDGES):
        make_judges()
    for share in seen:
        measured = measure(share)
        write_json(folder_of(share) / "measured.json", measured)
        training = json.loads((folder_of(share) / "training.json").read_text())
        (folder_of(share) / "README.md").write_text(card_text(share, measured, training))


def card_text(seen: int, measured: dict[str, Any], training: dict[str, Any]) -> str:
    """Return the model card."""
    pipe = bundled_pipeline(folder_of(seen))
    unet, vae = (sum(p.numel() for p in net.parameters()) for net in (pipe.unet, pipe.vae))
    rows = "\n".join(
        f"| {r['guidance_scale']} | {r['by_glyphs']:.1f} | {r['by_handwriting']:.1f} | {r['precision']:.3f} | "
        f"{r['recall']:.3f} | {r['coverage']:.3f} |"
        for r in measured["scales"]
    )
    drawn = "pictures of the ten digits of free fonts, which `experiments/data/fonts.py` describes"
    trained = f"{drawn} (some imitate handwriting). It has never seen an image of MNIST"
    if seen:
        of_mnist = min(IMAGES * seen // 100, len(handwriting("train")))
        trained = f"handwriting, {of_mnist:,} images of MNIST" + f"; {100 - seen}% are {drawn}" * (seen < 100)
        trained = f"images of which {seen}% are {trained}"
    return f"""---
license: mit
library_name: diffusers
pipeline_tag: unconditional-image-generation
---
# Small class-conditional latent diffusion for digits

A KL autoencoder (1 x 32 x 32 images, 4 x 8 x 8 latents, {vae:,} parameters) and a U-Net ({unet:,} parameters) with ten
classes and a null class, in diffusers' folder layout (fp16 safetensors). Made to study training data from a generator
that is not of the target's kind.

**Trained on** {trained}.
{training["images"]:,} images in all, each changed a little at random; `python -m experiments.studies.fonts_generator`.
Settings: {json.dumps(training)}.

**Measured** on {measured["images"]:,} images at each guidance scale, 10 DDIM steps. Two classifiers judge them: one
trained on glyphs (it reads {measured["judge_of_glyphs_on_validation"]:.1f}% of 1,000 other images of handwriting), one
on 1,500 images of handwriting ({measured["judge_of_handwriting_on_validation"]:.1f}%). The first two
columns are the percentages that they recognise; precision, recall and coverage are those of the glyphs, in the features
of the first.

| guidance scale | judge of glyphs | judge of handwriting | precision | recall | coverage |
|---|---|---|---|---|---|
{rows}

**Licence.** The weights are MIT, as the repository. The fonts whose digits were drawn are free software;
`experiments/assets/fonts/packages.csv` lists their packages and licences. No font is part of this folder.
"""


if __name__ == "__main__":
    torch.set_num_threads(1)
    run_command(lambda: tyro.extras.subcommand_cli_from_dict({"make": make, "card": card}))
