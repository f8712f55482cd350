"""Rows in tiles of one size, so that a result does not depend on what else is in a batch."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from dp.learner.evaluate import logits_of
from dp.utils.errors import UserError

TILE = 100  # rows computed at once


def tiled(function: Callable[..., Tensor], *rows: Tensor) -> Tensor:
    """Apply function(*rows) to tiles of exactly `TILE` rows, the last filled up with copies of its last row; n >= 1.

    Arithmetic kernels are chosen by shape, so only a fixed shape gives an image the same bits in every batch.
    """
    parts = []
    for start in range(0, len(rows[0]), TILE):
        part = [each[start : start + TILE] for each in rows]
        size = len(part[0])
        filled = [torch.cat([each, each[-1:].expand(TILE - size, *each.shape[1:])]) for each in part]
        parts.append(function(*filled)[:size])
    return torch.cat(parts)


def logits_in_tiles(learner: nn.Module, images: Tensor) -> Tensor:
    """Return logits, float32 [n, K] on the CPU, of uint8 images [n, C, H, W], the same for an image in every batch.

    Raises:
        UserError: the learner is in training mode (then an image's logits depend on its batch) or gives nan or inf.
    """
    if learner.training:
        raise UserError("learner: got one in training mode, expected eval mode; call learner.eval() first")
    logits = tiled(lambda part: logits_of(learner, part), images)
    broken = int((~logits.isfinite()).any(1).sum())
    if broken:
        raise UserError(
            f"learner: got nan or inf among the logits of {broken} of {len(logits)} images, expected finite ones; "
            "training has diverged, lower lr"
        )
    return logits
