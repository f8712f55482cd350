"""Commands that write a folder, killed at any moment: the same command then ends with the same bytes and no litter.

Command   python benchmarks/kills.py --kills 20          (of each command; some names: those alone)
Time      about 15 minutes for 20 on one core
Expected  "same" in every row: after each kill -9 the command ended with the files of one that nobody had killed

Half of the kills hit a change of a file (the process ends itself just before it makes the change: that is where a
state could be left that the next command does not understand), half of them a random time, which also hits what
libraries write from C++ or Rust. A folder is killed in up to three times before the command may end.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import Any

import torch

from dp.__main__ import main as dp
from dp.data.image_set import ImageSet

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["benchmarks.kills", "dp.cli.practise", "dp.cli.prune", "dp.cli.fit_decoder", "pandas"])
RUN = (
    "--n-initial 20 --n-per-round 10 --rounds 2 --branch-sizes 30 --iterations 24 --validate-every 4 --batch-size 16 "
    "--patience 1 --inference-steps 2 --guidance.gradient x0"
).split()
CHANGES = ("os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.truncate", "shutil.rmtree")
DAMAGED = ("pool/round-0000/00000.parquet", "pool/round-0001/slots.json")


def few_images() -> ImageSet:
    """Stand in for Fashion-MNIST's images, whose evaluation would take most of the time."""
    rng = torch.Generator().manual_seed(0)
    return ImageSet(torch.randint(256, (50, 1, 32, 32), generator=rng, dtype=torch.uint8), torch.arange(50) % 10)


def train_generator(work: Path) -> None:
    """Train all three parts for a few iterations, with a checkpoint at each."""
    from dp.cli import train_generator as command
    from dp.pretrained import train

    train.CHECKPOINT_SECONDS = 0.0
    command.train_images = lambda data: few_images()
    small = train.GeneratorConfig(
        vae_channels=(8, 8, 8),
        vae_iterations=3,
        vae_batch=4,
        unet_channels=(16, 16),
        unet_iterations=3,
        unet_batch=4,
        oracle_iterations=3,
        oracle_batch=4,
    )
    command.train_generator(work / "generator", config=small)


def value(config: dict[str, Any], progress: Callable[[float], None]) -> dict[str, Any]:
    """Compute the result of a study."""
    time.sleep(0.02)
    return {"value": config["x"]}


def study(work: Path) -> None:
    """Compute six results of a study in worker processes."""
    from experiments.engine import results, workers

    results.folder = lambda profile: work / "results"
    workers.run("p", [results.Job("study", f"run-{x}", {"x": x}, value, estimate=1) for x in range(6)], workers=2)


def figures(work: Path) -> None:
    """Draw a figure and a table."""
    from matplotlib import pyplot as plt

    from paper_figures.drawing.exhibit import MEASURED, Entry, Exhibit, save

    figure, axis = plt.subplots(figsize=(2, 2))
    axis.plot([0, 1])
    rows = [{"x": 0, "y": 1.0}]
    save(Exhibit(Entry("figure1", "title", MEASURED, 1), "caption", rows, figure), work / "figures")
    save(Exhibit(Entry("table1", "title", MEASURED, 2), "caption", rows, table=rows), work / "figures")


COMMANDS: dict[str, Callable[[Path], object]] = {
    "run": lambda work: dp(["run", str(work / "new"), *RUN]),
    "run-logged": lambda work: dp(["run", str(work / "logged"), *RUN, "--log", "csv"]),
    "generate": lambda work: dp(["generate", str(work / "made"), "--count", "30", "--steps", "2"]),
    "prune": lambda work: dp(
        ["prune", str(work / "run/pool"), str(work / "kept"), "--guided-by", str(work / "run"), "--keep", "10"]
    ),
    "export": lambda work: dp(["pool", "export", str(work / "run/pool"), "--out", str(work / "run/images")]),
    "export-datasets": lambda work: dp(
        ["pool", "export", str(work / "run/pool"), "--out", str(work / "set"), "--format", "datasets"]
    ),
    "repair": lambda work: dp(["pool", "repair", str(work / "damaged/pool")]),
    "grid": lambda work: dp(["grid", str(work / "run"), "--omegas", "0", "0.2", "--learners", "1", "--judged", "5"]),
    "fit-decoder": lambda work: dp(
        ["fit-decoder", "tiny", str(work / "tiny"), "--images", "10", "--steps", "2", "--iterations", "2"]
    ),
    "train-generator": train_generator,
    "experiments": study,
    "figures": figures,
}


def made_small() -> None:
    """Let this process write checkpoints at every iteration, and evaluate on few images."""
    from dp.runs import checkpoints, inputs

    torch.set_num_threads(1)
    checkpoints.CHECKPOINT_SECONDS = checkpoints.LONGEST_SECONDS = 0.0
    inputs.validation_images = inputs.test_images = few_images


