"""Measure what a cluster would lose: ratios side by side on the CPU, and what follows from them by counting.

Command   python benchmarks/scale.py                     (measures, writes benchmarks/results/scale.json and scale.png)
          python benchmarks/scale.py --recorded --json   (prints what is recorded there)
Time      about 7 minutes on two cores
Expected  see EXPECTED

    ddp_ratio           a step of the loop over one of a bare loop on torch's DistributedDataParallel; 2, 4 processes
    ordered_ratio       the same with the sum whose order does not depend on the processes
    ordered_same_bits   whether that sum leaves the same weights on 1, 2 and 4 processes
    sent_bytes          bytes that a process sends in a step of each engine, as Linux counts them, over those of the
                        gradients; 2 (W - 1) / W if nothing is sent twice
    validation_share    a validation over the training between two, in the proportions of ImageNet-100 on 32 GPUs
    busy_share          images of an addition over those that 32 GPUs could have made until it is ready: counted
    loader_ratio        images per second and core of a pool on disk over ImageFolder with torchvision's crop
    checkpoint_share    the time that training waits for checkpoints, by the rule that says how often they are written
    round_minutes_13m   work after a round of 13 million images on 32 processes, from that of fewer, growing with them
    growth              seconds of each part of that work for some numbers of images
    plan_ratio          time of a small run of two processes, with a branch, over the time of what
                        `dp.paper.plan.work` counts
"""

import argparse
import hashlib
import io
import json
import os
import re
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
import torch.nn.functional as F
from PIL import Image
from timm.utils import ModelEmaV3
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from benchmarks.arguments import picture
from dp.config import PracticeConfig
from dp.data.fashion_mnist import CLASSES
from dp.data.image_set import ImageSet
from dp.generation.generator import Generator
from dp.guidance.guidance import GuidanceConfig
from dp.learner.augment import ResizedCrop
from dp.learner.evaluate import accuracy, kept_share
from dp.learner.models import build_learner, on_full_images
from dp.paper.plan import work
from dp.pool.folder import PoolFolder, slots_text
from dp.pool.in_memory import Pool
from dp.pool.on_disk import DiskPool
from dp.pool.records import WIDTH, Records, gathered
from dp.pool.rounds import busy_share
from dp.practice.compute import Compute
from dp.practice.gradients import gradient_of
from dp.practice.loop import run_practice
from dp.practice.state import State, start
from dp.practice.train_step import draw_batch, train_iteration
from dp.pretrained.load import bundled_generator
from dp.runs import checkpoints
from dp.runs.folder import RunFolder
from dp.samples import Samples, unjudged
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
    "loader_ratio": "1 or more",
    "checkpoint_share": "below 0.005",
    "round_minutes_13m": "below 2",
    "plan_ratio": "0.75 to 1.25",
}
BATCH = 32
# ImageNet-100 on 32 GPUs: 5,000 validation images, every pass over 64,000 images in batches of 2,048.
VALIDATION, BETWEEN, SHARE = 5_000 // 32, 64_000 // 2_048, 2_048 // 32


Call = Callable[[], object]


