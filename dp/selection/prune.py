"""Generate, then prune: of many plain images keep the hardest (Section 1 of arXiv 2502.15588).

What Deliberate Practice is compared with: M candidates are generated, a learner scores each, and M / ratio are kept. It
samples the same distribution as guidance does but pays for every candidate.
"""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn

from dp.guidance.objectives import entropy, margin
from dp.samples import Samples
from dp.selection.tiling import logits_in_tiles

SCORES: dict[str, Callable[[Tensor], Tensor]] = {"entropy": entropy, "margin": margin}  # larger = harder


def hardest(scores: Tensor, labels: Tensor, keep: int, num_classes: int) -> Tensor:
    """Choose the candidates that pruning keeps.

    Args:
        scores: float [n], larger = harder.
        labels: int64 [n], 0 .. K - 1: classes, or turns of classes.
        keep: how many; all candidates there are if fewer.
        num_classes: K: keep `keep` / K of each class (of the first keep % K classes one more), or all of a class if it
            has fewer. Balance is what Deliberate Practice and static training have: without it the most confusable
            classes fill the set, and a comparison measures their share as well as the images' hardness.

    Returns:
        Indices, int64, ascending. Of equal scores the first candidates are kept, so that pruning what pruning kept of
        two parts is pruning the whole.
    """
    order = scores.argsort(descending=True, stable=True)
    quotas = [keep // num_classes + (label < keep % num_classes) for label in range(num_classes)]
    return torch.cat([order[labels[order] == label][:quota] for label, quota in enumerate(quotas)]).sort().values


def judged(samples: Samples, learner: nn.Module) -> Samples:
    """Return samples with the learner's entropy and whether it is right."""
    logits = logits_in_tiles(learner, samples.images)
    correct = (logits.argmax(1) == samples.labels).to(torch.int8)
    return replace(samples, entropy=entropy(logits), correct=correct)
