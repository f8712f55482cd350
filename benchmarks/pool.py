"""The pool against the simplest thing that could take its place: a tensor in memory, a folder of PNG files on disk.

Command   python benchmarks/pool.py --json          (measures, writes benchmarks/results/pool.json)
          python benchmarks/pool.py --recorded      (prints what is recorded there)
Time      about 3 minutes
Expected  a batch costs at most 5% more than indexing a tensor in memory

Everything is timed in turns, first one, then the other, a block of calls each; a ratio is the median over the turns,
given with the range of its middle half. Times of files include syncing them to the disk where the pool does so.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from dp.pool.folder import PoolFolder
from dp.pool.in_memory import Pool
from dp.samples import Samples, concatenate

RESULTS = Path(__file__).parent / "results" / "pool.json"
BATCHES = [(64, 20_000, (1, 32, 32)), (256, 20_000, (1, 32, 32)), (64, 5_000, (3, 64, 64)), (256, 5_000, (3, 64, 64))]
ON_DISK = [(5_000, (1, 32, 32)), (2_000, (3, 64, 64))]
ROUNDS = 100


def main() -> None:
    """Measure, or print what is recorded."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recorded", action="store_true", help="print the recorded results instead of measuring")
    parser.add_argument("--json", type=Path, nargs="?", const=RESULTS, metavar="FILE", help="write the measurements")
    options = parser.parse_args()
    if options.recorded:
        recorded = json.loads(RESULTS.read_text())
        for row in recorded["rows"]:
            show(row)
        print(", ".join(f"{name} {value}" for name, value in recorded["setting"].items()))
        return
    torch.set_num_threads(1)
    rows = []
    for row in measurements():
        show(row)
        rows.append(row)
    if options.json:
        setting = {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "machine": platform.machine(),
            "cores": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "load": round(os.getloadavg()[0], 2),
        }
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps({"rows": rows, "setting": setting}, indent=1) + "\n")


def measurements() -> Iterator[dict[str, Any]]:
    """All cases, one row each."""
    for size, count, shape in BATCHES:
        yield batches(size, count, shape)
    yield weighted()
    yield growing()
    for count, shape in ON_DISK:
        yield from disk(count, shape)


