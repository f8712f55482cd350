"""Identities and limits of the exact error; its range; refusals."""

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from theory import (
    ArgumentError,
    KeepAll,
    KeepEasy,
    KeepHard,
    Tempered,
    banded,
    general_error,
    isotropic_error,
    power_law,
    printed_error,
)
from theory.spectrum import general_spectrum, isotropic_spectrum, stieltjes

RULES = [KeepAll(), KeepHard(0.7), KeepEasy(0.7), Tempered(1.5)]


def angle(overlap, squared_norm):
    return np.arccos(overlap / np.sqrt(squared_norm)) / np.pi


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("rho", [1.0, 0.9, -0.6, 0.0, -1.0])
def test_is_the_theorem_as_proved(rule, rho):
    n, ridge = np.array([100, 350, 1000, 9000])[:, None], np.array([1e-6, 1e-2, 3.0])
    mine = isotropic_error(rule, d=350, n=n, ridge=ridge, alignment=rho)
    theirs = printed_error(rule, "proved", d=350, n=n, ridge=ridge, alignment=rho)
    np.testing.assert_allclose(mine.test_error, theirs, atol=1e-10)
    np.testing.assert_allclose(mine.test_error, angle(mine.overlap, mine.squared_norm), atol=1e-10)


@pytest.mark.parametrize("rule", RULES)
def test_icml_form_is_right_only_at_perfect_alignment_of_either_sign_and_at_none(rule):
    setting = dict(d=350, n=1000, ridge=1e-2)
    for rho in (1.0, 0.0, -1.0):
        right = isotropic_error(rule, alignment=rho, **setting).test_error
        assert float(printed_error(rule, "ICML 2025", alignment=rho, **setting)) == pytest.approx(right, abs=1e-10)
    for rho in (0.6, -0.6):
        right = isotropic_error(rule, alignment=rho, **setting).test_error
        assert not abs(right - printed_error(rule, "ICML 2025", alignment=rho, **setting)) < 0.005  # NaN counts


@pytest.mark.parametrize("ridge", [1e-6, 0.1, 10.0])
@pytest.mark.parametrize("phi", [0.1, 1.0, 7.0])
def test_keeping_all_is_plain_ridge_regression(phi, ridge):
    """With p = 1 the moments of ridge regression are known from the Marchenko-Pastur law; m by quadrature."""
    low, high = (1 - np.sqrt(phi)) ** 2, (1 + np.sqrt(phi)) ** 2
    angles = np.polynomial.chebyshev.chebgauss(20_000)[0]
    s = (low + high) / 2 + (high - low) / 2 * angles
    density = np.sqrt(np.maximum((s - low) * (high - s), 0)) / (2 * np.pi * phi * s)
    weight = density * np.pi / 20_000 * np.sqrt(1 - angles**2) * (high - low) / 2
    mass = max(0.0, 1 - 1 / phi)  # at zero
    m = weight @ (1 / (s + ridge)) + mass / ridge
    m_prime = weight @ (1 / (s + ridge) ** 2) + mass / ridge**2
    c = np.sqrt(2 / np.pi)
    # w_hat = R X'y / n with y = c x.w0 + independent remainder of variance 1 - c^2.
    bias = c * (1 - ridge * m)
    noise = phi * (1 - c**2) * (m - ridge * m_prime)
    signal = c**2 * (1 - 2 * ridge * m + ridge**2 * m_prime)
    got = isotropic_error(KeepAll(), d=phi, n=1, ridge=ridge, alignment=0.3)
    assert float(got.overlap) == pytest.approx(bias, rel=1e-5)
    assert float(got.squared_norm) == pytest.approx(signal + noise, rel=1e-4)


@given(st.floats(1e-2, 3), st.floats(-1, 1), st.floats(-1, 1))
def test_alignment_of_opposite_sign_is_the_same_pruner(threshold, rho, g):
    """q is symmetric, so w_s and -w_s keep the same rows."""
    setting = dict(d=300, n=800, ridge=0.01, generator_alignment=g)
    a = isotropic_error(KeepHard(threshold), alignment=rho, pruner_truth_alignment=rho * g, **setting)
    b = isotropic_error(KeepHard(threshold), alignment=-rho, pruner_truth_alignment=-rho * g, **setting)
    assert float(a.test_error) == pytest.approx(float(b.test_error), abs=1e-12)


def test_opposite_truth_gives_the_complement():
    setting = dict(d=300, n=800, ridge=0.01, alignment=0.7)
    a = isotropic_error(KeepHard(0.7), **setting).test_error
    b = isotropic_error(KeepHard(0.7), generator_alignment=-1.0, **setting).test_error
    assert float(a + b) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("rho", [0.3, 0.6, 0.999])
