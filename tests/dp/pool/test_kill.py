"""A run killed at any moment, and any number of processes, leave the folder of one run that nothing disturbed."""

import multiprocessing.process
import os
import random
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from dp.pool.folder import PoolFolder
from dp.pool.repair import check
from dp.utils.errors import UserError
from tests.dp.forked import CONTEXT, holds, wait_for

# A run, as source: the processes of these tests cannot import a test module.
RUN = """
import torch
from pathlib import Path
from dp.pool.folder import PoolFolder
from dp.samples import Samples

COUNTS = (10, 3)

def make(round_, slots):
    n, rng = len(slots), torch.Generator().manual_seed(1000 * round_ + slots.start)
    return Samples(
        images=torch.randint(256, (n, 3, side, side), generator=rng).byte(),
        labels=torch.arange(slots.start, slots.stop) % 2,
        seeds=torch.randint(2**62, (n,), generator=rng),
        rounds=torch.full((n,), round_),
        omega=torch.full((n,), 0.3),
        entropy_before=torch.rand(n, generator=rng),
        entropy=torch.rand(n, generator=rng),
        correct=torch.ones(n, dtype=torch.int8),
        zero_steps=torch.zeros(n, dtype=torch.int64),
    )

def add(pool, round_, rank=0, world=1):
    for slots in pool.shards_missing(round_, COUNTS[round_], rank, world):
        pool.write(round_, slots.start, make(round_, slots))

def run(folder):
    with PoolFolder.create(Path(folder), ("a", "b"), (3, side, side), 4, exist_ok=True) as pool:
        for round_, count in enumerate(COUNTS):
            add(pool, round_)
            pool.commit(round_, count)
"""

# The interpreter reports each change of a file before it makes it; the process dies at one of these moments.
KILLED = (
    RUN
    + """
import os, signal, sys
seen = 0
def on(event, arguments):
    global seen
    changes = event == "open" and arguments[1] != "rb" or event in ("os.rename", "os.mkdir", "os.remove", "os.truncate")
    if changes and str(arguments[0]).startswith(folder):
        seen += 1
        if seen == moment:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(on)
run(folder)
"""
)


def start(source: str, **names: object) -> multiprocessing.process.BaseProcess:
    process = CONTEXT.Process(target=exec, args=(source, {"side": 6} | names))
    process.start()
    return process


def run_here(folder: Path, side: int = 6) -> dict:
    """Run to the end in this process; returns the run's functions."""
    names: dict = {"side": side}
    exec(RUN, names)
    names["run"](folder)
    return names


def files(folder: Path) -> dict[str, bytes]:
    """Everything in the folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def tmp_path(tmp_path) -> Iterator[Path]:
    """In memory where there is such a file system: being killed loses no written data on a disk either."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else tmp_path
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed") / "pool"
    run_here(folder)
    return folder


def test_a_run_leaves_nothing_but_its_rounds(undisturbed):
    pool = PoolFolder.open(undisturbed)
    assert pool.rounds == [10, 3] and len(pool) == 13 and check(pool) == []
    assert set(files(undisturbed)) == {
        ".lock",
        "README.md",
        "manifest.json",
        *(f"round-0000/{name}" for name in ("00000.parquet", "00001.parquet", "00002.parquet", "slots.json")),
        *(f"round-0001/{name}" for name in ("00000.parquet", "slots.json")),
    }
    before = {path: path.stat().st_mtime_ns for path in undisturbed.rglob("*")}
    run_here(undisturbed)  # everything is there: nothing is written again
    after = {path: path.stat().st_mtime_ns for path in undisturbed.rglob("*")}
    changed = {path.name for path in after if after[path] != before.get(path)}
    assert changed <= {".lock"}


def test_killed_at_every_change_of_a_file(tmp_path, undisturbed):
    """One run for each moment: killed there, looked at, then run to its end."""
    expected, kills, before = files(undisturbed), 0, 0
    for moment in range(1, 1000):
        folder = tmp_path / str(moment)
        process = start(KILLED, folder=str(folder), moment=moment)
        process.join()
        if process.exitcode == 0:
            break
        assert process.exitcode == -signal.SIGKILL
        kills += 1
        if (folder / "manifest.json").exists():
            pool = PoolFolder.open(folder)
            assert len(pool.read()) == len(pool) and len(pool) >= before  # what is listed is whole
            before = len(pool)
        run_here(folder)
        assert files(folder) == expected, f"after a kill at change {moment}"
    assert kills > 50 and before == 13


def test_killed_at_random_times(tmp_path):
    """One folder after the other: each run is killed somewhere and the next one goes on from what is left."""
    reference, rng, kills, halfway = tmp_path / "reference", random.Random(0), 0, 0
    began = time.perf_counter()
    run_here(reference, side=64)
    duration, expected = time.perf_counter() - began, files(reference)
    folder = tmp_path / "0"
    while kills < 24 or halfway < 8:  # some of them must hit a run that has begun to write
        process = start(RUN + "run(folder)", folder=str(folder), side=64)
        while process.is_alive() and not holds(folder, process.pid):
            time.sleep(0.0002)
        time.sleep(rng.uniform(0, duration))
        process.kill()
        process.join()
        kills += process.exitcode == -signal.SIGKILL
        halfway += any((folder / f"round-000{r}").exists() for r in (0, 1)) and files(folder) != expected
        if process.exitcode == 0:
            assert {**files(folder), ".lock": b""} == expected
            folder = tmp_path / str(kills)
    run_here(folder, side=64)
    assert files(folder) == expected


