"""Check what a run is given before it costs anything."""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from dp.config import PracticeConfig
from dp.data.image_set import ImageSet, RealImages
from dp.guidance.objectives import checked_logits
from dp.learner.models import on_full_images
from dp.utils.errors import UserError
from dp.utils.pixels import normalise
from dp.utils.validation import brief


def check_given(config: Any, generator: Any, validation: Any, test: Any, net: Any) -> None:
    """UserError if an argument of `run_practice` is not of the kind that it takes."""
    if not isinstance(config, PracticeConfig):
        raise UserError(f"config: got {brief(config)}, expected a PracticeConfig; give PracticeConfig(lr=..., ...)")
    if not hasattr(generator, "num_classes") or not hasattr(generator, "generate"):
        raise UserError(
            f"generator: got {type(generator).__name__}, expected a Generator, or what has num_classes and generate; "
            "of a pipeline: Generator(pipe, ...)"
        )
    if not hasattr(validation, "__len__"):
        raise UserError(
            f"validation: got {brief(validation)}, expected labelled images; give validation_images(), not "
            "validation_images"
        )
    if test is not None and not callable(test):
        raise UserError(
            f"test: got {brief(test)}, expected a function that returns images; give test_images, not test_images()"
        )
    if net is not None and not isinstance(net, nn.Module):
        raise UserError(f"net: got {brief(net)}, expected a module; name an architecture by config.learner")
    if net is not None and not any(p.requires_grad for p in net.parameters()):
        raise UserError(f"net: {type(net).__name__} has no parameters to train; give one that has, not frozen")


def check_crop(config: PracticeConfig, image_shape: tuple[int, int, int]) -> None:
    """UserError if images (C, H, W) are too small for what the learner is to see of them."""
    if config.augment == "shift" and config.crop > min(image_shape[1:]):
        raise UserError(f"crop: got {config.crop}, expected at most the images' {min(image_shape[1:])} pixels")


def check_batch(config: PracticeConfig, learner: nn.Module, images: Tensor) -> None:
    """Try a learner in training on one image [n, C, H, W], uint8, if it would be trained on one at a time.

    Raises:
        UserError: it cannot be: batch normalisation of single values has no statistics.
    """
    if config.batch_size // config.parts > 1:
        return
    tried = on_full_images(config, copy.deepcopy(learner)).train()
    device = next((p.device for p in learner.parameters()), images.device)
    try:
        with torch.no_grad():
            tried(normalise(images[:1].to(device)))
    except ValueError as error:
        raise UserError(
            f"batch_size, micro_batch: got 1 image at a time, which the learner cannot be trained on ({error}); "
            "expected 2 or more, or a learner without batch normalisation (vit)"
        ) from None


def check_images(what: str, images: Tensor, labels: Tensor, classes: int) -> None:
    """Images uint8 [N, C, H, W] with labels int64 [N] in 0 .. classes - 1, N >= 1.

    Raises:
        UserError: they are anything else; names `what` they are.
    """
    if len(images) == 0:
        raise UserError(f"{what}: got no images, expected 1 or more")
    if images.dtype != torch.uint8 or images.ndim != 4:
        raise UserError(f"{what}: images: got {images.dtype} {list(images.shape)}, expected uint8 [N, C, H, W]")
    if labels.dtype != torch.int64 or labels.shape != images.shape[:1]:
        raise UserError(
            f"{what}: labels: got {labels.dtype} {list(labels.shape)}, expected int64 [{len(images)}], one an image"
        )
    if labels.min() < 0 or labels.max() >= classes:
        raise UserError(f"{what}: labels: got {labels.min()} .. {labels.max()}, expected classes in 0 .. {classes - 1}")


def check_real(what: str, real: RealImages, classes: int, image_shape: tuple[int, int, int]) -> Tensor:
    """Real images (C, H, W) with labels; of a data set that is not in memory the first image is looked at.

    Returns:
        The first images, uint8 [n, C, H, W].
    """
    if isinstance(real, ImageSet):
        images, labels = real.images, real.labels
    elif not len(real):
        raise UserError(f"{what}: got no images, expected 1 or more")
    else:
        image, label = real[0]
        images, labels = image[None], torch.tensor([label])
    check_images(what, images, labels, classes)
    if images.shape[1:] != image_shape:
        raise UserError(
            f"{what}: images: got {list(images.shape[1:])}, expected {list(image_shape)} as the generator's; resize "
            "them (image_folder takes an image_shape)"
        )
    return images[:2]


def check_learner(learner: nn.Module, images: Tensor, classes: int) -> None:
    """Asks the learner about a few images [n, C, H, W], uint8.

    Raises:
        UserError: it cannot classify them, or knows another number of classes.
    """
    device = next((p.device for p in learner.parameters()), images.device)
    with torch.no_grad():
        logits = checked_logits(learner, normalise(images.to(device)))
    if logits.shape[1] != classes:
        raise UserError(f"learner: gave {list(logits.shape)} logits, but the generator makes {classes} classes")
