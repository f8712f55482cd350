import copy
from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from dp.config import PracticeConfig, plain
from dp.data.image_set import ImageSet
from dp.generation.generator import Generator
from dp.guidance.guidance import GuidanceConfig
from dp.learner.models import build_learner
from dp.practice.additions import drawn, image_maker
from dp.practice.loop import run_practice
from dp.practice.schedule import warmup_stable_decay
from dp.samples import Samples
from dp.utils.errors import UserError
from dp.utils.seeding import image_seed

CONFIG = PracticeConfig(
    n_initial=40,
    n_per_round=20,
    rounds=2,
    iterations=40,
    validate_every=4,
    patience=1,
    batch_size=16,
    inference_steps=3,
)


@pytest.fixture
def generator(tiny_pipe) -> Generator:
    return Generator(tiny_pipe, 1.5, 3, batch_size=20)


@pytest.fixture(scope="module")
def real() -> ImageSet:
    rng = torch.Generator().manual_seed(0)
    return ImageSet(torch.randint(256, (50, 1, 32, 32), generator=rng).byte(), torch.arange(50) % 10)


def weights(state) -> torch.Tensor:
    return torch.cat([p.flatten() for p in state.learner.parameters()])


def test_the_pool_grows_to_its_final_size_and_says_why(generator, real):
    outcomes, state = run_practice(CONFIG, generator, real, lambda: real)
    assert outcomes[-1].pool_size == len(state.pool) == 80
    assert state.pool.rounds.bincount().tolist() == [40, 20, 20]
    assert state.pool.labels.bincount().tolist() == [8] * 10
    assert len(state.pool.samples.seeds.unique()) == 80
    assert [a["pool_size"] for a in state.additions] == [60, 80]
    assert {a["trigger"] for a in state.additions} <= {"patience", "schedule"}
    begin, end = 0.1 * CONFIG.iterations, 0.8 * CONFIG.iterations
    assert all(begin <= a["iteration"] < end for a in state.additions)


@pytest.mark.parametrize("over_sampling", [1.0, 2.0])
def test_classes_take_turns_over_the_rounds_too(generator, real, over_sampling):
    """Neither the first images nor an addition are a multiple of the ten classes."""
    config = replace(plain(CONFIG), n_initial=13, n_per_round=4, rounds=3, over_sampling=over_sampling)
    _, state = run_practice(config, generator, real, lambda: real)
    counts = [state.pool.labels[:size].bincount(minlength=10) for size in (13, 17, 21, 25)]
    assert [(count.min().item(), count.max().item()) for count in counts] == [(1, 2), (1, 2), (2, 3), (2, 3)]


def test_static_training_makes_no_additions_and_asks_for_test_once(generator, real):
    asked = []
    outcomes, state = run_practice(replace(CONFIG, rounds=0), generator, real, lambda: asked.append(1) or real)
    assert state.additions == [] and len(state.pool) == 40 and len(outcomes) == 1
    assert asked == [1]


@pytest.mark.usefixtures("arithmetic")
def test_a_run_repeats_bit_for_bit(generator, real):
    runs = [run_practice(CONFIG, generator, real, lambda: real) for _ in range(2)]
    assert torch.equal(runs[0][1].pool.images, runs[1][1].pool.images)
    assert torch.equal(weights(runs[0][1]), weights(runs[1][1]))
    assert runs[0][0] == runs[1][0]


def test_a_branch_is_the_run_that_stops_adding_there(generator, real):
    config = replace(CONFIG, backstop=False)
    longer = replace(config, rounds=2, branch_sizes=(60,))
    outcomes, state = run_practice(longer, generator, real, lambda: real)
    shorter, _ = run_practice(replace(config, rounds=1), generator, real, lambda: real)
    assert [o.pool_size for o in outcomes] == [60, 80], state.additions
    assert outcomes[0].branched_at == state.additions[1]["iteration"]
    assert outcomes[0].validation_accuracy == shorter[0].validation_accuracy
    assert outcomes[0].test_accuracy == shorter[0].test_accuracy


def test_guided_additions_differ_from_plain_ones_of_the_same_seeds(generator, real):
    _, guided = run_practice(replace(CONFIG, guidance=GuidanceConfig(0.5)), generator, real, lambda: real)
    _, without = run_practice(plain(CONFIG), generator, real, lambda: real)
    assert torch.equal(guided.pool.images[:40], without.pool.images[:40])
    assert torch.equal(guided.pool.samples.seeds, without.pool.samples.seeds)
    assert not torch.equal(guided.pool.images[40:], without.pool.images[40:])


def test_classes_come_in_proportion_to_errors_and_one_without_any_at_times():
    errors = torch.tensor([30, 0, 10])
    seeds = list(range(4000))
    found = drawn(errors, seeds)
    expected = (errors + errors.double().mean() / 10) / (1.1 * errors.sum())
    assert torch.allclose(found.bincount(minlength=3) / 4000, expected.float(), atol=0.02)
    assert torch.equal(found[100:], drawn(errors, seeds[100:])) and drawn(0 * errors, seeds).bincount().min() > 1200


