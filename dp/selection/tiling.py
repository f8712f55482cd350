"""Rows in tiles of one size, so that a result does not depend on what else is in a batch."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from dp.learner.evaluate import logits_of
from dp.utils.errors import UserError


def tiled(function: Callable[..., Tensor], *rows: Tensor, tile: int) -> Tensor:
    """Apply function(*rows) to tiles of exactly `tile` rows, the last filled up with copies of its last row; n >= 1.

    Arithmetic kernels are chosen by shape, so only a fixed shape gives an image the same bits in every batch.
    """
    parts = []
    for start in range(0, len(rows[0]), tile):
        part = [each[start : start + tile] for each in rows]
        size = len(part[0])
        filled = [torch.cat([each, each[-1:].expand(tile - size, *each.shape[1:])]) for each in part]
        parts.append(function(*filled)[:size])
    return torch.cat(parts)


def check_labels(labels: Tensor, num_classes: int) -> None:
    """Raise UserError if a label is not in 0 .. num_classes - 1."""
    if len(labels) and (labels.min() < 0 or labels.max() >= num_classes):
        raise UserError(f"labels: got {labels.min()} .. {labels.max()}, expected classes in 0 .. {num_classes - 1}")


def _check_tile(tile: int) -> None:
    if tile < 1:
        raise UserError(f"tile: got {tile}, expected 1 or more")


def logits_in_tiles(learner: nn.Module, images: Tensor, tile: int = 100) -> Tensor:
    """Return logits, float32 [n, K] on the CPU, of uint8 images [n, C, H, W], the same for an image in every batch.

    Raises:
        UserError: the learner is in training mode (then an image's logits depend on its batch) or gives nan or inf.
    """
    if learner.training:
        raise UserError("learner: got one in training mode, expected eval mode; call learner.eval() first")
    logits = tiled(lambda part: logits_of(learner, part), images, tile=tile)
    broken = int((~logits.isfinite()).any(1).sum())
    if broken:
        raise UserError(
            f"learner: got nan or inf among the logits of {broken} of {len(logits)} images, expected finite ones; "
            "training has diverged, lower lr"
        )
    return logits