def test_tiny_errors_fall_as_the_root_of_the_pool(rho):
    """Where the cosines' rounding errors would be a floor, if the generator were not taken to be the truth."""
    n = 10.0 ** np.arange(8, 25, 2)
    for truth in (None, rho):
        exact = isotropic_error(KeepAll(), d=350, n=n, alignment=rho, pruner_truth_alignment=truth)
        np.testing.assert_allclose(exact.test_error * np.sqrt(n / 350), 0.240487, rtol=1e-5)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("n", [150, 5000])
def test_small_ridge_meets_ridgeless(rule, n):
    a = isotropic_error(rule, d=350, n=n, ridge=0.0, alignment=0.8)
    b = isotropic_error(rule, d=350, n=n, ridge=1e-14, alignment=0.8)
    assert float(a.test_error) == pytest.approx(float(b.test_error), abs=1e-10)
    assert float(a.squared_norm) == pytest.approx(float(b.squared_norm), rel=1e-10)


@pytest.mark.parametrize("n", [1000, 300])
def test_ridgeless_closed_forms(n):
    """Both sides of the threshold, with the ridgeless scalings written out separately."""
    rule, rho, phi = KeepHard(1.0), 0.8, 350 / n
    k = rule.moments(rho)
    first, second = np.sqrt(1 - rho**2) * k.beta, rho * k.beta_tilde
    if phi < k.p:
        m, m_prime, t = 1 / (k.p - phi), k.p / (k.p - phi) ** 3, k.p / k.gamma / (k.p - phi)
        t_prime = t**2 * (1 + k.gamma * phi * m_prime / (1 + phi * m) ** 2)
        dot, r = first * m + second * t, k.beta**2 * m + k.beta_tilde**2 * t
        r_prime = k.beta**2 * m_prime + k.beta_tilde**2 * t_prime
        nu = k.p * phi * m_prime + r_prime - 2 * phi * m_prime / (1 + phi * m) * r
    else:
        c = 1 - k.p / phi
        t = c / (k.gamma / phi + c)
        dot = first * c + second * t
        nu = k.p * phi * c + k.beta**2 * c + k.beta_tilde**2 * t**2 * (1 + k.gamma / (phi * c))
        nu -= 2 * (k.beta**2 * c + k.beta_tilde**2 * t)
    exact = isotropic_error(rule, d=350, n=n, ridge=0.0, alignment=rho)
    assert float(exact.test_error) == pytest.approx(float(angle(dot, nu)), abs=1e-12)


def test_interpolation_threshold_has_a_clear_answer():
    at = isotropic_error(KeepAll(), d=400, n=400, ridge=0.0)
    assert float(at.test_error) == 0.5 and np.isinf(at.squared_norm)
    near = isotropic_error(KeepAll(), d=400, n=400 * np.array([1 - 1e-9, 1 + 1e-9]), ridge=0.0)
    np.testing.assert_allclose(near.test_error, 0.5, atol=1e-4)
    s = np.linspace(0.5, 2, 400)
    general = general_error(KeepAll(), n=400, ridge=0.0, covariance=s, pruner=np.ones(400), generator=np.ones(400))
    assert float(general.test_error) == pytest.approx(0.5, abs=1e-6)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("ridge", [0.0, 1e-6, 1.0])
def test_identity_covariance_meets_isotropic(rule, ridge):
    rng = np.random.default_rng(1)
    d = 40
    ws, wg, wt = rng.standard_normal((3, d))

    def cos(a, b):
        return a @ b / np.linalg.norm(a) / np.linalg.norm(b)

    n = np.array([20.0, 40.0, 41.0, 500.0])
    a = general_error(rule, n=n, ridge=ridge, covariance=np.eye(d), pruner=ws, generator=wg, truth=wt)
    b = isotropic_error(
        rule, d=d, n=n, ridge=ridge, alignment=cos(ws, wg), generator_alignment=cos(wg, wt),
        pruner_truth_alignment=cos(ws, wt),
    )  # fmt: skip
    for name in ("test_error", "overlap", "generator_overlap", "kept_fraction"):
        np.testing.assert_allclose(getattr(a, name), getattr(b, name), atol=1e-10, err_msg=name)
    finite = np.isfinite(b.squared_norm) & (b.squared_norm < 1e8)
    np.testing.assert_allclose(a.squared_norm[finite], b.squared_norm[finite], rtol=1e-10)


