"""Moments of the selection rules: closed forms against quadrature, sampling, and each other."""

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from theory import ArgumentError, KeepAll, KeepEasy, KeepHard, Tempered, UserRule

FIELDS = ("p", "gamma", "beta", "beta_tilde")
cosines = st.floats(-1, 1) | st.sampled_from([-1.0, 0.0, 1.0, 1 - 1e-12, 1e-9])


def values(rule, rho):
    k = rule.moments(rho)
    return np.array([float(getattr(k, name)) for name in FIELDS])


@given(st.floats(1e-3, 6), cosines)
def test_hard_and_easy_add_up_to_all(threshold, rho):
    total = values(KeepHard(threshold), rho) + values(KeepEasy(threshold), rho)
    np.testing.assert_allclose(total, values(KeepAll(), rho), atol=1e-12)


@pytest.mark.parametrize("rho", [-1.0, -0.6, 0.0, 0.3, 0.99, 1 - 1e-10, 1.0])
@pytest.mark.parametrize("threshold", [0.01, 0.7, 3.0])
def test_quadrature_matches_closed_forms(threshold, rho):
    hard = UserRule(lambda t: (np.abs(t) <= threshold).astype(float))  # the jump is not declared: it must be found
    easy = UserRule(lambda t: (np.abs(t) > threshold).astype(float))
    np.testing.assert_allclose(values(hard, rho), values(KeepHard(threshold), rho), atol=2e-13)
    np.testing.assert_allclose(values(easy, rho), values(KeepEasy(threshold), rho), atol=2e-13)


@pytest.mark.parametrize("rho", [0.9, -0.35, 1.0])
@pytest.mark.parametrize("rule", [KeepHard(1e-4), KeepHard(0.7), KeepEasy(2.0), Tempered(1.5), Tempered(-1.0, 0.2)])
def test_moments_match_arbitrary_precision(rule, rho):
    with mpmath.workdps(40):
        one, r = mpmath.mpf(1), mpmath.mpf(rho)

        def q(t):
            if isinstance(rule, KeepHard):
                return one if t <= mpmath.mpf(float(rule.threshold)) else 0 * one
            if isinstance(rule, KeepEasy):
                return one if t > mpmath.mpf(float(rule.threshold)) else 0 * one
            return min(one, mpmath.mpf(rule.level) * mpmath.sech(t / 2) ** (2 * mpmath.mpf(rule.omega)))

        breaks = {KeepHard: getattr(rule, "threshold", 1), KeepEasy: getattr(rule, "threshold", 1)}.get(type(rule))
        if breaks is None:  # where a tempered rule reaches 1
            breaks = 1.0 if rule.omega > 0 else 2 * np.arccosh(rule.level ** (1 / (2 * rule.omega)))
        points = [0, mpmath.mpf(float(breaks)), 4, 8, 16]
        tau = r / mpmath.sqrt(1 - r**2) if abs(rho) < 1 else None

        def integral(f):
            return 2 * mpmath.quad(lambda t: q(t) * mpmath.npdf(t) * f(t), sorted(points))

        want = [
            integral(lambda t: one),
            integral(lambda t: t**2),
            2 * integral(lambda t: mpmath.npdf(tau * t)) if tau is not None else 0 * one,
            integral(lambda t: t * (mpmath.erf(tau * t / mpmath.sqrt(2)) if tau is not None else mpmath.sign(r))),
        ]
    got = values(rule, rho)
    for name, mine, theirs in zip(FIELDS, got, want, strict=True):
        # Relative, also for the moments of a very thin slab, where the textbook form of beta~ would cancel.
        assert abs(mine - float(theirs)) <= 1e-11 * max(abs(float(theirs)), 1e-14), name


@pytest.mark.parametrize("rho", [1.0, -1.0])
def test_perfect_alignment(rho):
    """At rho = +-1 beta vanishes and beta~ is +-E[q |G|]."""
    t = np.random.default_rng(0).standard_normal(2_000_000)
    for rule in (KeepHard(0.7), KeepEasy(0.7), Tempered(2.0), KeepAll()):
        k = rule.moments(rho)
        drawn = rule.keep_probability(t) * np.abs(t)
        assert float(k.beta) == 0
        assert abs(float(k.beta_tilde) * rho - drawn.mean()) < 5 * drawn.std() / np.sqrt(len(t))


