"""The folder of a run: everything that must survive a kill, so that the same command goes on where it stopped.

    settings.json                 the resolved settings; a folder belongs to one run
    .lock                         keeps a second run out
    pool/                         the images (see `dp.pool.folder`)
    checkpoint.safetensors        weights, averaged weights, optimiser and progress
    learners/round-0003.safetensors   the weights that guided round 3, to make its images again
    scores-0003/                  until round 3 is there: how hard its candidates are (generate, then prune)
    branches/2000.safetensors     the checkpoint of a branch that left the run at 2,000 images
    log.jsonl                     one line per validation
    progress.json                 how far the run is; for eyes alone
    result.json                   outcomes and what made them; written last

A checkpoint is written every one to ten minutes (see `dp.runs.checkpoints`), before every addition, and when the
process is told to stop.
"""

import contextlib
import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import Tensor

from dp.config import PracticeConfig
from dp.pool.folder import PoolFolder
from dp.pool.in_memory import Pool
from dp.pool.on_disk import DiskPool
from dp.pool.paths import MANIFEST
from dp.pool.rounds import PORTION, make_round
from dp.pool.shards import SHARD_SIZE, Encoding
from dp.practice.interfaces import TrainingPool
from dp.practice.state import State
from dp.runs.checkpoints import CheckpointWriter
from dp.runs.load import read_checkpoint
from dp.runs.paths import checkpoint_file, learner_file, result_file, scores_folder
from dp.runs.progress import Progress
from dp.runs.result import read_result
from dp.samples import Samples
from dp.utils.checkpoint import read_tensors, snapshot, write_tensors
from dp.utils.distributed import largest, rank, wait, world
from dp.utils.errors import Stopped, UserError
from dp.utils.files import atomic, write_record, writing
from dp.utils.folders import FORMAT, claimed, renew

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)  # the last one by SLURM, if told to
LOOK_EVERY = 20  # iterations after which several processes ask each other whether one is to stop


