"""The three scales of pixels: bytes 0 .. 255, unit 0 .. 1, and -1 .. 1, which generators and learners take."""

import torch
from torch import Tensor


def normalise(images: Tensor) -> Tensor:
    """Return uint8 images 0 .. 255 as float32 in [-1, 1], the range the generator decodes to."""
    return images.float() / 127.5 - 1


def unit(images: Tensor) -> Tensor:
    """Return images in [-1, 1] in [0, 1]; what is outside is cut off."""
    return (images / 2 + 0.5).clamp(0, 1)


def to_bytes(images: Tensor) -> Tensor:
    """Return images in [0, 1] as uint8 0 .. 255."""
    return images.float().mul(255).round().to(torch.uint8)
