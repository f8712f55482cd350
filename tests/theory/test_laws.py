"""The banded sampler has the law of the dense simulation, and the exact error is the mean of both."""

import tracemalloc

import numpy as np
import pytest
from scipy.stats import ks_2samp

from theory import (
    ArgumentError,
    KeepAll,
    KeepEasy,
    KeepHard,
    Tempered,
    banded,
    dense,
    dense_general,
    general_error,
    isotropic_error,
    power_law,
)
from theory.sampling.fits import fit

SETTINGS = [
    (KeepHard(0.7), dict(d=200, n=1000, ridge=1e-2, alignment=0.9)),
    (KeepEasy(0.7), dict(d=120, n=300, ridge=0.0, alignment=-0.6)),
    (KeepAll(), dict(d=203, n=150, ridge=1e-6, alignment=1.0)),
    (Tempered(1.5), dict(d=150, n=400, ridge=1e-1, alignment=0.7, generator_alignment=0.8)),
    (KeepHard(0.7), dict(d=20, n=5, ridge=1e-2, alignment=0.5)),  # fewer rows than the plane has directions, often
    (KeepHard(0.4), dict(d=2, n=6, ridge=1e-2, alignment=0.3)),
    (KeepAll(), dict(d=3, n=12, ridge=0.0, alignment=0.3)),
    (KeepAll(), dict(d=7, n=7, ridge=1e-3, alignment=0.3, generator_alignment=0.5, pruner_truth_alignment=-0.2)),
]


@pytest.mark.parametrize(("rule", "setting"), SETTINGS)
def test_banded_has_the_law_of_dense(rule, setting):
    slow = dense(rule, **setting, replicates=300, seed=1)
    fast = banded(rule, **setting, replicates=1500, seed=2)
    for name in ("replicates", "overlap", "squared_norm"):
        a, b = getattr(slow, name), getattr(fast, name)
        assert ks_2samp(a, b, method="asymp").pvalue > 0.001 / (3 * len(SETTINGS)), name
        spread = [np.abs(x - np.median(x)) for x in (a, b)]
        assert ks_2samp(*spread, method="asymp").pvalue > 0.001 / (3 * len(SETTINGS)), f"spread of {name}"


def random_setting(rng, loss):
    """Return one of the sixty settings: dimension, pool, ridge, angles, noise, rule, agreement, spectrum at random."""
    d = int(rng.integers(200, 401)) if loss == "squared" else int(rng.integers(90, 180))
    n = int(d * np.exp(rng.uniform(np.log(0.5), np.log(15))))
    fraction, agreeing = rng.uniform(0.15, 0.95), bool(rng.random() < 0.4)
    rules = [
        KeepAll(agreeing=agreeing),
        KeepHard.keeping(fraction, agreeing=agreeing),
        KeepEasy.keeping(fraction, agreeing=agreeing),
        Tempered(rng.uniform(0.3, 4), agreeing=agreeing),
        Tempered.keeping(fraction, -rng.uniform(0.3, 2), agreeing=agreeing),
    ]
    rule = rules[rng.integers(len(rules))]
    spectrum = np.ones(d) if rng.random() < 0.5 else np.arange(1.0, d + 1) ** -rng.uniform(0.5, 1.2)
    root = np.sqrt(spectrum)
    u = rng.standard_normal((3, d))
    u, _ = np.linalg.qr(u.T)  # three orthonormal directions, in whitened coordinates
    low = 0 if agreeing else -1  # at -1 no label agrees
    rho, angle = rng.choice([low, 1.0, rng.uniform(low, 1)], p=[0.1, 0.2, 0.7]), rng.uniform(0, np.pi / 2)
    generator = rho * u[:, 0] + np.sqrt(1 - rho**2) * u[:, 1]
    truth = np.cos(angle) * generator + np.sin(angle) * u[:, 2] if rng.random() < 0.5 else generator
    vectors = {"pruner": u[:, 0] / root, "generator": generator / root, "truth": truth / root}
    noise = float(rng.choice([0.0, rng.uniform(0, 0.3)]))
    ridge = float(10 ** rng.uniform(-6, 0 if loss == "squared" else 3))
    return rule, dict(n=n, ridge=ridge, covariance=spectrum, label_noise=noise, loss=loss, **vectors)


@pytest.mark.parametrize("loss", ["squared", "logistic"])
@pytest.mark.parametrize("seed", range(30))
def test_exact_error_is_the_mean_of_the_dense_simulation(seed, loss):
    rng = np.random.default_rng([7, seed])
    rule, setting = random_setting(rng, loss)
    run = dense_general(rule, **setting, replicates=24, seed=rng)
    exact = general_error(rule, **setting).test_error
    assert abs(run.mean - exact) < max(4 * run.standard_error, 0.02 * exact)


def test_norm_and_overlap_are_exact_too():
    rule, setting = KeepHard(0.7), dict(d=3000, n=9000, ridge=1e-2, alignment=0.8, generator_alignment=0.9)
    run, exact = banded(rule, **setting, replicates=100, seed=3), isotropic_error(rule, **setting)
    for drawn, limit in ((run.overlap, exact.overlap), (run.squared_norm, exact.squared_norm)):
        assert abs(drawn.mean() - limit) < 4 * drawn.std() / 10 + limit / 3000


