"""What a classifier wants done to an image first, as modules inside the graph, so that guidance sees through it.

learner = nn.Sequential(Preprocess.of(timm_model), timm_model)
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dp.utils.errors import UserError


class Resize(nn.Module):
    """Images [B, C, H, W] -> [B, C, side, side]: bicubic, antialiased, differentiable. Those of that size stay.

    Gives the dtype it takes, but computes in float32 at least: not every device resizes in half formats.
    """

    def __init__(self, side: int):
        super().__init__()
        self.side = side

    def forward(self, images: Tensor) -> Tensor:
        """See the class."""
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
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        size: int | None = 224,
        mean: Sequence[float] = (0.485, 0.456, 0.406),
        std: Sequence[float] = (0.229, 0.224, 0.225),
    ):
        super().__init__()
        if (size is not None and size < 1) or len(mean) != len(std) or min(std) <= 0:
            raise UserError(f"preprocessing: got size {size}, mean {mean}, std {std}; expected as many positive std")
        self.size = size
        self.register_buffer("mean", torch.tensor(mean).reshape(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).reshape(-1, 1, 1), persistent=False)

    @classmethod
    def of(cls, model: Any) -> "Preprocess":
        """Size and normalisation of a timm model, by its pretrained_cfg.

        The whole image is resized: timm's evaluation cuts off a border first (crop_pct, 0.9 of a side is left for
        vit_base_patch16_224), which guidance would then not see.
        """
        if not hasattr(model, "pretrained_cfg"):
            raise UserError(
                f"preprocessing: {type(model).__name__} is no timm model; give size, mean and std, as in "
                "Preprocess(224, mean, std)"
            )
        from timm.data import resolve_model_data_config

        config = resolve_model_data_config(model)
        return cls(config["input_size"][-1], config["mean"], config["std"])

    def forward(self, images: Tensor) -> Tensor:
        """Images [B, C, H, W] in [-1, 1] -> [B, C, size, size], normalised."""
        if self.size is not None:
            images = Resize(self.size)(images)
        return (((_wide(images) + 1) / 2 - self.mean) / self.std).to(images.dtype)


def _wide(images: Tensor) -> Tensor:
    """In float32, if they are of a half format."""
    return images.to(torch.promote_types(images.dtype, torch.float32))
