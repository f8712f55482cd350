"""Shifted test sets: the real test images, changed in ways that training has not shown.

They stand where the paper has ImageNet-Sketch, -R and -V2: outline sketches, renditions, and images taken differently.
Every set is a deterministic function of the test images (numbers drawn from fixed seeds). The hard subset, in the place
of ImageNet-A, is not among them: it is the test images that real-trained learners get wrong, see
`experiments/studies/comparison.py`.
"""

from collections.abc import Callable
from functools import cache, partial

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from dp.data.fashion_mnist import test_images
from dp.data.image_set import ImageSet

SIZE = 32


def outline(images: Tensor) -> Tensor:
    """Return the edges alone: gradient magnitude at a scale of 0.7 pixels, the strongest of each image white."""
    pixels = images.float().numpy()
    down, across = (ndimage.gaussian_filter(pixels, (0, 0, 0.7, 0.7), order) for order in ((0, 0, 1, 0), (0, 0, 0, 1)))
    edges = torch.from_numpy(np.hypot(down, across))
    strongest = edges.amax((1, 2, 3), keepdim=True).clamp(min=1)
    return (255 * edges / strongest).round().byte()


def inverted(images: Tensor) -> Tensor:
    """Return the images dark on white."""
    return 255 - images


def textured(images: Tensor) -> Tensor:
    """Return the images seen through diagonal stripes, 4 pixels apart, that let 30% to 100% of the light through."""
    rows, columns = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    stripes = 0.65 + 0.35 * torch.cos((rows + columns) * torch.pi / 2)
    return (images * stripes).round().byte()


def posterised(images: Tensor) -> Tensor:
    """Return two levels of grey: black below 64, white from there."""
    return torch.where(images < 64, 0, 255).byte()


def noisy(images: Tensor, sd: float) -> Tensor:
    """Add Gaussian noise of a standard deviation of `sd` of the full range."""
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(1)) * sd * 255
    return (images + noise).clamp(0, 255).round().byte()


def blurred(images: Tensor, sigma: float) -> Tensor:
    """Blur with a Gaussian of `sigma` pixels."""
    return F.gaussian_blur(images, [9, 9], [sigma, sigma])


def occluded(images: Tensor, side: int) -> Tensor:
    """Cover a square of `side` pixels with grey, anywhere in the central 28 x 28."""
    rng = torch.Generator().manual_seed(2)
    corner = 2 + torch.randint(28 - side + 1, (len(images), 2), generator=rng)
    at = torch.arange(SIZE)
    inside = (at >= corner[..., None]) & (at < corner[..., None] + side)  # [N, 2, SIZE]
    return torch.where(inside[:, 0, :, None] & inside[:, 1, None, :], 128, images[:, 0])[:, None].byte()


def rotated(images: Tensor, degrees: float) -> Tensor:
    """Turn the images by `degrees`, one half of them each way."""
    turned = images.clone()
    turned[::2] = F.rotate(images[::2], degrees, F.InterpolationMode.BILINEAR)
    turned[1::2] = F.rotate(images[1::2], -degrees, F.InterpolationMode.BILINEAR)
    return turned


def shrunk(images: Tensor, factor: float) -> Tensor:
    """Scale the images about the centre by `factor` < 1, black around."""
    return F.affine(images, 0.0, [0, 0], factor, [0.0, 0.0], F.InterpolationMode.BILINEAR)


# Kind -> name -> transform; where a number follows a name, severity rises with the order.
SHIFTS: dict[str, dict[str, Callable[[Tensor], Tensor]]] = {
    "outline": {"outline": outline},
    "rendition": {"inverted": inverted, "textured": textured, "posterised": posterised},
    "corruption": {
        **{f"noise {sd}": partial(noisy, sd=sd) for sd in (0.05, 0.1, 0.2)},
        **{f"blur {sigma}": partial(blurred, sigma=sigma) for sigma in (0.75, 1.25, 2.0)},
        **{f"occlusion {side}": partial(occluded, side=side) for side in (8, 12, 16)},
    },
    "geometric": {
        **{f"rotation {degrees}": partial(rotated, degrees=degrees) for degrees in (10, 20, 40)},
        **{f"scale {factor}": partial(shrunk, factor=factor) for factor in (0.9, 0.75, 0.6)},
    },
}


@cache
def shift_sets() -> dict[str, ImageSet]:
    """Return every shifted test set, by name: the first 5,000 test images each."""
    real = test_images()
    images, labels = real.images[:5000], real.labels[:5000]
    return {name: ImageSet(change(images), labels) for kind in SHIFTS.values() for name, change in kind.items()}
