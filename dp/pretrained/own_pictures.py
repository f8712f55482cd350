"""A generator of one's own pictures: a folder of class folders in, a pipeline with its model card out."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from dp.data.fashion_mnist import IMAGE_SIZE
from dp.data.image_set import ImageSet, check_class_folders, image_folder
from dp.data.image_tree import list_images, open_image
from dp.pretrained.train import GeneratorConfig
from dp.utils.errors import UserError

SIDES = range(32, 65, 8)  # pixels; the U-Net halves the latents, which are a quarter as large, once
MAX_CLASSES = 100
HELD_OUT = 5  # every fifth picture of a class is kept from all training, for the model card
FEW = 2000  # fewer pictures than these are trained on with settings of their own, and seen a hundred times even so
SETTINGS_OF_FEW: dict[str, Any] = {
    "vae_iterations": 2500,
    "vae_batch": 16,
    "unet_iterations": 2000,
    "unet_batch": 64,
    "oracle_iterations": 500,
}
FEWEST = 3 * HELD_OUT  # pictures of a class: diversity is a matter of six held out or more


@dataclass(frozen=True)
class OwnPictures:
    """The pictures of a folder, one subfolder per class.

    Attributes:
        names: of the classes, those of the subfolders, sorted.
        train: images uint8 [N, C, S, S] to train on; C is 1 if all are grey, else 3.
        held_out: every fifth image of each class.
    """

    names: tuple[str, ...]
    train: ImageSet
    held_out: ImageSet


def own_pictures(folder: Path, side: int | None = None) -> OwnPictures:
    """Read the pictures, the shorter side resized to `side`, of which the centre is taken.

    Args:
        folder: one subfolder per class.
        side: 32, 40, 48, 56 or 64 pixels; None: the largest of them that the smallest picture reaches.

    Raises:
        UserError: the folder, the number of classes or of a class's pictures, a picture or `side` is not as expected.
    """
    if side is not None and side not in SIDES:
        raise UserError(f"side: got {side}, expected one of {', '.join(map(str, SIDES))}")
    names = tuple(check_class_folders(folder, None))
    if len(names) > MAX_CLASSES:
        raise UserError(f"{folder}: got {len(names)} subfolders, expected 2 to {MAX_CLASSES}, one per class")
    files = files_of(folder, names)
    colour, smallest = False, max(SIDES)
    for file in files:
        picture = open_image(file)
        smallest = min(smallest, *picture.size)
        colour = colour or not _is_grey(picture)
    chosen = side or max((each for each in SIDES if each <= smallest), default=min(SIDES))
    real = image_folder(folder, names, (3 if colour else 1, chosen, chosen))
    kept = _every_fifth(real.labels)
    return OwnPictures(names, _some(real, ~kept), _some(real, kept))


def files_of(folder: Path, names: Sequence[str]) -> list[Path]:
    """Return the picture files of the classes.

    Raises:
        UserError: a class has too few.
    """
    listing = list_images(folder, names, cached=False)
    for name, count in zip(names, listing.counts.tolist(), strict=True):
        if count < FEWEST:
            raise UserError(
                f"{folder / name}: got {max(count, 0)} pictures, expected {FEWEST} or more, of which every fifth is "
                "held out to measure the generator by"
            )
    return [folder / name / os.fsdecode(file) for k, name in enumerate(names) for file in listing.of(k)]


def sized(config: GeneratorConfig, side: int, count: int) -> GeneratorConfig:
    """Return the settings for `count` pictures of side x side pixels.

    Settings that are left at their defaults are those of few pictures where there are fewer than `FEW`. Batches hold as
    many pixels as at 32 x 32, so that an iteration takes as long at any size.
    """
    share, default = (IMAGE_SIZE / side) ** 2, GeneratorConfig()
    if count < FEW:
        left = [name for name in SETTINGS_OF_FEW if getattr(config, name) == getattr(default, name)]
        config = replace(config, **{name: SETTINGS_OF_FEW[name] for name in left})
    return replace(
        config,
        vae_batch=max(8, round(config.vae_batch * share)),
        unet_batch=max(32, round(config.unet_batch * share)),
        oracle_batch=max(32, round(config.oracle_batch * share)),
    )


def own_card(measured: dict[str, Any], pictures: OwnPictures, training: dict[str, Any]) -> str:
    """Write the model card, from what was measured and the settings of the training."""
    channels, side = pictures.train.images.shape[1], pictures.train.images.shape[-1]
    rows = "\n".join(
        f"| {r['guidance_scale']} | {r['recognised']:.1%} | {r['precision']:.3f} | {r['recall']:.3f} | "
        f"{r['coverage']:.3f} |"
        for r in measured["scales"]
    )
    settings = ", ".join(f"{name} {value}" for name, value in training.items())
    guessing, doubt = 100 / len(pictures.names), ""
    if measured["oracle_accuracy"] < (100 + guessing) / 2:
        doubt = (
            "\n\n**The classifier has not learnt what tells the classes apart** (guessing would be right on "
            f"{guessing:.1f}%),\nso the table below says little: look at the images, or train on more pictures."
        )
    return f"""---
library_name: diffusers
---
# Class-conditional latent diffusion of your own pictures

Classes, in order of their labels: {", ".join(pictures.names)}. Images {channels} x {side} x {side}.

**Trained on** {len(pictures.train):,} pictures by `dp train-generator`. Every fifth picture of each class,
{len(pictures.held_out):,} in all, was kept from training and serves for the numbers below. A generator that was trained
on few pictures repeats them: recall and coverage say how much of the held-out ones it reaches.

**Measured.** A classifier trained on the same pictures is right on {measured["oracle_accuracy"]:.1f}% of the held-out
ones, and on {measured["oracle_accuracy_on_reconstructions"]:.1f}% of what the autoencoder makes of them. Recognised:
generated images that it takes for their class, of {measured["images"]:,} per guidance scale, {measured["steps"]} steps.
Precision, recall and coverage (k = 5) compare the classifier's features with those of held-out pictures.{doubt}

| guidance scale | recognised | precision | recall | coverage |
| --- | --- | --- | --- | --- |
{rows}

**Settings.** {settings}. The licence of the pictures is the licence of this generator.
"""


def _is_grey(picture: Image.Image) -> bool:
    red, green, blue = picture.split()
    return red.tobytes() == green.tobytes() == blue.tobytes()


def _every_fifth(labels: Tensor) -> Tensor:
    """Tell which images are held out: bool [N], of each label every fifth one, beginning with the fifth."""
    held = torch.zeros(len(labels), dtype=torch.bool)
    for label in labels.unique():
        held[(labels == label).nonzero()[HELD_OUT - 1 :: HELD_OUT, 0]] = True
    return held


def _some(real: ImageSet, rows: Tensor) -> ImageSet:
    return ImageSet(real.images[rows], real.labels[rows])