def test_matrix_and_spectrum_agree_and_scale_is_free():
    rng = np.random.default_rng(2)
    d = 30
    basis = np.linalg.qr(rng.standard_normal((d, d)))[0]
    s = np.arange(1.0, d + 1) ** -1
    ws, wg = rng.standard_normal((2, d))
    a = general_error(KeepHard(0.7), n=100, ridge=0.01, covariance=s, pruner=ws, generator=wg)
    matrix = basis * s @ basis.T
    b = general_error(KeepHard(0.7), n=100, ridge=0.01, covariance=matrix, pruner=basis @ ws, generator=5 * basis @ wg)
    c = general_error(KeepHard(0.7), n=100, ridge=0.03, covariance=3 * s, pruner=ws, generator=wg)
    assert float(a.test_error) == pytest.approx(float(b.test_error), abs=1e-12)
    assert float(a.test_error) == pytest.approx(float(c.test_error), abs=1e-12)


def test_matrix_and_spectrum_agree_on_a_steep_spectrum():
    rng = np.random.default_rng(5)
    basis = np.linalg.qr(rng.standard_normal((350, 350)))[0]
    v = power_law(d=350, decay=4.0, teacher="flat", alignment=0.9)
    a = general_error(KeepHard(0.7), n=800, **v).test_error
    for q in (np.eye(350), basis):
        turned = {name: q @ vector for name, vector in v.items() if name != "covariance"}
        matrix = q * v["covariance"] @ q.T
        b = general_error(KeepHard(0.7), n=800, covariance=(matrix + matrix.T) / 2, **turned).test_error
        assert float(a) == pytest.approx(float(b), abs=1e-6)


def test_null_directions_do_not_matter():
    rng = np.random.default_rng(4)
    ws, wg = rng.standard_normal((2, 20))
    s = np.arange(1.0, 21) ** -0.5
    for ridge in (0.0, 0.1):
        a = general_error(KeepHard(0.7), n=30, ridge=ridge, covariance=s, pruner=ws, generator=wg)
        padded = [np.append(x, [1.0, 2.0]) for x in (ws, wg)]
        wide = np.append(s, [0.0, 0.0])
        b = general_error(KeepHard(0.7), n=30, ridge=ridge, covariance=wide, pruner=padded[0], generator=padded[1])
        assert float(a.test_error) == pytest.approx(float(b.test_error), abs=1e-12)


@pytest.mark.parametrize(
    ("phi", "p", "ridge"), [(0.3, 0.5, 1e-3), (2.0, 0.5, 1e-6), (0.5, 0.5, 1e-2), (1e-4, 1.0, 1e3)]
)
def test_derivatives_match_arbitrary_precision(phi, p, ridge):
    with mpmath.workdps(50):
        gamma = mpmath.mpf("0.2")

        def m(z):
            b = mpmath.mpf(p) - mpmath.mpf(phi) - z
            return (b - mpmath.sqrt(b**2 - 4 * mpmath.mpf(phi) * z)) / (2 * mpmath.mpf(phi) * z)

        def m_tilde(z):
            return 1 / (gamma / (1 + mpmath.mpf(phi) * m(z)) - z)

        z = -mpmath.mpf(ridge)
        want = [float(x) for x in (m(z), m_tilde(z), mpmath.diff(m, z), mpmath.diff(m_tilde, z))]
    t = stieltjes(phi, p, 0.2, ridge)
    got = [float(x) for x in (t.m, t.m_tilde, t.m_prime, t.m_tilde_prime)]
    np.testing.assert_allclose(got, want, rtol=1e-10)
    effective, variance = (float(x) for x in isotropic_spectrum(*(np.array(x) for x in (phi, p, ridge))))
    assert effective == pytest.approx(ridge * (1 + phi * want[0]), rel=1e-10)
    assert variance == pytest.approx(phi * want[2] / (1 + phi * want[0]) ** 2, rel=1e-10)


def test_effective_ridge_solves_its_equation():
    s = np.arange(1.0, 201) ** -1.5
    n, ridge = np.array([10.0, 150.0, 200.0, 4000.0])[:, None], np.array([0.0, 1e-9, 1e-3, 1e3])
    effective, _ = general_spectrum(s, n, np.array(0.7), ridge)
    shrunk = 0.7 * s + effective[..., None]
    gap = effective - ridge - (effective[..., None] * s / shrunk).sum(-1) / n
    np.testing.assert_allclose(gap, 0, atol=1e-13)


