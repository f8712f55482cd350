"""A study killed at any moment keeps its finished results, whole, and goes on from there."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[2]


def command(folder: Path, seconds: float) -> list[str]:
    return [sys.executable, "-m", "tests.experiments.slow_study", str(folder), str(seconds)]


def start(folder: Path, seconds: float) -> subprocess.Popen:
    folder.mkdir()
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen(command(folder, seconds), cwd=ROOT, **quiet)


def wait_for(ready: Callable[[], bool], process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 400
    while not ready():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)


def finished(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in (folder / "study").glob("*.json")}


def test_workers_end_with_the_process_that_is_killed(tmp_path):
    folder = tmp_path / "results"
    process = start(folder, seconds=1000)
    wait_for(lambda: len(list(folder.glob("begun-*"))) == 2, process)
    children = psutil.Process(process.pid).children()
    workers = [child for child in children if "spawn_main" in " ".join(child.cmdline())]
    process.kill()
    process.wait()
    _, alive = psutil.wait_procs(workers, timeout=400)
    assert len(workers) == 2 and not alive


def test_kill_and_run_again(tmp_path):
    folder = tmp_path / "results"
    process = start(folder, seconds=0.3)
    wait_for(lambda: len(finished(folder)) >= 3, process)
    process.kill()
    process.wait()
    before = finished(folder)
    assert 3 <= len(before) < 8
    assert all(json.loads((folder / "study" / name).read_text())["value"] in range(8) for name in before)

    run = subprocess.run(command(folder, 0), cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(run.stdout) == 8 - len(before)
    after = finished(folder)
    assert len(after) == 8 and all(after[name] == before[name] for name in before)
