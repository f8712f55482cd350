"""What guidance does to finished images of the bundled pipeline, by a half-trained classifier.

Every comparison is with images of the same seeds; a gain counts if its 95% interval is above zero.
"""

import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dp.generation.generator import Generator, judge
from dp.guidance.guidance import GuidanceConfig, entropy_guidance
from dp.guidance.guide import guide
from dp.guidance.objectives import Disagreement, Entropy, LabelLoss, Margin
from dp.guidance.schedulers import EntropyGuidedDPMSolverScheduler
from dp.learner.models import CenterCrop, build_learner
from dp.pretrained.load import bundled_decoder, bundled_pipeline
from dp.pretrained.oracle import bundled_oracle
from dp.utils.device import autocast
from dp.utils.pixels import normalise
from dp.utils.seeding import stream

SCALE, STEPS, BATCH, N = 1.5, 8, 64, 128
LABELS, SEEDS = torch.arange(N) % 10, list(range(N))


@pytest.fixture(scope="module")
def pipe():
    return bundled_pipeline()


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def learners(pipe):
    """Two classifiers of different weights, each after 300 iterations on the same 384 plain images."""
    pool = Generator(pipe, SCALE, STEPS, BATCH).generate(torch.arange(384) % 10, list(range(1000, 1384)))
    images = normalise(pool.images)
    return [trained(seed, images, pool.labels) for seed in (0, 1)]


def trained(seed, images, labels):
    torch.manual_seed(seed)
    learner = nn.Sequential(CenterCrop(28), build_learner("convnet", 10, 1))
    optimizer, rng = torch.optim.AdamW(learner.parameters(), 1e-3), stream(seed)
    for _ in range(300):
        index = torch.randint(len(images), (64,), generator=rng)
        loss = F.cross_entropy(learner(images[index]), labels[index])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return learner.eval()


@pytest.fixture(scope="module")
def plain(pipe):
    return Generator(pipe, SCALE, STEPS, BATCH).generate(LABELS, SEEDS)


@pytest.fixture
def guided(pipe, learners):
    """Images uint8 [N, 1, 32, 32] of the same seeds, guided."""

    def sample(decoder=None, **config):
        generator = Generator(pipe, SCALE, STEPS, BATCH, decoder=decoder and bundled_decoder(decoder))
        return generator.generate(LABELS, SEEDS, learners[0], GuidanceConfig(**config), other=learners[1]).images

    return sample


def interval(gain):
    """95% interval of a mean."""
    half = 1.96 * gain.std().item() / len(gain) ** 0.5
    return gain.mean().item() - half, gain.mean().item() + half


@torch.no_grad()
def values(objective, images):
    return objective(normalise(images))


def recognised(images):
    return (judge(bundled_oracle(), images).argmax(1) == LABELS).float().mean().item()


def test_entropy_rises_with_omega_and_the_default_keeps_the_class(guided, plain, learners):
    hardness = Entropy(learners[0])
    default = guided()
    levels = [values(hardness, images) for images in (plain.images, guided(omega=0.15), default)]
    for lower, higher in itertools.pairwise(levels):
        assert interval(higher - lower)[0] > 0
    assert recognised(default) > recognised(plain.images) - 0.08 > 0.8


@pytest.mark.parametrize(
    ("decoder", "config"),
    [
        ("linear", {}),
        ("tiny", {"gradient": "unet", "interval": (0.0, 0.2)}),
        ("tiny", {"interval": (0.0, 1.0), "omega": 0.1, "every": 2}),
        (None, {"gradient": "unet", "every": 2}),
        (None, {"relative": False, "omega": 0.5}),
    ],
)
def test_every_way_of_guiding_raises_entropy(guided, plain, learners, decoder, config):
    hardness = Entropy(learners[0])
    images = guided(decoder, **config)
    assert interval(values(hardness, images) - values(hardness, plain.images))[0] > 0


@pytest.mark.parametrize("name", ["margin", "loss", "disagreement"])
def test_other_objectives_raise_what_they_are_of(guided, plain, learners, name):
    objective = {
        "margin": Margin(learners[0]),
        "loss": LabelLoss(learners[0], LABELS),
        "disagreement": Disagreement(*learners),
    }[name]
    images = guided(objective=name)
    assert interval(values(objective, images) - values(objective, plain.images))[0] > 0


def sampled(pipe, steps):
    """Images float [N, 1, 32, 32] in [-1, 1] from the pipeline itself."""
    rngs = [stream(seed) for seed in SEEDS]
    with autocast(pipe.device):
        return pipe(LABELS, steps, SCALE, generator=rngs, output_type="pt", return_dict=False)[0] * 2 - 1


def test_a_negated_objective_lowers_entropy(pipe, plain, learners):
    hardness = Entropy(learners[0])
    with guide(pipe, objective=lambda images: -hardness(images)):
        easy = sampled(pipe, STEPS)
    assert interval(hardness(easy) - values(hardness, plain.images))[1] < 0


def test_dpm_solver_guides_as_well(learners):
    pipe, hardness = bundled_pipeline(), Entropy(learners[0])
    pipe.scheduler = EntropyGuidedDPMSolverScheduler.from_config(pipe.scheduler.config)
    stock = sampled(pipe, 6)
    pipe.scheduler.guidance = entropy_guidance(pipe, learners[0])
    assert interval(hardness(sampled(pipe, 6)) - hardness(stock))[0] > 0
    assert recognised(((stock + 1) * 127.5).to(torch.uint8)) > 0.8


def test_each_image_may_have_its_own_strength(pipe, learners, plain):
    generator, labels, seeds = Generator(pipe, SCALE, STEPS, BATCH), LABELS[:48], SEEDS[:48]
    made = {
        strengths: generator.generate(labels, seeds, learners[0], GuidanceConfig(0.3, strengths=strengths))
        for strengths in ("same", "half", "uniform")
    }
    guided = made["half"].omega > 0
    assert 10 < guided.sum() < 38 and made["half"].omega.unique().tolist() == pytest.approx([0, 0.3])
    assert torch.equal(made["half"].images[guided], made["same"].images[guided])
    assert torch.equal(made["half"].images[~guided], plain.images[:48][~guided])
    own = made["uniform"].omega
    assert own.unique().numel() == 48 and 0 <= own.min() < 0.1 and 0.5 < own.max() <= 0.6
    # What an image gets depends on its seed alone.
    again = Generator(pipe, SCALE, STEPS, 5).generate(
        labels[40:], seeds[40:], learners[0], GuidanceConfig(0.3, strengths="uniform")
    )
    assert torch.equal(again.omega, own[40:])