@settings(max_examples=300)
@given(
    st.floats(-4, 3), st.floats(-8, 3) | st.just(-np.inf), st.floats(-1, 1) | st.sampled_from([-1.0, 0.0, 1.0]),
    st.floats(-4, 0), st.booleans(), st.floats(-1, 1),
)  # fmt: skip
def test_finite_over_the_whole_range(log_phi, log_ridge, rho, log_p, hard, g):
    rule = (KeepHard if hard else KeepEasy).keeping(10**log_p)
    ridge = 0.0 if log_ridge == -np.inf else 10**log_ridge
    exact = isotropic_error(rule, d=10**log_phi, n=1.0, ridge=ridge, alignment=rho, generator_alignment=g)
    assert 0 <= float(exact.test_error) <= 1
    assert np.isfinite(exact.overlap) and not np.isnan(exact.squared_norm) and not np.isnan(exact.finite_size)


def test_a_grid_of_settings_is_one_call():
    rule = KeepHard.keeping(np.linspace(0.01, 1, 100))
    n = 1 / np.geomspace(1e-4, 1e3, 100)[:, None]
    grid = isotropic_error(rule, d=1.0, n=n, ridge=0.01, alignment=0.9)
    assert grid.test_error.shape == (100, 100) and np.all(np.isfinite(grid.test_error))


FLAT = [1, 0, 0, 0, 0]
GOOD = dict(covariance=np.ones(5), pruner=np.ones(5), generator=np.ones(5), n=10)


@pytest.mark.parametrize(
    ("argument", "call"),
    [
        ("n", lambda: isotropic_error(KeepAll(), d=3, n=0)),
        ("n", lambda: isotropic_error(KeepAll(), d=3, n="many")),
        ("n", lambda: isotropic_error(KeepAll(), d=3, n=np.nan)),
        ("n", lambda: isotropic_error(KeepAll(), d=3, n=True)),
        ("d", lambda: isotropic_error(KeepAll(), d=-3, n=4)),
        ("ridge", lambda: isotropic_error(KeepAll(), d=3, n=4, ridge=-1e-9)),
        ("alignment", lambda: isotropic_error(KeepAll(), d=3, n=4, alignment=1.2)),
        ("pruner_truth_alignment", lambda: isotropic_error(KeepAll(), d=3, n=4, pruner_truth_alignment=0)),
        ("shapes", lambda: isotropic_error(KeepAll(), d=np.ones(3), n=np.ones(4))),
        ("shapes", lambda: isotropic_error(KeepAll(), d=3, n=4, alignment=[0.1, 0.2, 0.3], generator_alignment=[0, 1])),
        ("version", lambda: printed_error(KeepAll(), "v2", d=3, n=4, ridge=0.1)),
        ("rule", lambda: printed_error("all", "proved", d=3, n=4, ridge=0.1)),
        ("ridge", lambda: printed_error(KeepAll(), "proved", d=3, n=4, ridge=0)),
        ("shapes", lambda: printed_error(KeepAll(), "proved", d=np.ones(3), n=np.ones(4), ridge=0.1)),
        ("covariance", lambda: general_error(KeepAll(), **GOOD | {"covariance": np.diag([1, 1, 1, 1, -1.0])})),
        ("covariance", lambda: general_error(KeepAll(), **GOOD | {"covariance": np.triu(np.ones((5, 5)))})),
        ("covariance", lambda: general_error(KeepAll(), **GOOD | {"covariance": np.zeros(5)})),
        ("covariance", lambda: general_error(KeepAll(), **GOOD | {"covariance": np.full(5, np.nan)})),
        ("covariance", lambda: general_error(KeepAll(), **GOOD | {"covariance": np.ones((5, 4))})),
        ("pruner", lambda: general_error(KeepAll(), **GOOD | {"pruner": np.zeros(5)})),
        ("generator", lambda: general_error(KeepAll(), **GOOD | {"generator": np.ones(4)})),
        ("truth", lambda: general_error(KeepAll(), **GOOD | {"truth": np.full(5, np.inf)})),
        ("generator", lambda: general_error(KeepAll(), **GOOD | {"covariance": FLAT, "generator": [0, 1, 0, 0, 0]})),
    ],
)
def test_bad_arguments_are_named_in_one_line(argument, call):
    with pytest.raises(ArgumentError) as caught:
        call()
    assert str(caught.value).startswith(f"{argument}: found") and "\n" not in str(caught.value)


def test_finite_size_predicts_the_gap_of_very_selective_rules():
    """A thin slab leaves little variance along the pruner: there the limit is slow, by the amount foretold."""
    for p in (0.1, 0.07):
        rule, setting = KeepHard.keeping(p), dict(d=500, n=round(2000 / p), ridge=0.0, alignment=0.9)
        exact, run = isotropic_error(rule, **setting), banded(rule, **setting, replicates=800, seed=1)
        gap = (run.mean / float(exact.test_error)) ** 2 - 1
        assert gap == pytest.approx(float(exact.finite_size), rel=0.35)
