"""The oracle: a classifier trained on real images that judges generated ones. No experiment trains or guides by it."""

from pathlib import Path

import torch
from safetensors.torch import load_model
from torch import Tensor, nn

from dp.data.fashion_mnist import ASSETS, CLASSES, IMAGE_SIZE
from dp.learner.models import CROP, CenterCrop, ConvNet
from dp.utils.pixels import normalise

BUNDLED_ORACLE = ASSETS / "oracle.safetensors"


def new_oracle(classes: int = len(CLASSES), channels: int = 1) -> ConvNet:
    """Make a new, untrained oracle."""
    return ConvNet(classes, channels, width=32, first_stride=1)


def crop_of(side: int) -> int:
    """Return the side of the crops that an oracle of images of this side is trained on: seven eighths."""
    return CROP * side // IMAGE_SIZE


def bundled_oracle(path: Path = BUNDLED_ORACLE) -> nn.Sequential:
    """Load the repository's oracle for whole images [B, 1, 32, 32] in [-1, 1], float32, in eval mode.

    Example:
        >>> from dp import bundled_oracle, validation_images
        >>> real = validation_images()
        >>> logits = bundled_oracle()(real.images[:100] / 127.5 - 1)
        >>> (logits.argmax(1) == real.labels[:100]).float().mean() > 0.85
        tensor(True)
    """
    return load_oracle(path, len(CLASSES), 1, IMAGE_SIZE)


def load_oracle(path: Path, classes: int, channels: int, side: int) -> nn.Sequential:
    """Load an oracle for whole images [B, channels, side, side] in [-1, 1], float32, in eval mode."""
    oracle = new_oracle(classes, channels)
    load_model(oracle, path)
    return nn.Sequential(CenterCrop(crop_of(side)), *oracle).float().eval().requires_grad_(False)


@torch.no_grad()
def features(oracle: nn.Sequential, images: Tensor) -> Tensor:
    """Return what the oracle's last layer reads: float32 [N, F] from uint8 images [N, C, H, W]."""
    body = oracle[:-1]
    return torch.cat([body(normalise(part)) for part in images.split(500)])
