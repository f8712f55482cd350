"""The learner: its architectures, what its input goes through, its optimiser and learning-rate schedule."""

import itertools
import math
import warnings
from pathlib import Path
from typing import Any

import timm
from timm.models.vision_transformer import Attention, VisionTransformer
from torch import Tensor, nn

from dp.config import PracticeConfig
from dp.utils.device import best_device
from dp.utils.errors import UserError, in_a_line
from dp.utils.files import expect_files
from dp.utils.validation import Count, Side, checked

LARGEST = 10_000  # number that an architecture is given
CROP = 28  # of the repository's 32 x 32 images


class ConvNet(nn.Sequential):
    """Classify by four 3x3 convolutions with batch norm and ReLU, global average pooling, a linear layer.

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


class ConvStem(nn.Module):
    """Make tokens of 8 x 8 pixels by three strided convolutions, in place of a ViT's patches.

    From scratch and on few images a ViT learns far better behind one (Xiao et al. 2021, arXiv 2106.14881).

    The arguments are those timm gives an `embed_layer`.
    """

    def __init__(self, img_size: int, patch_size: int, in_chans: int, embed_dim: int, **_: Any):
        super().__init__()
        widths = (in_chans, embed_dim // 4, embed_dim // 2)
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise(widths):
            layers += [nn.Conv2d(before, after, 3, 2, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[-1], embed_dim, 3, 2, 1))
        self.img_size = (img_size, img_size)
        self.patch_size = (patch_size, patch_size)
        self.grid_size = (math.ceil(img_size / 8), math.ceil(img_size / 8))
        self.num_patches = self.grid_size[0] * self.grid_size[1]

    def forward(self, images: Tensor) -> Tensor:
        """Map images [B, in_chans, H, W] to tokens [B, num_patches, embed_dim]."""
        return self.layers(images).flatten(2).transpose(1, 2)


def small_vit(num_classes: int, in_chans: int, size: int) -> VisionTransformer:
    """Return a timm ViT of 225k parameters: convolutional stem, 4 blocks, width 64, 2 heads, averaged tokens."""
    return VisionTransformer(
        img_size=size,
        patch_size=8,
        in_chans=in_chans,
        num_classes=num_classes,
        embed_dim=64,
        depth=4,
        num_heads=2,
        class_token=False,
        global_pool="avg",
        embed_layer=ConvStem,
    )


class HuggingFaceClassifier(nn.Module):
    """Wrap a transformers image classifier as a module that gives logits.

    Example:
        >>> import torch
        >>> from dp import HuggingFaceClassifier
        >>> from transformers import AutoModelForImageClassification, ResNetConfig
        >>> sizes = ResNetConfig(num_channels=1, embedding_size=8, hidden_sizes=[8], depths=[1], num_labels=10)
        >>> learner = HuggingFaceClassifier(AutoModelForImageClassification.from_config(sizes)).eval()
        >>> learner(torch.zeros(2, 1, 32, 32)).shape
        torch.Size([2, 10])
    """

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        """Map images [B, C, H, W] to logits [B, K]."""
        return self.model(pixel_values=images).logits


def _quick(net: nn.Module) -> nn.Module:
    """Return the same net with the quicker of timm's two kinds of attention."""
    if best_device().type == "cpu":  # the fused kernel takes three times as long for few tokens in bfloat16
        for module in net.modules():
            if isinstance(module, Attention):
                module.fused_attn = False
    return net


@checked
def build_learner(name: str, num_classes: Count, in_chans: Count = 1, size: Side | None = CROP) -> nn.Module:
    """Build a classifier, float [B, in_chans, size, size] in [-1, 1] -> logits.

    New weights come from torch's global generator.

    Args:
        name: "convnet" (35k parameters), "vit" (225k, a small timm VisionTransformer), any architecture name of timm,
            also with numbers that it takes ("vit_tiny_patch16_224?patch_size=7"), or "hf:FOLDER" for a transformers
            image classifier saved in a folder.
        num_classes: number of logits.
        in_chans: channels of the images.
        size: pixels of a side, for architectures that must know.

    Raises:
        UserError: no such architecture, patches that do not tile the images, or a saved classifier with another number
            of classes.

    Example:
        >>> import torch
        >>> from dp import build_learner
        >>> build_learner("convnet", num_classes=10, in_chans=1)(torch.zeros(2, 1, 28, 28)).shape
        torch.Size([2, 10])
    """
    if name == "convnet":
        return ConvNet(num_classes, in_chans)
    if name == "vit":
        return _quick(small_vit(num_classes, in_chans, size or CROP))
    if name.startswith("hf:"):
        return _hugging_face(Path(name.removeprefix("hf:")), num_classes)
    return _quick(_timm(name, num_classes, in_chans, size))


