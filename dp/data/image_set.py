"""Labelled images: in memory, or a data set that is read as it goes."""

import importlib.util
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from dp.data.image_tree import (
    ImageData,
    ImageTree,
    batches,
    cut,
    few,
    few_apart,
    in_rgb,
    list_images,
    open_image,
    subfolders,
)
from dp.utils.errors import UserError, in_a_line
from dp.utils.validation import checked


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


@checked
def image_folder(
    folder: Path | str, classes: Sequence[str] | None = None, image_shape: tuple[int, int, int] | None = None
) -> ImageSet:
    """Read the images of a folder with one subfolder per class into memory.

    Args:
        folder: holds the subfolders; hidden ones are left out, and what is no image is passed over. Or a folder that
            `save_to_disk` of a Hugging Face data set wrote, see `image_dataset`.
        classes: names of the subfolders in order of the labels; None: all there are, sorted.
        image_shape: (channels, height, width); an image is resized just so much that it covers height and width,
            then the centre is taken. None: as the first image is.

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
    if is_saved(folder):
        return image_dataset(saved(folder), classes, image_shape, str(folder))
    classes = check_class_folders(folder, classes)
    if image_shape is None:
        files = list_images(folder, classes[:1]).files
        first = open_image(folder / classes[0] / os.fsdecode(files[0])) if len(files) else None
        image_shape = (3, first.height, first.width) if first else (3, 1, 1)  # without images the tree says so
    channels, *sides = _checked(image_shape)
    tree = ImageTree(folder, dict(enumerate(classes)), (sides[0], sides[1]), None, 1 if channels == 1 else 3)
    images, labels = zip(*batches(tree), strict=True)
    return ImageSet(torch.cat(images), torch.cat(labels))


def image_dataset(
    dataset: Any,
    classes: Sequence[str] | None = None,
    image_shape: tuple[int, int, int] | None = None,
    name: str = "dataset",
) -> ImageSet:
    """Read the images of a Hugging Face data set into memory.

    Args:
        dataset: a `datasets.Dataset` with one column of images and one of `ClassLabel`s.
        classes: names in order of the labels, the same as the data set's in any order; None: as the data set has them.
        image_shape: as of `image_folder`.
        name: of the data set, for errors.

    Raises:
        UserError: it has no such columns, other classes, or rows without a picture or a class.

    Example:
        >>> from datasets import ClassLabel, Dataset, Features, Image as Picture
        >>> from PIL import Image
        >>> from dp import image_dataset
        >>> features = Features(image=Picture(), label=ClassLabel(names=["cat", "dog"]))
        >>> pictures = {"image": [Image.new("RGB", (80, 60))] * 2, "label": [0, 1]}
        >>> image_dataset(Dataset.from_dict(pictures, features), ["dog", "cat"], image_shape=(3, 32, 32)).labels
        tensor([1, 0])
    """
    wanted = _check_dataset(dataset, classes, name)
    if image_shape is None:
        first = next(_pictures(dataset, name))
        image_shape = (3, first.height, first.width)
    channels, *sides = _checked(image_shape)
    pixels = cut((sides[0], sides[1]), None, channels)
    label = _column(dataset, "ClassLabel", name)
    places = torch.tensor([wanted.index(each) for each in dataset.features[label].names])
    images = torch.stack([pixels(each) for each in _pictures(dataset, name)])
    return ImageSet(images, places[torch.tensor(dataset[label][:])])


def _check_dataset(dataset: Any, classes: Sequence[str] | None, name: str) -> list[str]:
    """Return the classes, by default those of a data set; opens no image."""
    if isinstance(dataset, dict):
        raise UserError(f"{name}: got the splits {few(list(dataset), 5)}, expected one of them, as dataset[SPLIT]")
    _column(dataset, "Image", name)
    label = _column(dataset, "ClassLabel", name)
    found = dataset.features[label].names
    wanted = _each_once(found if classes is None else classes)
    if set(found) != set(wanted):
        got, expected = few_apart(found, wanted, 5)
        raise UserError(f"{name}: got the classes {got}, expected {expected}")
    if not len(dataset):
        raise UserError(f"{name}: got no images, expected 1 or more")
    without = sum(each is None or each < 0 for each in dataset[label][:])
    if without:
        raise UserError(
            f"{name}: got {without:,} of {len(dataset):,} rows without a class (None or -1 in {label}), expected one "
            "in each; leave them out, with dataset.filter"
        )
    return wanted


def _pictures(dataset: Any, name: str) -> Iterator[Image.Image]:
    """Give the pictures of a data set in RGB."""
    for row, picture in enumerate(dataset[_column(dataset, "Image", name)]):
        if picture is None:
            raise UserError(f"{name}: got no picture in row {row}, expected one in each; leave out rows without")
        try:
            yield in_rgb(picture)
        except ValueError as error:
            raise UserError(f"{name}: row {row}: {in_a_line(error)}; expected 8 or 16 bits, convert it") from None


def _each_once(classes: Sequence[str]) -> list[str]:
    twice = [name for name, count in Counter(classes).items() if count > 1]
    if twice:
        raise UserError(f"classes: got {few(twice, 5)} more than once, expected each once")
    return list(classes)


def _column(dataset: Any, kind: str, name: str) -> str:
    columns = [column for column, feature in dataset.features.items() if type(feature).__name__ == kind]
    if len(columns) != 1:
        raise UserError(
            f"{name}: got {len(columns)} columns of {kind} among {few(list(dataset.features), 5)}, expected one; "
            "cast_column of datasets makes it"
        )
    return columns[0]


def _checked(image_shape: tuple[int, int, int]) -> tuple[int, int, int]:
    if image_shape[0] not in (1, 3):
        raise UserError(f"image_shape: got {image_shape}, expected 1 or 3 channels, height and width")
    return image_shape


def is_saved(folder: Path) -> bool:
    """Tell whether `save_to_disk` of a Hugging Face data set wrote a folder."""
    return (folder / "dataset_info.json").is_file() and (folder / "state.json").is_file()


def saved(folder: Path) -> Any:
    """Open what `save_to_disk` wrote.

    Raises:
        UserError: the library is not installed, or the folder is damaged.
    """
    if importlib.util.find_spec("datasets") is None:
        raise UserError(f"{folder}: a data set of Hugging Face, whose library is not installed: pip install datasets")
    from datasets import load_from_disk

    try:
        return load_from_disk(str(folder))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{folder}: {in_a_line(error)}; restore it from a copy") from None


def check_class_folders(folder: Path, classes: Sequence[str] | None) -> list[str]:
    """Return the classes, by default those that a folder has subfolders of, sorted.

    Raises:
        UserError: the subfolders, or the classes of a saved data set, are not the classes, or there is only one.
    """
    if classes is not None and is_saved(folder):
        return _check_dataset(saved(folder), classes, str(folder))
    found = subfolders(folder) if folder.is_dir() else []
    wanted = found if classes is None else _each_once(classes)
    if set(found) != set(wanted) or len(found) < 2:
        expected = few(wanted, 5) if set(found) != set(wanted) else "two or more"
        raise UserError(f"{folder}: got the subfolders {few(found, 5) or 'none'}, expected one per class: {expected}")
    return wanted


LOADERS = 4  # processes that decode the images of a data set


RealImages = ImageSet | ImageData
