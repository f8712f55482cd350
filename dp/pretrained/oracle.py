"""The oracle: a classifier trained on real images that judges generated ones. No experiment trains or guides by it."""

from pathlib import Path

import torch
from safetensors.torch import load_model
from torch import Tensor, nn

from dp.data.fashion_mnist import ASSETS, CLASSES
from dp.learner.models import CROP, CenterCrop, ConvNet
from dp.utils.pixels import normalise

BUNDLED_ORACLE = ASSETS / "oracle.safetensors"


def new_oracle() -> ConvNet:
    """Make a new, untrained oracle."""
    return ConvNet(len(CLASSES), width=32, first_stride=1)


def bundled_oracle(path: Path = BUNDLED_ORACLE) -> nn.Sequential:
    """Load the repository's oracle for whole images [B, 1, 32, 32] in [-1, 1], float32, in eval mode.

    Example:
        >>> from dp import bundled_oracle, validation_images
        >>> real = validation_images()
        >>> logits = bundled_oracle()(real.images[:100] / 127.5 - 1)
        >>> (logits.argmax(1) == real.labels[:100]).float().mean() > 0.85
        tensor(True)
    """
    oracle = new_oracle()
    load_model(oracle, path)
    return nn.Sequential(CenterCrop(CROP), *oracle).float().eval().requires_grad_(False)


@torch.no_grad()
def features(oracle: nn.Sequential, images: Tensor, batch_size: int = 500) -> Tensor:
    """Return what the oracle's last layer reads: float32 [N, F] from uint8 images [N, C, H, W]."""
    body = oracle[:-1]
    return torch.cat([body(normalise(part)) for part in images.split(batch_size)])