def test_half_written_files_and_foreign_shards_of_a_killed_run_are_removed(tmp_path, undisturbed):
    shard = (undisturbed / "round-0000/00001.parquet").read_bytes()
    slots = (undisturbed / "round-0000/00002.parquet").read_bytes()
    folder = tmp_path / "pool"
    PoolFolder.create(folder, ("a", "b"), (3, 6, 6), 4).close()
    (folder / "round-0000").mkdir()
    for name, data in {
        ".manifest.json.123.partial": b"{",
        "round-0000/.00000.parquet.123.partial": shard[:300],
        "round-0000/00000.parquet": shard[:-1],  # cut short
        "round-0000/00001.parquet": shard,  # whole: stays
        "round-0000/00002.parquet": shard,  # of other slots
        "round-0000/00003.parquet": slots,  # of a larger round
    }.items():
        (folder / name).write_bytes(data)
    whole = (folder / "round-0000/00001.parquet").stat().st_mtime_ns
    with PoolFolder.open(folder, writable=True) as pool:
        assert pool.shards_missing(0, 10) == [range(0, 4), range(8, 10)]
    run_here(folder)
    assert files(folder) == files(undisturbed)
    assert (folder / "round-0000/00001.parquet").stat().st_mtime_ns == whole


@pytest.mark.parametrize("world", [2, 4])
def test_several_processes_write_what_one_does(tmp_path, undisturbed, world):
    folder = tmp_path / "pool"
    names: dict = {"side": 6}
    exec(RUN, names)
    worker = "\nwith PoolFolder.open(Path(folder), writable=True, rank=rank) as pool: add(pool, round_, rank, world)"
    with PoolFolder.create(folder, ("a", "b"), (3, 6, 6), 4) as pool:
        for round_, count in enumerate(names["COUNTS"]):
            others = [
                start(RUN + worker, folder=str(folder), round_=round_, rank=rank, world=world)
                for rank in range(1, world)
            ]
            names["add"](pool, round_, 0, world)
            for process in others:
                process.join()
                assert process.exitcode == 0
            assert pool.shards_missing(round_, count) == []
            pool.commit(round_, count)
    assert files(folder) == files(undisturbed)


def test_a_round_whose_second_writer_was_killed_is_finished_by_the_first(tmp_path, undisturbed):
    folder = tmp_path / "pool"
    names: dict = {"side": 6}
    exec(RUN, names)
    with PoolFolder.create(folder, ("a", "b"), (3, 6, 6), 4) as pool:
        names["add"](pool, 0, 0, 2)
        with pytest.raises(
            UserError, match=r"00001\.parquet: missing or damaged; write slots 4 .. 7 of round 0 before"
        ):
            pool.commit(0, 10)
        assert pool.rounds == [] and pool.shards_missing(0, 10) == [range(4, 8)]
    run_here(folder)
    assert files(folder) == files(undisturbed)


def test_one_run_a_folder_and_a_killed_one_lets_go(tmp_path):
    folder = tmp_path / "pool"
    hold = (
        "\npool = PoolFolder.create(Path(folder), ('a', 'b'), (3, 6, 6), 4, exist_ok=True)\nimport time; time.sleep(60)"
    )
    process = start(RUN + hold, folder=str(folder))
    wait_for(lambda: (folder / "manifest.json").exists(), [process])
    message = f"two runs in one folder: process {process.pid} is writing here"
    for writer in (
        lambda: PoolFolder.open(folder, writable=True),
        lambda: PoolFolder.create(folder, ("a", "b"), (3, 6, 6), 4, exist_ok=True),
    ):
        with pytest.raises(UserError, match=message):
            writer()
    assert PoolFolder.open(folder).rounds == []  # reading needs no lock
    with PoolFolder.open(folder, writable=True, rank=1) as pool:
        with pytest.raises(UserError, match="rank 1 cannot do this; rank 0 commits and repairs"):
            pool.commit(0, 1)
    process.kill()
    process.join()
    with PoolFolder.open(folder, writable=True):
        with pytest.raises(UserError, match=f"two runs in one folder: process {os.getpid()}"):
            PoolFolder.open(folder, writable=True)
    PoolFolder.open(folder, writable=True).close()


def test_a_reader_sees_whole_rounds_while_a_run_writes(tmp_path, undisturbed):
    expected, folder, seen = PoolFolder.open(undisturbed).read(), tmp_path / "pool", set()
    process = start(RUN + "run(folder)", folder=str(folder))
    wait_for(lambda: (folder / "manifest.json").exists(), [process])
    while process.is_alive() or not seen:
        if (folder / "manifest.json").exists():
            images = PoolFolder.open(folder).read().images
            seen.add(len(images))
            assert torch.equal(images, expected.images[: len(images)])
    assert seen <= {0, 10, 13}
