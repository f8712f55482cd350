"""Share what studies of small runs need."""

import pytest

from dp.data import fashion_mnist as data
from dp.data.image_set import ImageSet
from experiments.data import shift_sets
from experiments.engine import practice_runs as runs
from experiments.studies import generators, image_grids, off_manifold, transfer


@pytest.fixture
def few_images(tmp_path, monkeypatch):
    """200 images to validate and to test with, and a place of their own for what runs share."""
    monkeypatch.setattr(runs, "BUILD", tmp_path)
    monkeypatch.setattr(runs, "CHUNK", 40)
    for name in ("validation_images", "test_images"):
        real = getattr(data, name)()
        few = ImageSet(real.images[:200], real.labels[:200])
        for module in (runs, shift_sets, generators, image_grids, off_manifold, transfer):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, lambda few=few: few)
    shift_sets.shift_sets.cache_clear()
    yield
    shift_sets.shift_sets.cache_clear()
