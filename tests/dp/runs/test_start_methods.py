"""A run is the same in a process that was forked, spawned or made by a fork server, the default since Python 3.14."""

import json
import multiprocessing
from pathlib import Path

import pytest

from benchmarks.kills import RUN, made_small
from dp.__main__ import main
from tests.dp.forked import CONTEXT

METHODS = ("fork", "spawn", "forkserver")


def run_in(folder: Path) -> None:
    made_small()
    main(["run", str(folder), *RUN])


def run_by_every_method(folder: Path) -> None:
    """Start the runs from a process that has no threads yet, which a fork would not take along."""
    for method in METHODS:
        process = multiprocessing.get_context(method).Process(target=run_in, args=(folder / method,))
        process.start()
        process.join()
        assert process.exitcode == 0, method


@pytest.mark.slow
def test_a_run_does_not_depend_on_how_its_process_was_started(tmp_path):
    process = CONTEXT.Process(target=run_by_every_method, args=(tmp_path,))
    process.start()
    process.join()
    assert process.exitcode == 0
    outcomes = [json.loads((tmp_path / method / "result.json").read_text())["outcomes"] for method in METHODS]
    images = [(tmp_path / method / "pool/round-0001/00000.parquet").read_bytes() for method in METHODS]
    assert outcomes[0] == outcomes[1] == outcomes[2] and images[0] == images[1] == images[2]
