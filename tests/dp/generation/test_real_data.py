"""Training on real images: what stands in the pool, and what is no test then."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from dp.__main__ import main
from dp.cli import practise as run_command
from dp.cli.practise import of_row
from dp.config import PracticeConfig
from dp.data.image_set import ImageSet
from dp.data.imagenet import folders_of, open_set
from dp.generation.real_images import RealData
from dp.paper.row import key
from dp.paper.rows import HELD_OUT_IMAGES, ROWS
from dp.pool.folder import PoolFolder
from dp.runs.folder import RunFolder
from dp.runs.inputs import Source
from dp.utils.errors import UserError

SIDE = 24
SMALL = {
    "n_initial": 200, "learner": "vit_tiny_patch16_224", "crop": 16, "iterations": 6, "batch_size": 16,
    "micro_batch": 8, "validate_every": 3,
}  # fmt: skip


@pytest.fixture
def row(monkeypatch) -> str:
    """The name of the paper's row, made small."""
    rows = [
        replace(each, config=replace(each.config, **SMALL)) if key(each) == "1/Real 130k" else each for each in ROWS
    ]
    monkeypatch.setattr(run_command, "ROWS", tuple(rows))
    return "1/Real 130k"


def test_a_row_of_real_images(capsys, imagenet, ood, row, tmp_path):
    """From the command line to the result; each training image is in the pool, once, in the order of the seed."""
    run = tmp_path / "run"
    sets = ["--ood.v2", str(ood["v2"]), "--ood.r", str(ood["r"])]
    main(["run", str(run), "--row", row, "--imagenet", str(imagenet), "--side", str(SIDE), "--seed", "5", *sets])

    pool, real = PoolFolder.open(run / "pool").read(), open_set("train", imagenet, "imagenet100", SIDE, SIDE).data
    assert pool.seeds.sort().values.tolist() == list(range(200)) != pool.seeds.tolist()
    for image, label, place in zip(pool.images, pool.labels, pool.seeds, strict=True):
        assert torch.equal(image, real[place][0]) and label == real[place][1]
    assert pool.seeds.tolist() == torch.randperm(200, generator=torch.Generator().manual_seed(5)).tolist()
    assert pool.entropy.isnan().all() and (pool.correct == -1).all() and (pool.rounds == 0).all()

    result = json.loads((run / "result.json").read_text())
    (outcome,) = result["outcomes"]
    assert outcome["pool_size"] == 200 and outcome["test_accuracy"] is None
    assert result["note"] == "no test: the learner was trained on ImageNet's training split"
    counts = {name: each["images"] for name, each in outcome["ood"].items()}
    assert counts == {"v2": 100, "r": len(folders_of("r", "imagenet100"))}

    capsys.readouterr()
    main(["evaluate", str(run), "--imagenet", str(imagenet), *sets])
    (found,) = json.loads(capsys.readouterr().out)["outcomes"]
    assert found["sets"]["train"] is None  # never tested on
    assert found["sets"]["val"] == {"images": 200, "accuracy": outcome["validation_accuracy"]}
    assert {name: found["sets"][name] for name in ("v2", "r")} == outcome["ood"]

    shard = run / "pool" / "round-0000" / "00000.parquet"
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-9])
    main(["pool", "repair", str(run / "pool")])
    assert shard.read_bytes() == whole


def test_rows_of_real_images_are_the_whole_training_set(tmp_path):
    for name, (task, count) in zip(("1/Real 130k", "1/Real 1.3M"), HELD_OUT_IMAGES.items(), strict=True):
        config, source = of_row(name, PracticeConfig(seed=7), Source())
        assert (config.n_initial, config.rounds, config.seed) == (count, 0, 7)
        assert source == Source(class_list=task, side=256, real=True)
        source.check_real(config, None, None, tmp_path)


class Files:
    """Images that are read from somewhere, where reading may come to an end."""

    def __init__(self, readable: int):
        self.readable = readable
        self.read: set[int] = set()

    def __len__(self) -> int:
        return 50

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        if len(self.read) >= self.readable:
            raise OSError("the storage is gone")
        self.read.add(index)
        return torch.full((1, 4, 4), index, dtype=torch.uint8), index % 10


def test_an_import_goes_on_where_it_stopped(tmp_path):
    config = PracticeConfig(n_initial=45, rounds=0, n_per_round=0)

    def imported(folder: Path, files: Files) -> list[bytes]:
        real = RealData(files, 10, 45, seed=3)
        with RunFolder.open(folder, {}, config, tuple("abcdefghij"), (1, 4, 4), shard_size=8) as store:
            samples = store.round(None, 0, 45, real.samples)
        assert samples.seeds.tolist() == real.order.tolist() == samples.images[:, 0, 0, 0].tolist()
        return [path.read_bytes() for path in sorted(folder.rglob("*.parquet"))]

    with pytest.raises(OSError, match="the storage is gone"):
        imported(tmp_path / "run", Files(30))
    rest = Files(50)
    assert imported(tmp_path / "run", rest) == imported(tmp_path / "whole", Files(50))
    assert len(rest.read) == 45 - 3 * 8  # three shards were there


def test_more_than_there_are_cannot_be_had():
    real = ImageSet(torch.zeros(7, 1, 4, 4, dtype=torch.uint8), torch.arange(7))
    assert RealData(real, 7, 7, 0).samples(range(2, 5)).labels.tolist() == RealData(real, 7, 7, 0).order[2:5].tolist()
    with pytest.raises(UserError, match="n_initial: got 8, but there are 7 real training images"):
        RealData(real, 7, 8, 0)
