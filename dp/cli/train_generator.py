"""A small generator from real images: `dp train-generator`."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import tyro
from safetensors.torch import save_model

from dp.data.fashion_mnist import CLASSES, train_images
from dp.data.image_set import ImageSet
from dp.pretrained.model_card import measure
from dp.pretrained.oracle import load_oracle
from dp.pretrained.own_pictures import OwnPictures, own_card, own_pictures, sized
from dp.pretrained.train import GeneratorConfig, train_oracle, train_pipeline
from dp.utils.errors import UserError
from dp.utils.files import atomic_files, write_json
from dp.utils.folders import claimed

CARD_IMAGES = 200  # made per guidance scale, to measure a generator of one's own pictures


def train_generator(
    folder: tyro.conf.Positional[Path],
    images: Path | None = None,
    side: int | None = None,
    config: Annotated[GeneratorConfig, tyro.conf.arg(name="")] = GeneratorConfig(),
    data: Path | None = None,
) -> None:
    """Train a small latent-diffusion generator of your own pictures, or the repository's of Fashion-MNIST.

    About half an hour on 2 cores. The same command goes on where it was stopped. The folder gets the pipeline in
    diffusers' layout (fp16 safetensors), a classifier that judges its images, the settings (training.json, written
    last) and, of your own pictures, a model card (README.md). `dp run R --pipeline FOLDER` then practises with it.

    Args:
        folder: where the pipeline and the checkpoints go.
        images: a folder of your own pictures, one subfolder per class (2 to 100), 15 pictures or more in each; without
            it Fashion-MNIST.
        side: own pictures are resized to side x side pixels: 32, 40, 48, 56 or 64; by default as large as they are.
        config: settings; of fewer than 2,000 pictures, iterations and batches that are left at their defaults are fewer
            and smaller.
        data: folder with Fashion-MNIST's training files, if not to be looked for.
    """
    finished = (folder / "training.json").exists()
    if images is None:
        if side is not None:
            raise UserError(f"side: got {side} without images; name a folder of pictures, or leave it out")
        real = None if finished else train_images(data)  # before the folder is claimed: they may be refused
        with claimed(folder, {"generator": asdict(config)}, "generator"):
            if real is not None:
                _train(folder, config, real, CLASSES)
                write_json(folder / "training.json", asdict(config))
    else:
        if data is not None:
            raise UserError(f"data: got {data} with images; leave one of them out")
        made_of = {"generator": asdict(config), "images": str(images.resolve()), "side": side}
        pictures = None if finished else own_pictures(images, side)
        with claimed(folder, made_of, "generator"):
            if pictures is not None:
                _own(folder, config, pictures)
    print(f"{folder} is finished")


def _train(folder: Path, config: GeneratorConfig, real: ImageSet, names: tuple[str, ...]) -> Any:
    """Train what is not trained yet, write the pipeline and its judge, and return the pipeline."""
    checkpoints = folder / "checkpoints"
    pipe = train_pipeline(config, real, checkpoints, names)
    oracle = train_oracle(config, real.images, real.labels, checkpoints / "oracle.safetensors", len(names))
    with atomic_files(folder) as files:
        pipe.save_pretrained(files)
        save_model(oracle.half(), files / "oracle.safetensors")
    return pipe


def _own(folder: Path, config: GeneratorConfig, pictures: OwnPictures) -> None:
    """Train the generator of one's own pictures, and measure it on those that it has not seen."""
    channels, side = pictures.train.images.shape[1], pictures.train.images.shape[-1]
    resolved = sized(config, side, len(pictures.train))
    pipe = _train(folder, resolved, pictures.train, pictures.names)
    for module in (pipe.vae, pipe.unet):
        module.float()
    oracle = load_oracle(folder / "oracle.safetensors", len(pictures.names), channels, side)
    pipe.set_progress_bar_config(disable=True)
    measured = measure(pipe, oracle, pictures.held_out, CARD_IMAGES)
    training = asdict(resolved) | {"classes": list(pictures.names), "channels": channels, "side": side}
    with atomic_files(folder) as files:
        (files / "measured.json").write_text(json.dumps(measured, indent=1) + "\n")
        (files / "README.md").write_text(own_card(measured, pictures, asdict(resolved)))
    write_json(folder / "training.json", training)
