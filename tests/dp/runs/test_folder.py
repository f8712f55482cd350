"""A run in a folder, killed with real signals and started again."""

import json
import multiprocessing
import os
import random
import re
import shutil
import signal
import threading
import time
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from dp.config import PracticeConfig, plain
from dp.data.image_set import ImageSet
from dp.generation.generator import Generator
from dp.guidance.guidance import GuidanceConfig
from dp.pool.folder import PoolFolder
from dp.pool.in_memory import Pool
from dp.pool.repair import check
from dp.practice.additions import image_maker
from dp.practice.loop import run_practice
from dp.practice.state import start
from dp.practice.store import InMemory
from dp.runs.checkpoints import CheckpointWriter
from dp.runs.folder import RunFolder
from dp.runs.load import read_checkpoint, repair_pool, state_of
from dp.runs.paths import checkpoint_file
from dp.samples import Samples, concatenate
from dp.utils.errors import Stopped, UserError
from dp.utils.folders import read_settings
from tests.dp.forked import CONTEXT, holds, wait_for
from tests.dp.full_disk import limited
from tests.dp.small import small_generator, small_pipeline

CLASSES = tuple("abcdefghij")
CONFIG = PracticeConfig(
    n_initial=40,
    n_per_round=20,
    rounds=3,
    branch_sizes=(60,),
    guidance=GuidanceConfig(0.5, (0.0, 1.0)),
    iterations=60,
    validate_every=4,
    patience=1,
    batch_size=16,
    inference_steps=2,
)
SETTINGS = {"config": asdict(CONFIG)}


def real_images() -> ImageSet:
    rng = torch.Generator().manual_seed(0)
    return ImageSet(torch.randint(256, (50, 1, 32, 32), generator=rng).byte(), torch.arange(50) % 10)


def run(folder: Path, config: PracticeConfig = CONFIG) -> None:
    """What the command line does, with a small generator."""
    settings = {"config": asdict(config)}
    with RunFolder.open(folder, settings, config, CLASSES, (1, 32, 32), shard_size=8) as store:
        real = real_images()
        outcomes, _ = run_practice(config, small_generator(), real, lambda: real, store=store)
        store.finish({"outcomes": [each.numbers() for each in outcomes]})


def process(folder: Path, config: PracticeConfig) -> None:
    """A process of its own; its exit code is that of the command line."""
    try:
        torch.set_num_threads(1)
        run(folder, config)
    except Stopped as stopped:
        os._exit(128 + stopped.number)
    except KeyboardInterrupt:  # before a run listens to signals
        os._exit(130)


def started(folder: Path, config: PracticeConfig = CONFIG) -> multiprocessing.process.BaseProcess:
    child = CONTEXT.Process(target=process, args=(folder, config))
    child.start()
    return child


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "uninterrupted"
    child = started(folder)
    child.join()
    assert child.exitcode == 0
    return folder


def content(folder: Path) -> dict[str, object]:
    """Every file that a run leaves."""
    files: dict[str, object] = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and p.name != ".lock"):
        files[str(path.relative_to(folder))] = path.read_bytes()
    return files


def assert_same(folder: Path, expected: Path) -> None:
    ours, theirs = content(folder), content(expected)
    assert sorted(ours) == sorted(theirs)  # nothing missing, no orphans
    for name in ours:
        if name.endswith(".safetensors"):
            a, b = load_file(folder / name), load_file(expected / name)
            assert a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a), name
        else:
            assert ours[name] == theirs[name], name


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_killed_at_random_moments_a_run_ends_as_if_nothing_had_happened(uninterrupted, tmp_path, number):
    """kill -9, and the signals that ask: in training, in generation, while shards and checkpoints are written.

    More of them: benchmarks/kills.py.
    """
    rng = random.Random(number)
    began = time.monotonic()
    started(tmp_path / "timing").join()
    whole = time.monotonic() - began
    kills = 0
    for attempt in range(100):
        folder = tmp_path / str(attempt)
        while True:
            child = started(folder)
            wait_for(lambda f=folder, c=child: holds(f / "pool", c.pid), [child])
            child.join(timeout=rng.uniform(0, 0.6 * whole))
            if child.exitcode is not None:
                break
            os.kill(child.pid, number)
            child.join()
            kills += 1
            assert child.exitcode in (-number, 128 + number, 0)
            if child.exitcode == 0:
                break
        assert child.exitcode == 0
        assert_same(folder, uninterrupted)
        if kills >= (12 if number == signal.SIGKILL else 4):
            return
    raise AssertionError(f"only {kills} kills")