def test_gap_to_the_exact_error_closes_as_dimension_grows():
    gaps = []
    for d, replicates in ((30, 10000), (300, 4000), (3000, 600)):
        setting = dict(d=d, n=2 * d, ridge=1e-3, alignment=0.9)  # near interpolation, where the gap is largest
        run = banded(KeepHard(0.7), **setting, replicates=replicates, seed=5)
        gaps.append(abs(run.mean - float(isotropic_error(KeepHard(0.7), **setting).test_error)))
    assert gaps[0] > 4 * gaps[1]
    assert gaps[2] < 4 * run.standard_error


@pytest.mark.parametrize("shape", [(30, 80), (80, 30), (40, 40)])
def test_fit_is_ridge_regression(shape):
    linear_model = pytest.importorskip("sklearn.linear_model")
    rng = np.random.default_rng(0)
    x, y, n = rng.standard_normal(shape), rng.choice([-1.0, 1.0], shape[0]), 200
    theirs = linear_model.Ridge(alpha=n * 0.03, fit_intercept=False, tol=1e-12).fit(x, y).coef_
    np.testing.assert_allclose(fit(x, y, n, 0.03), theirs, atol=1e-9)
    np.testing.assert_allclose(fit(x, y, n, 0.0), np.linalg.lstsq(x, y)[0], atol=1e-6)  # minimum norm


@pytest.mark.parametrize("n", [100, 4, 2])
def test_null_directions_carry_no_data(n):
    vectors = {"pruner": [1.0, 0.0, 0.0], "generator": [1.0, 1.0, 0.0]}
    padded = {name: [*vector, 2.0, -1.0] for name, vector in vectors.items()}
    a = dense_general(KeepAll(), n=n, covariance=np.ones(3), **vectors, replicates=20)
    b = dense_general(KeepAll(), n=n, covariance=[1.0, 1.0, 1.0, 0.0, 0.0], **padded, replicates=20)
    np.testing.assert_array_equal(a.replicates, b.replicates)


@pytest.mark.filterwarnings("error")
def test_fit_without_a_ridge_does_not_see_the_spectrum():
    """With more rows than dimensions; also where the rows' squares are singular in float64."""
    setting = dict(n=400, replicates=3, seed=1)
    flat, steep = (
        dense_general(KeepHard(0.7), **setting, **power_law(d=100, decay=decay, teacher="flat", alignment=0.9))
        for decay in (0.0, 8.0)
    )
    np.testing.assert_allclose(steep.replicates, flat.replicates, rtol=1e-6)


def test_singular_fit_is_refused_in_one_line():
    vectors = power_law(d=100, decay=20.0, teacher="flat", alignment=0.9)
    with pytest.raises(ArgumentError, match=r"^ridge: found 0, [^\n]*$"):
        dense_general(KeepHard(0.7), n=400, **vectors)
    assert 0.3 < dense_general(KeepHard(0.7), n=400, ridge=1e-12, replicates=20, **vectors).mean < 0.5


def test_nothing_kept_is_a_coin_toss():
    for simulate in (dense, banded):
        run = simulate(KeepHard(1e-12), d=5, n=4, ridge=0.1, replicates=3)
        np.testing.assert_array_equal(run.replicates, 0.5)


def test_simulations_are_seeded_and_carry_their_replicates():
    setting = dict(d=30, n=90, ridge=0.1, alignment=0.5)
    for simulate in (dense, banded):
        a, b = (simulate(Tempered(1.0), **setting, replicates=6, seed=4) for _ in range(2))
        np.testing.assert_array_equal(a.replicates, b.replicates)
        assert a.replicates.shape == (6,) and a.mean == a.replicates.mean()
        assert a.standard_error == pytest.approx(a.replicates.std(ddof=1) / np.sqrt(6))
        assert np.ptp(a.replicates) > 0


def test_large_dimensions_take_memory_of_their_order():
    """The rows alone would be 800 GB."""
    tracemalloc.start()
    run = banded(KeepHard(0.7), d=100_000, n=1_000_000, ridge=1e-2, alignment=0.9, seed=0)
    assert tracemalloc.get_traced_memory()[1] < 200e6
    tracemalloc.stop()
    exact = isotropic_error(KeepHard(0.7), d=100_000, n=1_000_000, ridge=1e-2, alignment=0.9)
    assert run.mean == pytest.approx(float(exact.test_error), rel=0.02)


@pytest.mark.parametrize("simulate", [dense, banded])
@pytest.mark.parametrize(
    "bad",
    [
        {"n": 0},
        {"n": 2.5},
        {"n": "ten"},
        {"d": 1},
        {"d": 2, "generator_alignment": 0.5},
        {"ridge": -1.0},
        {"ridge": [0.1, 0.2]},
        {"alignment": 1.2},
        {"alignment": float("nan")},
        {"alignment": [0.1, 0.2, 0.3]},
        {"generator_alignment": 2},
        {"pruner_truth_alignment": -0.9},
        {"replicates": 0},
        {"seed": -1},
        {"seed": "x"},
    ],
)
def test_bad_simulations_are_refused_in_one_line(simulate, bad):
    with pytest.raises(ArgumentError) as caught:
        simulate(KeepAll(), **{"d": 9, "n": 20, "replicates": 2, "alignment": 0.5} | bad)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("rule", [KeepHard(np.ones(2)), "keep-hard", None])
def test_bad_rules_are_refused_in_one_line(rule):
    for simulate in (dense, banded):
        with pytest.raises(ArgumentError, match=r"^rule: found"):
            simulate(rule, d=9, n=20)
    if not isinstance(rule, KeepHard):
        with pytest.raises(ArgumentError, match=r"^rule: found"):
            isotropic_error(rule, d=9, n=20)
