"""A map of a pool: every image where its features put it, coloured by the addition that it came with."""

from collections.abc import Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

ROOM = 1.35  # places on the map per image
SHAPE = 1.75  # its width over its height
GREY = (140, 140, 140)  # the initial pool


def two_dimensions(features: np.ndarray) -> np.ndarray:
    """Return the two principal components of features, float [n, d] -> float [n, 2]."""
    centred = features - features.mean(0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    return centred @ axes[:2].T


def on_a_grid(points: np.ndarray) -> tuple[np.ndarray, int, int]:
    """Return each point's own place on a grid, as close to the point as all together allow.

    The assignment of least squared distance, so that no image is moved further for having come later.

    Args:
        points: float [n, 2].

    Returns:
        places int [n, 2] (column, row), and the grid's columns and rows.
    """
    across = max(2, round((ROOM * len(points) * SHAPE) ** 0.5))
    down = max(2, -(-round(ROOM * len(points)) // across))
    low, high = np.percentile(points, 1, axis=0), np.percentile(points, 99, axis=0)
    scaled = np.clip((points - low) / np.maximum(high - low, 1e-9), 0, 1) * (across - 1, down - 1)
    grid = np.stack(np.meshgrid(np.arange(across), np.arange(down)), -1).reshape(-1, 2)
    _, chosen = linear_sum_assignment(((scaled[:, None] - grid[None]) ** 2).sum(-1))
    return grid[chosen], across, down


def layer_of(images: np.ndarray, places: np.ndarray, across: int, down: int, colour: Sequence[int]) -> np.ndarray:
    """Return one addition's images at their places, in its colour; grey ones by their ink, transparent elsewhere.

    Args:
        images: uint8 [n, S, S], or of colour [n, S, S, 3].
        places: int [n, 2] of `on_a_grid`.
        across, down: columns and rows of the grid.
        colour: 0 .. 255 each.

    Returns:
        uint8 [down * S, across * S, 4].
    """
    side = images.shape[1]
    canvas = np.zeros((down * side, across * side, 4), np.uint8)
    canvas[..., :3] = colour
    for image, (column, row) in zip(images, places, strict=True):
        here = canvas[row * side : (row + 1) * side, column * side : (column + 1) * side]
        if image.ndim == 2:
            here[..., 3] = image
        else:
            here[..., 3] = 255
            here[2:-2, 2:-2, :3] = image[2:-2, 2:-2]  # a frame in the round's colour
    return canvas
