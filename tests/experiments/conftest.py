"""What studies of small runs share."""

import pytest

from dp.data import fashion_mnist as data
from experiments.data import shift_sets
from experiments.engine import practice_runs as runs


@pytest.fixture
def few_images(tmp_path, monkeypatch):
    """200 images to test with, and a place of their own for what runs share."""
    monkeypatch.setattr(runs, "BUILD", tmp_path)
    real = data.test_images()
    for module in (runs, shift_sets):
        monkeypatch.setattr(module, "test_images", lambda: type(real)(real.images[:200], real.labels[:200]))
    shift_sets.shift_sets.cache_clear()
    yield
    shift_sets.shift_sets.cache_clear()
