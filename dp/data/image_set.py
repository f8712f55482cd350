"""data.image_set."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from dp.data.image_tree import open_image
from dp.utils.errors import UserError


@dataclass(frozen=True)
class ImageSet:
    """Labelled images.

    Attributes:
        images: uint8 [N, 1, 32, 32], 0 .. 255.
        labels: int64 [N], 0 .. 9.
    """

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)


def image_folder(folder: Path, classes: tuple[str, ...], image_shape: tuple[int, int, int]) -> ImageSet:
    """Images in a folder of one subfolder a class, resized (shorter side, then the centre) to image_shape (C, H, W).

    Raises:
        UserError: the subfolders are not the classes, or a file is no whole image.
    """
    from torchvision.datasets import ImageFolder
    from torchvision.transforms import v2

    check_class_folders(folder, classes)
    channels, height, width = image_shape
    steps: list[Any] = [v2.Resize(max(height, width)), v2.CenterCrop((height, width)), v2.PILToTensor()]
    if channels == 1:
        steps.insert(0, v2.Grayscale())
    try:
        real = ImageFolder(folder, v2.Compose(steps), loader=lambda path: open_image(Path(path)))
    except FileNotFoundError as error:  # a class without images
        raise UserError(f"{folder}: {str(error).splitlines()[0]}; every class needs images") from None
    images, labels = zip(*[(image, classes.index(real.classes[label])) for image, label in real], strict=True)
    return ImageSet(torch.stack(images), torch.tensor(labels))


def check_class_folders(folder: Path, classes: tuple[str, ...]) -> None:
    """UserError unless a folder's subfolders are the classes."""
    found = sorted(p.name for p in folder.iterdir() if p.is_dir()) if folder.is_dir() else []
    if set(found) != set(classes):
        raise UserError(
            f"{folder}: got the subfolders {', '.join(found[:5]) or 'none'}{'...' * (len(found) > 5)}, expected one a "
            f"class: {', '.join(classes[:5])}{'...' * (len(classes) > 5)}"
        )


LOADERS = 4  # processes that decode the images of a data set


class ImageData(Protocol):
    """Images that are too many for memory: a `torch.utils.data.Dataset` with a length."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Image uint8 [C, H, W] and label."""


RealImages = ImageSet | ImageData
