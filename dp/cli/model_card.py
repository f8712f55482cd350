"""The model card of a generator that `dp train-generator` made: `dp model-card`."""

import json
from pathlib import Path

import tyro

from dp.data.fashion_mnist import validation_images
from dp.generation.loading import load_pipeline
from dp.pretrained.load import BUNDLED
from dp.pretrained.model_card import card, measure
from dp.pretrained.oracle import BUNDLED_ORACLE, bundled_oracle
from dp.utils.errors import UserError
from dp.utils.files import atomic, read_json


def model_card(folder: tyro.conf.Positional[Path] = BUNDLED) -> None:
    """Measure a generator, about 3 minutes, and write its card (README.md) and measured.json into its folder.

    Args:
        folder: one that `dp train-generator` has finished; by default the repository's own generator.
    """
    try:
        training = read_json(folder / "training.json", "train the generator anew")
    except FileNotFoundError:
        raise UserError(
            f"{folder}: no finished generator (training.json); name a folder of dp train-generator"
        ) from None
    if "classes" in training:
        raise UserError(f"{folder}: a generator of your own pictures, whose card dp train-generator has written")
    own = folder / "oracle.safetensors"
    measured = measure(
        load_pipeline(folder), bundled_oracle(own if own.exists() else BUNDLED_ORACLE), validation_images()
    )
    for name, text in (
        ("measured.json", json.dumps(measured, indent=1) + "\n"),
        ("README.md", card(measured, training)),
    ):
        with atomic(folder / name) as partial:
            partial.write_text(text)
    print(f"{folder / 'README.md'}: written")
