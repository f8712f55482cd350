"""Labelled images: in memory, or a data set that is read as it goes."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from dp.data.image_tree import ImageTree, batches, few, list_images, open_image, subfolders
from dp.utils.errors import UserError


@dataclass(frozen=True)
class ImageSet:
    """Hold labelled images in memory.

    Attributes:
        images: uint8 [N, C, H, W], 0 .. 255.
        labels: int64 [N], 0 .. K - 1.

    Example:
        >>> import torch
        >>> from dp import ImageSet
        >>> ImageSet(torch.zeros(4, 3, 64, 64, dtype=torch.uint8), torch.tensor([0, 0, 1, 1]))
        ImageSet(4 images [3, 64, 64])
    """

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        return f"ImageSet({len(self)} images {list(self.images.shape[1:])})"


def image_folder(
    folder: Path | str, classes: Sequence[str] | None = None, image_shape: tuple[int, int, int] | None = None
) -> ImageSet:
    """Read the images of a folder with one subfolder per class into memory.

    Args:
        folder: holds the subfolders; hidden ones are left out, and what is no image is passed over.
        classes: names of the subfolders in order of the labels; None: all there are, sorted.
        image_shape: (channels, height, width); the shorter side is resized, then the centre is taken. None: as the
            first image is.

    Raises:
        UserError: the subfolders are not the classes, a class has no images, or a file is no whole image.

    Example:
        >>> from pathlib import Path
        >>> from PIL import Image
        >>> from dp import image_folder
        >>> for name in ("cat", "dog"):
        ...     Path("PICTURES", name).mkdir(parents=True)
        ...     Image.new("RGB", (80, 60)).save(f"PICTURES/{name}/1.png")
        >>> image_folder("PICTURES", ["cat", "dog"], image_shape=(3, 32, 32))
        ImageSet(2 images [3, 32, 32])
    """
    folder = Path(folder)
    classes = check_class_folders(folder, classes)
    if image_shape is None:
        files = list_images(folder, classes[:1]).files
        first = open_image(folder / classes[0] / os.fsdecode(files[0])) if len(files) else None
        image_shape = (3, first.height, first.width) if first else (3, 1, 1)  # without images the tree says so
    channels, *sides = image_shape
    if channels not in (1, 3):
        raise UserError(f"image_shape: got {image_shape}, expected 1 or 3 channels, height and width")
    tree = ImageTree(folder, dict(enumerate(classes)), (sides[0], sides[1]), max(sides), 1 if channels == 1 else 3)
    images, labels = zip(*batches(tree), strict=True)
    return ImageSet(torch.cat(images), torch.cat(labels))


def check_class_folders(folder: Path, classes: Sequence[str] | None) -> list[str]:
    """Return the classes, by default those that a folder has subfolders of, sorted.

    Raises:
        UserError: the subfolders are not the classes, or fewer than two.
    """
    found = subfolders(folder) if folder.is_dir() else []
    wanted = found if classes is None else list(classes)
    if set(found) != set(wanted) or len(found) < 2:
        raise UserError(
            f"{folder}: got the subfolders {few(found, 5) or 'none'}, expected one per class: "
            f"{few(wanted, 5) or 'two or more'}"
        )
    return wanted


LOADERS = 4  # processes that decode the images of a data set


class ImageData(Protocol):
    """Stand for images that are too many for memory: a `torch.utils.data.Dataset` with a length."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Read an image uint8 [C, H, W] and its label."""


RealImages = ImageSet | ImageData
