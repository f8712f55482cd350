"""Logistic loss: identities, the largest margin, robustness; its agreement with simulation is in test_laws."""

import numpy as np
import pytest

from theory import KeepAll, KeepEasy, KeepHard, Tempered, UserRule, dense, general_error, isotropic_error
from theory.losses.loss import Logistic
from theory.sampling.fits import logistic_fit, max_margin_fit

RULES = [KeepAll(), KeepHard(0.7), KeepEasy(0.7, agreeing=True), Tempered(1.5)]


@pytest.mark.parametrize("rule", RULES)
def test_small_margins_are_those_of_squared_loss(rule):
    """log(1 + exp(-m)) is (m - 2)^2 / 8 and a constant: ridge regression of targets 2 at four times the ridge."""
    setting = dict(d=100, n=300, alignment=0.8, label_noise=0.1, generator_alignment=0.9)
    a = isotropic_error(rule, ridge=1e5, loss="logistic", **setting)
    b = isotropic_error(rule, ridge=4e5, **setting)
    assert a.test_error == pytest.approx(b.test_error, abs=1e-10)
    assert a.overlap == pytest.approx(2 * b.overlap, rel=1e-9)


@pytest.mark.parametrize("rule", RULES)
def test_general_covariance_meets_isotropic(rule):
    setting = dict(n=300, ridge=0.01, label_noise=0.1, loss="logistic")
    pruner, generator, truth = np.eye(3, 80)
    generator = 0.8 * pruner + 0.6 * generator
    truth = 0.9 * generator + np.sqrt(1 - 0.81) * truth
    a = isotropic_error(rule, d=80, alignment=0.8, generator_alignment=0.9, **setting)
    b = general_error(rule, covariance=np.ones(80), pruner=pruner, generator=generator, truth=truth, **setting)
    for name in ("test_error", "overlap", "squared_norm", "generator_overlap", "finite_size"):
        assert getattr(a, name) == pytest.approx(getattr(b, name), rel=1e-9), name


@pytest.mark.parametrize("rho", [1.0, -1.0])
def test_alignments_next_to_one_are_those_at_one(rho):
    setting = dict(d=100, n=400, ridge=1e-4, loss="logistic")
    at = isotropic_error(KeepHard(0.7), alignment=rho, **setting).test_error
    for gap in (1e-16, 1e-14, 1e-12):
        near = isotropic_error(KeepHard(0.7), alignment=rho * (1 - gap), **setting).test_error
        beyond = isotropic_error(KeepHard(0.7), alignment=rho * (1 + gap), **setting).test_error
        assert near == pytest.approx(at, abs=1e-9) and beyond == at


@pytest.mark.parametrize(
    ("rule", "setting"),
    [
        (KeepAll(), dict(d=60, n=120, alignment=1.0)),
        (KeepHard(0.7), dict(d=60, n=150, alignment=0.9)),
        (KeepEasy(0.7, agreeing=True), dict(d=60, n=100, alignment=0.6, label_noise=0.1)),
    ],
)
def test_separable_rows_at_no_ridge_have_the_largest_margin(rule, setting):
    exact = isotropic_error(rule, loss="logistic", **setting)
    run = dense(rule, loss="logistic", **setting, replicates=60, seed=1)
    assert abs(run.mean - exact.test_error) < max(4 * run.standard_error, 0.02 * exact.test_error)
    assert np.median(run.squared_norm) == pytest.approx(exact.squared_norm, rel=0.1)  # the margin, too
    small = isotropic_error(rule, loss="logistic", ridge=1e-12, **setting)
    assert small.test_error == pytest.approx(exact.test_error, rel=0.02)


def test_rows_that_are_not_separable_have_a_maximum_likelihood():
    setting = dict(d=50, n=400, alignment=0.5, label_noise=0.2, loss="logistic")
    exact, run = isotropic_error(KeepAll(), **setting), dense(KeepAll(), **setting, replicates=40, seed=1)
    assert abs(run.mean - exact.test_error) < max(4 * run.standard_error, 0.02 * exact.test_error)
    assert run.squared_norm.mean() == pytest.approx(exact.squared_norm, rel=0.1)


