"""Exports of a pool are whole or absent, and others can open them."""

import csv

import numpy as np
import pytest
from PIL import Image

from dp.pool.export import export_datasets, export_imagefolder, summary
from dp.pool.folder import PoolFolder
from dp.pool.repair import repair
from dp.utils.errors import UserError
from tests.dp.pool.example import CLASSES, SHARDS, cut, files, made, made_again, rounds


def test_numbers_of_each_round(original):
    first, second = summary(PoolFolder.open(original))
    assert (first.images, first.entropy, first.correct, first.zero_steps) == (10, None, None, 6 + 6 + 1)
    assert (second.images, second.correct, second.zero_steps) == (3, 1.0, 3)
    assert second.entropy == pytest.approx(made(1, range(3)).entropy.mean().item())
    assert first.bytes == sum((original / name).stat().st_size for name in SHARDS[:3])


def test_export_as_a_folder_of_images(original, tmp_path):
    out, samples = tmp_path / "images", rounds(0, 2)
    export_imagefolder(PoolFolder.open(original), out)
    with (out / "metadata.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 13 and len(list(out.rglob("*.png"))) == 13
    assert lines[11]["file_name"] == "bag, large/0001-0000001.png"
    for i, line in enumerate(lines):
        with Image.open(out / line["file_name"]) as image:
            assert np.array_equal(np.asarray(image), samples.images[i, 0])
        assert line["label"] == CLASSES[samples.labels[i]] == line["file_name"].split("/")[0]
        assert int(line["seed"]) == samples.seeds[i] and int(line["round"]) == samples.rounds[i]
        assert np.float32(line["entropy"] or "nan") == pytest.approx(samples.entropy[i].item(), nan_ok=True)


@pytest.mark.parametrize("export", [export_imagefolder, export_datasets])
def test_an_export_is_whole_or_absent(folder, tmp_path, export):
    out = tmp_path / "out"
    for name in (".out.partial", ".out.123.partial"):  # of exports that were killed, the first one by an older version
        (tmp_path / name).mkdir()
        (tmp_path / name / "rest.png").write_bytes(b"")
    cut(folder / SHARDS[-1])
    with pytest.raises(UserError, match=f"{SHARDS[-1]}: damaged"):
        export(PoolFolder.open(folder), out)
    assert [path.name for path in tmp_path.iterdir()] == ["pool"]
    with PoolFolder.open(folder, writable=True) as pool:
        repair(pool, made_again)
        assert export(pool, out) == 13
        before = files(out)
        assert export(pool, out) == 13 and files(out) == before
        other = {export_imagefolder: export_datasets, export_datasets: export_imagefolder}[export]
        with pytest.raises(UserError, match=r"out: another export's folder \(export.format: .* there, .* asked for\)"):
            other(pool, out)
        (out / "settings.json").unlink()
        with pytest.raises(UserError, match="out: not a folder of this export and not empty"):
            export(pool, out)
        with pytest.raises(UserError, match=r"cannot be written: Not a directory"):
            export(pool, next(path for path in out.iterdir() if path.is_file()) / "new")
    assert not any(path.name == "rest.png" for path in out.rglob("*"))


def test_datasets_opens_the_pool_and_both_exports(original, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    pool, samples, cache = PoolFolder.open(original), rounds(0, 2), str(tmp_path / "cache")
    export_datasets(pool, tmp_path / "set")
    export_imagefolder(pool, tmp_path / "images")
    shards = [str(original / name) for name in SHARDS]
    opened = {
        "shards": datasets.load_dataset("parquet", data_files=shards, split="train", cache_dir=cache),
        "pool": datasets.load_dataset(str(original), split="train", cache_dir=cache),
        "export": datasets.load_dataset(str(tmp_path / "set"), split="train", cache_dir=cache),
        "images": datasets.load_dataset(str(tmp_path / "images"), split="train", cache_dir=cache),
    }
    for name, data in opened.items():
        assert len(data) == 13 and isinstance(data.features["image"], datasets.Image)
        if name != "images":
            assert data.features["label"].names == list(CLASSES)
            assert data["label"][:] == samples.labels.tolist()
            assert data["correct"][:] == [None] * 10 + [True] * 3
            assert data["entropy"][:10] == [None] * 10
            assert data.select_columns("round")[10] == {"round": 1}
        by_seed = {row["seed"]: row["image"] for row in data}
        for seed, image in zip(samples.seeds.tolist(), samples.images, strict=True):
            assert np.array_equal(np.asarray(by_seed[seed]), image[0])
