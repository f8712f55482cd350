"""The learner: its architectures, what its input goes through, its optimiser and learning-rate schedule."""

import math

import timm
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from dp.errors import UserError

CROP = 28  # the learner sees 28 x 28 of the 32 x 32 images: the centre, or a random crop in training


class ConvNet(nn.Sequential):
    """Four 3x3 convolutions with batch norm and ReLU, global average pooling, a linear layer.

    Channels are width, 2 width, 4 width, 4 width; `first_stride` 2 halves the resolution at the first one.
    Input float [B, in_chans, H, W], output logits [B, num_classes].
    """

    def __init__(self, num_classes: int, in_chans: int = 1, width: int = 12, first_stride: int = 2):
        channels = (in_chans, width, 2 * width, 4 * width, 4 * width)
        strides = (first_stride, 3 - first_stride, 2, 1)
        layers: list[nn.Module] = []
        for before, after, stride in zip(channels[:-1], channels[1:], strides, strict=True):
            layers += [nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
        super().__init__(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels[-1], num_classes))


def build_learner(name: str, num_classes: int, in_chans: int = 1) -> nn.Module:
    """A new, randomly initialised classifier (from torch's global generator).

    Args:
        name: "convnet" (35k parameters), "vit" (a small timm VisionTransformer for 28 x 28), or any architecture name
            of timm.
        num_classes: number of logits.
        in_chans: channels of the images.

    Raises:
        UserError: timm knows no architecture of that name.
    """
    if name == "convnet":
        return ConvNet(num_classes, in_chans)
    if name == "vit":
        return VisionTransformer(
            img_size=CROP, patch_size=7, in_chans=in_chans, num_classes=num_classes, embed_dim=64, depth=4, num_heads=4
        )
    if name not in timm.list_models():
        raise UserError(f'learner: "{name}" is no architecture of timm; take convnet, vit or a timm name')
    return timm.create_model(name, num_classes=num_classes, in_chans=in_chans)


def normalise(images: Tensor) -> Tensor:
    """uint8 0 .. 255 -> float32 in [-1, 1], the range the generator decodes to."""
    return images.float() / 127.5 - 1


def center_crop(images: Tensor) -> Tensor:
    """The central 28 x 28 of [B, C, H, W]."""
    top, left = ((size - CROP) // 2 for size in images.shape[-2:])
    return images[..., top : top + CROP, left : left + CROP]


def random_crop(images: Tensor, rng: torch.Generator) -> Tensor:
    """A random 28 x 28 crop of each image of [B, C, H, W]: shifts of up to 2 pixels for 32 x 32."""
    b, _c, h, w = images.shape
    top = torch.randint(h - CROP + 1, (b, 1, 1), generator=rng)
    left = torch.randint(w - CROP + 1, (b, 1, 1), generator=rng)
    rows = top + torch.arange(CROP)[None, :, None]  # [B, 28, 1]
    columns = left + torch.arange(CROP)[None, None, :]  # [B, 1, 28]
    return images[torch.arange(b)[:, None, None], :, rows, columns].permute(0, 3, 1, 2)


def wsd(iteration: int, iterations: int, warmup: float, cooldown: float) -> float:
    """Learning-rate factor in (0, 1]: linear warm-up, stable, cosine decay (Section 4: 10% and 20%).

    Args:
        iteration: 0 .. iterations - 1.
        warmup, cooldown: fractions of the run.
    """
    warm, cool = warmup * iterations, cooldown * iterations
    if iteration < warm:
        return (iteration + 1) / (warm + 1)
    left = (iterations - iteration) / cool if cool else 1.0
    return 0.5 - 0.5 * math.cos(math.pi * min(1.0, left))
