"""Prune a pool: keep the images that are hardest for a learner."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

import torch

from dp.cli.pool import Folder, pool_command
from dp.guidance.objectives import entropy
from dp.learner.evaluate import logits_of
from dp.pool.folder import PoolFolder
from dp.pool.paths import MANIFEST
from dp.runs.load import learner_of
from dp.runs.paths import checkpoint_file
from dp.selection.prune import SCORES, hardest
from dp.utils.errors import UserError
from dp.utils.files import sha256
from dp.utils.validation import Count, checked


@checked
def prune(
    pool: Folder, out: Folder, guided_by: Path, keep: Count, score: Literal["entropy", "margin"] = "entropy"
) -> None:
    """Keep the images of a pool that a run's learner finds hardest, as many of each class, in a new pool.

    Args:
        pool: the candidates.
        out: a new pool folder.
        guided_by: the run whose learner scores them.
        keep: images to keep.
        score: entropy of the learner, or how near its two likeliest classes are.
    """
    candidates = PoolFolder.open(pool)
    samples = candidates.read()
    if keep > len(samples):
        raise UserError(f"keep: got {keep}, expected at most {len(samples)}, the images of {pool}")
    logits = logits_of(learner_of(guided_by), samples.images)
    rows = hardest(SCORES[score](logits), samples.labels, keep, len(candidates.layout.classes))
    correct = (logits.argmax(1) == samples.labels).to(torch.int8)
    kept = replace(samples, entropy=entropy(logits), correct=correct, rounds=torch.zeros_like(samples.rounds))[rows]
    settings = {
        "candidates": {"pool": str(pool.resolve()), "sha256": sha256(pool / MANIFEST)},
        "guided_by": _learner(guided_by),
        "keep": keep,
        "score": score,
    }
    layout = candidates.layout
    with PoolFolder.create(
        out, layout.classes, layout.image_shape, exist_ok=True, settings=settings, kind="pruned pool"
    ) as folder:
        for slots in folder.shards_missing(0, len(kept)):
            folder.write(0, slots.start, kept[slots.start : slots.stop])
        folder.commit(0, len(kept))
    pool_command("show", out)


def _learner(run: Path) -> dict[str, str]:
    """Which learner guides or judges: one that has been trained further is another one."""
    return {"run": str(run.resolve()), "sha256": sha256(checkpoint_file(run))}
