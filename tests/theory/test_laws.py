"""The banded sampler has the law of the dense simulation, and the exact error is the mean of both."""

import numpy as np
import pytest
from scipy.stats import ks_2samp

from theory import KeepAll, KeepEasy, KeepHard, Tempered, banded, dense, general_error, isotropic_error
from theory.simulate import dense_general

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


def random_setting(rng):
    """One of the forty settings: dimension, pool, ridge, angles, rule and spectrum at random."""
    d, n = int(rng.integers(200, 401)), int(np.exp(rng.uniform(np.log(100), np.log(6000))))
    fraction = rng.uniform(0.15, 0.95)
    rules = [
        KeepAll(),
        KeepHard.keeping(fraction),
        KeepEasy.keeping(fraction),
        Tempered(rng.uniform(0.3, 4)),
        Tempered.keeping(fraction, -rng.uniform(0.3, 2)),
    ]
    rule = rules[rng.integers(len(rules))]
    spectrum = np.ones(d) if rng.random() < 0.5 else np.arange(1.0, d + 1) ** -rng.uniform(0.5, 1.5)
    root = np.sqrt(spectrum)
    u = rng.standard_normal((3, d))
    u, _ = np.linalg.qr(u.T)  # three orthonormal directions, in whitened coordinates
    rho, angle = rng.choice([-1.0, 1.0, rng.uniform(-1, 1)], p=[0.1, 0.2, 0.7]), rng.uniform(0, np.pi / 2)
    generator = rho * u[:, 0] + np.sqrt(1 - rho**2) * u[:, 1]
    truth = np.cos(angle) * generator + np.sin(angle) * u[:, 2] if rng.random() < 0.5 else generator
    vectors = {"pruner": u[:, 0] / root, "generator": generator / root, "truth": truth / root}
    return rule, dict(n=n, ridge=float(10 ** rng.uniform(-6, 0)), covariance=spectrum, **vectors)


@pytest.mark.parametrize("seed", range(40))
def test_exact_error_is_the_mean_of_the_dense_simulation(seed):
    rng = np.random.default_rng([7, seed])
    rule, setting = random_setting(rng)
    run = dense_general(rule, **setting, replicates=24, seed=rng)
    exact = float(general_error(rule, **setting).test_error)
    d = len(setting["covariance"])
    assert abs(run.mean - exact) < max(4 * run.standard_error, 3 / d * exact)


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
