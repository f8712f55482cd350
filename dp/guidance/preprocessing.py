"""Resize and normalise images as a classifier wants them, inside the graph, so that guidance sees through it.

learner = nn.Sequential(Preprocess.of(timm_model), timm_model)
"""

import warnings
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dp.utils.errors import UserError
from dp.utils.validation import Side, checked


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
    ):
        super().__init__()
        if len(mean) != len(std) or not std or min(std) <= 0:
            raise UserError(f"std: got {std} with mean {mean}; expected as many, all positive")
        self.size = size
        self.register_buffer("mean", torch.tensor(mean).reshape(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).reshape(-1, 1, 1), persistent=False)

    @classmethod
    def of(cls, model: Any) -> "Preprocess":
        """Return the size and normalisation of a timm model, or of an image processor of transformers.

        The whole image is resized: timm's evaluation cuts off a border first (crop_pct, 0.9 of a side is left for
        vit_base_patch16_224), which guidance would then not see.
        """
        if hasattr(model, "image_mean"):  # an image processor of transformers
            side = next(iter(dict(model.size).values())) if getattr(model, "do_resize", True) else None
            return cls(side, model.image_mean, model.image_std)
        if not hasattr(model, "pretrained_cfg"):
            raise UserError(
                f"preprocessing: {type(model).__name__} is neither a timm model nor a processor of transformers; "
                "give size, mean and std, as in Preprocess(224, mean, std)"
            )
        from timm.data import resolve_model_data_config

        config = resolve_model_data_config(model)
        mean, std = config["mean"], config["std"]
        channels = next((p.shape[1] for p in model.parameters() if p.ndim == 4), len(mean))  # its first convolution's
        if channels != len(mean):  # a model of grey images is still told the colours' values: take their mean
            mean, std = ([sum(each) / len(each)] * channels for each in (mean, std))
        return cls(config["input_size"][-1], mean, std)

    def forward(self, images: Tensor) -> Tensor:
        """Return images [B, C, size, size], normalised, of images [B, C, H, W] in [-1, 1]."""
        if self.size is not None:
            images = Resize(self.size)(images)
        return (((_wide(images) + 1) / 2 - self.mean) / self.std).to(images.dtype)


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


def _wide(images: Tensor) -> Tensor:
    """Return them in float32, if they are of a half format."""
    return images.to(torch.promote_types(images.dtype, torch.float32))
