"""The practice loop against a bare PyTorch loop with the same learner and an in-memory tensor.

Command   python benchmarks/practice.py              (measures, writes benchmarks/results/practice.json)
          python benchmarks/practice.py --recorded   (prints what is recorded there)
Time      about 8 minutes
Expected  at most 5% more for an iteration, with and without a run folder

Blocks of iterations are timed in turns, first one loop, then the other; a ratio is the median over the turns, given
with the range of its middle half. Both loops crop at random, train in mixed precision, clip gradients, follow the
schedule and average the weights; what is compared is everything around that: seeding each iteration by itself, drawing
from a pool that grows, and keeping a run in a folder (checkpoints once a minute or less often).
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch
import torch.nn.functional as F
from timm.utils import ModelEmaV3
from torch import nn

from dp.config import PracticeConfig
from dp.learner.augment import Shift
from dp.learner.models import build_learner
from dp.pool.in_memory import Pool
from dp.practice.gradients import gradient_of
from dp.practice.schedule import warmup_stable_decay
from dp.practice.state import start
from dp.practice.store import InMemory, Store
from dp.practice.train_step import draw_batch, train_iteration
from dp.runs.folder import RunFolder
from dp.samples import Samples, unjudged
from dp.utils.device import autocast
from dp.utils.files import write_json
from dp.utils.pixels import normalise
from dp.utils.provenance import provenance

RESULTS = Path(__file__).parent / "results" / "practice.json"
IMAGES = 4000
BLOCK = 25  # iterations
TURNS = 40


def samples() -> Samples:
    """Noise in the shape of images."""
    rng = torch.Generator().manual_seed(0)
    images = torch.randint(256, (IMAGES, 1, 32, 32), generator=rng, dtype=torch.uint8)
    return unjudged(images, torch.arange(IMAGES) % 10, torch.arange(IMAGES))


def bare_loop(config: PracticeConfig) -> Callable[[], None]:
    """One iteration as anyone would write it."""
    data = samples()
    learner = build_learner(config.learner, 10)
    ema = ModelEmaV3(learner, decay=config.ema_decay, use_warmup=True)
    optimizer = torch.optim.AdamW(
        learner.parameters(), config.lr, betas=(0.9, 0.98), weight_decay=config.weight_decay, fused=True
    )
    rng = torch.Generator().manual_seed(0)
    iteration = 0

    def step() -> None:
        nonlocal iteration
        index = torch.randint(IMAGES, (config.batch_size,), generator=rng)
        images, labels = data.images[index], data.labels[index]
        for group in optimizer.param_groups:
            group["lr"] = config.lr * warmup_stable_decay(iteration, config.iterations, config.warmup, config.cooldown)
        learner.train()
        with autocast(images.device):
            crops = Shift.draw(len(images), (32, 32), config.crop, rng)(images, slice(None))
            logits = learner(normalise(crops))
        loss = F.cross_entropy(logits.float(), labels, label_smoothing=config.label_smoothing)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(learner.parameters(), 1.0)
        optimizer.step()
        iteration += 1
        ema.update(learner, step=iteration)

    return step


def practice_loop(config: PracticeConfig, store: Store) -> Callable[[], None]:
    """One iteration of the practice loop."""
    state = start(config, Pool(samples()), 10)
    gradient = gradient_of(config, state)

    def step() -> None:
        train_iteration(config, state, draw_batch(config, state.pool, state.iteration), gradient)
        store.iteration(state)

    return step


def ratio(first: Callable[[], None], second: Callable[[], None]) -> dict[str, float]:
    """Time of `first` over that of `second`, in turns; processor time, which others on the machine disturb less."""

    def seconds(step: Callable[[], None]) -> float:
        begin = time.process_time()
        for _ in range(BLOCK):
            step()
        return time.process_time() - begin

    ratios, bare = [], []
    for turn in range(TURNS + 1):
        pair = [seconds(first), seconds(second)] if turn % 2 else [seconds(second), seconds(first)][::-1]
        ratios.append(pair[0] / pair[1])
        bare.append(pair[1] / BLOCK)
    low, middle, high = statistics.quantiles(ratios[1:], n=4)
    return {"ratio": middle, "low": low, "high": high, "bare_iteration_ms": 1000 * statistics.median(bare[1:])}


def measure() -> list[dict[str, object]]:
    """The convnet and the ViT, in memory and in a folder."""
    rows: list[dict[str, object]] = []
    for name in ("convnet", "vit"):
        config = PracticeConfig(learner=name, rounds=0, n_per_round=0, iterations=10**6)
        rows.append({"learner": name, "store": "memory"} | ratio(practice_loop(config, InMemory()), bare_loop(config)))
        with (
            tempfile.TemporaryDirectory() as folder,
            RunFolder.open(Path(folder), {"config": asdict(config)}, config, tuple("abcdefghij"), (1, 32, 32)) as store,
        ):
            rows.append({"learner": name, "store": "folder"} | ratio(practice_loop(config, store), bare_loop(config)))
        print(*rows[-2:], sep="\n")
    return rows


def main() -> None:
    """Measure, or print what is recorded."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recorded", action="store_true", help="print the recorded results instead of measuring")
    if parser.parse_args().recorded:
        for row in json.loads(RESULTS.read_text())["rows"]:
            print(row)
        return
    torch.set_num_threads(1)
    write_json(RESULTS, {"rows": measure(), "batch_size": 64, "images": IMAGES, "made_by": provenance()})


if __name__ == "__main__":
    main()
