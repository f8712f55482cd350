"""A study killed at any moment keeps its finished results, whole, and goes on from there."""

import json
import subprocess
import sys
import time
from pathlib import Path

import psutil

SCRIPT = """
import sys, time
from pathlib import Path

import psutil
from experiments import results
from experiments.engine.results import Job
from experiments.run import run

def slow(config, progress):
    time.sleep(0.3)
    return {"value": config["x"]}

results.folder = lambda profile: Path(sys.argv[1])
if __name__ == "__main__":
    made = run("p", [Job("study", f"run-{x}", {"x": x}, slow, estimate=1) for x in range(8)], workers=2)
    print(made)
"""


def finished(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in (folder / "study").glob("*.json")}


def test_workers_end_with_the_process_that_is_killed(tmp_path):
    script, folder = tmp_path / "script.py", tmp_path / "results"
    script.write_text(SCRIPT.replace("time.sleep(0.3)", "time.sleep(100)"))
    process = subprocess.Popen(
        [sys.executable, str(script), str(folder)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    running = psutil.Process(process.pid)

    def workers():
        return [child for child in running.children() if "spawn_main" in " ".join(child.cmdline())]

    deadline = time.monotonic() + 60
    while len(workers()) < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    left = workers()
    time.sleep(5)  # for them to start their jobs
    process.kill()
    process.wait()
    _, alive = psutil.wait_procs(left, timeout=10)
    assert len(left) == 2 and not alive


def test_kill_and_run_again(tmp_path):
    script, folder = tmp_path / "script.py", tmp_path / "results"
    script.write_text(SCRIPT)
    command = [sys.executable, str(script), str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while len(finished(folder)) < 3 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    process.wait()
    before = finished(folder)
    assert 3 <= len(before) < 8
    assert all(json.loads((folder / "study" / name).read_text())["value"] in range(8) for name in before)

    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(run.stdout) == 8 - len(before)
    after = finished(folder)
    assert len(after) == 8 and all(after[name] == before[name] for name in before)
