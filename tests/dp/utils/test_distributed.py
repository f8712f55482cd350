"""A run shared by several processes: the same images, the same learner, whatever happens to the processes."""

import json
import os
import random
import signal
import sys
import time
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from dp.config import PracticeConfig
from dp.data.image_set import ImageSet
from dp.guidance.guidance import GuidanceConfig
from dp.practice.compute import Compute
from dp.practice.loop import run_practice
from dp.runs.folder import RunFolder
from dp.utils import distributed as processes
from dp.utils.command_line import run_command
from dp.utils.errors import UserError
from tests.dp.forked import as_torchrun_does, spawned, wait_for
from tests.dp.small import small_generator

CLASSES = tuple("abcdefghij")
CONFIG = PracticeConfig(
    n_initial=40,
    n_per_round=20,
    rounds=2,
    branch_sizes=(60,),
    guidance=GuidanceConfig(0.5, (0.0, 1.0)),
    iterations=40,
    validate_every=4,
    patience=1,
    batch_size=16,
    micro_batch=4,
    cutmix=1.0,
    mixup=0.5,
    inference_steps=2,
)


@dataclass
class Own:
    """A signal that each process sees otherwise: the first one a plateau, the others none."""

    name: ClassVar[str] = "own"
    of_pool: ClassVar[bool] = False
    value: float = 0.0

    def __call__(self, learner: nn.Module, averaged: nn.Module, losses: list[torch.Tensor]) -> float:
        self.value += processes.rank()
        # Not views of the iteration's gradients, which would fill a GPU until the next validation.
        assert all(each.untyped_storage().nbytes() == 4 for each in losses)
        return self.value


def one_process(
    rank: int,
    world: int,
    port: int,
    folder: Path,
    config: PracticeConfig,
    in_memory: bool,
    signal_: Own | None,
    compute: Compute = Compute(),
) -> None:
    as_torchrun_does(rank, world, port)
    torch.set_num_threads(1)

    def main() -> None:
        processes.join()
        rng = torch.Generator().manual_seed(0)
        real = ImageSet(torch.randint(256, (51, 1, 32, 32), generator=rng).byte(), torch.arange(51) % 10)
        settings = {"config": asdict(config)}
        with RunFolder.open(folder, settings, config, CLASSES, (1, 32, 32), shard_size=6, in_memory=in_memory) as store:
            outcomes, _ = run_practice(
                config, small_generator(), real, lambda: real, store=store, signal=signal_, compute=compute
            )
            store.finish({"outcomes": [each.numbers() for each in outcomes]})
        processes.leave()

    run_command(main)


def start(
    folder: Path, world: int, config: PracticeConfig = CONFIG, in_memory: bool = True, signal_: Own | None = None
) -> list:
    return spawned(one_process, world, folder, config, in_memory, signal_)


def run(folder: Path, world: int, config: PracticeConfig = CONFIG, in_memory: bool = True) -> None:
    started = start(folder, world, config, in_memory)
    for each in started:
        each.join()
    assert [each.exitcode for each in started] == [0] * world