def test_the_largest_margin_is_the_support_vectors():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((40, 20))
    signed = x * np.sign(x[:, :1])
    w = max_margin_fit(signed)
    margin = signed @ w
    assert margin.min() == pytest.approx(1, abs=1e-9)
    # Optimality: w is a combination of the rows at the margin with weights that are not negative.
    support = signed[margin < 1 + 1e-7]
    weights, *_ = np.linalg.lstsq(support.T, w)
    assert np.all(weights > -1e-9) and np.allclose(support.T @ weights, w, atol=1e-8)
    assert max_margin_fit(np.vstack([signed, -signed])) is None


@pytest.mark.parametrize("shape", [(80, 30), (30, 80)])
def test_fit_is_logistic_regression(shape):
    linear_model = pytest.importorskip("sklearn.linear_model")
    rng = np.random.default_rng(0)
    x, y, n = rng.standard_normal(shape), rng.choice([-1.0, 1.0], shape[0]), 200
    theirs = linear_model.LogisticRegression(C=1 / (n * 0.01), fit_intercept=False, tol=1e-10, max_iter=9999).fit(x, y)
    np.testing.assert_allclose(logistic_fit(x, y, n, 0.01), theirs.coef_[0], atol=1e-5)


def test_response_is_that_of_the_proximal_point():
    margin = np.linspace(-60, 60, 2001)
    for leverage in (0.0, 0.1, 3.0, 1e3, 1e7):
        slope, bend = Logistic().response(margin, leverage)
        u = margin - leverage * slope
        np.testing.assert_allclose(slope, -1 / (1 + np.exp(np.clip(u, -700, 700))), atol=1e-9)
        step = 1e-4
        ahead, behind = (Logistic().response(margin + x, leverage)[0] for x in (step, -step))
        np.testing.assert_allclose(bend, (ahead - behind) / (2 * step), atol=1e-6)


@pytest.mark.parametrize("seed", range(20))
def test_the_fixed_point_is_found_over_the_whole_range(seed):
    rng = np.random.default_rng([3, seed])
    fraction, agreeing = 10 ** rng.uniform(-1.5, 0), bool(rng.random() < 0.4)
    rules = [KeepAll, lambda **kw: KeepHard.keeping(fraction, **kw), lambda **kw: KeepEasy.keeping(fraction, **kw)]
    rule = rules[rng.integers(3)](agreeing=agreeing)
    rho = float(rng.choice([rng.uniform(-0.9, 1), 1.0, 0.0, 0.999]))
    noise = float(rng.choice([0.0, rng.uniform(0, 0.3)]))
    ridge, n = 10 ** rng.uniform(-6, 3), 10 ** rng.uniform(1.3, 4.5)
    exact = isotropic_error(rule, d=100, n=n, ridge=ridge, alignment=rho, label_noise=noise, loss="logistic")
    assert 0 < exact.test_error < 0.55 and np.isfinite(exact.squared_norm)


def test_population_limit_and_pure_noise():
    n = [1e3, 1e5, 1e8, np.inf]
    exact = isotropic_error(KeepHard(0.7), d=100, n=n, ridge=1e-3, alignment=0.9, label_noise=0.1, loss="logistic")
    assert np.all(np.diff(exact.test_error) < 0)
    assert exact.test_error[2] == pytest.approx(exact.test_error[3], rel=0.02)
    toss = isotropic_error(KeepAll(), d=100, n=300, ridge=0.1, alignment=0.8, label_noise=0.5, loss="logistic")
    assert toss.test_error == pytest.approx(0.5, abs=1e-9)


def test_user_rules_and_grids():
    band = UserRule(lambda t: (np.abs(t) < 0.7).astype(float))
    setting = dict(d=100, n=400, ridge=0.01, alignment=0.8, loss="logistic")
    a, b = isotropic_error(band, **setting), isotropic_error(KeepHard(0.7), **setting)
    assert a.test_error == pytest.approx(b.test_error, abs=1e-9)
    grid = isotropic_error(KeepHard(np.array([0.5, 0.7])), **setting | {"n": [[300.0], [400.0]]})
    assert grid.test_error.shape == (2, 2) and grid.test_error[1, 1] == pytest.approx(b.test_error, abs=1e-9)
