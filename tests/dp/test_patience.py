from hypothesis import given
from hypothesis import strategies as st

from dp.patience import Patience


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


@given(st.lists(st.floats(0, 100), max_size=60), st.integers(1, 5))
def test_two_firings_are_at_least_the_limit_apart(accuracies, limit):
    fired = additions(Patience(limit, incremental=False), accuracies)
    assert all(b - a >= limit for a, b in zip([0, *fired], fired, strict=False))
