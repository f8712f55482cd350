"""Accuracy on real images."""

import torch
from torch import Tensor, nn

from dp.data import ImageSet
from dp.learner import center_crop, normalise
from dp.precision import autocast


@torch.no_grad()
def logits_of(learner: nn.Module, images: Tensor, batch_size: int = 1000) -> Tensor:
    """Logits of a learner in eval mode on uint8 images [N, C, H, W]: float32 [N, K]."""
    parts = []
    for part in images.split(batch_size):
        with autocast(part.device):
            parts.append(learner(normalise(center_crop(part))).float())
    return torch.cat(parts)


def accuracy(learner: nn.Module, real: ImageSet) -> float:
    """Top-1 accuracy in percent of a learner in eval mode."""
    return 100 * (logits_of(learner, real.images).argmax(1) == real.labels).float().mean().item()
