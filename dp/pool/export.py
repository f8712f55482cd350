"""A pool for other tools: a folder of images, a data set of `datasets`, and numbers of each round."""

import csv
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dp.pool.folder import PoolFolder
from dp.pool.manifest import Listed
from dp.pool.paths import MANIFEST, inside
from dp.pool.shards import COLUMNS, THREADS, decode_images, image_files
from dp.utils.errors import UserError
from dp.utils.files import sha256
from dp.utils.folders import whole_folder
from dp.utils.validation import checked


@dataclass(frozen=True)
class RoundSummary:
    """The numbers of one round.

    Attributes:
        round: 0 for the initial images.
        images: how many.
        entropy: mean entropy of the finished images to the learner that asked for them, nats; None without a learner.
        correct: fraction the learner classified as their label; None without a learner.
        zero_steps: guided steps without a usable gradient, all images together.
        bytes: of the round's shards on disk.
    """

    round: int
    images: int
    entropy: float | None
    correct: float | None
    zero_steps: int
    bytes: int


def summary(pool: PoolFolder) -> list[RoundSummary]:
    """Return the numbers of each round. No image is read: `dp.pool.repair.check` does, and compares checksums.

    Raises:
        UserError: a shard is missing, of another size than the manifest says, or no Parquet file with these columns.
    """
    manifest, rows = pool.manifest(), []
    for entry in manifest.slots:
        shards = manifest.of_round(entry.round)
        with ThreadPoolExecutor(THREADS) as threads:
            table = pa.concat_tables(threads.map(lambda shard: _columns(pool, shard), shards))
        rows.append(
            RoundSummary(
                entry.round,
                entry.rows,
                pc.mean(table["entropy"]).as_py(),
                pc.mean(table["correct"]).as_py(),
                pc.sum(table["zero_steps"]).as_py(),
                sum(shard.size for shard in shards),
            )
        )
    return rows


def _columns(pool: PoolFolder, shard: Listed) -> pa.Table:
    """Return the columns that a summary needs of a shard."""
    path = inside(pool.folder, shard.file)
    try:
        if path.stat().st_size == shard.size:
            with path.open("rb") as file:  # Arrow opens no path that is not UTF-8
                return pq.read_table(file, columns=["entropy", "correct", "zero_steps"], use_threads=False)
    except (OSError, pa.ArrowException):
        pass
    pool.table(shard)  # says what is wrong
    raise UserError(f"{path}: cannot be read; {pool.mended}")


@checked
def export_imagefolder(pool: PoolFolder, out: Path | str) -> int:
    """Write `out/<class>/<round>-<slot>.png` (or .jpeg, .webp) for each image, and their records in `out/metadata.csv`.

    Args:
        pool: to export.
        out: absent or empty, or the same export; whole or absent afterwards.

    Returns:
        The number of images.

    Raises:
        UserError: a damaged shard, an image that cannot be decoded, or `out` cannot be written.

    Example:
        >>> from pathlib import Path
        >>> from dp import Generator, PoolFolder, bundled_pipeline, export_imagefolder
        >>> samples = Generator(bundled_pipeline(), guidance_scale=2.0, steps=4).generate([0, 1], seeds=[5, 6])
        >>> with PoolFolder.create("POOL", classes=["t-shirt", "trouser"], image_shape=(1, 32, 32)) as pool:
        ...     pool.write(0, 0, samples)
        ...     pool.commit(0, 2)
        >>> export_imagefolder(PoolFolder.open("POOL"), "PICTURES")
        2
        >>> sorted(path.parent.name for path in Path("PICTURES").rglob("*.png"))
        ['t-shirt', 'trouser']
    """

    def write(folder: Path) -> None:
        with (folder / "metadata.csv").open("w", newline="") as file:
            lines = csv.writer(file)
            ending = f".{pool.layout.encoding.lower()}"
            lines.writerow(["file_name", *COLUMNS])
            for name in pool.layout.classes:
                (folder / name).mkdir()
            for shard in pool.manifest().shards:
                table = pool.table(shard)
                rows = table.drop_columns("image").to_pylist()
                decoded = decode_images(table, str(pool.folder / shard.file), pool.layout)  # none but whole ones
                for image, record, _ in zip(image_files(table), rows, decoded, strict=True):
                    name = pool.layout.classes[record["label"]]
                    path = f"{name}/{record['round']:04d}-{record['index']:07d}{ending}"
                    (folder / path).write_bytes(image)
                    lines.writerow([path, *(record | {"label": name}).values()])

    return _export(pool, Path(out), "imagefolder", write)


def export_datasets(pool: PoolFolder, out: Path | str) -> int:
    """Write a data set that `datasets.load_dataset(out)` opens, locally or from the Hugging Face Hub.

    Args, returns and errors as of `export_imagefolder`.
    """

    def write(folder: Path) -> None:
        (folder / "data").mkdir()
        for shard in pool.manifest().shards:
            data = pool.content(shard)
            for _ in decode_images(pool.table(shard, data), str(pool.folder / shard.file), pool.layout):
                pass
            (folder / "data" / shard.file.replace("/", "-")).write_bytes(data)
        (folder / "README.md").write_text(_card(pool))

    return _export(pool, Path(out), "datasets", write)


def _export(pool: PoolFolder, out: Path, format_: str, write: Callable[[Path], None]) -> int:
    """Write an export, unless it is there already."""
    settings = {"pool": str(pool.folder.resolve()), "sha256": sha256(pool.folder / MANIFEST), "format": format_}
    with whole_folder(out, {"export": settings}, "export") as partial:
        if partial is not None:
            write(partial)
    return len(pool)


def _card(pool: PoolFolder) -> str:
    channels, height, width = pool.layout.image_shape
    rounds = "\n".join(
        f"| {row.round} | {row.images} | {_number(row.entropy)} | {_number(row.correct)} |" for row in summary(pool)
    )
    return f"""---
configs:
- config_name: default
  data_files:
  - split: train
    path: data/*.parquet
task_categories:
- image-classification
tags:
- synthetic
---

# Synthetic images made by Deliberate Practice

{len(pool):,} generated images of {width} x {height} pixels, {channels} channel(s), {len(pool.layout.classes)} classes.
The first round is plain; those after it were steered by the entropy of a classifier in training towards what it still
found hard ([arXiv 2502.15588](https://arxiv.org/abs/2502.15588)).

    from datasets import load_dataset
    images = load_dataset("FOLDER OR REPOSITORY", split="train")

| column | |
| --- | --- |
| `image`, `label` | the image, and the class it was generated for |
| `round`, `index` | 0 for the initial images, k for the k-th addition; place within the round |
| `seed` | of the image's own random stream |
| `omega` | guidance strength, 0 for plain images |
| `entropy_before` | nats: the classifier's entropy before guidance; null for plain images and for another objective |
| `entropy`, `correct` | the classifier's entropy (nats) on the finished image, and whether it agreed with the label |
| `zero_steps` | guided steps without a usable gradient |

| round | images | mean entropy | correct at birth |
| --- | --- | --- | --- |
{rounds}
"""


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
