"""The folders of ImageNet's sets, as settings; no library is needed to read them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

SetName = Literal["train", "val", "v2", "sketch", "r", "a"]


@dataclass(frozen=True)
class OutOfDistribution:
    """Folders of the out-of-distribution sets, each holding its class folders; None: not looked at."""

    v2: Path | None = None  # ImageNet-V2, matched frequency; folders 0 .. 999
    sketch: Path | None = None  # ImageNet-Sketch; folders by wnid, as of the other two
    r: Path | None = None  # ImageNet-R
    a: Path | None = None  # ImageNet-A


def roots_of(imagenet: Path | None, ood: OutOfDistribution) -> dict[SetName, Path]:
    """Set -> its root, of those given; `imagenet` holds val and train."""
    roots: dict[SetName, Path | None] = {"val": imagenet, "train": imagenet}
    roots |= {"v2": ood.v2, "sketch": ood.sketch, "r": ood.r, "a": ood.a}
    return {name: Path(root) for name, root in roots.items() if root is not None}
