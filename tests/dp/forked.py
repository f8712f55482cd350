"""Processes of their own that start in milliseconds: copies of one that has imported everything."""

import multiprocessing
import time
from collections.abc import Callable, Sequence
from typing import Any

CONTEXT = multiprocessing.get_context("forkserver")
# pandas: pyarrow imports it, where there is one, at its first array.
CONTEXT.set_forkserver_preload(
    ["pytest", "pandas", "torch", "accelerate", "PIL.PngImagePlugin", "dp.practice", "dp.run_folder", "tests.dp.small"]
)


def wait_for(ready: Callable[[], bool], processes: Sequence[Any], seconds: float = 120.0) -> None:
    """Until `ready()` is true; fails if that takes too long, or if a process has ended before."""
    ends = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < ends, "took too long"
        assert all(each.is_alive() for each in processes) or ready(), [each.exitcode for each in processes]
        time.sleep(0.005)
