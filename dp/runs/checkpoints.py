"""Checkpoints written in the background: training goes on as soon as a copy of its state is in memory.

Files are written one after the other, in the order in which they were asked for, so that a kill leaves what a kill a
little earlier would have left. A write that fails ends the run with the line that says why.
"""

import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch

from dp.utils.checkpoint import snapshot, state_tensors, write_tensors

CHECKPOINT_SECONDS = 60.0  # between two checkpoints, at least
LONGEST_SECONDS = 600.0  # and at most: what a kill costs
SHARE = 0.005  # of the time, at most, that training waits for checkpoints


class CheckpointWriter:
    """Write checkpoints in a thread of its own."""

    def __init__(self) -> None:
        self.seconds = 0.0  # that training has waited, in all
        self._pause = 0.0  # that it waited the last time
        self._asked = time.monotonic()
        self._thread = ThreadPoolExecutor(1, "checkpoints")
        self._written: Future[None] | None = None

    def is_due(self) -> bool:
        """Return whether it is time for another one: the longer training waits for one, the fewer are written."""
        seconds = max(CHECKPOINT_SECONDS, min(self._pause / SHARE, LONGEST_SECONDS))
        return time.monotonic() - self._asked > seconds

    def save(
        self, path: Path, modules: dict[str, torch.nn.Module], optimizer: torch.optim.Optimizer, **progress: Any
    ) -> None:
        """Copy the tensors, and have them written with `progress` (JSON values), after the one before is.

        Raises:
            UserError: the one before could not be written.
        """
        began = time.monotonic()
        self.wait()
        tensors = snapshot(state_tensors(modules, optimizer))
        self._written = self._thread.submit(write_tensors, path, tensors, progress)
        self._asked = time.monotonic()
        self._pause = self._asked - began
        self.seconds += self._pause

    def look(self) -> None:
        """Raise what kept the last one from being written, if it is known already."""
        if self._written is not None and self._written.done():
            self.wait()

    def wait(self) -> None:
        """Return when everything is on disk.

        Raises:
            UserError: the disk is full or cannot be written to.
        """
        written, self._written = self._written, None
        if written is not None:
            written.result()

    def close(self) -> None:
        """Wait for the file that is being written; what kept it from that is not told any more."""
        self._thread.shutdown()