def execute(name: str, work: Path, moment: int = 0, seconds: float = 0.0) -> None:
    """Run a command in this process, which is killed at a change of a file in `work`, or after some time; 0: never."""
    made_small()
    seen = 0

    def on(event: str, arguments: tuple) -> None:
        nonlocal seen
        if event in CHANGES or (event == "open" and arguments[1] not in ("r", "rb")):
            if str(arguments[0]).startswith(f"{work}/"):
                seen += 1
                if seen == moment:
                    os.kill(os.getpid(), signal.SIGKILL)

    if moment:
        sys.addaudithook(on)
    if seconds:
        threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGKILL)).start()
    with open(os.devnull, "w") as nothing, redirect_stdout(nothing), redirect_stderr(nothing):
        COMMANDS[name](work)
    if moment < 0:
        (work.parent / "seen").write_text(str(seen))
    sys.stdout.flush()
    os._exit(0)  # without waiting for a timer


def ended(name: str, work: Path, moment: int = 0, seconds: float = 0.0) -> int:
    """Run a command in a process of its own; return its exit code."""
    process = CONTEXT.Process(target=execute, args=(name, work, moment, seconds))
    process.start()
    process.join()
    assert process.exitcode is not None
    return process.exitcode


def content(folder: Path) -> dict[str, object]:
    """Return every file in a folder and in those below it, JSON without what made it, which has the time in it.

    Without links, pipes, and a run's progress.json, which is for eyes alone and has nothing but times in the end.
    """
    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink() or path.name == "progress.json":
            continue
        if path.is_file():
            found[name] = path.read_bytes()
            if path.suffix == ".json" and b'"made_by"' in path.read_bytes():
                with suppress(ValueError):  # damaged
                    values = json.loads(path.read_text())
                    found[name] = {key: each for key, each in values.items() if key not in ("made_by", "sha256")}
        elif path.is_dir() and not any(path.iterdir()):
            found[name] = "an empty folder"
    return found


def differing(found: dict[str, object], expected: dict[str, object]) -> list[str]:
    """Return the files that are not as expected, those that are missing or too many among them."""
    return sorted(each for each in found.keys() | expected.keys() if found.get(each) != expected.get(each))


class Hammer:
    """Commands to kill in a folder: what they need is made there once."""

    def __init__(self, folder: Path):
        """Make a run for the commands that need one, and one with damaged files for the repair."""
        self.work, self.given, self._kept = folder / "work", folder / "given", folder / "expected"
        self.work.mkdir()
        assert ended("run", self.work) == 0
        shutil.copytree(self.work / "new", self.given / "run")
        shutil.copytree(self.work / "new", self.given / "damaged")
        for name in DAMAGED:
            (self.given / "damaged" / name).unlink()

    def fresh(self) -> None:
        """Put the folder to work in to what was there before any command."""
        shutil.rmtree(self.work)
        shutil.copytree(self.given, self.work)

    def undisturbed(self, name: str) -> tuple[dict[str, object], int, float]:
        """Return the files that a command leaves, how many changes of files it makes, and its seconds."""
        self.fresh()
        began = time.monotonic()
        assert ended(name, self.work, moment=-1) == 0
        seconds = time.monotonic() - began
        return content(self.work), int((self.work.parent / "seen").read_text()), seconds

    def killed(self, name: str, expected: dict[str, object], kills: list[tuple[int, float]]) -> tuple[int, list[str]]:
        """Kill a command at some moments or times, one after the other, then let it end.

        Returns:
            How many of the kills hit it, and the files that are not as expected.
        """
        self.fresh()
        hits = 0
        for moment, seconds in kills:
            code = ended(name, self.work, moment, seconds)
            assert code in (0, -signal.SIGKILL), f"{name}: exit code {code} after {hits} kills"
            hits += code == -signal.SIGKILL
        code = ended(name, self.work)
        if code:
            return hits, [f"exit code {code}"]
        return hits, differing(content(self.work), expected)


def main() -> None:
    """Kill the commands and print a row for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known = f"commands, by default all of {', '.join(COMMANDS)}"
    parser.add_argument("names", nargs="*", metavar="name", choices=[*COMMANDS, []], help=known)
    parser.add_argument("--kills", type=int, default=20, help="kills that hit, of each command")
    parser.add_argument("--seed", type=int, default=0, help="other moments")
    options = parser.parse_args()
    rng, worst = random.Random(options.seed), 0
    with tempfile.TemporaryDirectory() as folder:
        hammer = Hammer(Path(folder).resolve())
        for name in options.names or COMMANDS:
            expected, changes, seconds = hammer.undisturbed(name)
            kills, folders, wrong = 0, 0, []
            while kills < options.kills:
                moments = [(rng.randint(1, changes), 0.0) for _ in range(rng.randint(1, 3))]
                times = [(0, rng.uniform(0, seconds)) for _ in range(rng.randint(1, 3))]
                hits, different = hammer.killed(name, expected, times if folders % 2 else moments)
                kills, folders, wrong = kills + hits, folders + 1, wrong + different
            verdict = f"DIFFERENT: {', '.join(sorted(set(wrong)))}" if wrong else "same"
            print(
                f"{name:16} {kills:4} kills in {folders:3} folders, {changes:3} changes of files: {verdict}", flush=True
            )
            worst = max(worst, len(wrong))
    sys.exit(bool(worst))


if __name__ == "__main__":
    main()
