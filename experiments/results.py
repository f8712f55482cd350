"""Result files: what was asked, what came out, and what made it.

A result is found by the hash of its configuration and of the files it depends on. Its file name says which run it is;
a file whose hash differs from the one asked for is stale and is computed anew.
"""

import hashlib
import json
import os
import platform
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from dp.errors import UserError
from dp.files import sha256, write_json

ROOT = Path(__file__).parent.parent
BUILD = ROOT / "build"
PACKAGES = ("deliberate-practice", "numpy", "scipy", "torch", "torchvision", "diffusers", "timm")

Compute = Callable[[dict[str, Any], Callable[[float], None]], dict[str, Any]]  # (config, progress) -> JSON values


@dataclass(frozen=True)
class Job:
    """One result to have.

    Attributes:
        study: name of the study, a folder of results.
        name: file stem, unique in the study.
        config: JSON values that define the result, seeds included.
        depends: files whose content the result depends on.
        compute: module-level function that makes the result.
        estimate: seconds it takes on one core of a laptop.
    """

    study: str
    name: str
    config: dict[str, Any]
    compute: Compute
    depends: tuple[Path, ...] = ()
    estimate: float = 60.0

    @property
    def hash(self) -> str:
        """SHA-256 of the study, the configuration and the files depended on."""
        inputs = {str(path.relative_to(ROOT)): _file_hash(path) for path in self.depends}
        canonical = json.dumps([self.study, self.config, inputs], sort_keys=True)
        return hashlib.sha256(canonical.encode()).hexdigest()


@cache
def _file_hash(path: Path) -> str:
    if not path.is_file():
        raise UserError(f"{path}: missing; it is part of the repository, restore it with git checkout")
    return sha256(path)


def folder(profile: str) -> Path:
    """Where a profile's results are: the cpu profile's are part of the repository, others are made in build/."""
    return ROOT / "experiments" / "results" / profile if profile == "cpu" else BUILD / "results" / profile


def path_of(profile: str, job: Job) -> Path:
    """The job's result file."""
    return folder(profile) / job.study / f"{job.name}.json"


def state(profile: str, job: Job) -> str:
    """ "present", "stale" (made with another configuration or other files) or "absent"."""
    path = path_of(profile, job)
    if not path.exists():
        return "absent"
    return "present" if _read(path).get("config_hash") == job.hash else "stale"


def load(profile: str, study: str) -> dict[str, dict[str, Any]]:
    """All results of a study, by file stem; empty if there are none."""
    return {path.stem: _read(path) for path in sorted((folder(profile) / study).glob("*.json"))}


def record(profile: str, job: Job, result: dict[str, Any], seconds: float) -> Path:
    """Write a result with what made it."""
    path = path_of(profile, job)
    header = {
        "study": job.study,
        "name": job.name,
        "config_hash": job.hash,
        "config": job.config,
        "inputs": {str(p.relative_to(ROOT)): _file_hash(p) for p in job.depends},
        "made_by": provenance() | {"seconds": round(seconds, 1)},
    }
    write_json(path, header | result)
    return path


def provenance() -> dict[str, Any]:
    """Commit, versions and hardware of this process."""
    import torch

    from dp.precision import best_device, number_format

    return {
        "commit": _git("rev-parse", "HEAD"),
        "uncommitted_changes": bool(_git("status", "--porcelain", "--untracked-files=no", "--", "*.py")),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "hardware": {"cpu": _cpu_model(), "cores": os.cpu_count(), "device": str(best_device())},
        "number_format": str(number_format(best_device())).removeprefix("torch."),
        "threads": torch.get_num_threads(),
    }


def _read(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise UserError(f"{path}: not JSON ({error}); delete it and it is computed again") from None


@cache
def _git(*arguments: str) -> str | None:
    run = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return run.stdout.strip() if run.returncode == 0 else None


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
