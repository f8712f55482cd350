"""Measure in a feature space how faithful and how diverse generated images are beside real ones."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Diversity:
    """All in 0 .. 1.

    Attributes:
        precision: generated images inside some real image's neighbourhood (Kynkaanniemi et al., arXiv 1904.06991).
        recall: real images inside some generated image's neighbourhood (the same).
        coverage: real images with a generated one in their neighbourhood (Naeem et al., arXiv 2002.09797).
    """

    precision: float
    recall: float
    coverage: float


def diversity(real: Tensor, generated: Tensor, k: int = 5) -> Diversity:
    """Compare features of as many real as generated images.

    Args:
        real, generated: float [N, F].
        k: an image's neighbourhood reaches to its k-th nearest neighbour of its own kind.
    """
    across = torch.cdist(real, generated)  # [N, N]
    radius_real = torch.cdist(real, real).kthvalue(k + 1, dim=1).values  # the first neighbour is the image itself
    radius_generated = torch.cdist(generated, generated).kthvalue(k + 1, dim=1).values
    in_real = across <= radius_real[:, None]
    in_generated = across <= radius_generated[None, :]
    return Diversity(
        precision=in_real.any(0).float().mean().item(),
        recall=in_generated.any(1).float().mean().item(),
        coverage=in_real.any(1).float().mean().item(),
    )
