"""Report a run to CSV files, TensorBoard or Weights & Biases.

A log is a view of the run's own state. When a run goes on after a stop it does so from a checkpoint, which may be older
than the last rows: a log in files is written anew from the state, and one on a server passes over what it has.
"""

import csv
import hashlib
import importlib.util
import json
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from dp.practice.state import State
from dp.runs.settings import LogKind
from dp.utils.errors import UserError

Row = dict[str, Any]  # of numbers and texts
COLUMNS = 10  # of a grid of images
SHOWN = 20  # images of a round


class Log(Protocol):
    """A place that rows and images go to."""

    def row(self, series: str, iteration: int, values: Row) -> None:
        """Take a row of a series: "run" and "branch-2000" have one per validation, "additions" one per addition."""

    def images(self, iteration: int, name: str, sheet: np.ndarray) -> None:
        """Take a grid of images, uint8 [H, W, 3]."""

    def close(self) -> None:
        """Let nothing be lost."""


class CSV:
    """A file per series in FOLDER/csv, and a picture per round."""

    def __init__(self, folder: Path, settings: Row):
        self.folder = folder / "csv"
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()

    def row(self, series: str, iteration: int, values: Row) -> None:
        path = self.folder / f"{series}.csv"
        new = not path.exists()
        with path.open("a", newline="") as file:
            write = csv.writer(file)
            if new:
                write.writerow(["iteration", *values])
            write.writerow([iteration, *values.values()])

    def images(self, iteration: int, name: str, sheet: np.ndarray) -> None:
        Image.fromarray(sheet).save(self.folder / f"{name}.png")

    def close(self) -> None:
        pass


class TensorBoard:
    """TensorBoard's files in FOLDER/tensorboard."""

    def __init__(self, folder: Path, settings: Row):
        from torch.utils.tensorboard import SummaryWriter  # an optional dependency

        shutil.rmtree(folder / "tensorboard", ignore_errors=True)
        self.writer: Any = SummaryWriter(folder / "tensorboard")
        self.writer.add_text("settings", f"```json\n{json.dumps(settings, indent=1)}\n```")

    def row(self, series: str, iteration: int, values: Row) -> None:
        for name, value in values.items():
            if isinstance(value, str):
                self.writer.add_text(f"{series}/{name}", value, iteration)
            elif value is not None:
                self.writer.add_scalar(f"{series}/{name}", value, iteration)

    def images(self, iteration: int, name: str, sheet: np.ndarray) -> None:
        self.writer.add_image(f"images/{name}", sheet, iteration, dataformats="HWC")

    def close(self) -> None:
        self.writer.close()


class WandB:
    """A run of Weights & Biases, named by the folder; its project is WANDB_PROJECT's."""

    def __init__(self, folder: Path, settings: Row):
        import wandb  # an optional dependency

        place = str(folder.resolve())
        self.wandb: Any = wandb
        self.run: Any = wandb.init(
            id=hashlib.sha256(place.encode()).hexdigest()[:16],  # the folder goes on, and so does its run there
            name=folder.name,
            dir=place,
            config=settings,
            resume="allow",
        )

    def row(self, series: str, iteration: int, values: Row) -> None:
        self._log(f"{series}/iteration", iteration, {f"{series}/{name}": value for name, value in values.items()})

    def images(self, iteration: int, name: str, sheet: np.ndarray) -> None:
        self._log(f"images/{name}/iteration", iteration, {f"images/{name}": self.wandb.Image(sheet)})

    def close(self) -> None:
        self.run.finish()

    def _log(self, axis: str, iteration: int, values: Row) -> None:
        """Log what the server has not: its summary has the last iteration of each series."""
        if iteration > self.run.summary.get(axis, -1):
            self.run.log({axis: iteration, **values})


KINDS: dict[LogKind, Callable[[Path, Row], Log]] = {"csv": CSV, "tensorboard": TensorBoard, "wandb": WandB}


def check_installed(kinds: Iterable[LogKind]) -> None:
    """Raise UserError if a log's library is missing."""
    for kind in kinds:
        if kind != "csv" and importlib.util.find_spec(kind) is None:
            raise UserError(f"log: {kind} is not installed; pip install {kind}, or take csv")


class Logged:
    """Give logs what a run's state has and they have not; a `progress` of `dp.practice.loop.run_practice`."""

    def __init__(self, logs: list[Log], n_initial: int):
        self.logs = logs
        self.n_initial = n_initial
        self._rows: dict[str, int] = {}  # series -> rows given
        self._rounds = 0  # whose images were given

    def __call__(self, state: State) -> None:
        """Give on what is new."""
        if not self.logs:
            return
        if state.branch is not None:
            self._give(f"branch-{state.branch}", state.log)
            return
        self._give("run", state.log)
        self._give("additions", state.additions)
        firsts = [0, self.n_initial, *(each["pool_size"] for each in state.additions)]
        for round_ in range(self._rounds, 1 + len(state.additions)):
            first, end = firsts[round_ : round_ + 2]
            images, _ = state.pool.rows(torch.arange(first, min(first + SHOWN, end)))
            iteration = state.additions[round_ - 1]["iteration"] if round_ else 0
            for log in self.logs:
                log.images(iteration, f"round-{round_:04d}", sheet_of(images))
        self._rounds = 1 + len(state.additions)

    def close(self) -> None:
        """Close the logs."""
        for log in self.logs:
            log.close()

    def _give(self, series: str, rows: list[Row]) -> None:
        for entry in rows[self._rows.get(series, 0) :]:
            values = {name: value for name, value in entry.items() if name != "iteration"}
            for log in self.logs:
                log.row(series, entry["iteration"], values)
        self._rows[series] = len(rows)


def open_logs(kinds: Iterable[LogKind], folder: Path, settings: Row) -> list[Log]:
    """Open a run's logs.

    Raises:
        UserError: something else has the name of a log's folder.
    """
    try:
        return [KINDS[kind](folder, settings) for kind in dict.fromkeys(kinds)]
    except FileExistsError as error:
        raise UserError(f"{error.filename}: not a folder, but that of a log would be here; move it away") from None


def sheet_of(images: Tensor) -> np.ndarray:
    """Return images uint8 [n, C, H, W] side by side in rows of ten: uint8 [rows * H, 10 * W, 3]; the rest is black."""
    n, _, height, width = images.shape
    rows = -(-n // COLUMNS)
    filled = torch.zeros(rows * COLUMNS, 3, height, width, dtype=torch.uint8)
    filled[:n] = images
    grid = filled.unflatten(0, (rows, COLUMNS)).permute(0, 3, 1, 4, 2)
    return grid.reshape(rows * height, COLUMNS * width, 3).numpy()
