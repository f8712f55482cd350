"""Edges of what is accepted: rounded covariances and cosines, infinite pools, scalars, large grids."""

import json
import tracemalloc

import numpy as np
import pytest

from theory import ArgumentError, KeepAll, KeepHard, Tempered, best_isotropic, general_error, isotropic_error, power_law


def test_a_float32_covariance_is_judged_by_its_own_precision():
    rng = np.random.default_rng(0)
    d = 60
    basis = np.linalg.qr(rng.standard_normal((d, d)))[0]
    s = np.concatenate([np.arange(1.0, 41) ** -1, np.zeros(20)])  # a third of the directions carry nothing
    matrix = basis * s @ basis.T
    pruner, generator = (basis[:, :40] @ rng.standard_normal(40) for _ in range(2))
    rounded = matrix.astype(np.float32)
    setting = dict(n=200, ridge=0.01, pruner=pruner, generator=generator)
    a = general_error(KeepHard(0.7), covariance=(matrix + matrix.T) / 2, **setting).test_error
    b = general_error(KeepHard(0.7), covariance=rounded, **setting).test_error
    assert a == pytest.approx(b, abs=1e-4)
    with pytest.raises(ArgumentError, match=r"^covariance: found"):
        general_error(KeepHard(0.7), covariance=rounded.astype(np.float64) - 1e-3 * np.eye(d), **setting)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_cosines_a_rounding_error_beyond_one_are_one(sign):
    setting = dict(d=100, n=400, ridge=0.01)
    at = isotropic_error(KeepHard(0.7), alignment=sign, **setting).test_error
    for gap in (2.3e-16, 1e-12):
        assert isotropic_error(KeepHard(0.7), alignment=sign * (1 + gap), **setting).test_error == at
    with pytest.raises(ArgumentError, match=r"^alignment: found"):
        isotropic_error(KeepHard(0.7), alignment=sign * (1 + 1e-9), **setting)


def test_an_infinite_pool_is_the_population_limit():
    n = [1e6, 1e9, 1e12, np.inf]
    vectors = power_law(d=40, decay=1.0, teacher="flat", alignment=0.9)
    for exact in (
        isotropic_error(KeepHard(0.7), d=40, n=n, ridge=1e-3, alignment=0.9),
        general_error(KeepHard(0.7), n=n, ridge=1e-3, **vectors),
    ):
        assert np.all(np.diff(exact.test_error) < 0) or np.ptp(exact.test_error) < 1e-6
        assert exact.test_error[2] == pytest.approx(exact.test_error[3], abs=1e-8)
        assert exact.finite_size[3] == 0


@pytest.mark.parametrize("named", [{"ridge": 1e76}, {"d": 1e76}, {"n": 1e-76}])
def test_what_would_overflow_is_refused(named):
    setting = {"d": 100, "n": 1000}
    with pytest.raises(ArgumentError, match=rf"^{next(iter(named))}: found 1e"):
        isotropic_error(KeepAll(), **setting | named)
    for ridge in (1e6, 1e75):
        assert isotropic_error(KeepAll(), ridge=ridge, **setting).test_error == pytest.approx(0.12011, abs=1e-5)
    assert isotropic_error(KeepAll(), d=1e75, n=1e-75).test_error == 0.5


def test_scalars_are_floats():
    exact = isotropic_error(KeepAll(), d=30, n=90, ridge=0.1)
    best = best_isotropic(d=30, n=90.0, budget="pool")
    for value in (
        exact.test_error,
        exact.finite_size,
        best.test_error,
        best.kept_fraction,
        KeepHard(0.7).kept_fraction,
    ):
        assert isinstance(value, float) and json.loads(json.dumps(value)) == value
        assert isinstance(round(value, 3), float)


def test_a_million_settings_of_a_tempered_rule_take_little_memory():
    alignments, pools = np.linspace(-1, 1, 1000), np.geomspace(10, 1e6, 1000)[:, None]
    tracemalloc.start()
    grid = isotropic_error(Tempered(1.5), d=100, n=pools, ridge=0.01, alignment=alignments)
    assert tracemalloc.get_traced_memory()[1] < 1e9
    tracemalloc.stop()
    one = isotropic_error(Tempered(1.5), d=100, n=pools[600, 0], ridge=0.01, alignment=alignments[700])
    assert grid.test_error[600, 700] == pytest.approx(one.test_error, abs=1e-13)


def test_settings_of_a_tempered_rule_broadcast():
    omega, level = np.array([0.5, 1.0, -2.0]), np.array([[0.3], [0.9]])
    grid = Tempered(omega, level).moments(0.7)
    assert grid.beta.shape == (2, 3) == np.shape(Tempered(omega, level).kept_fraction)
    assert float(grid.beta[1, 2]) == pytest.approx(float(Tempered(-2.0, 0.9).moments(0.7).beta), abs=1e-15)


def test_test_inputs_of_their_own_covariance():
    """The same covariance changes nothing, in any of its forms."""
    v = power_law(d=50, decay=1.0, teacher="flat", alignment=0.8)
    rotation = np.linalg.qr(np.random.default_rng(1).standard_normal((50, 50)))[0]
    setting = dict(n=200, ridge=0.01, label_noise=0.1)
    turned = {name: rotation @ x for name, x in v.items() if name != "covariance"}
    matrix = rotation * v["covariance"] @ rotation.T
    for loss in ("squared", "logistic"):
        a = general_error(KeepHard(0.7), **setting, **v, loss=loss)
        b = general_error(KeepHard(0.7), **setting, **v, loss=loss, test_covariance=v["covariance"])
        c = general_error(KeepHard(0.7), **setting, **turned, covariance=matrix, loss=loss, test_covariance=matrix)
        for name in ("test_error", "overlap", "squared_norm", "generator_overlap"):
            assert getattr(a, name) == pytest.approx(getattr(b, name), abs=1e-10)
            assert getattr(a, name) == pytest.approx(getattr(c, name), abs=1e-8)
