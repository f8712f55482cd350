"""Result files: what was asked, what came out, and what made it.

A result is found by the hash of its configuration and of the files it depends on. Its file name says which run it is;
a file whose hash differs from the one asked for is stale and is computed anew.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from dp.errors import UserError
from dp.files import sha256, write_json

ROOT = Path(__file__).parent.parent
BUILD = ROOT / "build"

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
    from dp.provenance import provenance  # imports torch, which merely listing results need not

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


def _read(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise UserError(f"{path}: not JSON ({error}); delete it and it is computed again") from None
