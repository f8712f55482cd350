"""The commit, versions and hardware that made a result."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from dp.utils.device import best_device, number_format

ROOT = Path(__file__).parents[2]
PACKAGES = ("deliberate-practice", "numpy", "scipy", "torch", "torchvision", "diffusers", "timm")


def provenance() -> dict[str, Any]:
    """Return commit, versions and hardware of this process."""
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


@cache
def _git(*arguments: str) -> str | None:
    if not (ROOT / ".git").exists():  # installed: what is above may be a repository of another project
        return None
    run = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return run.stdout.strip() if run.returncode == 0 else None


@cache
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
