"""Pools on the command line: images into a new pool, the hardest of a pool, and what keeps a pool whole."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Literal

import torch
import tyro
from tqdm import tqdm

from dp import processes
from dp.config import PracticeConfig, config_from
from dp.disk import check_room, pool_need
from dp.errors import UserError
from dp.evaluate import logits_of
from dp.files import sha256
from dp.guidance import GuidanceConfig
from dp.objectives import entropy
from dp.pool import export as pool_export
from dp.pool.files import MANIFEST
from dp.pool.folder import PoolFolder
from dp.pool.repair import check
from dp.pool.shards import Encoding, Layout
from dp.practice import filter_of
from dp.prune import SCORES, hardest
from dp.randomness import IMAGES, seed_for
from dp.round_images import classes_of
from dp.run_command import source_settings
from dp.run_folder import checkpoint_file, claim, learner_of, read_settings, renew, repair_pool
from dp.source import Source, source_from

Folder = tyro.conf.Positional[Path]


def generate(
    pool: Folder,
    count: int = 100,
    seed: int = 0,
    omega: float = 0.0,
    guided_by: Path | None = None,
    guidance_scale: float = 3.0,
    steps: int = 10,
    source: Annotated[Source, tyro.conf.arg(name="")] = Source(),
    encoding: Encoding = "PNG",
) -> None:
    """Generate images of all classes in turn into a pool; the same command goes on where it stopped.

    Started by torchrun (also under SLURM), the processes share the images.

    Args:
        pool: a new pool folder; `dp pool export` makes pictures of it.
        count: images.
        seed: another seed, other images.
        omega: guidance strength; needs guided_by.
        guided_by: a run whose learner guides, and judges, the images.
        guidance_scale: classifier-free guidance, 1 + lambda_cfg.
        steps: DDIM steps.
        source: the generator.
        encoding: of the images kept.
    """
    if count < 1:
        raise UserError(f"count: got {count}, expected 1 or more images")
    processes.join()
    config = PracticeConfig(seed=seed, rounds=0, guidance_scale=guidance_scale, inference_steps=steps)
    guidance = GuidanceConfig(omega=omega)
    if omega > 0 and guided_by is None:
        raise UserError(f"guided_by: none given with omega {omega}; name a run whose learner guides")
    generator = source.generator(config)
    learner = learner_of(guided_by) if guided_by else None
    names, shape = source.names(), source.image_shape(generator)
    check_room([pool_need(pool, [count], Layout(names, shape, encoding=encoding))])
    if processes.rank() == 0:
        settings = {
            "count": count,
            "seed": seed,
            "guidance": asdict(guidance),
            "guided_by": guided_by and _learner(guided_by),
            "guidance_scale": guidance_scale,
            "steps": steps,
            "source": source_settings(source),
            "encoding": encoding,
        }
        claim(pool, settings, "generated pool")
        folder = PoolFolder.create(pool, names, shape, exist_ok=True, encoding=encoding)
        if not folder.rounds:
            renew(pool, settings)
    processes.wait()
    if processes.rank() > 0:
        folder = PoolFolder.open(pool, writable=True, rank=processes.rank())
    with folder:
        missing = folder.shards_missing(0, count, processes.rank(), processes.world())
        for slots in tqdm(missing, "shards", disable=len(missing) < 2 or processes.rank() > 0):
            labels = torch.tensor(slots) % classes_of(generator)
            seeds = [seed_for(seed, IMAGES, 0, slot) for slot in slots]
            progress = "images" if processes.rank() == 0 else None
            folder.write(0, slots.start, generator.generate(labels, seeds, learner, guidance, progress=progress))
        processes.wait()
        if processes.rank() == 0:
            folder.commit(0, count)
    if processes.rank() == 0:
        pool_command("show", pool)
    processes.leave()


def prune(
    pool: Folder, out: Folder, guided_by: Path, keep: int, score: Literal["entropy", "margin"] = "entropy"
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
    if not 1 <= keep <= len(samples):
        raise UserError(f"keep: got {keep}, expected 1 .. {len(samples)}, the images of {pool}")
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
    claim(out, settings, "pruned pool")
    with PoolFolder.create(out, candidates.layout.classes, candidates.layout.image_shape, exist_ok=True) as folder:
        for slots in folder.shards_missing(0, len(kept)):
            folder.write(0, slots.start, kept[slots.start : slots.stop])
        folder.commit(0, len(kept))
    pool_command("show", out)


def _learner(run: Path) -> dict[str, str]:
    """Which learner guides or judges: one that has been trained further is another one."""
    return {"run": str(run.resolve()), "sha256": sha256(checkpoint_file(run))}


def pool_command(
    action: tyro.conf.Positional[Literal["show", "check", "repair", "export"]],
    folder: Folder,
    out: Path | None = None,
    format: Literal["imagefolder", "datasets"] = "imagefolder",
    generation_batch: int | None = None,
) -> None:
    """Look after a pool of images.

    Args:
        action: show numbers of each round, check every file's checksum, make damaged shards of a run again (with the
            learners that guided them), or export the images.
        folder: the pool.
        out: where an export goes; absent or empty.
        format: of an export: pictures in one subfolder a class, or a folder for Hugging Face datasets.
        generation_batch: of a repair: images made at once when these were made, if the run went on with another number.
    """
    if action == "repair":
        run_settings = read_settings(folder.parent, "config", "source", "imagenet")
        config = config_from(run_settings["config"])
        imagenet = run_settings["imagenet"]
        source = source_from(run_settings["source"])
        if generation_batch is not None:
            source = replace(source, generation_batch=generation_batch)
        generator = source.origin(config, imagenet and Path(imagenet))
        made = repair_pool(folder.parent, config, generator, filter_of(config, generator))
        print("\n".join(f"made again: {name}" for name in made) or "nothing to repair")
        return
    pool = PoolFolder.open(folder)
    if action == "check":
        problems = check(pool)
        if problems:
            print("\n".join(str(problem) for problem in problems))
            raise UserError(f"{folder}: {len(problems)} problems, see above; of a damaged shard: {pool.mended}")
        print(f"{folder}: {len(pool)} images in {len(pool.rounds)} rounds, all whole")
    elif action == "export":
        if out is None:
            raise UserError("out: none given; say where the images are to go: --out FOLDER")
        export = {"imagefolder": pool_export.export_imagefolder, "datasets": pool_export.export_datasets}[format]
        export(pool, out)
        print(f"{len(pool)} images in {out}")
    else:
        print("round  images  entropy  correct  zero steps      bytes")
        for row in pool_export.summary(pool):
            hard = f"{row.entropy:7.3f}" if row.entropy is not None else "      -"
            right = f"{row.correct:7.1%}" if row.correct is not None else "      -"
            print(f"{row.round:5d} {row.images:7d}  {hard}  {right}  {row.zero_steps:10d} {row.bytes:10d}")
