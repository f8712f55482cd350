from dataclasses import replace

import pytest
import torch

from dp.data import ImageSet
from dp.errors import UserError
from dp.generator import Generator
from dp.practice import PracticeConfig, make_images, practise

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
    outcomes, state = practise(CONFIG, generator, real, lambda: real)
    assert outcomes[-1].pool_size == len(state.pool) == 80
    assert state.pool.rounds.bincount().tolist() == [40, 20, 20]
    assert state.pool.labels.bincount().tolist() == [8] * 10
    assert len(state.pool.seeds.unique()) == 80
    assert [a["pool_size"] for a in state.additions] == [60, 80]
    assert {a["trigger"] for a in state.additions} <= {"patience", "schedule"}
    begin, end = 0.1 * CONFIG.iterations, 0.8 * CONFIG.iterations
    assert all(begin <= a["iteration"] < end for a in state.additions)


def test_static_training_makes_no_additions_and_asks_for_test_once(generator, real):
    asked = []
    outcomes, state = practise(replace(CONFIG, rounds=0), generator, real, lambda: asked.append(1) or real)
    assert state.additions == [] and len(state.pool) == 40 and len(outcomes) == 1
    assert asked == [1]


def test_a_run_repeats_bit_for_bit(generator, real):
    runs = [practise(CONFIG, generator, real, lambda: real) for _ in range(2)]
    assert torch.equal(runs[0][1].pool.images, runs[1][1].pool.images)
    assert torch.equal(weights(runs[0][1]), weights(runs[1][1]))
    assert runs[0][0] == runs[1][0]


def test_a_branch_is_the_run_that_stops_adding_there(generator, real):
    config = replace(CONFIG, backstop=False)
    longer = replace(config, rounds=2, branch_sizes=(60,))
    outcomes, state = practise(longer, generator, real, lambda: real)
    shorter, _ = practise(replace(config, rounds=1), generator, real, lambda: real)
    assert [o.pool_size for o in outcomes] == [60, 80], state.additions
    assert outcomes[0].branched_at == state.additions[1]["iteration"]
    assert outcomes[0].validation_accuracy == shorter[0].validation_accuracy
    assert outcomes[0].test_accuracy == shorter[0].test_accuracy


def test_guided_additions_differ_from_plain_ones_of_the_same_seeds(generator, real):
    _, guided = practise(replace(CONFIG, omega=0.5), generator, real, lambda: real)
    _, plain = practise(replace(CONFIG, omega=0.0), generator, real, lambda: real)
    assert torch.equal(guided.pool.images[:40], plain.pool.images[:40])
    assert torch.equal(guided.pool.seeds, plain.pool.seeds)
    assert not torch.equal(guided.pool.images[40:], plain.pool.images[40:])


def test_images_of_a_round_are_balanced_prefixes(generator):
    whole = make_images(CONFIG, generator, 1, 30)
    part = make_images(CONFIG, generator, 1, 10, first=20)
    assert torch.equal(whole.images[20:], part.images)
    assert whole.labels.bincount().tolist() == [3] * 10


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_initial": 0}, "n_initial: got 0, expected 1 or more"),
        ({"rounds": -1}, "rounds: got -1, expected 0 or more"),
        ({"omega": -0.1}, "omega: got -0.1"),
        ({"omega": float("nan")}, "omega: got nan"),
        ({"n_per_round": 0}, "n_per_round: got 0 with rounds > 0"),
        ({"warmup": 0.9}, "warmup, cooldown: got 0.9"),
        ({"branch_sizes": (70,)}, r"branch_sizes: got \(70,\), expected sizes out of \[40, 60\]"),
    ],
)
def test_a_wrong_setting_is_named(change, message):
    with pytest.raises(UserError, match=message):
        replace(CONFIG, **change)


def test_an_unknown_learner_is_named(generator, real):
    with pytest.raises(UserError, match='learner: "vit_hugest" is no architecture of timm'):
        practise(replace(CONFIG, learner="vit_hugest"), generator, real, lambda: real)


@pytest.mark.parametrize("learner", ["vit", "resnet10t"])
def test_other_learners_run_and_guide(generator, real, learner):
    config = replace(CONFIG, learner=learner, iterations=8, validate_every=2, rounds=1)
    _, state = practise(config, generator, real, lambda: real)
    assert len(state.pool) == 60 and all(p.isfinite().all() for p in state.learner.parameters())
