"""Augment images before the learner sees them; every draw is made for the whole batch, by one generator.

So it does not matter which process applies it to which part of the batch.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.transforms.v2 import CutMix, Identity, MixUp, RandomChoice
from torchvision.transforms.v2 import functional as F

AREA, RATIO = (0.08, 1.0), (3 / 4, 4 / 3)  # of a crop, in the image: those of torchvision's RandomResizedCrop


@dataclass(frozen=True)
class Shift:
    """Random crops of `size` pixels: for 28 of 32, shifts of up to 2 pixels.

    Attributes:
        top, left: int64 [B, 1, 1].
    """

    size: int
    top: Tensor
    left: Tensor

    @classmethod
    def draw(cls, images: int, shape: tuple[int, int], size: int, rng: torch.Generator) -> "Shift":
        """Draw what happens to each of `images` images of shape (H, W)."""
        top = torch.randint(shape[0] - size + 1, (images, 1, 1), generator=rng)
        return cls(size, top, torch.randint(shape[1] - size + 1, (images, 1, 1), generator=rng))

    def __call__(self, images: Tensor, part: slice) -> Tensor:
        """uint8 [b, C, H, W], the batch's images `part` -> [b, C, size, size]."""
        rows = self.top[part] + torch.arange(self.size)[None, :, None]  # [b, size, 1]
        columns = self.left[part] + torch.arange(self.size)[None, None, :]  # [b, 1, size]
        return images[torch.arange(len(images))[:, None, None], :, rows, columns].permute(0, 3, 1, 2)


@dataclass(frozen=True)
class ResizedCrop:
    """Crops of random area and shape, resized to `size` pixels, one half of them mirrored: ImageNet's usual one.

    Attributes:
        numbers: float32 [B, 5] in 0 .. 1: area, shape, two for the place, mirror.
    """

    size: int
    numbers: Tensor

    @classmethod
    def draw(cls, images: int, shape: tuple[int, int], size: int, rng: torch.Generator) -> "ResizedCrop":
        """Draw what happens to each of `images` images."""
        return cls(size, torch.rand((images, 5), generator=rng))

    def __call__(self, images: Tensor, part: slice) -> Tensor:
        """uint8 [b, C, H, W], the batch's images `part` -> [b, C, size, size]."""
        return torch.stack([self._one(*each) for each in zip(images, self.numbers[part].tolist(), strict=True)])

    def _one(self, image: Tensor, numbers: list[float]) -> Tensor:
        area, shape, down, across, mirror = numbers
        height, width = image.shape[-2:]
        low, high = (torch.tensor(each).log().item() for each in RATIO)
        ratio = torch.tensor(low + (high - low) * shape).exp().item()
        pixels = (AREA[0] + (AREA[1] - AREA[0]) * area) * height * width
        h = min(height, max(1, round((pixels / ratio) ** 0.5)))
        w = min(width, max(1, round((pixels * ratio) ** 0.5)))
        top, left = int(down * (height - h + 1)), int(across * (width - w + 1))
        crop = F.resized_crop(image, top, left, h, w, [self.size, self.size], antialias=True)
        return F.horizontal_flip(crop) if mirror < 0.5 else crop


def mixing(mixup: float, cutmix: float, num_classes: int) -> RandomChoice | Identity:
    """Mixup and CutMix, one or the other at random where both are on: (images, labels) -> (images, label weights).

    Args:
        mixup, cutmix: alpha of the Beta distribution of the mixing weight; 0 = off.
        num_classes: K of the label weights float [B, K]; labels stay int64 [B] where nothing is mixed.
    """
    on = [kind(alpha=a, num_classes=num_classes) for kind, a in ((MixUp, mixup), (CutMix, cutmix)) if a > 0]
    return RandomChoice(on) if on else Identity()
