import json
import math
from dataclasses import asdict

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from dp.data.image_set import ImageSet
from dp.learner.evaluate import logits_of
from dp.learner.models import build_learner
from dp.practice.patience import Patience
from dp.practice.signals import Agreement, RealAccuracy, SyntheticAccuracy, TrainingLoss
from dp.samples import Samples
from dp.utils.errors import UserError
from dp.utils.pixels import normalise


def additions(patience: Patience, accuracies: list[float], growth: float = 1.0) -> list[int]:
    return [i for i, value in enumerate(accuracies) if patience.exhausted(value, growth)]


def test_fires_after_the_limit_of_validations_without_a_new_best():
    assert additions(Patience(2), [1, 2, 2, 1, 3, 2, 2, 2, 2]) == [3, 6, 8]


def test_an_equal_accuracy_is_no_improvement():
    assert additions(Patience(1), [5, 5, 5]) == [1, 2]


def test_rising_accuracy_never_fires():
    assert additions(Patience(1), list(range(50))) == []


def test_incremental_patience_grows_with_the_pool_and_fixed_does_not():
    flat = [1.0] * 13
    assert additions(Patience(2, incremental=True), flat, growth=3.0) == [6, 12]
    assert additions(Patience(2, incremental=False), flat, growth=3.0) == [2, 4, 6, 8, 10, 12]


def test_incremental_patience_follows_a_pool_that_grows_at_each_addition():
    patience, growth, fired = Patience(1, incremental=True), 1.0, []
    for i in range(20):
        if patience.exhausted(50.0, growth):
            fired.append(i)
            growth += 1
    assert fired == [1, 3, 6, 10, 15]  # after 1, 2, 3, 4, 5 validations


@given(st.lists(st.floats(0, 100), max_size=60), st.integers(1, 5))
def test_two_firings_are_at_least_the_limit_apart(accuracies, limit):
    fired = additions(Patience(limit, incremental=False), accuracies)
    assert all(b - a >= limit for a, b in zip([0, *fired], fired, strict=False))


@given(st.lists(st.floats(-100, 100), max_size=60), st.integers(1, 5), st.floats(-1000, 0))
def test_only_differences_of_the_signal_count(values, limit, shift):
    """A signal may be negative: the first value is the first best, whatever it is."""
    values = [round(value) for value in values]
    assert additions(Patience(limit), values) == additions(Patience(limit), [value + round(shift) for value in values])


def test_a_forgotten_best_starts_anew():
    patience = Patience(2)
    assert additions(patience, [-1.0, -1.1]) == []
    patience.forget()
    assert additions(patience, [-3.0, -2.0, -2.5, -2.5]) == [3]


def test_patience_goes_on_from_its_fields():
    values = [1.0, 3.0, 2.0, 2.0, 4.0, 1.0, 1.0, 1.0, 1.0]
    whole = additions(Patience(2), values)
    for cut in range(len(values)):
        first = Patience(2)
        fired = additions(first, values[:cut])
        second = Patience(**json.loads(json.dumps(asdict(first))))
        assert fired + [cut + i for i in additions(second, values[cut:])] == whole


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_signal_that_is_no_number_is_refused_by_name(value):
    with pytest.raises(UserError, match=f"training loss: got {value} at a validation, expected a finite number"):
        Patience(2, signal="training loss").exhausted(value, 1.0)


def test_patience_below_one_is_refused():
    with pytest.raises(UserError, match="patience: got 0, expected 1 or more"):
        Patience(0)


@pytest.fixture(scope="module")
def images() -> ImageSet:
    """Random patterns of four by four blocks."""
    blocks = torch.randint(256, (60, 1, 4, 4), generator=torch.Generator().manual_seed(0)).byte()
    return ImageSet(blocks.repeat_interleave(8, 2).repeat_interleave(8, 3), torch.arange(60) % 10)


@pytest.fixture(scope="module")
def models(images) -> tuple[nn.Module, nn.Module]:
    """Two learners that agree on some of the images."""
    torch.manual_seed(0)
    learner, averaged = build_learner("convnet", 10), build_learner("convnet", 10)
    for _ in range(50):  # batch norm has to have seen the images: a fresh network says the same of all of them
        learner(normalise(images.images))
    averaged.load_state_dict(learner.state_dict())
    for parameter in averaged.parameters():
        parameter.data += 0.05 * torch.randn(parameter.shape)
    return learner.eval(), averaged.eval()


def held_out(images: ImageSet) -> Samples:
    n = len(images)
    zero, unknown = torch.zeros(n, dtype=torch.int64), torch.full((n,), math.nan)
    return Samples(
        images.images, images.labels, zero, zero, zero.float(), unknown, unknown, zero.to(torch.int8) - 1, zero
    )


def counted(correct: torch.Tensor) -> float:
    assert 0 < correct.sum() < len(correct)
    return 100 * int(correct.sum()) / len(correct)


def test_accuracies_are_those_of_the_averaged_weights(images, models):
    expected = counted(logits_of(models[1], images.images).argmax(1) == images.labels)
    assert expected != counted(logits_of(models[0], images.images).argmax(1) == images.labels)
    assert RealAccuracy(images)(*models, []) == pytest.approx(expected)
    assert SyntheticAccuracy(held_out(images))(*models, []) == pytest.approx(expected)


def test_agreement_counts_equal_predictions(images, models):
    learner, averaged = (logits_of(model, images.images).argmax(1) for model in models)
    assert Agreement(images.images)(*models, []) == pytest.approx(counted(learner == averaged))
    assert Agreement(images.images)(models[0], models[0], []) == 100


def test_the_training_loss_is_higher_when_better(models):
    losses = [torch.tensor(2.0), torch.tensor(1.0)]
    assert TrainingLoss()(*models, losses) == -1.5
    assert TrainingLoss()(*models, [loss / 2 for loss in losses]) == -0.75


def test_a_loss_that_is_no_number_reaches_patience_by_name(models):
    signal = TrainingLoss()
    with pytest.raises(UserError, match="training loss: got nan"):
        Patience(2, signal=signal.name).exhausted(signal(*models, [torch.tensor(math.nan)]), 1.0)


def test_only_what_is_measured_on_the_pool_has_to_be_forgotten(images):
    signals = [RealAccuracy(images), SyntheticAccuracy(held_out(images)), Agreement(images.images), TrainingLoss()]
    assert [signal.of_pool for signal in signals] == [False, False, False, True]
    assert len({signal.name for signal in signals}) == 4
