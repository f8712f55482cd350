"""Generate, then prune: of many plain images keep the hardest (Section 1 of arXiv 2502.15588).

What Deliberate Practice is compared with: M candidates are generated, a learner scores each, and M / ratio are kept. It
samples the same distribution as guidance does but pays for every candidate.
"""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn

from dp.guidance.objectives import entropy, margin
from dp.samples import Samples, concatenate
from dp.selection.tiling import check_labels, logits_in_tiles
from dp.utils.errors import UserError

SCORES: dict[str, Callable[[Tensor], Tensor]] = {"entropy": entropy, "margin": margin}  # larger = harder


def hardest(scores: Tensor, labels: Tensor, keep: int, num_classes: int | None = None) -> Tensor:
    """Choose the candidates that pruning keeps.

    Args:
        scores: float [n], larger = harder.
        labels: int64 [n].
        keep: how many; all candidates there are if fewer.
        num_classes: K: keep `keep` / K of each class (of the first keep % K classes one more), or all of a class if it
            has fewer; None: `keep` of all, whatever their classes.

    Returns:
        Indices, int64, ascending. Of equal scores the first candidates are kept, so that pruning what pruning kept of
        two parts is pruning the whole.
    """
    order = scores.argsort(descending=True, stable=True)
    if num_classes is None:
        return order[:keep].sort().values
    quotas = [keep // num_classes + (label < keep % num_classes) for label in range(num_classes)]
    return torch.cat([order[labels[order] == label][:quota] for label, quota in enumerate(quotas)]).sort().values


def judged(samples: Samples, learner: nn.Module) -> tuple[Samples, Tensor]:
    """Return samples with the learner's entropy and whether it is right, and its logits float32 [n, K]."""
    logits = logits_in_tiles(learner, samples.images)
    correct = (logits.argmax(1) == samples.labels).to(torch.int8)
    return replace(samples, entropy=entropy(logits), correct=correct), logits


def prune(
    make: Callable[[list[int]], Samples],
    learner: nn.Module,
    keep: int,
    ratio: float,
    num_classes: int | None,
    score: str = "entropy",
    chunk: int = 1000,
) -> Samples:
    """Return the `keep` hardest of round(keep * ratio) candidates.

    The candidates are made `chunk` at a time and only the hardest so far are held. The result does not depend on
    `chunk`.

    Args:
        make: candidate numbers -> their samples, in order; each depends on its number alone. With label = number % K
            every class has its share of candidates.
        learner: scores the candidates; in eval mode.
        keep: m, images kept.
        ratio: over-sampling ratio M / m, >= 1; at 1 nothing is pruned.
        num_classes: K: keep as many images of each class; None: of any class. Balance is what Deliberate Practice and
            static training have: without it the most confusable classes fill the set, and a comparison measures their
            share as well as the images' hardness.
        score: "entropy", or "margin": how near the two likeliest classes are (`dp.guidance.objectives`).
        chunk: candidates made at a time.

    Returns:
        `keep` samples in the order of their numbers, with `entropy` and `correct` under the learner.

    Raises:
        UserError: a setting is out of range, or a class has fewer candidates than are to be kept of it.
    """
    for name, count in (("keep", keep), ("chunk", chunk)):
        if count < 1:
            raise UserError(f"{name}: got {count}, expected 1 or more")
    if not ratio >= 1 or ratio == float("inf"):
        raise UserError(f"ratio: got {ratio}, expected a number of 1 or more")
    if score not in SCORES:
        raise UserError(f'score: got "{score}", expected one of {", ".join(SCORES)}')
    if num_classes is not None and num_classes < 2:
        raise UserError(f"num_classes: got {num_classes}, expected 2 or more, or None to keep images of any class")
    candidates = round(keep * ratio)
    best: Samples | None = None
    scores = torch.empty(0)
    for start in range(0, candidates, chunk):
        samples = make(list(range(start, min(start + chunk, candidates))))
        if num_classes is not None:
            check_labels(samples.labels, num_classes)
        samples, logits = judged(samples, learner)
        best = samples if best is None else concatenate([best, samples])
        scores = torch.cat([scores, SCORES[score](logits)])
        rows = hardest(scores, best.labels, keep, num_classes)
        best, scores = best[rows], scores[rows]
    assert best is not None
    if len(best) < keep:
        raise UserError(
            f"num_classes: got {num_classes}, but {candidates} candidates have too few of some class: {len(best)} of "
            f"{keep} could be kept; make candidates of all classes in turn"
        )
    return best
