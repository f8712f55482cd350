"""The folder of a run: everything that must survive a kill, so that the same command goes on where it stopped.

    settings.json                 the resolved settings; a folder belongs to one run
    pool/                         the images (see `dp.pool.folder`); its lock keeps a second run out
    checkpoint.safetensors        weights, averaged weights, optimiser and progress
    learners/round-0003.safetensors   the weights that guided round 3, to make its images again
    scores-0003/                  until round 3 is there: how hard its candidates are (generate, then prune)
    branches/2000.safetensors     the checkpoint of a branch that left the run at 2,000 images
    log.jsonl                     one line a validation
    result.json                   outcomes and what made them; written last

A checkpoint is written once a minute, before every addition, and when the process is told to stop.
"""

import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from dp.config import PracticeConfig
from dp.pool.folder import PoolFolder
from dp.pool.in_memory import Pool
from dp.pool.on_disk import DiskPool
from dp.pool.shards import SHARD_SIZE, Encoding
from dp.practice.interfaces import TrainingPool
from dp.practice.state import State
from dp.runs.load import read_checkpoint
from dp.runs.paths import FORMAT, checkpoint_file, learner_file, scores_folder
from dp.runs.settings import claim, renew
from dp.samples import Samples, concatenate
from dp.utils.checkpoint import save_state, write_tensors
from dp.utils.distributed import largest, rank, wait, world
from dp.utils.errors import Stopped, UserError
from dp.utils.files import atomic, write_json

CHECKPOINT_SECONDS = 60.0
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)  # the last one by SLURM, if told to
PORTION = 100  # images made between two looks at whether the process is to stop


