"""Every field of every settings class does something: the run, its images or an error changes with it."""

from dataclasses import fields, replace
from functools import cache
from typing import Any

import pytest
import torch

from dp.config import PracticeConfig
from dp.data.fashion_mnist import validation_images
from dp.data.image_set import ImageSet
from dp.guidance.guidance import GuidanceConfig
from dp.practice.loop import run_practice
from dp.pretrained.load import bundled_generator
from dp.runs.inputs import Source
from dp.utils.errors import UserError

GUIDED = GuidanceConfig(0.3, (0.0, 1.0))
BASE = PracticeConfig(
    n_initial=10, n_per_round=10, rounds=2, guidance=GUIDED, inference_steps=2, validate_every=1, patience=1,
    iterations=6, batch_size=8, warmup=0.0, cooldown=0.0,
)  # fmt: skip

# Field -> another value, and what the others must be for it to matter.
FLIPS: dict[str, tuple[Any, dict[str, Any]]] = {
    "seed": (1, {}),
    "n_initial": (12, {}),
    "n_per_round": (12, {}),
    "rounds": (1, {}),
    "branch_sizes": ((20,), {}),
    "guidance": (replace(GUIDED, omega=0.5), {}),
    "over_sampling": (2.0, {"guidance": GuidanceConfig(omega=0.0)}),
    "class_shares": ("errors", {}),
    "filter": ("round_trip", {}),
    "max_attempts": (1, {"filter": "round_trip"}),
    "guidance_scale": (1.5, {}),
    "inference_steps": (3, {}),
    "decoder": ("linear", {}),
    "signal": ("loss", {}),
    "n_held_out": (7, {"signal": "agreement", "n_held_out": 20}),
    "validate_every": (2, {}),
    "patience": (3, {"backstop": False}),
    "incremental": (True, {"backstop": False}),
    "backstop": (False, {"patience": 100}),
    "newest_weight": (9.0, {}),
    "learner": ("vit", {}),
    "crop": (24, {}),
    "augment": ("resized_crop", {}),
    "mixup": (0.5, {}),
    "cutmix": (0.5, {}),
    "iterations": (7, {}),
    "batch_size": (10, {}),
    "micro_batch": (4, {}),
    "lr": (1e-3, {}),
    "weight_decay": (0.5, {}),
    "label_smoothing": (0.0, {}),
    "ema_decay": (0.5, {}),
    "warmup": (0.4, {}),
    "cooldown": (0.4, {}),
}


@cache
def run(config: PracticeConfig) -> list[Any]:
    """What a run and its branches leave: the log, the additions, the images, the weights."""
    real = validation_images()
    few = ImageSet(real.images[::100], real.labels[::100])
    generator = bundled_generator(config)
    generator.batch_size = 10
    outcomes, state = run_practice(config, generator, few, None)
    weights = torch.cat([each.detach().flatten() for each in state.ema.module.parameters()])
    return [len(outcomes), state.log, state.additions, state.pool.samples.images.tolist(), weights.tolist()]


def test_every_field_is_flipped():
    assert list(FLIPS) == [each.name for each in fields(PracticeConfig)]


@pytest.mark.parametrize("name", FLIPS)
def test_a_field_of_the_loop_changes_the_run(name):
    value, others = FLIPS[name]
    base = replace(BASE, **others)
    assert run(base) != run(replace(base, **{name: value}))


@pytest.mark.parametrize(
    "change",
    [
        {"omega": 0.4},
        {"interval": (0.5, 1.0)},
        {"every": 2},
        {"relative": False},
        {"gradient": "unet"},
        {"objective": "margin"},
        {"strengths": "uniform"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_field_of_guidance_changes_the_images(change):
    base = replace(GUIDED, omega=0.3)
    torch.manual_seed(0)
    learner = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(32 * 32, 10)).eval()
    generator = bundled_generator(BASE)
    generator.batch_size = 2
    labels = torch.tensor([1, 2])
    images = [generator.generate(labels, [3, 4], learner, each).images for each in (base, replace(base, **change))]
    assert not torch.equal(*images)


SOURCES = {
    "pipeline": "folder",
    "classes": ("cat", "dog"),
    "class_list": "imagenet100",
    "prompts": "prompts.json",
    "template": "a {}",
    "precision": "float16",
    "generation_batch": 5,
    "guided_batch": 5,
    "side": 64,
    "real": True,
}


@pytest.mark.parametrize("name", [each.name for each in fields(Source)])
def test_a_field_of_the_source_alone_is_refused(name):
    """The repository's own generator takes none of them; with a pipeline: tests/dp/generation."""
    source = Source(**{name: SOURCES[name]})
    with pytest.raises(UserError, match=name):
        source.check_real(PracticeConfig(), None, None, None)
