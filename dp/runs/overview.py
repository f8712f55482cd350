"""Read what is in the folder of a run, to be looked at: while it goes on, without disturbing it."""

import base64
import io
import json
import time
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from safetensors import SafetensorError, safe_open

from dp.pool.folder import PoolFolder
from dp.runs.logs import SHOWN, sheet_of
from dp.runs.paths import checkpoint_file, result_file
from dp.runs.result import read_result
from dp.utils.errors import UserError
from dp.utils.folders import SETTINGS, read_settings

WAITING = 120.0  # seconds without news after which a run is taken to have stopped


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
        progress: what progress.json says; empty if there is none.
        problem: why something cannot be shown, in a line.
    """

    folder: Path
    config: dict[str, Any]
    log: list[dict[str, Any]]
    rounds: list[Round]
    outcomes: list[dict[str, Any]] = field(default_factory=list)
    progress: dict[str, Any] = field(default_factory=dict)
    problem: str = ""

    @property
    def state(self) -> str:
        """Return "finished", "running" or "stopped"."""
        if self.outcomes:
            return "finished"
        return "running" if time.time() - self.progress.get("written", 0) < WAITING else "stopped"


def runs_in(folder: Path) -> list[Path]:
    """Return the folder itself if it is a run's, else those in it that are, sorted.

    Raises:
        UserError: there is no run.
    """
    if (folder / SETTINGS).is_file():
        return [folder]
    found = sorted(each.parent for each in folder.glob(f"*/{SETTINGS}")) if folder.is_dir() else []
    if not found:
        raise UserError(f"{folder}: no run here, and none in the folders in it; name the folder that dp run was given")
    return found


def overview_of(folder: Path) -> Overview:
    """Read a run's files; what is not there yet is left out.

    Raises:
        UserError: the settings are missing or damaged.
    """
    config = read_settings(folder, "config")["config"]
    log = [json.loads(line) for line in _text(folder / "log.jsonl").splitlines() if line.endswith("}")]
    outcomes, additions, problem = [], _additions(folder), ""
    try:
        found = read_result(result_file(folder))
        outcomes, additions = found["outcomes"], found["additions"]
    except FileNotFoundError:
        pass
    except (UserError, KeyError) as error:
        problem = str(error)
    rounds: list[Round] = []
    try:
        rounds = _rounds(folder, additions)
    except UserError as error:
        problem = problem or str(error)
    progress = json.loads(_text(folder / "progress.json") or "{}")
    return Overview(folder, config, log, rounds, outcomes, progress, problem)


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:  # not there yet
        return ""


def _additions(folder: Path) -> list[dict[str, Any]]:
    """Return the additions that the last checkpoint knows of, and the one that it was written before."""
    try:
        with safe_open(checkpoint_file(folder), "pt") as file:
            found = json.loads((file.metadata() or {}).get("progress", "{}"))
    except (OSError, SafetensorError, ValueError):  # none yet
        return []
    pending = [{"iteration": found["iteration"], "trigger": found["pending"]}] if found.get("pending") else []
    return [*found.get("additions", []), *pending]


def _rounds(folder: Path, additions: list[dict[str, Any]]) -> list[Round]:
    if not (folder / "pool").exists():
        return []
    rounds = []
    known: list[dict[str, Any]] = [{"iteration": 0, "trigger": "", "entropy": None}, *additions]
    for number, images in enumerate(PoolFolder.open(folder / "pool").rounds):
        unknown: dict[str, Any] = {"iteration": 0, "trigger": "not in the last checkpoint"}
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