def test_the_folder_changes_nothing(uninterrupted):
    real = real_images()
    outcomes, state = run_practice(CONFIG, small_generator(), real, lambda: real, store=InMemory())
    recorded = json.loads((uninterrupted / "result.json").read_text())["outcomes"]
    assert recorded == [each.numbers() for each in outcomes]
    stored = PoolFolder.open(uninterrupted / "pool").read()
    assert torch.equal(stored.images, state.pool.images)
    assert len((uninterrupted / "log.jsonl").read_text().splitlines()) == len(state.log)
    weights = load_file(uninterrupted / "checkpoint.safetensors")
    assert all(torch.equal(weights[f"learner/{name}"], value) for name, value in state.learner.state_dict().items())


@pytest.mark.parametrize("where", ["round-0000/00002.parquet", "round-0002/00001.parquet", "round-0003/slots.json"])
def test_a_flipped_bit_is_found_and_repaired_exactly(uninterrupted, tmp_path, where):
    run(tmp_path / "run")
    pool = tmp_path / "run" / "pool"
    path = pool / where
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)
    assert [problem.file for problem in check(PoolFolder.open(pool))] == [where]
    if where.endswith("parquet"):
        with pytest.raises(UserError, match=f"{where}: damaged"):
            run(tmp_path / "run", CONFIG)
    assert repair_pool(tmp_path / "run", CONFIG, small_generator(), None) == [where]
    assert_same(tmp_path / "run", uninterrupted)


def test_classes_that_were_drawn_by_errors_are_repaired_exactly(tmp_path):
    config = replace(CONFIG, class_shares="errors")
    run(tmp_path / "run", config), run(tmp_path / "same", config)
    path = next((tmp_path / "run" / "pool" / "round-0002").glob("*.parquet"))
    path.write_bytes(b"damaged")
    assert len(repair_pool(tmp_path / "run", config, small_generator(), None)) == 1
    assert_same(tmp_path / "run", tmp_path / "same")


def share(pool: PoolFolder, rank: int, world: int) -> None:
    make = image_maker(CONFIG, small_generator(), 0)
    for slots in pool.shards_missing(0, 40, rank, world):
        portions = [make(range(i, min(i + world, slots.stop))) for i in range(slots.start, slots.stop, world)]
        pool.write(0, slots.start, concatenate(portions))


def other_share(folder: Path, rank: int, world: int) -> None:
    torch.set_num_threads(1)
    share(PoolFolder.open(folder, writable=True, rank=rank), rank, world)


@pytest.mark.parametrize("world", [1, 2, 4])
def test_any_number_of_processes_and_any_batch_make_the_same_pool(uninterrupted, tmp_path, world):
    """Each process makes its share of the shards; asked for in other portions, images are the same."""
    pool = PoolFolder.create(tmp_path / "pool", CLASSES, (1, 32, 32), shard_size=8)
    others = [CONTEXT.Process(target=other_share, args=(tmp_path / "pool", rank, world)) for rank in range(1, world)]
    for child in others:
        child.start()
    share(pool, 0, world)
    for child in others:
        child.join()
        assert child.exitcode == 0
    pool.commit(0, 40)
    for k in range(5):
        name = f"round-0000/{k:05d}.parquet"
        assert (tmp_path / "pool" / name).read_bytes() == (uninterrupted / "pool" / name).read_bytes()


def test_two_runs_in_one_folder_are_refused(tmp_path):
    with (
        RunFolder.open(tmp_path, SETTINGS, CONFIG, CLASSES, (1, 32, 32)),
        pytest.raises(UserError, match=f"two runs in one folder: process {os.getpid()} is writing here"),
    ):
        run(tmp_path)


def test_another_runs_folder_is_refused(uninterrupted):
    differs = r"another run's folder \(config.guidance.omega: 0.5 there, 0.0 asked for; config.iterations: 60 there, 61"
    with pytest.raises(UserError, match=differs):
        run(uninterrupted, replace(CONFIG, guidance=GuidanceConfig(0.0, (0.0, 1.0)), iterations=61))


