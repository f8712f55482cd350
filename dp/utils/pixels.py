"""utils.pixels."""

from torch import Tensor


def normalise(images: Tensor) -> Tensor:
    """uint8 0 .. 255 -> float32 in [-1, 1], the range the generator decodes to."""
    return images.float() / 127.5 - 1
