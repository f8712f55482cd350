"""The example on disk."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from dp.pool.folder import PoolFolder
from tests.dp.pool.example import CLASSES, COUNTS, SHAPE, SIZE, made


@pytest.fixture(scope="session")
def original(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("pool") / "original"
    with PoolFolder.create(folder, CLASSES, SHAPE, SIZE) as pool:
        for round_, count in enumerate(COUNTS):
            for slots in pool.shards_missing(round_, count):
                pool.write(round_, slots.start, made(round_, slots))
            pool.commit(round_, count)
    return folder


@pytest.fixture
def folder(original, tmp_path) -> Path:
    """A pool of two rounds to do harm to."""
    return Path(shutil.copytree(original, tmp_path / "pool"))


@pytest.fixture
def empty(tmp_path) -> Iterator[PoolFolder]:
    """A pool without rounds, open for writing."""
    with PoolFolder.create(tmp_path / "empty", CLASSES, SHAPE, SIZE) as pool:
        yield pool