def noise(count: int, shape: tuple[int, int, int] = (1, 32, 32)) -> Samples:
    """Return images of noise."""
    images = torch.randint(256, (count, *shape), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    return unjudged(images, torch.arange(count) % 10, torch.arange(count))


def in_turns(first: Call, second: Call, turns: int, clock: Callable[[], float] = time.perf_counter) -> float:
    """Return the median of the ratios of the times of two calls, taken in turns after one of each to warm up."""

    def seconds(call: Call) -> float:
        began = clock()
        call()
        return clock() - began

    ratios = [seconds(first) / seconds(second) for _ in range(turns + 1)]
    return statistics.median(ratios[1:])


def our_step(config: PracticeConfig, deterministic: bool) -> tuple[State, Call]:
    """Return a state, and a step of the loop that changes it."""
    state = start(config, Pool(noise(400)), 10, compute=Compute(deterministic=deterministic))
    gradient = gradient_of(config, state)

    def step() -> None:
        batch = draw_batch(config, state.pool, state.iteration, deterministic)
        train_iteration(config, state, batch, gradient)

    return state, step


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


def repeated(step: Call, times: int = 4) -> Call:
    """Return a call of several steps, at whose end the processes meet."""

    def several() -> None:
        for _ in range(times):
            step()
        processes.wait()

    return several


def sent() -> int | None:
    """Return the bytes that this process has written so far, to files and to other processes."""
    counts = Path("/proc/self/io")
    return int(re.findall(r"wchar: (\d+)", counts.read_text())[0]) if counts.exists() else None


def exchange(turns: int) -> None:
    """Print what is measured of a step in each engine, in a process that torchrun has started."""
    config = PracticeConfig(learner="vit", rounds=0, n_per_round=0, batch_size=BATCH, micro_batch=BATCH // 4)
    found: dict[str, Any] = {"ratio": {}, "sent": {}}
    several = processes.world() > 1
    bare = repeated(bare_step(replace(config, micro_batch=0))) if several else lambda: None
    for name, settings in (("ddp", replace(config, micro_batch=0)), ("ordered", config)):
        state, step = our_step(settings, name == "ordered")
        found["ratio"][name] = in_turns(repeated(step), bare, turns)
        before = sent()
        repeated(step)()
        if several and before is not None:
            gradients = 4 * sum(p.numel() for p in state.learner.parameters())
            found["sent"][name] = (sent() - before) / 4 / gradients  # type: ignore[operator]
    weights = (value.numpy().tobytes() for value in state.learner.state_dict().values())
    found["weights"] = hashlib.sha256(b"".join(weights)).hexdigest()
    if processes.rank() == 0:
        print(json.dumps(found))


def planned() -> None:
    """Print the time of a run over that of what is counted, each part timed before, in a process of torchrun's."""
    config = PracticeConfig(
        **{"n_initial": 96, "n_per_round": 48, "rounds": 2, "branch_sizes": (144,), "inference_steps": 4},
        **{"learner": "vit", "iterations": 200, "validate_every": 20, "patience": 1000, "batch_size": BATCH},
    )
    compute, generator = Compute(deterministic=False), bundled_generator(config)
    generator.batch_size = 24
    real = ImageSet(noise(1000).images, torch.arange(1000) % 10)
    state, step = our_step(config, False)
    learner, done = on_full_images(config, state.ema.module), work(config)

    def seconds(call: Call) -> float:
        times = []
        for _ in range(4):
            processes.wait()
            began = time.perf_counter()
            call()
            processes.wait()
            times.append(time.perf_counter() - began)
        return statistics.median(times[1:])

    image = {
        omega: seconds(lambda omega=omega: made(generator, learner, replace(config.guidance, omega=omega)))  # type: ignore[misc]
        / (generator.batch_size * processes.world())
        for omega in (0.0, config.guidance.omega)
    }
    iterations = (done.iterations + done.branch_iterations) * seconds(repeated(step, 10)) / 10
    outcomes = 1 + len(config.branch_sizes)
    validations = done.validations + done.branch_validations + outcomes
    expected = (
        done.plain_images * image[0.0]
        + done.guided_images * image[config.guidance.omega]
        + iterations
        + validations * seconds(lambda: accuracy(learner, real))
    )
    folder = Path(os.environ["RUN"])
    processes.wait()
    began = time.perf_counter()
    with RunFolder.open(folder, {}, config, CLASSES, (1, 32, 32), batch=generator.batch_size) as store:
        run_practice(config, generator, real, None, store=store, compute=compute)
    processes.wait()
    if processes.rank() == 0:
        print(json.dumps({"measured_seconds": time.perf_counter() - began, "expected_seconds": expected}))


def made(generator: Generator, learner: nn.Module, guidance: GuidanceConfig) -> object:
    """Make a batch of images."""
    count = generator.batch_size
    return generator.generate(torch.arange(count) % 10, range(count), learner, guidance)


def by_torchrun(count: int, *words: str) -> dict[str, Any]:
    """Return what this file prints in so many processes, with these arguments."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count)]
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"OMP_NUM_THREADS": "1", "RUN": str(Path(folder) / "run")}
        command = [*torchrun, __file__, *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    found = json.loads(done.stdout.splitlines()[-1])
    print(count, "processes", *words, found, file=sys.stderr)
    return found


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
    (_, step), learner = our_step(config, False), on_full_images(config, build_learner("vit", 10))
    with tempfile.TemporaryDirectory() as folder:
        tree = jpeg_tree(Path(folder), VALIDATION // part)
        validation: Any = kept_share(Files([path.read_bytes() for path in sorted(tree.rglob("*.jpg"))]))  # type: ignore[arg-type]

    return in_turns(lambda: accuracy(learner, validation), repeated(step, BETWEEN), turns)


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


def after_rounds(sizes: tuple[int, ...]) -> list[dict[str, float]]:
    """Return the seconds of each part of the work after a round, of some numbers of images.

    Each process puts its shards together (counted above as generation) and gathers the records of all; the first one
    writes the list of labels and seeds and the manifest. When a run starts again, each process reads its share.
    """
    found = []
    for count in sizes:
        samples = noise(count, (3, 16, 16))
        with tempfile.TemporaryDirectory() as folder:
            with PoolFolder.create(Path(folder) / "pool", list("abcdefghij"), (3, 16, 16)) as pool:
                for slots in pool.shards_missing(0, count):
                    pool.write(0, slots.start, samples[slots.start : slots.stop])
                pool.gather(0, count)
                pool.commit(0, count)
                rows, shard = torch.zeros(count, WIDTH, dtype=torch.int64), torch.zeros(1, 5, dtype=torch.int64)
                one = replace(pool.layout, shard_size=count)
                began = time.perf_counter()
                records = gathered({0: Records(rows, shard)}, count, one)
                known = time.perf_counter()
                slots_text(records.labels.tolist(), records.seeds.tolist())
                listed = time.perf_counter()
            opened = time.perf_counter()
            PoolFolder.open(Path(folder) / "pool").records(0)
            read = time.perf_counter() - opened
            found.append({"images": count, "records": known - began, "list": listed - known, "read": read})
    return found


def fitted(growth: list[dict[str, float]], images: int = 13_000_000, share: int = 32) -> dict[str, float]:
    """Return the minutes of 13 million images on 32 processes, each image as in the largest number measured."""
    each = {name: seconds / growth[-1]["images"] for name, seconds in growth[-1].items()}
    minutes = images / 60
    return {
        "after_a_round": (each["records"] + each["list"]) * minutes,
        "after_a_start": each["read"] * minutes / share,
    }


def measure(small: bool) -> dict[str, Any]:
    """Measure everything; small: to see that it works."""
    turns, counts = (1, (1, 2)) if small else (11, (1, 2, 4))
    steps = {str(count): by_torchrun(count, "--exchange", str(turns)) for count in counts}
    shared = {count: each for count, each in steps.items() if count != "1"}
    run = by_torchrun(2, "--planned")
    checkpoint = checkpoint_share("vit" if small else "vit_small_patch16_224", 1 if small else 3)
    growth = after_rounds((100, 1000) if small else (1_000, 10_000, 100_000))
    minutes = fitted(growth)
    additions = [(16_000, 50), (16_000, 32), (32_000, 50), (32_000, 32), (64_000, 25)]
    return {
        "ddp_ratio": {count: each["ratio"]["ddp"] for count, each in shared.items()},
        "ordered_ratio": {count: each["ratio"]["ordered"] for count, each in shared.items()},
        "ordered_same_bits": len({each["weights"] for each in steps.values()}) == 1,
        "sent_bytes": {count: each["sent"] for count, each in shared.items()},
        "validation_share": validation_share(1 if small else 5, 16 if small else 4),
        "busy_share": min(busy_share(count, batch, 32, 1000) for count, batch in additions),
        "loader_ratio": loader_ratio(1 if small else 7, 16 if small else 128),
        "checkpoint_share": checkpoint["share"],
        "checkpoint": checkpoint,
        "round_minutes_13m": minutes["after_a_round"],
        "start_minutes_13m": minutes["after_a_start"],
        "growth": growth,
        "plan_ratio": run["measured_seconds"] / run["expected_seconds"],
        "plan": run,
        "load": os.getloadavg()[0],
    }


def plot(found: dict[str, Any], path: Path) -> None:
    """Draw each ratio beside its bound, and how the work after a round grows."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    shown = [
        *((f"step over torch's engine, {n} processes", value, 1.05) for n, value in found["ddp_ratio"].items()),
        ("validation over training", found["validation_share"], 0.05),
        ("waiting for checkpoints", found["checkpoint_share"], 0.005),
        ("GPUs idle in an addition", 1 - found["busy_share"], 0.03),
        ("loader: core time over torchvision's", 1 / found["loader_ratio"], 1.0),
        ("work after 13M images, minutes", found["round_minutes_13m"], 2.0),
        ("plan: error of a small run's time", abs(found["plan_ratio"] - 1), 0.25),
    ]
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3.8), layout="constrained", width_ratios=(3, 2))
    for row, (_, value, bound) in enumerate(reversed(shown)):
        share = max(value / bound, 0.01)
        left.plot(share, row, "o", color="#0072B2" if share <= 1 else "#D55E00")
        left.annotate(f"{value:.3g}", (share, row), (0, 5), textcoords="offset points", ha="center", fontsize=7)
        left.text(1.08, row, f"at most {bound:g}", va="center", fontsize=7, color="0.4")
    left.axvline(1, color="0.6", linewidth=0.8, linestyle="--")
    left.set_yticks(range(len(shown)), [name for name, _, _ in reversed(shown)], fontsize=8)
    left.set(xscale="log", xlim=(0.008, 4), ylim=(-0.5, len(shown) - 0.2), xlabel="share of what is allowed")
    for name, label in (("records", "records"), ("list", "labels and seeds"), ("read", "read at a start")):
        sizes = [each["images"] for each in found["growth"]]
        right.plot(sizes, [each[name] for each in found["growth"]], "o-", label=label)
    right.set(xscale="log", yscale="log", xlabel="images of a round", ylabel="seconds of one process")
    right.grid(alpha=0.25)
    right.legend(fontsize=8)
    figure.savefig(path, dpi=150)


def main() -> None:
    """Measure, or print what is recorded."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recorded", action="store_true", help="print the recorded results instead of measuring")
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.add_argument("--small", action="store_true", help="measure little and keep nothing")
    parser.add_argument("--exchange", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--planned", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--plot", type=picture, default=RESULTS.with_suffix(".png"), help="where the picture goes")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.exchange or options.planned:
        processes.join()
        exchange(options.exchange) if options.exchange else planned()
        processes.leave()
        return
    if options.recorded:
        found = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"measured": "not yet"}
    else:
        found = measure(options.small) | {"expected": EXPECTED, "made_by": provenance()}
        if not options.small:
            write_json(RESULTS, found)
        if not options.small or options.plot != parser.get_default("plot"):
            plot(found, options.plot)
    for name, value in [] if options.json else found.items():
        print(f"{name:20} {value}")
    if options.json:
        print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