def test_how_a_run_computes_may_change(tmp_path):
    """After a GPU's memory did not do, say; the settings are then those of the last command that computed."""

    def enter(batch: int):
        settings = SETTINGS | {"source": {"generation_batch": batch}}
        return RunFolder.open(tmp_path, settings, CONFIG, CLASSES, (1, 32, 32))

    def batch_there() -> int:
        return read_settings(tmp_path)["source"]["generation_batch"]

    for batch in (8, 2):
        with enter(batch):
            assert batch_there() == batch
            with pytest.raises(UserError, match="two runs in one folder"), enter(4):
                pass
            assert batch_there() == batch
    with enter(2) as store:
        store.finish({})
    with enter(4):
        assert batch_there() == 2


@pytest.mark.parametrize("size", [60, 80])
def test_told_to_stop_in_any_branch_a_run_ends_after_a_checkpoint(tmp_path, size):
    config, told = replace(CONFIG, branch_sizes=(60, 80)), []

    def progress(state) -> None:
        if state.branch == size and not told:
            os.kill(os.getpid(), signal.SIGTERM)
            told.append(state.iteration)  # in the midst of training nothing is raised

    settings = {"config": asdict(config)}
    with (
        pytest.raises(Stopped),
        RunFolder.open(tmp_path, settings, config, CLASSES, (1, 32, 32), shard_size=8) as store,
    ):
        run_practice(config, small_generator(), real_images(), None, store=store, progress=progress)
    assert [state_of(tmp_path, size).iteration] == told
    assert (state_of(tmp_path, 60).iteration == config.iterations) == (size == 80)


def test_processes_that_load_images_leave_signals_to_the_run(tmp_path):
    def loads() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os._exit(7)

    with RunFolder.open(tmp_path, SETTINGS, CONFIG, CLASSES, (1, 32, 32)):
        child = multiprocessing.get_context("fork").Process(target=loads)
        child.start()
        child.join()
    assert child.exitcode == 7


@pytest.mark.parametrize(("batch", "asked"), [(1, [100, 30]), (48, [130]), (20, [100, 30]), (64, [128, 2])])
def test_images_are_asked_for_by_whole_batches(tmp_path, batch, asked):
    portions = []

    def make(slots: range) -> Samples:
        portions.append(len(slots))
        return image_maker(CONFIG, NoImages(), 0)(slots)

    with RunFolder.open(tmp_path, SETTINGS, CONFIG, CLASSES, (1, 32, 32), batch=batch) as store:
        store.round(None, 0, 130, make)
    assert portions == asked


def test_a_guided_batch_that_does_not_fit_is_made_smaller_by_the_same_command(tmp_path):
    """The initial images, made by then, stay."""
    config = replace(CONFIG, guidance=GuidanceConfig(0.5, (0.0, 1.0), gradient="unet"), rounds=1, branch_sizes=())

    def run_with(batch: int) -> None:
        generator = Generator(small_pipeline(), 1.5, 2, batch_size=batch)
        forward = generator.pipe.unet.forward

        def limited(sample, *arguments, **more):
            if torch.is_grad_enabled() and len(sample) > 2 * 5:  # twice for classifier-free guidance
                raise torch.OutOfMemoryError("out of memory")
            return forward(sample, *arguments, **more)

        generator.pipe.unet.forward = limited
        settings = {"config": asdict(config), "source": {"generation_batch": batch}}
        with RunFolder.open(tmp_path, settings, config, CLASSES, (1, 32, 32), shard_size=8) as store:
            run_practice(config, generator, real_images(), None, store=store)

    with pytest.raises(UserError, match=r"guided_batch: 10 guided images at once do not fit .*; give a smaller one"):
        run_with(10)
    initial = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "pool" / "round-0000").iterdir()}
    assert len(initial) == 6 and PoolFolder.open(tmp_path / "pool").rounds == [40]
    run_with(5)
    assert PoolFolder.open(tmp_path / "pool").rounds == [40, 20]
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "pool" / "round-0000").iterdir()} == initial


