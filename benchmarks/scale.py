"""Measure what a cluster would lose: ratios side by side on the CPU, and what follows from them by counting.

Command   python benchmarks/scale.py                     (measures, writes benchmarks/results/scale.json)
          python benchmarks/scale.py --recorded --json   (prints what is recorded there)
Time      about 5 minutes on two cores
Expected  see EXPECTED

    ddp_ratio           a step of the loop over one of a bare loop on torch's DistributedDataParallel; 2, 4 processes
    ordered_ratio       the same with the sum whose order does not depend on the processes
    validation_share    a validation over the training between two, in the proportions of ImageNet-100 on 32 GPUs
    busy_share          images of an addition over those that 32 GPUs could have made until it is ready: counted
    loader_ratio        images per second and core of a pool on disk over ImageFolder with torchvision's crop
    checkpoint_share    the time that training waits for checkpoints, by the rule that says how often they are written
    round_minutes_13m   work after a round of 13 million images on 32 processes, from that of fewer, growing with them
"""

import argparse
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from PIL import Image
from timm.utils import ModelEmaV3
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from dp.config import PracticeConfig
from dp.learner.augment import ResizedCrop
from dp.learner.evaluate import accuracy, kept_share
from dp.learner.models import build_learner, on_full_images
from dp.pool.folder import PoolFolder, slots_text
from dp.pool.in_memory import Pool
from dp.pool.on_disk import DiskPool
from dp.pool.records import WIDTH, Records, gathered
from dp.pool.rounds import busy_share
from dp.practice.compute import Compute
from dp.practice.gradients import gradient_of
from dp.practice.state import start
from dp.practice.train_step import draw_batch, train_iteration
from dp.runs import checkpoints
from dp.samples import Samples
from dp.utils import distributed as processes
from dp.utils.device import autocast
from dp.utils.files import write_json
from dp.utils.pixels import normalise
from dp.utils.provenance import provenance

RESULTS = Path(__file__).parent / "results" / "scale.json"
EXPECTED = {
    "ddp_ratio": "at most 1.05",
    "validation_share": "below 0.05",
    "busy_share": "0.97 or more",
    "checkpoint_share": "below 0.005",
    "round_minutes_13m": "below 2",
}
BATCH = 32
# ImageNet-100 on 32 GPUs: 5,000 validation images, every pass over 64,000 images in batches of 2,048.
VALIDATION, BETWEEN, SHARE = 5_000 // 32, 64_000 // 2_048, 2_048 // 32


Call = Callable[[], object]


def noise(count: int, shape: tuple[int, int, int] = (1, 32, 32)) -> Samples:
    """Return images of noise and their records."""
    rng, zeros = torch.Generator().manual_seed(0), torch.zeros(count)
    return Samples(
        images=torch.randint(256, (count, *shape), generator=rng, dtype=torch.uint8),
        labels=torch.arange(count) % 10,
        seeds=torch.arange(count),
        rounds=torch.zeros(count, dtype=torch.int64),
        omega=zeros,
        entropy_before=zeros,
        entropy=zeros,
        correct=torch.zeros(count, dtype=torch.int8),
        zero_steps=torch.zeros(count, dtype=torch.int64),
    )


def in_turns(first: Call, second: Call, turns: int, clock: Callable[[], float] = time.perf_counter) -> float:
    """Return the median of the ratios of the times of two calls, taken in turns after one of each to warm up."""

    def seconds(call: Call) -> float:
        began = clock()
        call()
        return clock() - began

    ratios = [seconds(first) / seconds(second) for _ in range(turns + 1)]
    return statistics.median(ratios[1:])


def our_step(config: PracticeConfig, deterministic: bool) -> Callable[[], None]:
    """Return a step of the loop."""
    state = start(config, Pool(noise(400)), 10, compute=Compute(deterministic=deterministic))
    gradient = gradient_of(config, state)

    def step() -> None:
        batch = draw_batch(config, state.pool, state.iteration, deterministic)
        train_iteration(config, state, batch, gradient)

    return step