def content(folder: Path) -> dict[str, bytes]:
    found = {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*")) if path.is_file()}
    return {name: path.read_bytes() for name, path in found.items() if not name.endswith(".lock")}


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> dict[str, bytes]:
    """What one process leaves."""
    folder = tmp_path_factory.mktemp("alone") / "run"
    run(folder, 1)
    return content(folder)


@pytest.mark.parametrize(("world", "in_memory"), [(2, True), (4, False)])
def test_any_number_of_processes_leaves_the_same_files(alone, tmp_path, world, in_memory):
    """Images, learners, checkpoints, log and result: bit for bit. With four, training reads from disk besides."""
    run(tmp_path / "run", world, in_memory=in_memory)
    found = content(tmp_path / "run")
    assert found.keys() == alone.keys()
    assert [name for name in alone if found[name] != alone[name]] == []


def test_torchs_engine_takes_any_number_that_divides_the_batch_and_computes_the_same_gradient(tmp_path):
    """DistributedDataParallel, three processes of two micro-batches each, against one: equal but for rounding."""
    config = replace(CONFIG, learner="vit", batch_size=18, micro_batch=9, mixup=0.0, cutmix=0.0)
    config = replace(config, rounds=0, branch_sizes=(), iterations=6, validate_every=3)
    found = []
    for world in (1, 3):
        folder = tmp_path / str(world)
        started = spawned(one_process, world, folder, config, True, None, Compute(deterministic=False))
        assert ended(started, 120) == [0] * world
        log = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
        found.append((load_file(folder / "checkpoint.safetensors"), log))
    (weights, log), (shared, shared_log) = found
    assert [each["train_loss"] for each in log] == pytest.approx([each["train_loss"] for each in shared_log], rel=1e-3)
    moved = [name for name in weights if name.startswith("learner/") and weights[name].is_floating_point()]
    assert len(moved) > 10
    apart = torch.cat([(weights[name] - shared[name]).flatten().abs() for name in moved]).mean()
    assert apart < 0.1 * config.lr * config.iterations  # steps of Adam, in mixed precision where the processor has it


@pytest.mark.parametrize(
    "change", [{"guidance": GuidanceConfig(omega=0.0), "over_sampling": 3.0}, {"class_shares": "errors"}]
)
def test_scores_of_pruning_and_errors_by_class_are_shared_too(tmp_path, change):
    config = replace(CONFIG, branch_sizes=(), rounds=1, **change)
    for world in (1, 2):
        run(tmp_path / str(world), world, config)
    assert content(tmp_path / "1") == content(tmp_path / "2")


@pytest.mark.slow
def test_a_process_is_killed_and_others_go_on_in_another_number(alone, tmp_path):
    rng = random.Random(0)
    began = time.monotonic()
    run(tmp_path / "0", 2)
    whole = time.monotonic() - began
    attempt, kills, finished = 1, 0, 0
    while kills < 3:
        folder, world = tmp_path / str(attempt), rng.choice((1, 2, 4))
        started = start(folder, world)
        time.sleep(rng.uniform(0.3, 0.9) * whole)
        victim = rng.choice(started)
        if victim.exitcode is None:
            os.kill(victim.pid, signal.SIGKILL)
            kills += 1
            time.sleep(0.2)  # as torchrun does: one is gone, so all go
            for each in started:
                each.kill()
        for each in started:
            each.join()
        if (folder / "result.json").exists():
            attempt, finished = attempt + 1, finished + 1
            assert finished < 20, "runs are too fast to be killed"
    run(tmp_path / str(attempt), 2)
    for folder in tmp_path.iterdir():
        found = content(folder)
        assert found.keys() == alone.keys()
        assert [name for name in alone if found[name] != alone[name]] == []


def dies(rank: int, world: int, port: int, folder: Path) -> None:
    """Be killed before the second file of the first addition is put in its place."""
    seen = 0

    def on(event: str, arguments: tuple) -> None:
        nonlocal seen
        if event == "os.rename" and "pool/round-0001/" in str(arguments[1]):
            seen += 1
            if seen == 2:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(on)
    one_process(rank, world, port, folder, CONFIG, False, None)


@pytest.mark.parametrize(("world", "in_memory"), [(1, True), (4, False)])
def test_all_are_killed_in_the_middle_of_a_round_and_others_finish_it(alone, tmp_path, world, in_memory):
    folder = tmp_path / "run"
    assert ended(spawned(dies, 2, folder), 120) == [-signal.SIGKILL] * 2
    there = (folder / "pool/round-0001").rglob("*.parquet")
    assert sorted(path.name for path in there) == ["00000.parquet", "10-12.parquet"]  # a shard and a portion
    run(folder, world, in_memory=in_memory)
    found = content(folder)
    assert found.keys() == alone.keys()
    assert [name for name in alone if found[name] != alone[name]] == []


def test_all_processes_stop_together_when_one_is_told_to(tmp_path, alone):
    started = start(tmp_path / "run", 2, replace(CONFIG, iterations=100_000, backstop=False, rounds=0, branch_sizes=()))
    log = tmp_path / "run" / "log.jsonl"
    wait_for(lambda: log.exists() and log.read_text() != "", started)
    os.kill(started[1].pid, signal.SIGTERM)
    for each in started:
        each.join(timeout=30)
    assert [each.exitcode for each in started] == [143, 143]
    assert (tmp_path / "run" / "checkpoint.safetensors").exists()


def ended(started: list, seconds: float) -> list[int | None]:
    """Exit codes; None for those that had to be killed."""
    ends = time.monotonic() + seconds
    for each in started:
        each.join(timeout=max(0.0, ends - time.monotonic()))
    codes = [each.exitcode for each in started]
    for each in started:
        each.kill()
    return codes


def test_the_first_process_says_when_to_add(tmp_path):
    config = replace(CONFIG, backstop=False, branch_sizes=())
    assert ended(start(tmp_path / "run", 2, config, signal_=Own()), 120) == [0, 0]
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert {each["own"] for each in log} == {0.0} and log[-1]["pool_size"] == 80


def patient(rank: int, world: int, port: int) -> None:
    as_torchrun_does(rank, world, port)
    torch.set_num_threads(1)
    torch.distributed.distributed_c10d.default_pg_timeout = timedelta(seconds=10)  # instead of half an hour
    processes.join()
    if rank:
        time.sleep(13)
    processes.wait()


@pytest.mark.slow
def test_a_process_that_makes_images_is_waited_for_longer_than_torch_would():
    assert ended(spawned(patient, 2), 60) == [0, 0]


@pytest.mark.parametrize("parts", [1, 2, 8])
def test_a_pairwise_sum_is_a_sum_and_its_order_is_a_tree(parts):
    rng = torch.Generator().manual_seed(parts)
    values = [[torch.randn(7, generator=rng), torch.randn(2, 3, generator=rng)] for _ in range(parts)]
    level = [[each.clone() for each in part] for part in values]
    while len(level) > 1:
        level = [[a + b for a, b in zip(x, y, strict=True)] for x, y in zip(level[::2], level[1::2], strict=True)]
    summed = processes.pairwise_sum([each.clone() for each in part] for part in values)
    for k in range(2):
        assert torch.equal(summed[k], level[0][k])
        assert torch.allclose(summed[k].double(), sum(part[k].double() for part in values))


def test_a_batch_that_three_processes_cannot_share_is_told(monkeypatch):
    monkeypatch.setattr(processes, "world", lambda: 3)
    assert list(processes.share_of(9)) == [0, 1, 2]
    with pytest.raises(UserError, match="batch_size: got 64 for 3 processes, expected a multiple of 3"):
        processes.share_of(64)


def test_processes_that_cannot_share_a_batch_are_told_how_many_can(monkeypatch):
    monkeypatch.setattr(processes, "world", lambda: 3)
    with pytest.raises(UserError, match=r"processes: got 3, but a batch has 8 parts .* start 1 or 2 or 4 or 8"):
        processes.parts_of(8)
    monkeypatch.setattr(processes, "world", lambda: 4)
    with pytest.raises(UserError, match=r"start 1 or 2$"):
        processes.parts_of(2)
