"""Accuracy on real images."""

import torch
from torch import Tensor, nn

from dp.data import ImageSet
from dp.learner import normalise
from dp.precision import autocast


def device_of(module: nn.Module) -> torch.device:
    """Where a module's parameters are."""
    return next((p.device for p in module.parameters()), torch.device("cpu"))


@torch.no_grad()
def logits_of(learner: nn.Module, images: Tensor, batch_size: int = 1000) -> Tensor:
    """Logits of a learner in eval mode on uint8 images [N, C, H, W]: float32 [N, K], on the CPU."""
    device = device_of(learner)
    parts = []
    for part in images.split(batch_size):
        with autocast(device):
            parts.append(learner(normalise(part.to(device))).float().cpu())
    return torch.cat(parts)


def accuracy(learner: nn.Module, real: ImageSet) -> float:
    """Top-1 accuracy in percent of a learner in eval mode."""
    return 100 * (logits_of(learner, real.images).argmax(1) == real.labels).float().mean().item()
