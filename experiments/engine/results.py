"""Result files: what was asked, what came out, and what made it.

A result's file name says which run it is. It is of use while the configuration in it, and the checksums of the files
it was made from, are those asked for; else it is stale and is computed anew. A setting that did not exist yet when a
result was made counts as having its default: a new setting's default must mean what was done before. A file that was
not known yet to matter counts as unchanged.

A result ends with a checksum of all that is before it, so that a file that was cut short or edited is not believed.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from dp.utils.errors import UserError
from dp.utils.files import read_record, sha256, write_record
from dp.utils.folders import locked, release
from experiments.paths import BUILD, ROOT

Compute = Callable[[dict[str, Any], Callable[[float], None]], dict[str, Any]]  # (config, progress) -> JSON values


@dataclass(frozen=True)
class Job:
    """One result to have.

    Attributes:
        study: name of the study, a folder of results.
        name: file stem, unique in the study.
        config: JSON values that define the result, seeds included.
        compute: module-level function that makes the result.
        depends: files whose content the result depends on.
        defaults: values of settings that an older result's configuration may lack.
        estimate: seconds it takes on one core of a laptop.
    """

    study: str
    name: str
    config: dict[str, Any]
    compute: Compute
    depends: tuple[Path, ...] = ()
    defaults: dict[str, Any] = field(default_factory=dict)
    estimate: float = 60.0

    @property
    def inputs(self) -> dict[str, str]:
        """Return SHA-256 of each file depended on, by its path in the repository."""
        return {str(path.relative_to(ROOT)): _checksum(path) for path in self.depends}


@cache
def _checksum(path: Path) -> str:
    if not path.is_file():
        raise UserError(f"{path}: missing; it is part of the repository, restore it with git checkout")
    return sha256(path)


def folder(profile: str) -> Path:
    """Return where a profile's results are: those of cpu are part of the repository, others are made in build/."""
    return ROOT / "experiments" / "results" / profile if profile == "cpu" else BUILD / "results" / profile


def path_of(profile: str, job: Job) -> Path:
    """Return the job's result file."""
    return folder(profile) / job.study / f"{job.name}.json"


def state(profile: str, job: Job) -> str:
    """Return "present", "stale" (made with another configuration or other files) or "absent"."""
    path = path_of(profile, job)
    if not path.exists():
        return "absent"
    found = _read(path)
    made_with = _completed(found.get("config", {}), job.defaults)
    # Through JSON, as the file has been: tuples become lists.
    asked_for = json.loads(json.dumps(job.config))
    return "present" if made_with == asked_for and found["inputs"].items() <= job.inputs.items() else "stale"


def _completed(config: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration with the settings it lacks, those of its parts too."""
    filled = json.loads(json.dumps(defaults)) | config
    for name, value in defaults.items():
        if isinstance(value, dict):
            filled[name] = _completed(config.get(name, {}), value)
    return filled


def load(profile: str, study: str) -> dict[str, dict[str, Any]]:
    """Return all results of a study, by file stem; empty if there are none.

    Raises:
        UserError: a file is damaged, or a copy of another result.
    """
    found = {path: _read(path) for path in sorted((folder(profile) / study).glob("*.json"))}
    for path, result in found.items():
        said = f"{result.get('study')}/{result.get('name')}"
        if said != f"{study}/{path.stem}":
            raise UserError(f"{path}: it is the result {said}, under another name; remove it, or give it its name back")
    return {path.stem: result for path, result in found.items()}


def record(
    profile: str, job: Job, result: dict[str, Any], seconds: float, process: dict[str, Any] | None = None
) -> Path:
    """Write a result with what made it: a process, by default this one (see `dp.utils.provenance`), and its seconds."""
    from dp.utils.provenance import provenance  # imports torch, which merely listing results need not

    path = path_of(profile, job)
    header = {
        "study": job.study,
        "name": job.name,
        "config": job.config,
        "inputs": job.inputs,
        "made_by": (process or provenance()) | {"seconds": round(seconds, 1)},
    }
    write_record(path, header | result)
    return path


@contextmanager
def emptied(profile: str) -> Iterator[None]:
    """Empty a profile's folder, and keep other processes that would do so out while the block runs."""
    lock = locked(BUILD / "locks" / profile)
    try:
        shutil.rmtree(folder(profile), ignore_errors=True)
        yield
    finally:
        release(lock)


def _read(path: Path) -> dict[str, Any]:
    at = path.stat()
    return _parsed(path, (at.st_mtime_ns, at.st_ctime_ns, at.st_size, at.st_ino))


@lru_cache(maxsize=4096)  # more than a profile has; every exhibit reads some of the same files
def _parsed(path: Path, _version: tuple[int, ...]) -> dict[str, Any]:
    return read_record(path, "restore it with git checkout, or delete it and it is computed again")