def batches(size: int, count: int, shape: tuple[int, int, int]) -> dict[str, Any]:
    """A batch of a pool that has grown, against the same draw from tensors."""
    pool = Pool(some(count // 2, shape))
    pool.append(some(count - count // 2, shape, round_=1))
    images, labels = pool.images.clone(), pool.labels.clone()
    rng = torch.Generator()

    def indexing() -> None:
        index = torch.randint(count, (size,), generator=rng)
        images[index], labels[index]

    calls = 20_000_000 // (size * images[0].numel())
    seconds = in_turns(lambda: pool.batch(size, rng), indexing, calls, turns=150)
    return row("batch of the pool", "indexing a tensor", seconds, calls, batch=size, images=count, shape=shape)


def weighted() -> dict[str, Any]:
    """New images twice as often, against all equally often."""
    pool = Pool(some(18_000, (1, 32, 32)))
    pool.append(some(2_000, (1, 32, 32), round_=1))
    rng = torch.Generator()
    seconds = in_turns(lambda: pool.batch(256, rng, 2.0), lambda: pool.batch(256, rng), 80, turns=150)
    return row("batch, new ones twice as often", "batch", seconds, 80, batch=256, images=20_000, shape=(1, 32, 32))


def growing() -> dict[str, Any]:
    """A hundred additions in place, against a larger copy for each."""
    parts = [some(200, (1, 32, 32), round_) for round_ in range(ROUNDS)]

    def appending() -> None:
        pool = Pool(parts[0])
        for part in parts[1:]:
            pool.append(part)

    def copying() -> None:
        whole = parts[0]
        for part in parts[1:]:
            whole = concatenate([whole, part])

    seconds = in_turns(appending, copying, 1, turns=15)
    return row(f"{ROUNDS} additions", "a larger copy for each", seconds, 1, images=200 * ROUNDS, shape=(1, 32, 32))


def disk(count: int, shape: tuple[int, int, int]) -> Iterator[dict[str, Any]]:
    """A round written and read, against one PNG file an image (not synced to the disk, no records, no checksums)."""
    samples = some(count, shape)
    with tempfile.TemporaryDirectory() as temporary:
        fresh = (Path(temporary) / str(i) for i in range(1_000_000))

        def write_pool() -> Path:
            folder = next(fresh)
            with PoolFolder.create(folder, [str(i) for i in range(10)], shape) as pool:
                for slots in pool.shards_missing(0, count):
                    pool.write(0, slots.start, samples[slots.start : slots.stop])
                pool.commit(0, count)
            return folder

        def write_files() -> Path:
            folder = next(fresh)
            folder.mkdir()
            for i, image in enumerate(samples.images.numpy()):
                picture(image).save(folder / f"{i:06d}.png")
            return folder

        pool, files = write_pool(), write_files()

        def read_files() -> None:
            torch.from_numpy(np.stack([np.asarray(Image.open(path)) for path in sorted(files.iterdir())]))

        work = {"images": count, "shape": shape}
        yield row("pool written", "PNG files written", in_turns(write_pool, write_files, 1, turns=5), 1, **work)
        read = in_turns(lambda: PoolFolder.open(pool).read(), read_files, 1, turns=9)
        yield row("pool read", "PNG files read", read, 1, **work)


def some(count: int, shape: tuple[int, int, int], round_: int = 0) -> Samples:
    """Samples with smooth images, which compress about as real ones do."""
    channels, height, width = shape
    rng = torch.Generator().manual_seed(round_)
    coarse = torch.rand(count, channels, height // 8, width // 8, generator=rng) * 255
    smooth = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")
    zeros = torch.zeros(count)
    return Samples(
        images=smooth.byte(),
        labels=torch.arange(count) % 10,
        seeds=torch.randint(2**62, (count,), generator=rng),
        rounds=torch.full((count,), round_),
        omega=zeros,
        entropy_before=zeros,
        entropy=torch.rand(count, generator=rng),
        correct=torch.ones(count, dtype=torch.int8),
        zero_steps=torch.zeros(count, dtype=torch.int64),
    )


def picture(image: np.ndarray) -> Image.Image:
    """uint8 [C, H, W] as a Pillow image."""
    return Image.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0).copy())


def in_turns(
    first: Callable[[], object], second: Callable[[], object], calls: int, turns: int
) -> list[tuple[float, float]]:
    """Seconds of a block of calls of each, turn by turn; who begins alternates, and the first turn does not count."""

    def block(function: Callable[[], object]) -> float:
        start = time.perf_counter()
        for _ in range(calls):
            function()
        return time.perf_counter() - start

    measured = []
    for turn in range(turns + 1):
        if turn % 2:
            mine, other = block(first), block(second)
        else:
            other, mine = block(second), block(first)
        measured.append((mine, other))
    return measured[1:]


def row(case: str, against: str, seconds: list[tuple[float, float]], calls: int, **work: Any) -> dict[str, Any]:
    """The ratio of a case and what it was measured with."""
    low, ratio, high = statistics.quantiles([mine / other for mine, other in seconds], n=4)
    mine, other = (statistics.median(column) / calls for column in zip(*seconds, strict=True))
    return {"case": case, "against": against, **work, "ratio": ratio, "middle_half": [low, high]} | {
        "seconds": mine,
        "seconds_against": other,
        "turns": len(seconds),
    }


def show(row: dict[str, Any]) -> None:
    """One line a case."""
    low, high = row["middle_half"]
    work = f"{row['images']:,} x {'x'.join(map(str, row['shape']))}" + (f", {row['batch']}" if "batch" in row else "")
    print(
        f"{row['case']:>30} : {row['against']:<24} {work:<24} {row['ratio']:6.3f}  ({low:.3f} .. {high:.3f})  "
        f"{row['seconds'] * 1e6:12,.1f} us",
        flush=True,
    )


if __name__ == "__main__":
    main()
