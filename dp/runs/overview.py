"""Read what is in the folder of a run, to be looked at: while it goes on, without disturbing it."""

import base64
import io
import json
import time
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NotRequired

import torch
from PIL import Image
from pydantic import FiniteFloat
from safetensors import SafetensorError, safe_open
from typing_extensions import TypedDict  # pydantic needs this one before Python 3.12

from dp.pool.folder import PoolFolder
from dp.runs.load import config_of
from dp.runs.logs import SHOWN, sheet_of
from dp.runs.paths import checkpoint_file, result_file
from dp.runs.result import REMEDY, read_result
from dp.utils.errors import UserError
from dp.utils.files import read_json, size_of_file
from dp.utils.folders import SETTINGS
from dp.utils.validation import partial_settings

WAITING = 120.0  # seconds without news after which a run is taken to have stopped


class Addition(TypedDict):
    """The part of an addition's record that is shown."""

    iteration: int
    trigger: str
    entropy: NotRequired[float | None]


class Outcome(TypedDict):
    """The part of an outcome that is shown."""

    pool_size: int
    validation_accuracy: float
    test_accuracy: float | None


class Finished(TypedDict):
    """The part of result.json that is shown."""

    outcomes: list[Outcome]
    additions: list[Addition]


class Kept(TypedDict):
    """The part of a checkpoint that is shown."""

    iteration: int
    pending: str | None
    additions: list[Addition]


class InProgress(TypedDict):
    """Hold what progress.json says."""

    iterations: int
    of: int
    images: dict[str, int] | None
    images_per_second: dict[str, float]
    seconds_left: float | None
    at_least: bool
    written: float


@dataclass(frozen=True)
class Round:
    """Images that came together: how many, what asked for them, and a PNG of the first of them in base64."""

    number: int
    images: int
    iteration: int = 0
    trigger: str = ""
    entropy: float | None = None
    png: str = ""


@dataclass(frozen=True)
class Overview:
    """A run as it stands.

    Attributes:
        folder: of the run.
        config: its settings, as `PracticeConfig` has them.
        log: one entry per validation, as in log.jsonl.
        rounds: of the pool, from the initial images on.
        outcomes: of a finished run, from result.json.
        progress: what progress.json says; None if there is none.
        problems: why something cannot be shown, a line each.
    """

    folder: Path
    config: dict[str, Any]
    log: list[dict[str, float]]
    rounds: list[Round]
    outcomes: list[Outcome]
    progress: InProgress | None
    problems: list[str]

    @property
    def state(self) -> str:
        """Return "finished", "running" or "stopped"."""
        if self.outcomes:
            return "finished"
        return "running" if self.progress and time.time() - self.progress["written"] < WAITING else "stopped"


def runs_in(folder: Path) -> list[Path]:
    """Return the folder itself if it is a run's, else those in it that are, sorted.

    Raises:
        UserError: there is no run.
    """
    if (folder / SETTINGS).is_file():
        return [folder]
    listed = folder.glob(f"*/{SETTINGS}") if folder.is_dir() else ()
    found = sorted(each.parent for each in listed if not each.parent.name.startswith(".") and _may_be_a_runs(each))
    if not found:
        raise UserError(f"{folder}: no run here, and none in the folders in it; name the folder that dp run was given")
    return found


def _may_be_a_runs(settings: Path) -> bool:
    """Tell whether settings are a run's, or damaged: what is no leftover, generator, pool or export."""
    try:
        return "config" in read_json(settings, "")
    except (OSError, UserError):
        return True


def overview_of(folder: Path) -> Overview:
    """Read a run's files; what is not there yet is left out.

    Raises:
        UserError: the settings are missing or damaged.
    """
    config, log, problems = asdict(config_of(folder)), *_log(folder)
    finished: Finished = {"outcomes": [], "additions": _additions(folder)}
    try:
        finished = _finished(result_file(folder))
    except FileNotFoundError:
        pass
    except UserError as error:
        problems.append(str(error))
    rounds: list[Round] = []
    try:
        rounds = _rounds(folder, finished["additions"])
    except UserError as error:
        problems.append(str(error))
    try:
        progress: InProgress | None = partial_settings(InProgress, json.loads(_text(folder / "progress.json")))
    except (ValueError, UserError):  # not there yet, or damaged: the run writes it anew every other second
        progress = None
    return Overview(folder, config, log, rounds, finished["outcomes"], progress, problems)


def _text(file: Path) -> str:
    try:
        return file.read_text(errors="replace")
    except OSError:  # not there yet
        return ""


def _log(folder: Path) -> tuple[list[dict[str, float]], list[str]]:
    """Return the entries of log.jsonl, and what is wrong with it; a last line that is being written is left out."""
    entries, problems = [], []
    for number, line in enumerate(_text(folder / "log.jsonl").splitlines(keepends=True), 1):
        if line.endswith("\n"):
            try:
                entry = partial_settings(dict[str, FiniteFloat], json.loads(line))
                entries.append(entry | {"iteration": int(entry["iteration"])})
            except (ValueError, KeyError, UserError):
                problems = [f"{folder / 'log.jsonl'}: line {number} is damaged and left out"]
    return entries, problems


def _finished(file: Path) -> Finished:
    """Return the part of result.json that is shown; errors as of `read_result`."""
    found = read_result(file)
    try:
        return partial_settings(Finished, found)
    except UserError as error:
        raise UserError(f"{file}: damaged ({error}); {REMEDY}") from None


def _additions(folder: Path) -> list[Addition]:
    """Return the additions that the last checkpoint knows of, and the one that it was written before."""
    try:
        size_of_file(checkpoint_file(folder))
        with safe_open(checkpoint_file(folder), "pt") as file:
            found = partial_settings(Kept, json.loads((file.metadata() or {}).get("progress", "{}")))
    except (OSError, SafetensorError, ValueError, UserError):  # none yet
        return []
    if found["pending"] is None:
        return found["additions"]
    return [*found["additions"], {"iteration": found["iteration"], "trigger": found["pending"]}]


def _rounds(folder: Path, additions: list[Addition]) -> list[Round]:
    if not (folder / "pool").exists():
        return []
    rounds = []
    known: list[Addition] = [{"iteration": 0, "trigger": ""}, *additions]
    for number, images in enumerate(PoolFolder.open(folder / "pool").rounds):
        unknown: Addition = {"iteration": 0, "trigger": "not in the last checkpoint"}
        each = known[number] if number < len(known) else unknown
        png = _png(folder, number, images)
        rounds.append(Round(number, images, each["iteration"], each["trigger"], each.get("entropy"), png))
    return rounds


@lru_cache(maxsize=10_000)
def _png(folder: Path, number: int, images: int) -> str:
    """Return the first images of a round side by side; a round does not change once it is in the pool."""
    pool = PoolFolder.open(folder / "pool")
    first = pool.manifest().of_round(number)[0]
    file = io.BytesIO()
    Image.fromarray(sheet_of(torch.as_tensor(pool.read_shard(first).images[:SHOWN]))).save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode()
