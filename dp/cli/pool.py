"""Pools on the command line: images into a new pool, the hardest of a pool, and what keeps a pool whole."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import tyro
from pydantic import Field

from dp.pool import export as pool_export
from dp.pool.folder import PoolFolder
from dp.pool.paths import MANIFEST
from dp.pool.repair import check
from dp.practice.additions import filter_of
from dp.runs.inputs import source_of
from dp.runs.load import config_of, repair_pool
from dp.utils.errors import UserError
from dp.utils.folders import SETTINGS, read_settings
from dp.utils.validation import checked

Folder = tyro.conf.Positional[Path]


@checked
def pool_command(
    action: tyro.conf.Positional[Literal["show", "check", "repair", "export"]],
    folder: Folder,
    out: Path | None = None,
    format: Literal["imagefolder", "datasets"] = "imagefolder",
    generation_batch: Annotated[int, Field(ge=1, le=10_000)] | None = None,
) -> None:
    """Look after a pool of images.

    show: numbers of each round. check: every file against its checksum. repair: make damaged shards of a run again.
    export: the images as pictures, or for Hugging Face datasets.

    Args:
        action: show numbers of each round, check every file's checksum, make damaged shards of a run again (with the
            learners that guided them), or export the images.
        folder: the pool.
        out: where an export goes; absent or empty.
        format: of an export: pictures in one subfolder a class, or a folder for Hugging Face datasets.
        generation_batch: of a repair: images made at once when these were made, if the run went on with another number.
    """
    exporting = out is not None or format != "imagefolder"
    if (exporting and action != "export") or (generation_batch is not None and action != "repair"):
        raise UserError(
            f"action: got {action} with settings of another; out and format are export's, generation_batch is repair's"
        )
    if action == "repair":
        run = folder.resolve().parent
        if not (run / SETTINGS).exists():
            what = "a pool that no run made" if (folder / MANIFEST).exists() else "no pool"
            raise UserError(
                f"{folder}: got {what}, no run here that could make its images again; name RUN/pool, or make the pool "
                "anew in another folder"
            )
        imagenet = read_settings(run, "config", "source", "imagenet")["imagenet"]
        config, source = config_of(run), source_of(run)
        if generation_batch is not None:
            source = replace(source, generation_batch=generation_batch, guided_batch=generation_batch)
        generator = source.origin(config, imagenet and Path(imagenet))
        made = repair_pool(run, config, generator, filter_of(config, generator))
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
        print(f"{export(pool, out)} images in {out}")
    else:
        print("round  images  entropy  correct  zero steps      bytes")
        for row in pool_export.summary(pool):
            hard = f"{row.entropy:7.3f}" if row.entropy is not None else "      -"
            right = f"{row.correct:7.1%}" if row.correct is not None else "      -"
            print(f"{row.round:5d} {row.images:7d}  {hard}  {right}  {row.zero_steps:10d} {row.bytes:10d}")
