"""Resize and normalise images as a classifier wants them, inside the graph, so that guidance sees through it.

learner = nn.Sequential(Preprocess.of(timm_model), timm_model)
"""

import math
import warnings
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dp.utils.errors import UserError
from dp.utils.validation import Side, checked

# What a processor of transformers has to have. Unscaled images may be 0 .. 255 or 0 .. 1; the others are of few models.
USUAL = {
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "rescale_offset": False,
    "do_flip_channel_order": False,
    "include_top": False,
}


class Resize(nn.Module):
    """Resize images [B, C, H, W] to [B, C, side, side]: bicubic, antialiased, differentiable. Those of that size stay.

    Gives the dtype it takes, but computes in float32 at least: not every device resizes in half formats.
    """

    def __init__(self, side: int):
        super().__init__()
        self.side = side

    def forward(self, images: Tensor) -> Tensor:
        """Return images [B, C, side, side]."""
        if images.shape[-2:] == (self.side, self.side):
            return images
        resized = F.interpolate(_wide(images), (self.side, self.side), mode="bicubic", antialias=True)
        return resized.to(images.dtype)


class Preprocess(nn.Module):
    """Resize to size x size and normalise, as a classifier wants it, differentiable.

    Takes float [B, C, H, W] in [-1, 1], the range of diffusion models; gives (image in [0, 1] - mean) / std, of the
    same dtype.

    Attributes:
        size: pixels of a side; None leaves the size alone.
        crop: pixels of a side of the centre that is then taken; None: all.
        mean, std: of each channel, in [0, 1].

    Example:
        >>> import torch
        >>> from dp import Preprocess
        >>> layers = [torch.nn.Flatten(), torch.nn.Linear(64 * 64, 10)]  # stands in for yours
        >>> classifier = torch.nn.Sequential(Preprocess(64, [0.5], [0.5]), *layers)
        >>> classifier(torch.zeros(2, 1, 32, 32)).shape
        torch.Size([2, 10])
    """

    mean: Tensor
    std: Tensor

    @checked
    def __init__(
        self,
        size: Side | None = 224,
        mean: Sequence[float] = (0.485, 0.456, 0.406),
        std: Sequence[float] = (0.229, 0.224, 0.225),
        crop: Side | None = None,
    ):
        super().__init__()
        if len(mean) != len(std) or not std or min(std) <= 0:
            raise UserError(f"std: got {std} with mean {mean}; expected as many, all positive")
        self.size = size
        self.crop = crop
        self.register_buffer("mean", torch.tensor(mean).reshape(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).reshape(-1, 1, 1), persistent=False)

    @classmethod
    def of(cls, model: Any) -> "Preprocess":
        """Return the size and normalisation of a timm model, or of an image processor of transformers.

        The whole image is resized: timm's evaluation cuts off a border first (crop_pct, 0.9 of a side is left for
        vit_base_patch16_224), which guidance would then not see. A processor's centre (crop_size) is taken.

        Raises:
            UserError: the model is neither, or the processor does what is not done here.
        """
        if hasattr(model, "image_mean"):
            return cls._of_processor(model)
        if not hasattr(model, "pretrained_cfg"):
            raise UserError(
                f"preprocessing: {type(model).__name__} is neither a timm model nor a processor of transformers; "
                "give size, mean and std, as in Preprocess(224, mean, std)"
            )
        from timm.data import resolve_model_data_config

        config = resolve_model_data_config(model)
        mean, std = config["mean"], config["std"]
        channels = next((each.in_channels for each in model.modules() if isinstance(each, nn.Conv2d)), len(mean))
        if channels != len(mean):  # a model of grey images is still told the colours' values: take their mean
            mean, std = ([sum(each) / len(each)] * channels for each in (mean, std))
        return cls(config["input_size"][-1], mean, std)

    @classmethod
    def _of_processor(cls, processor: Any) -> "Preprocess":
        """Return what an image processor of transformers does to square images."""
        for name, usual in USUAL.items():
            found = getattr(processor, name, usual)
            if not math.isclose(found or 0, usual, rel_tol=1e-3):
                raise _undone(processor, f"{name} {found}")
        size = _side(processor, "size") if getattr(processor, "do_resize", True) else None
        crop = _side(processor, "crop_size") if getattr(processor, "do_center_crop", None) else None
        if not getattr(processor, "do_normalize", True):
            return cls(size, [0.0], [1.0], crop)
        return cls(size, processor.image_mean, processor.image_std, crop)

    def forward(self, images: Tensor) -> Tensor:
        """Return images [B, C, size, size], or their centre, normalised, of images [B, C, H, W] in [-1, 1]."""
        if self.size is not None:
            images = Resize(self.size)(images)
        unit = (_wide(images) + 1) / 2
        if self.crop is not None:
            unit = _centre(unit, self.crop)
        return ((unit - self.mean) / self.std).to(images.dtype)


def _side(processor: Any, name: str) -> int:
    """Return the side of the square that a size of a processor of transformers is."""
    value = getattr(processor, name)
    sides = {"": value} if isinstance(value, int) else {key: each for key, each in dict(value).items() if each}
    if len(set(sides.values())) != 1 or not {"", "height", "width", "shortest_edge"}.issuperset(sides):
        raise _undone(processor, f"{name} {sides}")
    return next(iter(sides.values()))


def _undone(processor: Any, found: str) -> UserError:
    return UserError(
        f"preprocessing: {type(processor).__name__} has {found}, which is not done here; give size, mean and std that "
        "do as much, as in Preprocess(224, mean, std)"
    )


def with_own_preprocessing(classifier: Any) -> Any:
    """Return a classifier of images in [-1, 1]: a timm model behind its own size and normalisation, others as they are.

    Raises:
        UserError: a classifier of transformers, which normalises in a processor that is not known here.
    """
    if not isinstance(classifier, nn.Module):
        return classifier
    name = type(classifier).__name__
    if hasattr(classifier, "pretrained_cfg"):
        warnings.warn(
            f"classifier: {name} is a timm model, so images get its own size and normalisation first (Preprocess.of); "
            "if it was trained on images in [-1, 1], give it as nn.Sequential(model)",
            stacklevel=3,
        )
        return nn.Sequential(Preprocess.of(classifier), classifier)
    if any(kind.__module__.startswith("transformers.") for kind in type(classifier).__mro__):
        raise UserError(
            f"classifier: {name} of transformers wants images as its processor makes them; give "
            "nn.Sequential(Preprocess.of(processor), model), or nn.Sequential(model) if it takes them in [-1, 1]"
        )
    return classifier


def _centre(images: Tensor, side: int) -> Tensor:
    """Return images [B, C, side, side], the centre, by transformers' rounding; black around smaller ones."""
    height, width = images.shape[-2:]
    top, left = int((height - side) / 2), int((width - side) / 2)
    return F.pad(images, (-left, left + side - width, -top, top + side - height))


def _wide(images: Tensor) -> Tensor:
    """Return them in float32, if they are of a half format."""
    return images.to(torch.promote_types(images.dtype, torch.float32))