def test_additions_are_of_the_classes_that_the_learner_gets_wrong(generator, real):
    config = replace(CONFIG, class_shares="errors", n_per_round=200, rounds=1, filter="disagreement")
    _, state = run_practice(config, generator, real, lambda: real)
    (addition,) = state.additions
    errors = torch.tensor(addition["errors_by_class"])
    assert errors.sum() > 0 and (errors <= real.labels.bincount(minlength=10)).all()
    labels = state.pool.labels[40:]
    slots = [image_seed(config.seed, 1, slot) for slot in range(200)]
    assert torch.equal(labels, drawn(errors, slots))  # whichever attempt the filter has kept
    assert state.pool.labels[:40].bincount().tolist() == [4] * 10


def test_images_of_a_round_are_balanced_prefixes(generator):
    make = image_maker(CONFIG, generator, 1)
    whole, part = make(range(30)), make(range(20, 30))
    assert torch.equal(whole.images[20:], part.images)
    assert whole.labels.bincount().tolist() == [3] * 10


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"over_sampling": 4.0}, "over_sampling: got 4.0 with omega 0.2"),
        ({"class_shares": "errors", "signal": "loss"}, "class_shares: got errors with .* and signal loss"),
        ({"n_per_round": 0}, "n_per_round: got 0 with rounds > 0"),
        ({"warmup": 0.9}, "warmup, cooldown: got 0.9"),
        ({"branch_sizes": (70,)}, r"branch_sizes: got 70, expected .*: 40 \+ k \* 20 with k < 2"),
    ],
)
def test_a_wrong_setting_is_named(change, message):
    with pytest.raises(UserError, match=message):
        replace(CONFIG, **change)


def test_an_unknown_learner_is_named(generator, real):
    with pytest.raises(UserError, match='learner: "vit_hugest" is no architecture of timm'):
        run_practice(replace(CONFIG, learner="vit_hugest"), generator, real, lambda: real)


@pytest.mark.parametrize(
    ("arithmetic", "learner"),
    [(torch.float32, "vit"), (torch.bfloat16, "vit"), (torch.float32, "resnet10t")],  # emulated convolutions are slow
    indirect=["arithmetic"],
)
def test_other_learners_run_and_guide(arithmetic, generator, real, learner):
    config = replace(CONFIG, learner=learner, iterations=8, validate_every=2, rounds=1)
    _, state = run_practice(config, generator, real, lambda: real)
    assert len(state.pool) == 60 and all(p.isfinite().all() for p in state.learner.parameters())


def test_pruning_adds_the_hardest_of_many_plain_images(generator, real):
    config = replace(plain(CONFIG), over_sampling=3.0)
    _, state = run_practice(config, generator, real, lambda: real)
    pruned, unpruned = state.pool.samples, run_practice(plain(CONFIG), generator, real, lambda: real)[1].pool.samples
    assert pruned.rounds.bincount().tolist() == [40, 20, 20] and pruned.omega.abs().max() == 0
    assert pruned.labels.bincount().tolist() == [8] * 10
    assert state.additions[0]["candidates"] == 60
    assert pruned.entropy[40:60].mean() > unpruned.entropy[40:60].mean()


class Script:
    """A signal with these values, one a validation; remembers the averaged weights that it was shown last."""

    name = "script"

    def __init__(self, values: list[float], of_pool: bool):
        self.values, self.of_pool, self.shown = values, of_pool, None

    def __call__(self, learner, averaged, losses):
        self.shown = copy.deepcopy(averaged.state_dict())
        return self.values.pop(0)


def same(one, other) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(
    ("of_pool", "expected"),
    [
        # Stable from iteration 10 to 80, so that additions are overdue at 27.5, 45 and 62.5. The one at 30 leaves the
        # count of validations without a new best as it is, those that patience asks for set it to 0.
        (False, [(30, "schedule"), (40, "patience"), (70, "patience")]),
        # Measured on the pool: every addition begins a new count.
        (True, [(30, "schedule"), (50, "schedule"), (70, "schedule")]),
    ],
)
def test_patience_and_schedule_decide_when_and_the_averaged_weights_guide(generator, real, of_pool, expected):
    config = replace(CONFIG, iterations=100, validate_every=10, patience=3, incremental=False, rounds=3)
    script = Script([1.0, *[0.0] * 9], of_pool)

    class Watched:
        num_classes = 10

        def generate(self, labels, seeds, learner=None, guidance=None, other=None, round_=0):
            if round_:
                assert same(learner.state_dict(), script.shown) and not same(other.state_dict(), script.shown)
            return generator.generate(labels, seeds, learner, guidance, other, round_)

    (outcome,), state = run_practice(config, Watched(), real, lambda: real, signal=script)
    assert [(each["iteration"], each["trigger"]) for each in state.additions] == expected
    assert len(state.pool) == 100 and same(outcome.learner.state_dict(), script.shown)


