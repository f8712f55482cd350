"""A pool that is trained on from disk gives what one in memory gives."""

import copy
import os
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from dp.learner.augment import ResizedCrop, Shift
from dp.pool.folder import PoolFolder
from dp.pool.in_memory import Pool
from dp.pool.on_disk import DiskPool
from dp.samples import Samples, concatenate
from dp.utils.errors import UserError

SHAPE = (3, 24, 16)


def some(count: int, round_: int) -> Samples:
    """Smooth images, as lossy formats expect them."""
    rng = np.random.default_rng(round_)
    coarse = rng.integers(0, 256, (count, 3, 2, 3), dtype=np.uint8)
    images = [
        np.asarray(Image.fromarray(each.transpose(1, 2, 0)).resize((16, 24), Image.Resampling.BILINEAR))
        for each in coarse
    ]
    zeros = torch.zeros(count)
    return Samples(
        images=torch.from_numpy(np.stack(images).transpose(0, 3, 1, 2).copy()),
        labels=torch.from_numpy(rng.integers(0, 3, count)),
        seeds=torch.arange(count) + 1000 * round_,
        rounds=torch.full((count,), round_),
        omega=zeros,
        entropy_before=zeros,
        entropy=zeros,
        correct=torch.zeros(count, dtype=torch.int8),
        zero_steps=torch.zeros(count, dtype=torch.int64),
    )


def write(folder, rounds: int, **layout) -> PoolFolder:
    pool = PoolFolder.create(folder, ("a", "b", "c"), SHAPE, 7, **layout)
    for round_ in range(rounds):
        samples = some(20, round_)
        for slots in pool.shards_missing(round_, 20):
            pool.write(round_, slots.start, samples[slots.start : slots.stop])
        pool.commit(round_, 20)
    return pool


def test_rows_and_draws_are_those_of_a_pool_in_memory(tmp_path):
    with write(tmp_path / "pool", 3) as folder:
        disk, memory = DiskPool(folder, 2), Pool(concatenate([some(20, 0), some(20, 1)]))
        for _ in range(2):
            assert len(disk) == len(memory) and disk.image_shape == memory.image_shape == SHAPE
            for weight in (1.0, 3.0):
                drawn = [pool.draw(50, torch.Generator().manual_seed(0), weight) for pool in (disk, memory)]
                assert torch.equal(*drawn)
                for ours, theirs in zip(disk.rows(drawn[0]), memory.rows(drawn[0]), strict=True):
                    assert torch.equal(ours, theirs) and ours.dtype == theirs.dtype
            for pool in (disk, memory) if len(disk) == 40 else ():
                pool.append(some(20, 2))


@pytest.mark.parametrize("kind", [Shift, ResizedCrop])
def test_crops_of_the_decoding_threads_are_those_of_a_whole_batch(tmp_path, kind):
    with write(tmp_path / "pool", 2) as folder:
        index, rng = torch.arange(40).flip(0), torch.Generator().manual_seed(0)
        crop = kind.draw(40, SHAPE[1:], 12, rng)
        disk, memory = DiskPool(folder, 2), Pool(concatenate([some(20, 0), some(20, 1)]))
        whole = crop(memory.rows(index)[0], slice(0, 40))
        for pool in (disk, memory):
            assert torch.equal(pool.rows(index, crop)[0], whole)


def test_a_shard_that_goes_or_changes_while_a_run_reads_it_is_named(tmp_path):
    with write(tmp_path / "pool", 2) as folder:
        disk, path = DiskPool(folder, 2), tmp_path / "pool" / "round-0001" / "00002.parquet"
        data = path.read_bytes()
        path.write_bytes(data[:500])
        with pytest.raises(UserError, match=r"round-0001/00002\.parquet: .*it has changed since the run began"):
            disk.rows(torch.tensor([39]))
        path.unlink()
        with pytest.raises(UserError, match=r"round-0001/00002\.parquet: missing"):
            DiskPool(folder, 2)


def test_more_shards_than_files_may_be_open(tmp_path, monkeypatch):
    monkeypatch.setattr("dp.pool.on_disk.OPEN_FILES", 2)
    with write(tmp_path / "pool", 3) as folder:
        disk, expected = DiskPool(folder, 3), folder.read()
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(3):
            images, labels = disk.rows(torch.arange(60))
            assert torch.equal(images, expected.images) and torch.equal(labels, expected.labels)
        assert len(os.listdir("/proc/self/fd")) <= before + 2


def test_a_copy_shares_what_is_mapped_and_nothing_that_comes_later(tmp_path):
    with write(tmp_path / "pool", 2) as folder:
        disk = DiskPool(folder, 1)
        twin = copy.deepcopy(disk)
        assert [id(each) for each in disk._places] == [id(each) for each in twin._places] and len(disk._places) == 1
        disk.append(some(20, 1))
        assert (len(disk), len(twin)) == (40, 20)
        assert torch.equal(twin.rows(torch.arange(20))[0], some(20, 0).images)


@pytest.mark.parametrize(("encoding", "magic"), [("JPEG", b"\xff\xd8\xff"), ("WEBP", b"RIFF")])
def test_lossy_encodings_are_close(tmp_path, encoding, magic):
    with write(tmp_path / encoding, 1, encoding=encoding) as folder:
        read = folder.read()
        assert torch.equal(DiskPool(folder, 1).rows(torch.arange(20))[0], read.images)
    assert (read.images.float() - some(20, 0).images.float()).abs().mean() < 4
    assert PoolFolder.open(tmp_path / encoding).layout.encoding == encoding
    table = PoolFolder.open(tmp_path / encoding).manifest().shards[0].file
    assert magic in (tmp_path / encoding / table).read_bytes()


def test_grey_images_survive_every_encoding(tmp_path):
    for encoding in ("PNG", "JPEG", "WEBP"):
        with PoolFolder.create(tmp_path / encoding, ("a", "b", "c"), (1, 24, 16), 7, encoding=encoding) as folder:
            samples = some(5, 0)
            samples = replace(samples, images=samples.images[:, :1])
            folder.write(0, 0, samples)
            folder.commit(0, 5)
            assert (folder.read().images.float() - samples.images.float()).abs().mean() < 4


def test_an_unknown_encoding_is_named(tmp_path):
    with pytest.raises(UserError, match="encoding: got \"GIF\", expected 'PNG', 'JPEG' or 'WEBP'"):
        PoolFolder.create(tmp_path / "pool", ("a", "b"), SHAPE, encoding="GIF")
