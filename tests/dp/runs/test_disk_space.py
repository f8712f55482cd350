"""The room that is asked for beforehand, and what is written then."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_sample_images

from dp.__main__ import main
from dp.config import PracticeConfig
from dp.data.fashion_mnist import CLASSES
from dp.generation.pipeline_info import image_shape_of
from dp.pool.folder import PoolFolder
from dp.pool.shards import ENCODINGS, Encoding, Layout, encode_image, image_bytes
from dp.pretrained.load import bundled_generator
from dp.runs import disk_space as disk
from dp.runs.disk_space import Need, check_room, pool_need, run_need
from dp.runs.inputs import Source
from dp.utils.errors import UserError

CONFIG = PracticeConfig(
    n_initial=40, n_per_round=20, rounds=2, branch_sizes=(60,), iterations=20, validate_every=4, inference_steps=4
)
WORDS = (
    "--n-initial 40 --n-per-round 20 --rounds 2 --branch-sizes 60 --iterations 20 --validate-every 4 "
    "--inference-steps 4 --storage.no-memory --storage.encoding WEBP"
).split()
LAYOUT = Layout(CLASSES, (1, 32, 32), encoding="WEBP")


def written(*paths: Path) -> int:
    files = [file for path in paths for file in ([path] if path.is_file() else path.rglob("*"))]
    return sum(file.stat().st_size for file in files if file.is_file())


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run, and what was expected of it."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    need = run_need(folder, CONFIG, LAYOUT)
    main(["run", str(folder), *WORDS])
    return folder, need


def honest(estimate: int, found: int) -> bool:
    return 0.75 <= estimate / found <= 2


def test_a_run_writes_what_was_estimated(run):
    folder, own = run
    assert own.folder == folder
    assert honest(own.parts["images"], written(folder / "pool"))
    names = ("checkpoint.safetensors", "learners", "branches", "log.jsonl")
    assert honest(own.parts["weights"], written(*(folder / name for name in names)))
    assert honest(own.bytes, written(folder))


def test_what_is_there_counts_as_done(run, tmp_path):
    folder, before = run
    own = run_need(folder, CONFIG, LAYOUT)
    checkpoint = (folder / "checkpoint.safetensors").stat().st_size
    assert own.parts["images"] == 0 and own.parts["weights"] == pytest.approx(checkpoint, rel=0.1)

    half = Path(shutil.copytree(folder, tmp_path / "run"))
    shutil.rmtree(half / "pool" / "round-0002")
    shutil.rmtree(half / "pool" / "round-0001")
    (half / "learners" / "round-0001.safetensors").unlink()
    found = run_need(half, CONFIG, LAYOUT).parts
    # The second half of the images, in two shards of three.
    assert 0.5 * before.parts["images"] < found["images"] < 0.67 * before.parts["images"]
    learner = (half / "learners" / "round-0002.safetensors").stat().st_size
    assert found["weights"] - own.parts["weights"] == pytest.approx(learner, rel=0.1)
    assert run_need(folder, replace(CONFIG, rounds=3), LAYOUT).parts["images"] > 0


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_images_take_what_is_estimated(encoding: Encoding):
    clothes = bundled_generator(CONFIG).generate(torch.arange(10), list(range(10))).images.numpy()
    assert honest(image_bytes((1, 32, 32), encoding), np.mean([len(encode_image(i, encoding)) for i in clothes]))
    for photograph in load_sample_images().images:
        for side in (64, 256, 512):
            picture = Image.fromarray(photograph[:427, :427]).resize((side, side), Image.Resampling.LANCZOS)
            image = np.asarray(picture).transpose(2, 0, 1)
            assert honest(image_bytes(image.shape, encoding), len(encode_image(image, encoding))), side


def test_shards_with_many_classes_take_what_is_estimated(tmp_path):
    names = [f"n{i:08d}" for i in range(1000)]
    need = pool_need(tmp_path / "expected", [10], Layout(tuple(names), (1, 32, 32)))
    samples = bundled_generator(CONFIG).generate(torch.arange(10), list(range(10)))
    with PoolFolder.create(tmp_path / "pool", names, (1, 32, 32)) as pool:
        pool.write(0, 0, samples)
        pool.commit(0, 10)
    assert honest(need.bytes, written(tmp_path / "pool" / "round-0000"))


def test_too_little_room_is_told_in_a_line(tmp_path, monkeypatch):
    need = Need(tmp_path / "a" / "b", {"images": 6 * 10**9, "weights": 7 * 10**9})
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**11, 0, 13 * 10**9))
    check_room(need)
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**11, 0, 12 * 10**9))
    with pytest.raises(UserError) as error:
        check_room(need)
    assert str(error.value) == (
        f"{tmp_path}/a/b: about 13 GB (images 6 GB, weights 7 GB) to be written, 12 GB free; make room, name a folder "
        "elsewhere, or take a smaller encoding"
    )


def test_a_pipeline_of_ones_own_is_planned_without_its_weights(tiny_pipe, stable_diffusion, dit, ddim, tmp_path):
    pipes = {"own": tiny_pipe, "text": stable_diffusion, "dit": dit, "pixels": ddim}
    for name, pipe in pipes.items():
        pipe.save_pretrained(tmp_path / name)
        for weights in (tmp_path / name).rglob("*.safetensors"):
            weights.unlink()
        assert Source(str(tmp_path / name)).planned_shape() == image_shape_of(pipe)
        assert Source(str(tmp_path / name), side=20).planned_shape() == image_shape_of(pipe, 20)
    assert Source().planned_shape() == (1, 32, 32)
    assert Source("no/such").planned_shape() is None and Source("no/such", side=256).planned_shape() == (3, 256, 256)