@pytest.mark.parametrize("fraction", [1e-3, 0.1, 0.5, 0.999, 1.0])
def test_rules_keep_the_fraction_asked_for(fraction):
    rules = [KeepHard.keeping(fraction), KeepEasy.keeping(fraction)]
    rules += [
        Tempered.keeping(fraction, omega, scale) for omega, scale in ((2.0, 1.0), (0.0, 1.0), (-1.5, 1.0), (0.5, 3.0))
    ]
    for rule in rules:
        assert float(rule.kept_fraction) == pytest.approx(fraction, rel=1e-9)


@pytest.mark.parametrize(("omega", "scale"), [(4.0, 5.0), (20.0, 1.0), (-4.0, 5.0), (0.5, 1.0)])
@pytest.mark.parametrize("fraction", [0.02, 0.5, 0.9])
def test_tempered_rules_keep_the_fraction_asked_for_however_steep(omega, scale, fraction):
    assert Tempered.keeping(fraction, omega, scale).kept_fraction == pytest.approx(fraction, abs=1e-9)


def test_tempered_at_zero_exponent_keeps_at_random():
    k, everything = Tempered(0.0, 0.3).moments(0.6), KeepAll().moments(0.6)
    for name in FIELDS:
        assert float(getattr(k, name)) == pytest.approx(0.3 * float(getattr(everything, name)), rel=1e-12)


def test_moments_broadcast():
    k = KeepHard(np.linspace(0.1, 2, 5)[:, None]).moments(np.linspace(-1, 1, 7))
    assert k.beta_tilde.shape == k.beta.shape == (5, 7)
    assert float(k.beta_tilde[2, 3]) == 0


def test_keeping_draws_the_probability():
    rng = np.random.default_rng(3)
    rule, t = Tempered(1.0), np.full(100_000, 1.3)
    q = float(rule.keep_probability(np.array(1.3)))
    assert abs(rule.keep(t, rng).mean() - q) < 5 * np.sqrt(q * (1 - q) / 1e5)


@pytest.mark.parametrize(
    "build",
    [
        lambda: KeepHard(0.0),
        lambda: KeepHard(-1.0),
        lambda: KeepHard(float("nan")),
        lambda: KeepHard("0.7"),
        lambda: KeepEasy(-0.1),
        lambda: KeepEasy(float("inf")),
        lambda: KeepHard.keeping(0.0),
        lambda: KeepEasy.keeping(1.5),
        lambda: Tempered(float("nan")),
        lambda: Tempered(1.0, 0.0),
        lambda: Tempered(1.0, scale=-1.0),
        lambda: Tempered(np.ones(3), np.ones(2)),
        lambda: Tempered(1e300),
        lambda: KeepHard(0.7, agreeing="no"),
        lambda: KeepAll(agreeing=1),
        lambda: UserRule(lambda t: (t > 0).astype(float)),  # not symmetric
        lambda: UserRule(lambda t: t**2),  # not bounded
        lambda: UserRule(lambda t: -np.ones_like(t)),
        lambda: UserRule(lambda t: np.full_like(t, np.nan)),
        lambda: UserRule(lambda t: np.zeros_like(t)),  # keeps nothing
        lambda: UserRule(lambda t: 0.5),  # not a function of the array
        lambda: UserRule(lambda t: "keep"),
        lambda: UserRule(lambda t: 1.0 if t < 1 else 0.0),
        lambda: KeepHard(0.5).moments(1.2),
        lambda: KeepAll().moments("a"),
        lambda: KeepAll().moments(1j),
    ],
)
def test_bad_rules_are_refused_in_one_line(build):
    with pytest.raises(ArgumentError) as caught:
        build()
    message = str(caught.value)
    assert "\n" not in message and ": " in message and ("found" in message or "failed" in message)
