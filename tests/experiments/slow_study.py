"""A study of eight results that take their time: python -m tests.experiments.slow_study FOLDER SECONDS."""

import sys
import time
from pathlib import Path

from experiments.engine import results
from experiments.engine.results import Job
from experiments.engine.workers import run

FOLDER, SECONDS = Path(sys.argv[1]), float(sys.argv[2])


def slow(config, progress):
    """Leave a file that says that the job has begun, then wait."""
    (FOLDER / f"begun-{config['x']}").touch()
    time.sleep(SECONDS)
    return {"value": config["x"]}


results.folder = lambda profile: FOLDER
if __name__ == "__main__":
    print(run("p", [Job("study", f"run-{x}", {"x": x}, slow, estimate=1) for x in range(8)], workers=2))
