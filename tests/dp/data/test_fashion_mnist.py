import gzip
import shutil

import numpy as np
import pytest
import torch

from dp.data import fashion_mnist as data
from dp.utils.errors import UserError


def test_validation_and_test_images():
    validation, test = data.validation_images(), data.test_images()
    assert len(validation) == 5000 and len(test) == 10000
    assert validation.labels.bincount().tolist() == [500] * 10
    assert test.labels.bincount().tolist() == [1000] * 10
    for real in (validation, test):
        assert real.images.dtype == torch.uint8 and real.images.shape[1:] == (1, 32, 32)
        border = real.images.clone()
        border[..., 2:-2, 2:-2] = 0
        assert border.max() == 0 and real.images.max() == 255


def test_validation_and_test_share_no_image():
    keys = [
        {image.numpy().tobytes() for image in real.images} for real in (data.validation_images(), data.test_images())
    ]
    assert len(keys[0] & keys[1]) == 0


def idx_file(path, array):
    header = bytes([0, 0, 8, array.ndim]) + b"".join(int(n).to_bytes(4, "big") for n in array.shape)
    path.write_bytes(gzip.compress(header + array.tobytes()))


def test_a_folder_without_the_files_is_named(tmp_path):
    with pytest.raises(UserError, match=f"{tmp_path}: expected train-images-idx3-ubyte"):
        data.train_images(tmp_path)


def test_the_folder_of_the_environment_is_taken(tmp_path, monkeypatch):
    monkeypatch.setenv(data.FOLDER_VARIABLE, str(tmp_path / "mine"))
    with pytest.raises(UserError, match="mine: expected"):
        data.train_images()


def test_a_file_with_other_content_is_refused(tmp_path):
    for name in ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"):
        idx_file(tmp_path / f"{name}.gz", np.zeros((3, 28, 28), np.uint8))
    with pytest.raises(UserError, match=r"train-images-idx3-ubyte: SHA-256 of the content is .* expected c59f468a"):
        data.train_images(tmp_path)


def test_a_truncated_file_is_refused(tmp_path):
    for name in ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"):
        idx_file(tmp_path / f"{name}.gz", np.zeros((300, 28, 28), np.uint8))
    images = tmp_path / "train-images-idx3-ubyte.gz"
    images.write_bytes(images.read_bytes()[:50])
    with pytest.raises(UserError, match="not a whole gzip file"):
        data.train_images(tmp_path)


def test_a_damaged_bundle_is_refused(tmp_path, monkeypatch):
    damaged = tmp_path / "bundle.npz"
    shutil.copy(data.BUNDLE, damaged)
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    monkeypatch.setattr(data, "BUNDLE", damaged)
    data._bundle.cache_clear()
    try:
        with pytest.raises(UserError, match="restore it with git checkout"):
            data.validation_images()
    finally:
        data._bundle.cache_clear()
