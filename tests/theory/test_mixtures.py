"""Pools of several populations of rows: identities, and agreement with simulation row by row."""

import numpy as np
import pytest

from theory import (
    ArgumentError,
    KeepAll,
    KeepEasy,
    KeepHard,
    Population,
    dense_general,
    dense_mixture,
    general_error,
    mixture_error,
)

D = 60
FIELDS = ("test_error", "overlap", "squared_norm", "generator_overlap", "kept_fraction")


def directions(d=D, seed=0):
    """A covariance that is not diagonal, another, and three directions."""
    rng = np.random.default_rng(seed)
    basis, other = (np.linalg.qr(rng.standard_normal((d, d)))[0] for _ in range(2))
    s = np.arange(1, d + 1) ** -0.5
    pruner, truth, generator = rng.standard_normal((3, d))
    generator = truth + 0.6 * generator
    return (basis * s) @ basis.T, (other * s[::-1]) @ other.T, pruner + truth, generator, truth


@pytest.mark.parametrize("loss", ["squared", "logistic"])
@pytest.mark.parametrize("rule", [KeepHard(0.8), KeepEasy(0.5, agreeing=True)])
@pytest.mark.parametrize("diagonal", [True, False])
def test_a_mixture_of_one_population_is_that_population(rule, loss, diagonal):
    first, second, pruner, generator, truth = directions()
    if diagonal:
        first, second = np.diag(first), np.diag(second)
    rows = dict(covariance=first, pruner=pruner, generator=generator)
    setting = dict(ridge=0.01, truth=truth, loss=loss)
    alone = general_error(rule, n=150, label_noise=0.1, test_covariance=second, **rows, **setting)
    one = Population(rule, n=150, label_noise=0.1, **rows)
    half = Population(rule, n=75, label_noise=0.1, **rows)
    for pool in ([one], [half, half]):
        mixed = mixture_error(pool, test_covariance=second, **setting)
        for name in FIELDS:
            assert getattr(mixed, name) == pytest.approx(getattr(alone, name), rel=1e-9, abs=1e-10), name
    if loss == "squared":
        alone = general_error(rule, n=150, label_noise=0.1, **rows, **setting)
        assert mixture_error([one], **setting).finite_size == pytest.approx(alone.finite_size, rel=1e-9)


@pytest.mark.parametrize(("n", "loss"), [(30, "squared"), (400, "squared"), (30, "logistic")])
def test_one_population_without_a_ridge(n, loss):
    first, _, pruner, generator, truth = directions()
    rows = dict(covariance=np.diag(first), pruner=pruner, generator=generator)
    alone = general_error(KeepHard(0.8), n=n, truth=truth, label_noise=0.2, loss=loss, **rows)
    mixed = mixture_error([Population(KeepHard(0.8), n=n / 2, label_noise=0.2, **rows)] * 2, truth=truth, loss=loss)
    assert mixed.test_error == pytest.approx(alone.test_error, rel=1e-8)


@pytest.mark.parametrize("loss", ["squared", "logistic"])
def test_equal_covariances_in_training_and_test_change_nothing(loss):
    first, _, pruner, generator, truth = directions()
    setting = dict(n=150, ridge=0.01, covariance=first, pruner=pruner, generator=generator, truth=truth, loss=loss)
    a = general_error(KeepHard(0.8), **setting)
    b = general_error(KeepHard(0.8), **setting, test_covariance=first.copy())
    for name in FIELDS:
        assert getattr(a, name) == pytest.approx(getattr(b, name), rel=1e-10, abs=1e-10), name
    runs = [dense_general(KeepHard(0.8), **setting, test_covariance=c, replicates=2) for c in (None, first.copy())]
    np.testing.assert_allclose(runs[0].replicates, runs[1].replicates, atol=1e-10)


@pytest.mark.parametrize(
    ("loss", "ridge", "real", "synthetic"),
    [
        ("squared", 0.01, 100, 300),
        ("squared", 0.0, 30, 40),
        ("squared", 0.0, 200, 500),
        ("logistic", 1e-3, 100, 300),
        ("logistic", 0.0, 30, 60),
    ],
)
def test_simulation_agrees(loss, ridge, real, synthetic):
    first, second, pruner, generator, truth = directions(seed=1)
    pool = [
        Population(KeepAll(), n=real, covariance=first, pruner=truth, generator=truth),
        Population(KeepHard(0.8, agreeing=True), synthetic, second, pruner, generator, label_noise=0.1),
    ]
    exact = mixture_error(pool, ridge=ridge, loss=loss)
    run = dense_mixture(pool, ridge=ridge, loss=loss, replicates=40, seed=2)
    assert abs(run.mean - exact.test_error) < max(4 * run.standard_error, 0.02 * exact.test_error)
    if ridge > 0:
        assert run.squared_norm.mean() == pytest.approx(exact.squared_norm, rel=0.1)
    assert run.generator_overlap.mean() == pytest.approx(exact.generator_overlap, rel=0.05)
    assert run.kept.mean() / (real + synthetic) == pytest.approx(exact.kept_fraction, rel=0.05)


def test_train_and_test_covariances_that_differ_agree_with_simulation():
    first, second, pruner, generator, truth = directions(seed=3)
    setting = dict(n=300, covariance=first, pruner=pruner, generator=generator, truth=truth, test_covariance=second)
    for loss, ridge in (("squared", 0.01), ("logistic", 0.001)):
        exact = general_error(KeepHard(0.8), ridge=ridge, loss=loss, label_noise=0.1, **setting)
        run = dense_general(KeepHard(0.8), ridge=ridge, loss=loss, label_noise=0.1, **setting, replicates=40, seed=1)
        assert abs(run.mean - exact.test_error) < max(4 * run.standard_error, 0.02 * exact.test_error)


@pytest.mark.parametrize(
    "call",
    [
        lambda one: mixture_error([]),
        lambda one: mixture_error([one, Population(KeepAll(), 5, np.ones(3), np.ones(3), np.ones(3))]),
        lambda one: Population(KeepAll(), 0, np.ones(3), np.ones(3), np.ones(3)),
        lambda one: dense_mixture([Population(KeepAll(), 5.5, np.ones(3), np.ones(3), np.ones(3))]),
        lambda one: mixture_error([one], loss="hinge"),
    ],
)
def test_bad_arguments_are_refused_in_one_line(call):
    with pytest.raises(ArgumentError, match=r"^[^\n]*found[^\n]*$"):
        call(Population(KeepAll(), 5, np.ones(2), np.ones(2), np.ones(2)))
