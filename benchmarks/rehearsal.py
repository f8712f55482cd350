"""Rehearse a row of table 4 before the cluster: the whole of it, shrunk, with a kill and another number of processes.

Command   python benchmarks/rehearsal.py                  (draws rehearsal.png, what each process did when)
Time      about 3 minutes on two cores
Expected  "as it should be", 18 additions, 4 outcomes; in the picture as little grey (waiting) as the cores allow

"4/DP 64k + 18 x 32k" with its three branches: a 1,000th of its images, an 800th of its iterations, mini-batches of a
64th; additions that patience does not ask for come by the schedule. A Stable Diffusion with random weights, 32-pixel
JPEG files in ImageNet-100's folders and in those of its out-of-distribution sets, a small ViT. Four processes are
killed (SIGKILL, all at once) in the middle of the fourth addition; two go on, by the same command.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import wraps
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
if sys.path[0] == str(ROOT / "benchmarks"):  # run as a file, this module would hide the package of the same name
    sys.path[0] = str(ROOT)

# ruff: noqa: E402 (the path comes first)
import numpy as np
from PIL import Image

from benchmarks.accelerator import SMALL, pipeline
from benchmarks.arguments import picture
from dp.__main__ import main as dp
from dp.cli import practise
from dp.cli.practise import source_settings
from dp.config import PracticeConfig
from dp.data.imagenet import folders_of
from dp.generation.generator import Generator
from dp.generation.loading import quietly
from dp.paper.row import key
from dp.paper.rows import ROWS
from dp.pool.folder import PoolFolder
from dp.pool.repair import check
from dp.practice import loop
from dp.runs.checkpoints import CheckpointWriter
from dp.runs.folder import RunFolder
from dp.runs.inputs import Source
from dp.runs.settings import Storage
from dp.utils.command_line import run_command

ROW = "4/DP 64k + 18 x 32k"
IMAGES, ITERATIONS, BATCH = 1000, 800, 64  # the row's over the rehearsal's
KILLED_IN = 4  # the addition
SETS = ("v2", "sketch", "r", "a")
COLOURS = {
    "start and the rest": "#F0E442",
    "images": "#D55E00",
    "training": "#0072B2",
    "validation": "#56B4E9",
    "checkpoint": "#CC79A7",
    "shards and records": "#009E73",
    "final evaluation": "#000000",
    "waiting": "0.75",
}
PLACES: list[tuple[str, Any, str]] = [  # what is shown, and the functions that do it
    ("images", Generator, "generate"),
    ("training", loop, "train_iteration"),
    ("validation", loop, "validate"),
    ("final evaluation", loop, "accuracy"),
    ("final evaluation", practise, "measured"),
    ("checkpoint", RunFolder, "save"),
    ("checkpoint", RunFolder, "_save_learner"),
    ("checkpoint", CheckpointWriter, "wait"),  # before an addition it is waited for
    ("waiting", RunFolder, "_wait"),
    ("shards and records", PoolFolder, "put_shard"),
    ("shards and records", PoolFolder, "gather"),
    ("shards and records", PoolFolder, "commit"),
]
Event = tuple[str, float, float]  # what a process did, and the times when it began and ended


def shrunk() -> PracticeConfig:
    """Return the row's settings in small."""
    config = next(row.config for row in ROWS if key(row) == ROW)
    return replace(
        config,
        n_initial=config.n_initial // IMAGES,
        n_per_round=config.n_per_round // IMAGES,
        branch_sizes=tuple(size // IMAGES for size in config.branch_sizes),
        iterations=config.iterations // ITERATIONS,
        batch_size=config.batch_size // BATCH,
        micro_batch=config.batch_size // BATCH // 4,
        validate_every=config.n_initial // IMAGES // (config.batch_size // BATCH),  # a pass over the initial pool
        backstop=True,
        inference_steps=5,
        learner="vit_tiny_patch16_224",
        crop=32,
    )


def tree(folder: Path, names: list[str], images: int, rng: np.random.Generator) -> None:
    """Write class folders of JPEG files of 32 pixels."""
    for name in names:
        (folder / name).mkdir(parents=True)
        for k in range(images):
            pixels = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
            Image.fromarray(pixels).resize((32, 32)).save(folder / name / f"{k}.JPEG")


def prepare(folder: Path) -> Path:
    """Write all that the run reads; return the file of its settings."""
    rng = np.random.default_rng(0)
    for name in ("train", "val"):
        tree(folder / "imagenet" / name, [*folders_of(name, "imagenet100").values()], 2, rng)
    for name in SETS:
        tree(folder / name, [*folders_of(name, "imagenet100").values()], 1, rng)
    with quietly():
        pipeline(SMALL).save_pretrained(folder / "pipeline")
    source = Source(pipeline=str(folder / "pipeline"), class_list="imagenet100", side=32, generation_batch=8)
    settings = {
        "config": asdict(shrunk()),
        "source": source_settings(source),
        "storage": asdict(Storage(memory=False, encoding="JPEG")),
        "row": "",
        "validation": None,
        "test": None,
        "imagenet": str(folder / "imagenet"),
        "ood": {name: str(folder / name) for name in SETS},
    }
    file = folder / "settings.json"
    file.write_text(json.dumps(settings))
    return file


def worker(folder: Path, settings: Path) -> None:
    """Do what `dp run` does, in one of torchrun's processes, and write down when it does what."""
    (folder / f"pid-{os.environ['RANK']}").write_text(str(os.getpid()))
    events = (folder / f"events-{os.environ['WORLD_SIZE']}-{os.environ['RANK']}").open("w", buffering=1)  # line by line

    busy = False  # with something that is told already

    def told(what: str, call: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(call)
        def calling(*arguments: Any, **named: Any) -> Any:
            nonlocal busy
            if busy:
                return call(*arguments, **named)
            began, busy = time.time(), True
            try:
                return call(*arguments, **named)
            finally:
                busy = False
                events.write(json.dumps([what, began, time.time()]) + "\n")

        return calling

    for what, owner, name in PLACES:
        setattr(owner, name, told(what, getattr(owner, name)))
    run_command(lambda: dp(["run", str(folder / "run"), "--config", str(settings)]))


def launch(folder: Path, count: int, settings: Path) -> subprocess.Popen[bytes]:
    """Start the run in so many processes."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count)]
    command = [*torchrun, __file__, "--worker", str(folder), str(settings)]
    return subprocess.Popen(command, env=os.environ | {"OMP_NUM_THREADS": "1"})


def killed(folder: Path, run: subprocess.Popen[bytes]) -> None:
    """Kill all processes of a run when a part of an addition's images is there."""
    while not any((folder / f"run/pool/round-{KILLED_IN:04d}").rglob("*.parquet")):
        if run.poll() is not None:
            sys.exit("error: the run ended before it was to be killed")
        time.sleep(0.005)
    for pid in (run.pid, *(int(file.read_text()) for file in folder.glob("pid-*"))):
        os.kill(pid, signal.SIGKILL)
    run.wait()


def problems(folder: Path, expected: PracticeConfig) -> list[str]:
    """Return what is not as it should be at the end."""
    result, pool = json.loads((folder / "run/result.json").read_text()), PoolFolder.open(folder / "run/pool")
    sizes = [*sorted(expected.branch_sizes), expected.final_size]
    found = {
        "images": (len(pool), expected.final_size),
        "additions": (len(result["additions"]), expected.rounds),
        "outcomes": ([each["pool_size"] for each in result["outcomes"]], sizes),
        "sets": ({tuple(each["ood"]) for each in result["outcomes"]}, {SETS}),
        "damaged files": (len(check(pool)), 0),
    }
    return [f"{name}: got {is_}, expected {should}" for name, (is_, should) in found.items() if is_ != should]


def timelines(folder: Path, starts: dict[int, tuple[float, float]]) -> dict[tuple[int, int], list[Event]]:
    """Return what each process did, by their number and its rank, in order; first its start, which fills all gaps."""
    found: dict[tuple[int, int], list[Event]] = {}
    for count, (began, ended) in starts.items():
        for rank in range(count):
            lines = (folder / f"events-{count}-{rank}").read_text().splitlines()
            whole = [line for line in lines if line.endswith("]")]  # a kill may have cut the last one
            found[count, rank] = [("start and the rest", began, ended), *(tuple(json.loads(line)) for line in whole)]
    return found


def plot(found: dict[tuple[int, int], list[Event]], path: Path) -> None:
    """Draw what each process did when."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(14, 3.6), layout="constrained")
    first = min(events[0][1] for events in found.values())
    for row, events in enumerate(found.values()):
        for what, colour in COLOURS.items():
            spans = [(began - first, ended - began) for each, began, ended in events if each == what]
            label = what if row == 0 else None
            axes.broken_barh(spans, (row - 0.4, 0.8), facecolors=colour, linewidth=0, label=label)
    axes.set_yticks(range(len(found)), [f"{rank} of {count}" for count, rank in found])
    axes.invert_yaxis()
    axes.margins(x=0)
    axes.set(xlabel="seconds", ylabel="process", title=f"{ROW} in small; killed in addition {KILLED_IN}")
    figure.legend(loc="outside lower center", ncols=len(COLOURS), fontsize=8)
    figure.savefig(path, dpi=150)


def shares(events: list[Event]) -> str:
    """Return the shares of a process's time, in words."""
    seconds: dict[str, float] = defaultdict(float)
    for what, began, ended in events:
        seconds[what] += ended - began
    whole = seconds["start and the rest"]
    seconds["start and the rest"] -= sum(seconds[what] for what in COLOURS if what != "start and the rest")
    return ", ".join(f"{what} {seconds[what] / whole:.0%}" for what in COLOURS)


def main() -> None:
    """Run, kill, run again, and tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plot", type=picture, default=Path("rehearsal.png"), help="where the picture goes")
    parser.add_argument("--worker", nargs=2, type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        worker(*options.worker)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings, times = prepare(folder), {}
        for count in (4, 2):
            began = time.time()
            run = launch(folder, count, settings)
            if count == 4:
                killed(folder, run)
            elif run.wait():
                sys.exit("error: the run that was killed did not go on; what it says stands above")
            times[count] = (began, time.time())
        found, wrong = timelines(folder, times), problems(folder, shrunk())
        plot(found, options.plot)
    for (count, rank), events in found.items():
        print(f"process {rank} of {count}: {shares(events)}")
    print(f"{options.plot}: what each process did when")
    print("; ".join(wrong) if wrong else "killed, went on with two processes, and ended: as it should be")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