def _timm(name: str, num_classes: int, in_chans: int, size: int | None) -> Any:
    architecture, _, given = name.partition("?")
    if architecture not in timm.list_models():
        raise UserError(f'learner: "{architecture}" is no architecture of timm; take convnet, vit or a timm name')
    pairs = [each.partition("=") for each in given.split("&") if each]
    if not all(value.isdecimal() and 1 <= int(value[:9]) <= LARGEST for _, _, value in pairs):
        raise UserError(
            f'learner: got "{name}", expected numbers from 1 to {LARGEST:,}, such as {architecture}?patch_size=7'
        )
    options: dict[str, Any] = {"num_classes": num_classes, "in_chans": in_chans}
    options |= {key: int(value) for key, _, value in pairs}
    try:
        try:
            model = timm.create_model(architecture, img_size=size, **options) if size else None
        except TypeError:  # only architectures with a fixed image size take one
            model = None
        model = model or timm.create_model(architecture, **options)
    except Exception as error:  # of many kinds, by what does not go together
        reason = in_a_line(error)
        raise UserError(f'learner: got "{name}", but timm says: {reason}') from None
    patch = getattr(getattr(model, "patch_embed", None), "patch_size", None)
    if size and isinstance(patch, tuple) and size % patch[0]:  # timm would leave the rest of the image out
        raise UserError(
            f"learner: {name} takes patches of {patch[0]} pixels, which do not tile {size}; expected a divisor, "
            f"such as {architecture}?patch_size={max(k for k in range(1, size // 2) if size % k == 0)}"
        )
    return model


def _hugging_face(folder: Path, num_classes: int) -> HuggingFaceClassifier:
    if not (folder / "config.json").is_file():
        raise UserError(f"learner: {folder} holds no saved transformers classifier (config.json); use save_pretrained")
    expect_files(folder)
    from transformers import AutoConfig, AutoModelForImageClassification

    # Code in the folder is never run, nor is anybody asked whether it may.
    safely = {"local_files_only": True, "trust_remote_code": False}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = AutoConfig.from_pretrained(folder, **safely).num_labels
            model, loaded = None, {}
            if found == num_classes:
                model, loaded = AutoModelForImageClassification.from_pretrained(
                    folder, use_safetensors=True, output_loading_info=True, **safely
                )
    except Exception as error:  # of many kinds, by what is damaged or missing
        reason = in_a_line(error)
        raise UserError(
            f"learner: {folder}: cannot be loaded ({reason}); expected what save_pretrained of a transformers image "
            "classifier writes, whole and weights as safetensors; code in the folder is not run"
        ) from None
    if model is None:
        raise UserError(f"learner: {folder} has {found} classes, the generator {num_classes}")
    missing = sorted(loaded.get("missing_keys", ()))
    if missing:  # transformers would take random numbers
        raise UserError(f"learner: {folder}: {len(missing)} weights are missing, {missing[0]} among them")
    return HuggingFaceClassifier(model)


def on_full_images(config: PracticeConfig, net: nn.Module) -> nn.Module:
    """Return a net that knows crops as one for whole images, float [B, C, H, W] in [-1, 1]; in eval mode.

    It sees their centre.
    """
    return (nn.Sequential(CenterCrop(config.crop), net) if config.crop else net).eval()


class CenterCrop(nn.Module):
    """Cut the central size x size out of images [B, C, H, W]."""

    def __init__(self, size: int):
        super().__init__()
        self.size = size

    def forward(self, images: Tensor) -> Tensor:
        """Cut images [B, C, H, W] to [B, C, size, size]."""
        h, w = images.shape[-2:]
        if min(h, w) < self.size:
            raise ValueError(f"expected at least {self.size} x {self.size} pixels")
        top, left = (h - self.size) // 2, (w - self.size) // 2
        return images[..., top : top + self.size, left : left + self.size]