class NoImages:
    """A generator of black ones."""

    num_classes = 10

    def generate(self, labels, seeds, learner=None, guidance=None, other=None, round_=0) -> Samples:
        none, nan = torch.zeros_like(labels), torch.full(labels.shape, torch.nan)
        images = torch.zeros(len(labels), 1, 32, 32, dtype=torch.uint8)
        return Samples(
            images, labels, torch.tensor(seeds), none, torch.zeros(len(labels)), nan, nan, none.to(torch.int8) - 1, none
        )


def test_a_checkpoint_that_cannot_be_written_ends_the_run_with_a_line(tmp_path):
    """It is written while training goes on, which then must not go on for long."""
    state = start(CONFIG, Pool(image_maker(CONFIG, NoImages(), 0)(range(4))), 10)
    told = r"checkpoint\.safetensors: cannot be written: Is a directory; what was there is unharmed"
    with (
        pytest.raises(UserError, match=told),
        RunFolder.open(tmp_path / "run", SETTINGS, CONFIG, CLASSES, (1, 32, 32)) as store,
    ):
        checkpoint_file(store.folder).mkdir()
        store.save(state)
        wait_for(lambda: store.checkpoints._written.done(), [])
        store.iteration(state)
        pytest.fail("it went on")


def test_a_checkpoint_has_the_state_of_the_moment_at_which_it_was_asked_for(tmp_path):
    state, fresh = (start(CONFIG, Pool(image_maker(CONFIG, NoImages(), 0)(range(4))), 10) for _ in range(2))
    with RunFolder.open(tmp_path, SETTINGS, CONFIG, CLASSES, (1, 32, 32)) as store:
        hold = threading.Event()
        store.checkpoints._thread.submit(hold.wait)  # a disk that is slow
        expected = {name: value.clone() for name, value in state.learner.state_dict().items()}
        store.save(state)
        with torch.no_grad():
            for weight in state.learner.parameters():
                weight.add_(1)
        state.log.append({"iteration": 5})
        assert not checkpoint_file(tmp_path).exists()
        hold.set()
    read_checkpoint(checkpoint_file(tmp_path), fresh)
    assert fresh.log == [] and all(torch.equal(fresh.learner.state_dict()[name], expected[name]) for name in expected)