class RunFolder:
    """A `Store` in a folder; open it with `RunFolder.open`."""

    def __init__(self, folder: Path, config: PracticeConfig, shards: PoolFolder, in_memory: bool, batch: int):
        """See `open`."""
        self.folder = folder
        self.config = config
        self.shards = shards
        self.in_memory = in_memory
        self._portion = -(-PORTION // batch) * batch
        self._process = os.getpid()
        self._stop: int | None = None  # the signal that asked to stop
        self._stops_later = False  # in training and while images are made; elsewhere a signal ends the process at once
        self._saved = time.monotonic()
        self._logged = 0

    @classmethod
    @contextmanager
    def open(
        cls,
        folder: Path,
        settings: dict[str, Any],
        config: PracticeConfig,
        classes: tuple[str, ...],
        image_shape: tuple[int, int, int],
        shard_size: int = SHARD_SIZE,
        encoding: Encoding = "PNG",
        in_memory: bool = True,
        batch: int = 1,
    ) -> Iterator["RunFolder"]:
        """Enter a new folder, or one of a run with the same settings; SIGTERM and Ctrl-C then end in a checkpoint.

        All processes of a run enter it together; the first one writes what is not images.

        Args:
            folder: absent, empty, or that of the run.
            settings: JSON values that define the run.
            config: the settings of the loop, part of them.
            classes: names, in order of the labels.
            image_shape: (C, H, W) of the images.
            shard_size: images in a file of the pool.
            encoding: of the pool's images.
            in_memory: whether training holds the pool in memory or reads from disk (see `dp.pool.on_disk`).
            batch: images that the generator makes at once; it is asked for so many, or for a multiple.

        Raises:
            UserError: the folder is another run's, or a run is going on in it.
            Stopped: the process was told to stop; everything is kept.
        """
        if rank() == 0:
            claim(folder, settings)
            # The pool's lock is the run's: whoever has it is alone in the folder.
            pool = PoolFolder.create(folder / "pool", classes, image_shape, shard_size, True, encoding)
            if not (folder / "result.json").exists():
                renew(folder, settings)
            for leftover in folder.rglob(".*.partial"):
                leftover.unlink(missing_ok=True)
        wait()
        if rank() != 0:
            pool = PoolFolder.open(folder / "pool", writable=True, rank=rank())
        run = cls(folder, config, pool, in_memory, batch)
        handlers = {number: signal.signal(number, run._on_signal) for number in SIGNALS}
        try:
            yield run
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
            pool.close()

    def round(self, state: State | None, round_: int, count: int, make: Callable[[range], Samples]) -> Samples:
        """The samples of a round: shards that are there already are kept, the others are made."""
        training, self._stops_later = self._stops_later, True
        if state is not None and rank() == 0 and round_ == len(self.shards.rounds):
            self._save_learner(state, round_)
        for slots in self.shards.shards_missing(round_, count, rank(), world()):
            self.shards.write(round_, slots.start, concatenate([make(part) for part in self._portions(slots)]))
        self._wait()
        if rank() == 0:
            self.shards.commit(round_, count)
            shutil.rmtree(scores_folder(self.folder, round_), ignore_errors=True)
        self._wait()
        self._stops_later = training
        if not training:
            self._end_if_asked(self._stop)
        return self.shards.read_round(round_, images=self.in_memory)

    def scores(self, round_: int, count: int, score: Callable[[range], Tensor]) -> Tensor | None:
        """Scores float32 [count] of a round's candidates; a file for as many as a shard has images is kept at once.

        None: the round is in the pool.

        Raises:
            UserError: a file is damaged.
        """
        if round_ < len(self.shards.rounds):
            return None
        files = []
        for k, numbers in enumerate(self.shards.layout.shards(count)):
            files.append(scores_folder(self.folder, round_) / f"{k:05d}.safetensors")
            if k % world() == rank() and not files[-1].exists():
                write_tensors(files[-1], {"scores": torch.cat([score(part) for part in self._portions(numbers)])})
        self._wait()
        return torch.cat([_scores_in(file) for file in files])

    def _portions(self, numbers: range) -> Iterator[range]:
        """The numbers, some at a time, until the process is told to stop."""
        for first in numbers[:: self._portion]:
            self._end_if_asked(self._stop)  # the checkpoint is from before the addition, finished files are kept
            yield range(first, min(first + self._portion, numbers.stop))

    def pool(self, initial: Samples) -> TrainingPool:
        """In memory, or on disk."""
        return Pool(initial) if self.in_memory else DiskPool(self.shards, 1)

    def iteration(self, state: State) -> None:
        """Checkpoint if it is time to, or if a process is to stop; all processes stop together."""
        stop = largest(self._stop or 0) or None
        if stop is not None or state.pending or time.monotonic() - self._saved > CHECKPOINT_SECONDS:
            self.save(state)
        if state.iteration == self.config.iterations:
            self.save(state)
        if stop is not None:
            self._wait()  # torchrun ends them all when one has ended, and the first one is writing
        self._end_if_asked(stop)
        if len(state.log) > self._logged and state.branch is None and rank() == 0:
            with (self.folder / "log.jsonl").open("a") as file:
                file.writelines(json.dumps(entry) + "\n" for entry in state.log[self._logged :])
            self._logged = len(state.log)
        if state.iteration == self.config.iterations:
            self._stops_later = False
            self._end_if_asked(self._stop)

    def save(self, state: State) -> None:
        """Write the checkpoint of the run or of a branch."""
        self._saved = time.monotonic()
        if rank() != 0:
            return
        save_state(
            checkpoint_file(self.folder, state.branch),
            {"learner": state.learner, "ema": state.ema},
            state.optimizer,
            format=FORMAT,
            iteration=state.iteration,
            pending=state.pending,
            branch=state.branch,
            pool_size=len(state.pool),
            losses=[loss.item() for loss in state.losses],
            patience=asdict(state.patience) | {"best": _finite(state.patience.best)},
            log=state.log,
            additions=state.additions,
        )

    def put_branch(self, state: State) -> None:
        """Keep a state that will go on without additions when the run is finished."""
        self.save(state)

    def branches(self) -> list[int]:
        """Pool sizes of the branches kept."""
        return sorted(int(path.stem) for path in (self.folder / "branches").glob("[0-9]*.safetensors"))

    def resume(self, fresh: State, branch: int | None = None) -> State:
        """The run (or branch) as it was kept last; `fresh` if there is nothing yet."""
        path = checkpoint_file(self.folder, branch)
        kept = path.exists()
        if kept:
            read_checkpoint(path, fresh)
        known = len(fresh.additions) + (fresh.pending is not None)  # a checkpoint is written before every addition
        if branch is None and (len(self.shards.rounds) - 1 > known or learner_file(self.folder, known + 1).exists()):
            raise UserError(
                f"{path}: {'from before' if kept else 'missing, but there is'} addition {known + 1}, which this run's "
                "learner has not guided; restore it from a copy, or start in a new folder"
            )
        if kept:
            size = self.config.n_initial + len(fresh.additions) * self.config.n_per_round
            rounds = 1 + len(fresh.additions)
            fresh.pool = Pool(self.shards.read(rounds)) if self.in_memory else DiskPool(self.shards, rounds)
            if len(fresh.pool) != size:
                raise UserError(
                    f"{path}: expects {size} images, the pool has {len(fresh.pool)}; restore both from a copy"
                )
        if branch is None and rank() == 0:
            with atomic(self.folder / "log.jsonl") as partial:
                partial.write_text("".join(json.dumps(entry) + "\n" for entry in fresh.log))
            self._logged = len(fresh.log)
        self._wait()  # nobody goes on and writes what others are still reading
        self._stops_later = fresh.iteration < self.config.iterations
        return fresh

    def finish(self, result: dict[str, Any]) -> None:
        """Write result.json."""
        if rank() == 0:
            write_json(self.folder / "result.json", result)

    def _save_learner(self, state: State, round_: int) -> None:
        """The weights that guide a round, before its first image is made."""
        parts = {"learner": state.learner, "ema": state.ema}
        tensors = {f"{name}/{key}": value for name, part in parts.items() for key, value in part.state_dict().items()}
        write_tensors(learner_file(self.folder, round_), tensors)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if os.getpid() != self._process:  # forked to load images: it ends with the process it loads for
            return
        self._stop = number
        if not self._stops_later:
            raise Stopped(number)

    def _end_if_asked(self, stop: int | None) -> None:
        if stop is not None:
            raise Stopped(stop)

    def _wait(self) -> None:
        """For the other processes; where they have been told to stop they do not come, and neither shall this one."""
        try:
            wait()
        except RuntimeError:
            self._end_if_asked(self._stop)
            raise


def _scores_in(path: Path) -> Tensor:
    try:
        return load_file(path)["scores"]
    except (SafetensorError, KeyError, OSError) as error:
        raise UserError(f"{path}: damaged ({error}); remove it, its candidates are scored again") from None


def _finite(value: float) -> float | None:
    return value if value > float("-inf") else None
