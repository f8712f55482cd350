"""Processes of their own that start in milliseconds: copies of one that has imported everything."""

import multiprocessing
import os
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import torch

from dp.__main__ import main

CONTEXT = multiprocessing.get_context("forkserver")
# pandas: pyarrow imports it, where there is one, at its first array.
CONTEXT.set_forkserver_preload(
    [
        "pytest",
        "pandas",
        "torch",
        "accelerate",
        "PIL.PngImagePlugin",
        "dp.cli.evaluate",
        "dp.cli.practise",
        "dp.practice.loop",
        "dp.runs.folder",
        "tests.dp.small",
    ]
)


def wait_for(ready: Callable[[], bool], processes: Sequence[Any], seconds: float = 120.0) -> None:
    """Until `ready()` is true; fails if that takes too long, or if a process has ended before."""
    ends = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < ends, "took too long"
        assert all(each.is_alive() for each in processes) or ready(), [each.exitcode for each in processes]
        time.sleep(0.005)


def spawned(target: Callable, world: int, *arguments: object) -> list:
    """Processes that find each other: target(rank, world, port, *arguments)."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = [CONTEXT.Process(target=target, args=(rank, world, port, *arguments)) for rank in range(world)]
    for each in started:
        each.start()
    return started


def as_torchrun_does(rank: int, world: int, port: int) -> None:
    """Tell a process which one of several it is."""
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(world)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}


def together(processes: int, said: Path, *words: str) -> str:
    """Return what the first of several processes prints that run `dp` with these words together."""
    started = spawned(_share, processes, said, words)
    for each in started:
        each.join()
    assert [each.exitcode for each in started] == [0] * processes
    return said.with_suffix(".0").read_text()


def _share(rank: int, world: int, port: int, said: Path, words: tuple[str, ...]) -> None:
    as_torchrun_does(rank, world, port)
    torch.set_num_threads(1)
    with said.with_suffix(f".{rank}").open("w") as out, redirect_stdout(out):
        main(list(words))


def holds(folder: Path, pid: int | None) -> bool:
    """Whether the process has begun to work in the folder of a pool."""
    return (folder / ".lock").exists() and (folder / ".lock").read_text() == f"{pid}\n"