def bare_step(config: PracticeConfig) -> Callable[[], None]:
    """Return a step of a bare loop on DistributedDataParallel, as anyone would write it."""
    data, learner = noise(400), build_learner(config.learner, 10)
    ema = ModelEmaV3(learner, decay=config.ema_decay, use_warmup=True)
    wrapped = DistributedDataParallel(learner, gradient_as_bucket_view=True)
    optimizer = torch.optim.AdamW(learner.parameters(), config.lr, betas=(0.9, 0.98), weight_decay=0.05, fused=True)
    rng, share, count = torch.Generator().manual_seed(processes.rank()), config.batch_size // processes.world(), 0

    def step() -> None:
        nonlocal count
        index = torch.randint(400, (share,), generator=rng)
        images = data.images[index][..., 2:30, 2:30]
        learner.train()
        optimizer.zero_grad(set_to_none=True)
        with autocast(images.device):
            logits = wrapped(normalise(images))
        F.cross_entropy(logits.float(), data.labels[index], label_smoothing=0.1).backward()
        nn.utils.clip_grad_norm_(learner.parameters(), 1.0)
        optimizer.step()
        count += 1
        ema.update(learner, step=count)

    return step


def exchange(turns: int) -> None:
    """Print the ratios of a step in each engine to a bare one, in a process that torchrun has started."""
    torch.set_num_threads(1)
    processes.join()
    config = PracticeConfig(learner="vit", rounds=0, n_per_round=0, batch_size=BATCH, micro_batch=BATCH // 4)
    whole = replace(config, micro_batch=0)
    bare = bare_step(whole)
    found = {}
    for name, step in (("ddp", our_step(whole, False)), ("ordered", our_step(config, True))):

        def block(call: Callable[[], None]) -> Callable[[], None]:
            def several() -> None:
                for _ in range(4):
                    call()
                dist.barrier()

            return several

        found[name] = in_turns(block(step), block(bare), turns)
    if processes.rank() == 0:
        print(json.dumps(found))
    processes.leave()


def exchange_ratios(count: int, turns: int) -> dict[str, float]:
    """Return what `exchange` prints in so many processes."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count)]
    command = [*torchrun, __file__, "--exchange", str(turns)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return json.loads(done.stdout.splitlines()[-1])


def jpeg_tree(folder: Path, images: int, side: int = 256) -> Path:
    """Write smooth JPEG files in two class folders."""
    coarse = torch.randint(256, (images, 8, 8, 3), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    for k, pixels in enumerate(coarse):
        path = folder / "ab"[k % 2] / f"{k}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.numpy()).resize((side, side), Image.Resampling.BILINEAR).save(path, quality=95)
    return folder


class Files(torch.utils.data.Dataset):
    """Stand for a validation set: JPEG files that are decoded."""

    def __init__(self, files: list[bytes]):
        self.files = files

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        with Image.open(io.BytesIO(self.files[index])) as image:
            return v2.functional.pil_to_tensor(image.convert("L").resize((32, 32))), index % 10


def validation_share(turns: int, part: int) -> float:
    """Return the time of a validation over the training between two, `part` times smaller than on a GPU of 32."""
    config = PracticeConfig(learner="vit", rounds=0, n_per_round=0, batch_size=max(1, SHARE // part))
    step, learner = our_step(config, False), on_full_images(config, build_learner("vit", 10))
    with tempfile.TemporaryDirectory() as folder:
        tree = jpeg_tree(Path(folder), VALIDATION // part)
        validation: Any = kept_share(Files([path.read_bytes() for path in sorted(tree.rglob("*.jpg"))]))  # type: ignore[arg-type]

    def training() -> None:
        for _ in range(BETWEEN):
            step()

    return in_turns(lambda: accuracy(learner, validation), training, turns)


def loader_ratio(turns: int, images: int) -> float:
    """Return images per second of a core of a pool on disk over those of ImageFolder and torchvision's crop."""
    rng = torch.Generator().manual_seed(0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = ImageFolder(str(jpeg_tree(folder / "files", images)))
        pixels = torch.stack([v2.functional.pil_to_tensor(files[k][0]) for k in range(images)])
        samples = replace(noise(images), images=pixels, labels=torch.zeros(images, dtype=torch.int64))
        with PoolFolder.create(folder / "pool", ["a"], (3, 256, 256), encoding="JPEG") as pool:
            pool.write(0, 0, samples)
            pool.commit(0, images)
            disk = DiskPool(pool, 1)
            crop = ResizedCrop.draw(images, (256, 256), 224, rng)
            files.transform = v2.Compose([v2.RandomResizedCrop(224), v2.RandomHorizontalFlip(), v2.PILToTensor()])
            return in_turns(
                lambda: torch.stack([files[k][0] for k in range(images)]),
                lambda: disk.rows(torch.arange(images), crop),
                turns,
                time.process_time,  # of all threads
            )


def checkpoint_share(learner: str, turns: int) -> dict[str, float]:
    """Return the share of the time that training waits for the checkpoints of a learner, and the seconds of one."""
    config = PracticeConfig(learner=learner, crop=224, rounds=0, n_per_round=0)
    state = start(config, Pool(noise(4, (3, 224, 224))), 10)
    for weight in state.learner.parameters():
        weight.grad = torch.zeros_like(weight)
    state.optimizer.step()
    writer, pauses = checkpoints.CheckpointWriter(), []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(turns + 1):
            before = writer.seconds
            modules = {"learner": state.learner, "ema": state.ema}
            writer.save(Path(folder) / "checkpoint.safetensors", modules, state.optimizer)
            pauses.append(writer.seconds - before)
            writer.wait()  # in training it is written long before the next one
    pause = statistics.median(pauses[1:])
    every = max(checkpoints.CHECKPOINT_SECONDS, min(pause / checkpoints.SHARE, checkpoints.LONGEST_SECONDS))
    return {"share": pause / (pause + every), "pause_seconds": pause, "every_seconds": every}


def round_minutes(sizes: tuple[int, ...], processes: int = 32, images: int = 13_000_000) -> dict[str, float]:
    """Return the minutes of work after a round of 13 million images, from the seconds that an image and a shard take.

    Each process puts its shards together (counted above as generation) and gathers the records of all; the first one
    writes the list of labels and seeds and the manifest. When a run starts again, each process reads its share.
    """
    seconds: dict[str, list[float]] = {"records": [], "list": [], "read": []}
    for count in sizes:
        layout_samples = noise(count, (3, 16, 16))
        with tempfile.TemporaryDirectory() as folder:
            with PoolFolder.create(Path(folder) / "pool", list("abcdefghij"), (3, 16, 16)) as pool:
                for slots in pool.shards_missing(0, count):
                    pool.write(0, slots.start, layout_samples[slots.start : slots.stop])
                pool.gather(0, count)
                pool.commit(0, count)
                rows, shard = torch.zeros(count, WIDTH, dtype=torch.int64), torch.zeros(1, 5, dtype=torch.int64)
                one = replace(pool.layout, shard_size=count)
                began = time.perf_counter()
                records = gathered({0: Records(rows, shard)}, count, one)
                seconds["records"].append((time.perf_counter() - began) / count)
                began = time.perf_counter()
                slots_text(records.labels.tolist(), records.seeds.tolist())
                seconds["list"].append((time.perf_counter() - began) / count)
            began = time.perf_counter()
            PoolFolder.open(Path(folder) / "pool").records(0)
            seconds["read"].append((time.perf_counter() - began) / count)
    largest = {name: values[-1] for name, values in seconds.items()}  # per image, of the largest size
    after = (largest["records"] + largest["list"]) * images / 60
    return {"after_a_round": after, "after_a_start": largest["read"] * images / processes / 60}


def measure(small: bool) -> dict[str, Any]:
    """Measure everything; small: to see that it works."""
    turns, ratios = (1, {}) if small else (11, {})
    for count in (2,) if small else (2, 4):
        ratios[str(count)] = exchange_ratios(count, turns)
        print(count, "processes", ratios[str(count)], file=sys.stderr)
    checkpoint = checkpoint_share("vit" if small else "vit_small_patch16_224", 1 if small else 3)
    minutes = round_minutes((100,) if small else (1_000, 10_000))
    additions = [(16_000, 50), (16_000, 32), (32_000, 50), (32_000, 32), (64_000, 25)]
    return {
        "ddp_ratio": {count: each["ddp"] for count, each in ratios.items()},
        "ordered_ratio": {count: each["ordered"] for count, each in ratios.items()},
        "validation_share": validation_share(1 if small else 5, 16 if small else 4),
        "busy_share": min(busy_share(count, batch, 32, 1000) for count, batch in additions),
        "loader_ratio": loader_ratio(1 if small else 7, 16 if small else 128),
        "checkpoint_share": checkpoint["share"],
        "checkpoint": checkpoint,
        "round_minutes_13m": minutes["after_a_round"],
        "start_minutes_13m": minutes["after_a_start"],
        "load": os.getloadavg()[0],
    }


def main() -> None:
    """Measure, or print what is recorded."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recorded", action="store_true", help="print the recorded results instead of measuring")
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.add_argument("--small", action="store_true", help="measure little and keep nothing")
    parser.add_argument("--exchange", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.exchange:
        exchange(options.exchange)
        return
    if options.recorded:
        found = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"measured": "not yet"}
    else:
        found = measure(options.small) | {"expected": EXPECTED, "made_by": provenance()}
        if not options.small:
            write_json(RESULTS, found)
    for name, value in [] if options.json else found.items():
        print(f"{name:20} {value}")
    if options.json:
        print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
