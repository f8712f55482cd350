import math
from dataclasses import replace

import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from torch import nn

from dp.config import PracticeConfig
from dp.data.fashion_mnist import validation_images
from dp.generation.generator import Generator
from dp.guidance.objectives import divergence
from dp.learner.models import build_learner
from dp.practice.additions import filter_of
from dp.pretrained.load import bundled_pipeline
from dp.pretrained.oracle import bundled_oracle
from dp.samples import Samples, concatenate
from dp.selection import tiling
from dp.selection.filters import DiffusionClassifier, Disagreement, RoundTrip, accepted
from dp.selection.latent_diffusion import LatentDiffusion
from dp.selection.tiling import tiled
from dp.utils.errors import UserError


def samples_of(images: torch.Tensor, labels: torch.Tensor) -> Samples:
    n = len(labels)
    index = torch.arange(n)
    unknown = torch.full((n,), math.nan)
    return Samples(
        images, labels, index + 1000, index * 0, torch.zeros(n), unknown, unknown, index.to(torch.int8), index * 0
    )


@pytest.fixture(scope="module")
def pipe():
    return bundled_pipeline()


@pytest.fixture(scope="module")
def generator(pipe) -> LatentDiffusion:
    return LatentDiffusion.of(pipe)


@pytest.fixture(scope="module")
def oracle():
    return bundled_oracle()


@pytest.fixture(scope="module")
def real() -> Samples:
    """50 real images, 5 a class, in turn."""
    every = validation_images()
    rows = torch.stack([(every.labels == label).nonzero()[:5, 0] for label in range(10)]).T.flatten()
    return samples_of(every.images[rows], every.labels[rows])


@pytest.fixture(scope="module")
def noise() -> Samples:
    """Seven images of noise."""
    rng = torch.Generator().manual_seed(0)
    images = torch.randint(256, (7, 1, 32, 32), generator=rng).byte()
    return samples_of(images, torch.arange(7))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_half_precision_generator_judges_alike(generator, real, oracle, dtype):
    half = LatentDiffusion.of(bundled_pipeline().to(dtype))
    kept, expected = (RoundTrip(each)(real[:20], oracle, oracle).float().mean() for each in (half, generator))
    assert abs(kept - expected) <= 0.1 < expected


@pytest.fixture
def learners() -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(0)
    return build_learner("convnet", 10).eval(), build_learner("convnet", 10).eval()


def wrongly_labelled(samples: Samples) -> Samples:
    return replace(samples, labels=(samples.labels + 1 + samples.seeds % 9) % 10)


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch) -> None:
    """No more rows than needed."""
    monkeypatch.setattr(tiling, "TILE", 10)


def test_the_diffusion_classifier_keeps_right_labels_and_refuses_wrong_ones(generator, oracle, real):
    keep = DiffusionClassifier(generator)
    assert keep(real, oracle, oracle).float().mean() >= 0.75
    assert keep(wrongly_labelled(real), oracle, oracle).float().mean() <= 0.1


@pytest.mark.usefixtures("arithmetic")
def test_the_round_trip_keeps_right_labels_and_refuses_wrong_ones(generator, oracle, real):
    keep = RoundTrip(generator)
    assert keep(real, oracle, oracle).float().mean() >= 0.75
    assert keep(wrongly_labelled(real), oracle, oracle).float().mean() <= 0.1


def exact_classifier(noise_of: dict[int, float], **settings) -> DiffusionClassifier:
    """Over a generator whose noise prediction for class c is wrong by noise_of[c], whatever the image."""
    x_0 = torch.zeros(1, 1, 8, 8)
    abar = torch.linspace(0.99, 0.01, 1000)

    def predict_noise(x_t: torch.Tensor, t: int, labels: torch.Tensor) -> torch.Tensor:
        true = (x_t - abar[t].sqrt() * x_0) / (1 - abar[t]).sqrt()
        return true + torch.tensor([noise_of[label] for label in labels.tolist()])[:, None, None, None]

    generator = LatentDiffusion(
        lambda images: images[..., :8, :8] * 0, lambda latents: latents, predict_noise, abar, len(noise_of)
    )
    return DiffusionClassifier(generator, **settings)


def test_the_least_wrong_class_is_kept(learners, noise):
    wrong_by = {0: 0.3, 1: 0.1, 2: 0.2, 3: 0.4, 4: 0.5, 5: 1.0, 6: 9.0}
    keep = exact_classifier(wrong_by, time_steps=(10, 900))
    assert keep(noise, *learners).tolist() == [False, True, False, False, False, False, False]
    keep = exact_classifier(wrong_by | {2: math.nan}, time_steps=(10, 900))
    assert not keep(noise, *learners).any()  # which class is least wrong is then unknown


