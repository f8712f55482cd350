import base64
import io

import numpy as np
import pytest
import torch
from PIL import Image

from dp.config import PracticeConfig
from dp.practice.additions import image_maker
from experiments.engine import practice_runs as runs

CONFIG = PracticeConfig(n_initial=230, rounds=0, n_per_round=0, seed=5, inference_steps=2)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "BUILD", tmp_path)
    return tmp_path


def test_kept_images_are_those_that_would_be_made(own_cache):
    generator = runs.bundled_generator(CONFIG)
    made = image_maker(CONFIG, generator, 0)(range(CONFIG.n_initial))
    for _ in range(2):  # first generated, then read
        pool = runs.plain_pool(CONFIG, generator)
        assert len(pool) == 230
        for name in ("images", "labels", "seeds", "rounds"):
            assert torch.equal(getattr(pool, name), getattr(made, name))
    assert len(list(own_cache.rglob("*.npz"))) == 2


def test_png_is_lossless():
    image = torch.randint(256, (1, 32, 32)).byte()
    back = np.asarray(Image.open(io.BytesIO(base64.b64decode(runs.png(image)))))
    assert np.array_equal(back, image[0].numpy())