def test_the_longer_training_waits_for_checkpoints_the_fewer_are_written(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    writer = CheckpointWriter()
    for pause, every in ((0.0, 60), (0.2, 60), (1.0, 200), (2.0, 400), (100.0, 600)):
        writer._pause = pause
        for now[0], due in ((every - 1, False), (every + 1, True)):
            assert writer.is_due() == due
    writer.close()


def test_outside_of_training_a_signal_stops_at_once(tmp_path):
    """In it the next checkpoint does, or the next look between portions of images; see the kills above."""
    with RunFolder.open(tmp_path, SETTINGS, CONFIG, CLASSES, (1, 32, 32)) as store:
        with pytest.raises(Stopped), suppress(Exception):  # as libraries do where they import one another
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(60)
        store._stop = None
        state = store.resume(start(CONFIG, Pool(image_maker(CONFIG, NoImages(), 0)(range(4))), 10))
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(Stopped):
            store.iteration(state)
        assert checkpoint_file(tmp_path).exists()


def test_the_final_evaluation_can_be_stopped_and_is_made_up_for(tmp_path, uninterrupted):
    def evaluation() -> ImageSet:
        if not (tmp_path / "asked").exists():
            (tmp_path / "asked").touch()
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(60)
        return real_images()

    for ends in (True, False):
        with RunFolder.open(tmp_path / "run", SETTINGS, CONFIG, CLASSES, (1, 32, 32), shard_size=8) as store:
            try:
                outcomes, _ = run_practice(CONFIG, small_generator(), real_images(), evaluation, store=store)
            except Stopped as stopped:
                assert ends and stopped.number == signal.SIGTERM
                continue
            assert not ends
            store.finish({"outcomes": [each.numbers() for each in outcomes]})
    assert_same(tmp_path / "run", uninterrupted)


@pytest.mark.parametrize("old", [True, False])
def test_without_the_checkpoint_of_its_additions_a_run_is_refused(uninterrupted, tmp_path, old):
    """It would go on with images that another learner has guided, and overwrite the learners that made them."""
    folder = shutil.copytree(uninterrupted, tmp_path / "run")
    (folder / "result.json").unlink()
    (folder / "checkpoint.safetensors").unlink()
    if old:  # of the first iteration
        with RunFolder.open(folder, SETTINGS, CONFIG, CLASSES, (1, 32, 32), shard_size=8) as store:
            store.save(start(CONFIG, Pool(store.shards.read(1)), 10))
    before = content(folder)
    message = "from before addition 1" if old else "missing, but there is addition 1"
    with pytest.raises(UserError, match=f"checkpoint.safetensors: {message}, .* or start in a new folder"):
        run(folder)
    assert content(folder) == before
    shutil.copy(uninterrupted / "checkpoint.safetensors", folder)
    run(folder)
    assert_same(folder, uninterrupted)


@pytest.mark.parametrize("finished", [True, False])
def test_a_run_that_has_lost_its_pool_says_so(uninterrupted, tmp_path, finished):
    """It would make an empty pool and call itself finished."""
    folder = shutil.copytree(uninterrupted, tmp_path / "run")
    if not finished:
        (folder / "result.json").unlink()
    shutil.rmtree(folder / "pool")
    before = content(folder)
    told = "is finished" if finished else "has begun to train"
    with pytest.raises(UserError, match=f"^{folder / 'pool'}: missing, though the run {told}.*start in a new folder"):
        run(folder)
    assert content(folder) == before


def test_a_disk_that_fills_while_a_checkpoint_is_written_loses_nothing(uninterrupted, tmp_path):
    """The line names the file and the remedy; with room again the same command ends as if nothing had happened."""
    folder = tmp_path / "run"
    size = (uninterrupted / "checkpoint.safetensors").stat().st_size
    with limited(size // 2), pytest.raises(UserError) as told:
        run(folder)
    assert re.fullmatch(rf"{folder}/\S*checkpoint.safetensors: cannot be written: File too large; .*", str(told.value))
    assert not list(folder.rglob("*.partial"))
    run(folder)
    assert_same(folder, uninterrupted)


@pytest.mark.filterwarnings("ignore:for .*copying from a non-meta parameter")
def test_losses_are_restored_where_the_learner_is(tmp_path):
    images = image_maker(CONFIG, small_generator(), 0)(range(4))
    state, fresh = (start(CONFIG, Pool(images), 10) for _ in range(2))
    state.losses = [torch.tensor(2.0), torch.tensor(1.0)]
    with RunFolder.open(tmp_path, SETTINGS, CONFIG, CLASSES, (1, 32, 32)) as store:
        store.save(state)
    fresh.learner.to("meta")  # stands for a GPU
    read_checkpoint(checkpoint_file(tmp_path), fresh)
    assert torch.stack([*fresh.losses, torch.ones((), device="meta")]).shape == (3,)


def test_scores_of_candidates_are_kept_when_a_pruning_run_is_killed_or_told_to_stop(tmp_path):
    config = replace(plain(CONFIG), over_sampling=18.0, rounds=1, branch_sizes=(), iterations=20)
    whole, folder = started(tmp_path / "whole", config), tmp_path / "run"
    whole.join()
    assert whole.exitcode == 0
    kept: dict[Path, int] = {}
    for number, code in ((signal.SIGKILL, -9), (signal.SIGTERM, 143)):
        child, expected = started(folder, config), len(kept) + 5
        wait_for(lambda n=expected: len(sorted((folder / "scores-0001").glob("[0-9]*"))) >= n, [child])
        os.kill(child.pid, number)
        child.join()
        assert child.exitcode == code
        found = {path: path.stat().st_mtime_ns for path in (folder / "scores-0001").glob("[0-9]*")}
        assert kept.items() <= found.items() and len(kept) < len(found) < 360 / 8
        kept = found
    child = started(folder, config)
    child.join()
    assert child.exitcode == 0
    assert_same(folder, tmp_path / "whole")


def test_a_pruning_run_goes_on_in_its_folder(tmp_path):
    config = replace(plain(CONFIG), over_sampling=2.0, rounds=1, branch_sizes=())
    run(tmp_path / "a", config)
    state = run_practice(config, small_generator(), real_images(), real_images)[1]
    assert torch.equal(PoolFolder.open(tmp_path / "a" / "pool").read().images, state.pool.images)