@pytest.fixture(params=["classifier", "round trip", "disagreement"])
def any_filter(request, generator, monkeypatch):
    monkeypatch.setattr(tiling, "TILE", 4)
    return {
        "classifier": DiffusionClassifier(generator, (700, 800)),
        "round trip": RoundTrip(generator),
        "disagreement": Disagreement(threshold=0.4),
    }[request.param]


def test_an_answer_depends_on_its_image_alone(any_filter, learners, oracle, real):
    some = real[torch.arange(7)]
    some = replace(some, labels=torch.where(torch.arange(7) < 4, some.labels, wrongly_labelled(some).labels))
    whole = any_filter(some, learners[0], oracle)
    assert whole.dtype == torch.bool and 0 < whole.sum() < 7
    alone = torch.cat([any_filter(some[i : i + 1], learners[0], oracle) for i in range(7)])
    backwards = any_filter(some[torch.arange(6, -1, -1)], learners[0], oracle).flip(0)
    assert torch.equal(whole, alone)
    assert torch.equal(whole, backwards)


def test_the_numbers_behind_an_answer_depend_on_its_image_alone(generator, real):
    keep = DiffusionClassifier(generator)
    some = real[torch.arange(7)]

    def errors(rows: slice) -> torch.Tensor:
        return tiled(keep._errors, some.images[rows], some.seeds[rows])

    parts = torch.cat([errors(slice(0, 3)), errors(slice(3, 7))])
    assert torch.equal(errors(slice(0, 7)), parts)
    assert not torch.equal(parts, tiled(keep._errors, some.images, some.seeds + 1))


def test_js_divergence_is_its_definition():
    logits, other = torch.randn(2, 6, 4, generator=torch.Generator().manual_seed(0))
    p, q = logits.softmax(1), other.softmax(1)
    mean = (p + q) / 2
    expected = ((p * (p / mean).log()).sum(1) + (q * (q / mean).log()).sum(1)) / 2
    torch.testing.assert_close(divergence(logits, other), expected)
    assert divergence(logits, logits).tolist() == [0] * 6
    opposite = torch.tensor([[99.0, -99.0]])
    assert divergence(opposite, -opposite).item() == pytest.approx(math.log(2))


def test_a_learner_agrees_with_itself(learners, noise):
    learner, other = learners
    assert Disagreement(1e-6)(noise, learner, learner).all()
    assert not Disagreement(1e-6)(noise, learner, other).any()


def candidates(slots: list[int], attempts: list[int]) -> Samples:
    """Images that say which candidate they are."""
    images = torch.tensor(list(zip(slots, attempts, strict=True)), dtype=torch.uint8)[:, None, :, None]
    return samples_of(images, torch.tensor(slots) % 10)


def some_are_good(samples: Samples) -> torch.Tensor:
    slot, attempt = samples.images[:, 0, :, 0].long().unbind(1)
    return (slot * 7 + attempt * 5) % 11 < 4


@pytest.mark.parametrize("max_attempts", [1, 2, 4])
@pytest.mark.parametrize("parts", [1, 2, 4])
def test_slots_may_be_split_in_any_way(parts, max_attempts):
    slots = list(range(50))
    whole = accepted(candidates, some_are_good, slots, max_attempts)
    split = [accepted(candidates, some_are_good, slots[part::parts], max_attempts) for part in range(parts)]
    order = torch.cat([torch.tensor(slots[part::parts]) for part in range(parts)]).argsort()
    assert torch.equal(whole.images, concatenate(split)[order].images)


@pytest.mark.parametrize("max_attempts", [1, 3])
def test_a_slot_keeps_its_first_good_attempt_or_its_last(max_attempts):
    slots = [*range(30), 45, 40]
    samples = accepted(candidates, some_are_good, slots, max_attempts)
    chosen = []
    for slot in slots:
        good = [a for a in range(max_attempts) if some_are_good(candidates([slot], [a]))]
        chosen.append([slot, good[0] if good else max_attempts - 1])
    assert samples.images[:, 0, :, 0].tolist() == chosen
    assert samples.labels.tolist() == [slot % 10 for slot in slots]


@pytest.mark.parametrize("name", ["diffusion_classifier", "round_trip"])
def test_a_generator_of_flow_matching_is_refused(name):
    pipe = bundled_pipeline()
    pipe.scheduler = FlowMatchEulerDiscreteScheduler()
    with pytest.raises(UserError, match=f"filter: {name} works with .* not with FlowMatchEulerDiscreteScheduler; take"):
        filter_of(PracticeConfig(filter=name), Generator(pipe, guidance_scale=2.0))


def test_a_learner_that_cannot_judge_is_refused(learners, noise):
    learner, other = learners
    with pytest.raises(UserError, match="learner: got one in training mode"):
        Disagreement()(noise, learner.train(), other)
    learner.eval()
    nn.init.constant_(learner[-1].bias, math.nan)
    with pytest.raises(UserError, match="learner: got nan or inf among the logits of 7 of 7 images"):
        Disagreement()(noise, learner, other)