def test_the_learning_rate_warms_up_is_stable_and_cools_down():
    factors = [warmup_stable_decay(i, 1000, 0.1, 0.2) for i in range(1000)]
    steps = [b - a for a, b in pairwise(factors)]
    assert 0 < factors[0] < 0.02 and factors[100:800] == [1.0] * 700
    assert all(step > 0 for step in steps[:100]) and all(step < 0 for step in steps[801:])
    assert max(map(abs, steps)) < 0.011  # no jumps
    assert factors[900] == pytest.approx(0.5) and 0 < factors[-1] < 1e-4
    assert {warmup_stable_decay(i, 10, 0.0, 0.0) for i in range(10)} == {1.0}


class Strict:
    """A filter that refuses every image whose seed is odd."""

    def __call__(self, samples, learner, averaged):
        assert not learner.training and not averaged.training
        return samples.seeds % 2 == 0


def test_a_filter_refuses_and_the_round_stays_whole(generator, real):
    _, state = run_practice(replace(CONFIG, max_attempts=20), generator, real, lambda: real, keep=Strict())
    assert (state.pool.samples.seeds[40:] % 2 == 0).all() and state.pool.rounds.bincount().tolist() == [40, 20, 20]
    assert state.pool.labels.bincount().tolist() == [8] * 10


@pytest.mark.parametrize("name", ["diffusion_classifier", "round_trip", "disagreement"])
def test_named_filters_run_and_count(generator, real, name):
    _, state = run_practice(replace(CONFIG, filter=name, rounds=1), generator, real, lambda: real)
    assert len(state.pool) == 60 and 20 <= state.additions[0]["candidates"] <= 60


@pytest.mark.parametrize("signal", ["synthetic", "loss", "agreement"])
def test_additions_need_no_real_validation(generator, real, signal):
    config = replace(CONFIG, signal=signal, n_held_out=20, backstop=False, validate_every=2)
    _, state = run_practice(config, generator, real, lambda: real)
    assert state.additions and {each["trigger"] for each in state.additions} == {"patience"}
    assert not any("validation" in name for name in state.log[0])


def test_the_newest_images_can_be_drawn_more_often(generator, real):
    runs = [run_practice(replace(CONFIG, newest_weight=w), generator, real, lambda: real)[1] for w in (1.0, 1.0, 5.0)]
    assert torch.equal(weights(runs[0]), weights(runs[1])) and not torch.equal(weights(runs[0]), weights(runs[2]))


def test_a_learner_of_ones_own_is_an_argument(generator, real):
    """Any module from crops to logits; only what asks for gradients is trained."""
    net = torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(784, 12), torch.nn.Dropout(0.2), torch.nn.Linear(12, 10)
    )
    net[1].requires_grad_(False)
    before = [p.detach().clone() for p in net.parameters()]
    _, state = run_practice(CONFIG, generator, real, lambda: real, net=net)
    assert state.learner is net
    moved = [not torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True)]
    assert moved == [False, False, True, True]


def test_a_hugging_face_classifier_is_a_learner(generator, real, tmp_path):
    from transformers import ViTConfig, ViTForImageClassification

    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    vit = ViTForImageClassification(ViTConfig(image_size=28, patch_size=7, num_channels=1, num_labels=10, **sizes))
    vit.save_pretrained(tmp_path)
    _, state = run_practice(replace(CONFIG, learner=f"hf:{tmp_path}", rounds=1), generator, real, lambda: real)
    assert len(state.pool) == 60
    with pytest.raises(UserError, match="has 10 classes, the generator 3"):
        build_learner(f"hf:{tmp_path}", 3)


class Stripes:
    """A generator of one's own, no diffusion in it: stripes whose direction is the class."""

    num_classes = 2

    def generate(self, labels, seeds, learner=None, guidance=None, other=None, round_=0):
        images = torch.zeros(len(labels), 1, 32, 32, dtype=torch.uint8)
        for image, label, seed in zip(images[:, 0], labels.tolist(), seeds, strict=True):
            offset = seed % 4
            (image if label else image.T)[offset::4] = 255
        nothing = torch.full((len(labels),), torch.nan)
        rounds = torch.full_like(labels, round_)
        unknown = torch.full((len(labels),), -1, dtype=torch.int8)
        zeros = torch.zeros_like(labels)
        return Samples(images, labels, torch.tensor(seeds), rounds, zeros.float(), nothing, nothing, unknown, zeros)


def test_a_generator_of_ones_own_is_an_argument():
    real = Stripes().generate(torch.arange(20) % 2, list(range(20)))
    outcomes, _ = run_practice(
        CONFIG, Stripes(), ImageSet(real.images, real.labels), lambda: ImageSet(real.images, real.labels)
    )
    assert outcomes[-1].test_accuracy == 100


def test_a_generator_without_classes_is_refused(real):
    nothing = Stripes()
    nothing.num_classes = None
    with pytest.raises(UserError, match="generator: it makes no classes, expected 2 or more"):
        run_practice(CONFIG, nothing, real, lambda: real)
