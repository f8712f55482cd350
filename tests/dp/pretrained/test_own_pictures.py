"""A generator of one's own pictures, from the command line to a run with it, in small."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from dp.__main__ import main
from dp.generation.loading import load_pipeline
from dp.pretrained.own_pictures import own_pictures, sized
from dp.pretrained.train import GeneratorConfig
from dp.utils.errors import UserError

CLASSES = ("cross", "disc", "ring")
SMALL = (
    "--vae-channels 8 8 8 --vae-iterations 3 --vae-batch 4 --unet-channels 16 16 "
    "--unet-iterations 3 --unet-batch 4 --oracle-iterations 3 --oracle-batch 4"
).split()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Fifteen coloured pictures of each class, of different sizes."""
    folder, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for name in CLASSES:
        (folder / name).mkdir()
        for i in range(15):
            size = (40 + i, 50, 3)
            Image.fromarray(rng.integers(0, 256, size, dtype=np.uint8)).save(folder / name / f"{i:02d}.png")
    (folder / ".hidden").mkdir()
    return folder


def test_pictures_are_split_and_sized(pictures):
    found = own_pictures(pictures)
    assert found.names == CLASSES
    assert found.train.images.shape == (36, 3, 40, 40)  # the smallest has 40 pixels
    assert torch.bincount(found.held_out.labels).tolist() == [3, 3, 3]
    assert own_pictures(pictures, 32).train.images.shape[-1] == 32


def test_grey_pictures_have_one_channel(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
        for i in range(15):
            Image.new("L", (32, 32), 10 * i).save(tmp_path / name / f"{i}.png")
    assert own_pictures(tmp_path).train.images.shape == (24, 1, 32, 32)


def test_batches_hold_as_many_pixels_at_any_size():
    config = GeneratorConfig()
    assert sized(config, 32, 10_000) == config
    larger = sized(config, 64, 10_000)
    assert (larger.vae_batch, larger.unet_batch, larger.oracle_batch) == (config.vae_batch // 4, 32, 32)


def test_few_pictures_have_settings_of_their_own_unless_some_were_given():
    few = sized(GeneratorConfig(unet_iterations=4000), 32, 144)
    assert few.vae_iterations == 2500 and few.vae_batch == 16 and few.unet_iterations == 4000


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--images", "{pictures}", "--side", "33"], "side: got 33"),
        (["--side", "32"], "side: got 32 without images"),
        (["--images", "{pictures}/cross"], "got the subfolders none"),
    ],
)
def test_mistakes_are_one_line(arguments, line, pictures, tmp_path):
    with pytest.raises(UserError, match=line):
        main(["train-generator", str(tmp_path / "out"), *(each.format(pictures=pictures) for each in arguments)])


def test_from_pictures_to_a_run(pictures, tmp_path, capsys):
    out, run = str(tmp_path / "out"), str(tmp_path / "run")
    main(["train-generator", out, "--images", str(pictures), "--side", "32", *SMALL])
    made = load_pipeline(out)([0, 2], num_inference_steps=2, output_type="pt").images
    assert made.shape == (2, 3, 32, 32)
    measured = json.loads((tmp_path / "out" / "measured.json").read_text())
    assert [each["guidance_scale"] for each in measured["scales"]] == [1.0, 1.25, 1.5, 2.0, 3.0]
    card = (tmp_path / "out" / "README.md").read_text()
    assert "cross, disc, ring" in card and "guessing would be right on 33.3%" in card  # three iterations teach nothing
    written = (tmp_path / "out" / "training.json").read_bytes()
    main(["train-generator", out, "--images", str(pictures), "--side", "32", *SMALL])
    assert (tmp_path / "out" / "training.json").read_bytes() == written
    real = ["--validation", str(pictures), "--test", str(pictures)]
    settings = "--n-initial 6 --n-per-round 3 --rounds 1 --iterations 20 --validate-every 5 --inference-steps 2".split()
    main(["run", run, "--pipeline", out, *real, *settings])
    assert json.loads((tmp_path / "run" / "settings.json").read_text())["source"]["pipeline"] == out
    assert json.loads((tmp_path / "run" / "result.json").read_text())["outcomes"][-1]["pool_size"] == 9