class RunFolder:
    """A `Store` in a folder; open it with `RunFolder.open`.

    Example:
        >>> from dp import CLASSES, PracticeConfig, RunFolder, bundled_generator, run_practice, validation_images
        >>> config = PracticeConfig(n_initial=20, rounds=0, iterations=10, validate_every=5, inference_steps=4)
        >>> generator = bundled_generator(config)
        >>> with RunFolder.open("RUN", {"seed": config.seed}, config, CLASSES, (1, 32, 32)) as store:
        ...     outcomes, state = run_practice(config, generator, validation_images(), None, store=store)
        >>> state.iteration
        10
    """

    def __init__(
        self,
        folder: Path,
        config: PracticeConfig,
        shards: PoolFolder,
        in_memory: bool,
        batch: int,
        guided_batch: Callable[[], int],
    ):
        """Keep what `open` gives."""
        self.folder = folder
        self.config = config
        self.shards = shards
        self.in_memory = in_memory
        self._batch = batch
        self._guided_batch = guided_batch
        self.progress: Progress | None = None  # shows the run, where one looks
        self._process = os.getpid()
        self._stop: int | None = None  # the signal that asked to stop
        self._stops_later = False  # in training and while images are made; elsewhere a signal ends the process at once
        self.checkpoints = CheckpointWriter()
        self._logged = 0

    @classmethod
    @contextlib.contextmanager
    def open(
        cls,
        folder: Path | str,
        settings: dict[str, Any],
        config: PracticeConfig,
        classes: tuple[str, ...],
        image_shape: tuple[int, int, int],
        shard_size: int = SHARD_SIZE,
        encoding: Encoding = "PNG",
        in_memory: bool = True,
        batch: int = 1,
        guided_batch: Callable[[], int] | None = None,
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
            guided_batch: gives the same of guided images, when they are to be made; by default `batch`.

        Raises:
            UserError: the folder is another run's, or a run is going on in it.
            Stopped: the process was told to stop; everything is kept.
        """
        folder = Path(folder)
        with contextlib.ExitStack() as stack:
            if rank() == 0:
                stack.enter_context(claimed(folder, settings, "run"))
                finished = result_file(folder).exists()
                if not finished:
                    renew(folder, settings)
                if finished or checkpoint_file(folder).exists():
                    _check_pool_is_there(folder)
                pool = PoolFolder.create(folder / "pool", classes, image_shape, shard_size, True, encoding)
            wait()
            if rank() != 0:
                pool = PoolFolder.open(folder / "pool", writable=True, rank=rank())
            stack.callback(pool.close)
            run = cls(folder, config, pool, in_memory, batch, guided_batch or (lambda: batch))
            for number in SIGNALS:
                stack.callback(signal.signal, number, signal.signal(number, run._on_signal))
            stack.callback(run.checkpoints.close)
            yield run
            run.checkpoints.wait()

    def round(self, state: State | None, round_: int, count: int, make: Callable[[range], Samples]) -> Samples:
        """Return the samples of a round: shards that are there already are kept, the others are made."""
        training, self._stops_later = self._stops_later, True
        if state is not None and rank() == 0 and round_ == len(self.shards.rounds):
            self._save_learner(state, round_)
        self._wait()  # no image is made before the learner that guides it is kept
        guided = state is not None and self.config.guidance.omega > 0
        made = count

        def show(now: int) -> None:
            nonlocal made
            made = now
            if self.progress:
                self.progress.images(round_, made, count)

        def shown(slots: range) -> Samples:
            samples = make(slots)
            show(min(count, made + world() * len(slots)))  # the others are taken to make as many
            return samples

        make_round(
            self.shards,
            round_,
            count,
            shown,
            self._guided_batch() if guided else self._batch,
            look=lambda: self._end_if_asked(self._stop),
            meet=self._wait,
            begin=lambda left: show(count - left),
        )
        if made < count:
            show(count)
        if rank() == 0:
            shutil.rmtree(scores_folder(self.folder, round_), ignore_errors=True)
        self._stops_later = training
        if not training:
            self._end_if_asked(self._stop)
        return self.shards.read_round(round_) if self.in_memory else self.shards.records(round_, keep=True).samples

    def scores(self, round_: int, count: int, score: Callable[[range], Tensor]) -> Tensor | None:
        """Return scores float32 [count] of a round's candidates, kept in files for as many as a shard has images.

        None: the round is in the pool.

        Raises:
            UserError: a file is damaged.
        """
        if round_ < len(self.shards.rounds):
            return None
        files, parts = [], self.shards.layout.shards(count)
        for k, numbers in enumerate(parts):
            files.append(scores_folder(self.folder, round_) / f"{k:05d}.safetensors")
            if k % world() == rank() and not files[-1].exists():
                write_tensors(files[-1], {"of/all": torch.cat([score(part) for part in self._portions(numbers)])})
        self._wait()
        return torch.cat([_scores_in(file, numbers) for file, numbers in zip(files, parts, strict=True)])

    def _portions(self, numbers: range) -> Iterator[range]:
        """Yield the numbers, some at a time, until the process is told to stop."""
        portion = -(-PORTION // self._batch) * self._batch
        for first in numbers[::portion]:
            self._end_if_asked(self._stop)  # the checkpoint is from before the addition, finished files are kept
            yield range(first, min(first + portion, numbers.stop))

    def pool(self, initial: Samples) -> TrainingPool:
        """Return the pool to train on, in memory or on disk."""
        return Pool(initial) if self.in_memory else DiskPool(self.shards, 1)

    def iteration(self, state: State) -> None:
        """Write a checkpoint if it is time to, or if a process is to stop; all processes stop together."""
        if self.progress:
            self.progress.iteration(state)
        last = state.iteration == self.config.iterations
        stop = self._stop
        if world() > 1:
            asks = last or state.pending or state.iteration % LOOK_EVERY == 0
            stop = largest(self._stop or 0) or None if asks else None
        self.checkpoints.look()
        if stop is not None or last or state.pending or self.checkpoints.is_due():
            self.save(state)
        if stop is not None or last or state.pending:
            self.checkpoints.wait()
        if stop is not None:
            self._wait()  # torchrun ends them all when one has ended, and the first one is writing
        self._end_if_asked(stop)
        if len(state.log) > self._logged and state.branch is None and rank() == 0:
            path = self.folder / "log.jsonl"
            with writing(path), path.open("a") as file:
                file.writelines(json.dumps(entry) + "\n" for entry in state.log[self._logged :])
            self._logged = len(state.log)
        if last:
            self._stops_later = False
            self._end_if_asked(self._stop)

    def save(self, state: State) -> None:
        """Have the checkpoint of the run or of a branch written; `checkpoints.wait()` waits for it."""
        if rank() != 0:
            return
        self.checkpoints.save(
            checkpoint_file(self.folder, state.branch),
            {"learner": state.learner, "ema": state.ema},
            state.optimizer,
            format=FORMAT,
            iteration=state.iteration,
            pending=state.pending,
            branch=state.branch,
            pool_size=len(state.pool),
            losses=torch.stack(state.losses).tolist() if state.losses else [],
            patience=asdict(state.patience) | {"best": _finite(state.patience.best)},
            log=[*state.log],
            additions=[*state.additions],
        )

    def put_branch(self, state: State) -> None:
        """Keep a state that will go on without additions when the run is finished."""
        self.save(state)

    def branches(self) -> list[int]:
        """Return the pool sizes of the branches kept."""
        return sorted(size for size in set(self.config.branch_sizes) if checkpoint_file(self.folder, size).exists())

    def resume(self, fresh: State, branch: int | None = None) -> State:
        """Return the run (or branch) as it was kept last; `fresh` if there is nothing yet."""
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
            if len(self.shards.rounds) < rounds:
                raise UserError(
                    f"{self.shards.folder}: got {len(self.shards.rounds)} rounds, but {path.name} expects {rounds}; "
                    "restore both from a copy"
                )
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
        if self.progress:
            self.progress.goes_on(fresh)
        return fresh

    def finish(self, result: dict[str, Any]) -> None:
        """Write result.json."""
        self.checkpoints.wait()
        if rank() == 0:
            write_record(result_file(self.folder), result)

    def _save_learner(self, state: State, round_: int) -> None:
        """Write the weights that guide a round, before its first image is made."""
        parts = {"learner": state.learner, "ema": state.ema}
        tensors = {f"{name}/{key}": value for name, part in parts.items() for key, value in part.state_dict().items()}
        write_tensors(learner_file(self.folder, round_), snapshot(tensors))

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
        """Wait for the other processes; where they were told to stop they do not come, and this one stops too."""
        try:
            wait()
        except RuntimeError:
            self._end_if_asked(self._stop)
            raise


def _check_pool_is_there(folder: Path) -> None:
    """Raise UserError if a run that has trained has lost its pool, or rounds of it: a new one would not be the same."""
    if not (folder / "pool" / MANIFEST).exists():
        what = "is finished (its result.json stands)" if result_file(folder).exists() else "has begun to train"
        raise UserError(
            f"{folder / 'pool'}: missing, though the run {what}; restore it from a copy, or start in a new folder"
        )
    if result_file(folder).exists():
        additions, found = read_result(result_file(folder)).get("additions"), PoolFolder.open(folder / "pool").rounds
        if isinstance(additions, list) and len(found) < 1 + len(additions):
            raise UserError(
                f"{folder / 'pool'}: got {len(found)} rounds, expected {1 + len(additions)} of the finished run; "
                "restore it from a copy, or start in a new folder"
            )


def _scores_in(path: Path, numbers: range) -> Tensor:
    parts, _ = read_tensors(path, ("of",))
    scores = parts["of"].get("all")
    if scores is None or scores.shape != (len(numbers),):
        raise UserError(f"{path}: not the scores of {len(numbers)} candidates; remove it, they are scored again")
    return scores


def _finite(value: float) -> float | None:
    return value if value > float("-inf") else None
