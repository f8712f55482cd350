"""Prune a pool: keep the images that are hardest for a learner."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

import torch
from tqdm import tqdm

from dp.cli.pool import Folder, pool_command
from dp.pool.folder import PoolFolder
from dp.pool.paths import MANIFEST
from dp.pool.rounds import make_round
from dp.runs.load import expect_classes, learner_of
from dp.runs.paths import checkpoint_file
from dp.samples import Samples, concatenate
from dp.selection.prune import SCORES, hardest, judged
from dp.selection.tiling import logits_in_tiles
from dp.utils.errors import UserError
from dp.utils.files import sha256
from dp.utils.validation import Count, checked


@checked
def prune(
    pool: Folder, out: Folder, guided_by: Path, keep: Count, score: Literal["entropy", "margin"] = "entropy"
) -> None:
    """Keep the images of a pool that a run's learner finds hardest, as many of each class, in a new pool.

    One shard of the candidates is in memory at a time.

    Args:
        pool: the candidates.
        out: a new pool folder.
        guided_by: the run whose learner scores them.
        keep: images to keep.
        score: entropy of the learner, or how near its two likeliest classes are.
    """
    candidates = PoolFolder.open(pool)
    shards = candidates.manifest().shards
    if keep > len(candidates):
        raise UserError(f"keep: got {keep}, expected at most {len(candidates)}, the images of {pool}")
    learner = learner_of(guided_by)
    expect_classes(guided_by, candidates.layout.classes, str(pool))
    scores, labels = [], []
    for shard in tqdm(shards, "scoring", disable=len(shards) < 2):
        samples = candidates.read_shard(shard)
        scores.append(SCORES[score](logits_in_tiles(learner, samples.images)))
        labels.append(samples.labels)
    rows = hardest(torch.cat(scores), torch.cat(labels), keep, len(candidates.layout.classes))
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
        ends = torch.tensor([len(each) for each in labels]).cumsum(0)

        def make(slots: range) -> Samples:
            """Read the images again that are kept, one shard of the candidates after the other."""
            parts, mine = [], rows[slots.start : slots.stop]
            inside = torch.searchsorted(ends, mine, right=True)
            for k in inside.unique().tolist():
                samples = candidates.read_shard(shards[k])
                found = samples[mine[inside == k] - (ends[k] - len(samples))]
                parts.append(judged(replace(found, rounds=torch.zeros_like(found.rounds)), learner))
            return concatenate(parts)

        make_round(folder, 0, len(rows), make)
    pool_command("show", out)


def _learner(run: Path) -> dict[str, str]:
    """Which learner guides or judges: one that has been trained further is another one."""
    return {"run": str(run.resolve()), "sha256": sha256(checkpoint_file(run))}
