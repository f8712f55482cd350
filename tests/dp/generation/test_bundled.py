"""The generator and the oracle of the repository."""

from pathlib import Path

import pytest
import torch

from dp.config import PracticeConfig
from dp.data.fashion_mnist import ASSETS, BUNDLE, validation_images
from dp.data.image_set import ImageSet
from dp.generation.diversity import diversity
from dp.generation.generator import Generator
from dp.learner.evaluate import accuracy, logits_of
from dp.practice.additions import image_maker
from dp.pretrained.load import BUNDLED, bundled_pipeline
from dp.pretrained.model_card import reconstructed
from dp.pretrained.oracle import bundled_oracle, features

CONFIG = PracticeConfig(n_initial=500, rounds=0, n_per_round=0, seed=123)


@pytest.fixture(scope="module")
def pipe():
    return bundled_pipeline()


@pytest.fixture(scope="module")
def plain(pipe):
    generator = Generator(pipe, CONFIG.guidance_scale, CONFIG.inference_steps)
    return image_maker(CONFIG, generator, 0)(range(CONFIG.n_initial))


@pytest.fixture(scope="module")
def oracle():
    return bundled_oracle()


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*.safetensors"))


def test_the_weights_are_small_safetensors():
    assert size(BUNDLED) <= 5_000_000 and size(ASSETS) <= 6_000_000
    assert BUNDLE.stat().st_size <= 8_000_000
    assert not [p for p in ASSETS.rglob("*") if p.suffix in (".bin", ".pt", ".pth", ".pkl", ".ckpt")]


def test_the_oracle_recognises_plain_samples_at_the_default_scale(plain, oracle):
    recognised = (logits_of(oracle, plain.images).argmax(1) == plain.labels).float().mean().item()
    assert recognised >= 0.90


def test_reconstruction_loses_at_most_two_points(pipe, oracle):
    whole = validation_images()
    real = ImageSet(whole.images[:1500], whole.labels[:1500])
    assert accuracy(oracle, reconstructed(pipe, real)) >= accuracy(oracle, real) - 2.0


def test_samples_are_diverse_and_real_images_more_so(plain, oracle):
    real = features(oracle, validation_images().images)
    real = real[torch.randperm(len(real), generator=torch.Generator().manual_seed(0))]
    generated = diversity(real[:500], features(oracle, plain.images))
    other_real = diversity(real[:500], real[500:1000])
    assert 0.3 < generated.coverage < other_real.coverage
    collapsed = features(oracle, plain.images[:10]).repeat(50, 1)
    assert diversity(real[:500], collapsed + 1e-3 * torch.randn(500, 128)).coverage < generated.coverage / 2
