"""Label noise and rules that look at labels: moments against arbitrary precision, and what they change."""

import mpmath
import numpy as np
import pytest

from theory import ArgumentError, KeepAll, KeepEasy, KeepHard, Tempered, isotropic_error, printed_error

AGREEING = [KeepAll(agreeing=True), KeepHard(0.7, agreeing=True), KeepEasy(1.2, agreeing=True)]
FIELDS = ("p", "gamma", "beta", "beta_tilde", "cross", "across")


@pytest.mark.parametrize("rho", [0.8, -0.35, 1.0, 0.0])
@pytest.mark.parametrize("rule", [*AGREEING, Tempered(1.5, agreeing=True), KeepHard(1e-4, agreeing=True)])
def test_agreeing_moments_match_arbitrary_precision(rule, rho, eta=0.15):
    """By integrating over H as well as G, which the package does by hand."""
    low, high = (float(x) for x in rule.edges[[0, -1]])
    with mpmath.workdps(25):
        r = mpmath.mpf(rho)
        s = mpmath.sqrt(1 - r**2)
        want = []
        for g, h in ((0, 0), (2, 0), (0, 1), (1, 0), (1, 1), (0, 2)):

            def across(t, power=h):
                """Integrate H^power over labels that agree with the pruner's, which is 1 for t > 0."""
                if s == 0:
                    share = 1 - eta if r > 0 else eta
                    return share * (1 if power != 1 else 0)
                edge = -r / s * t
                upper = mpmath.ncdf(-edge)
                part = {0: upper, 1: mpmath.npdf(edge), 2: upper + edge * mpmath.npdf(edge)}[power]
                whole = {0: 1, 1: 0, 2: 1}[power]
                return (1 - eta) * part + eta * (whole - part)

            def weight(t):
                q = mpmath.sech(t / 2) ** 3 if isinstance(rule, Tempered) else 1
                return q * mpmath.npdf(t)

            points = sorted({low, *(x for x in (0.5, 1, 2, 4, 8) if low < x < high), high})
            want.append(2 * mpmath.quad(lambda t, g=g, across=across: weight(t) * t**g * across(t), points))
    k = rule.moments(rho, eta)
    for name, value in zip(FIELDS, want, strict=True):
        got = float(getattr(k, name))
        assert got == pytest.approx(float(value), rel=1e-10, abs=1e-15), name


def test_noise_shrinks_the_label_moments_of_agnostic_rules_and_nothing_else():
    clean, noisy = KeepHard(0.7).moments(0.6), KeepHard(0.7).moments(0.6, 0.1)
    for name in FIELDS:
        factor = 0.8 if name in ("beta", "beta_tilde") else 1.0
        assert float(getattr(noisy, name)) == factor * float(getattr(clean, name))


@pytest.mark.parametrize("rule", [KeepHard(0.7), Tempered(1.0)])
def test_agreement_of_a_perfect_pruner_on_clean_labels_is_no_rule_at_all(rule):
    plain, agreeing = (
        type(rule)(**{name: getattr(rule, name) for name in rule.settings}, agreeing=agreeing).moments(1.0)
        for agreeing in (False, True)
    )
    for name in ("p", "gamma", "beta_tilde"):
        assert float(getattr(plain, name)) == pytest.approx(float(getattr(agreeing, name)), abs=1e-12)
    setting = dict(d=300, n=900, ridge=0.01)
    a = isotropic_error(rule, **setting).test_error
    b = isotropic_error(type(rule)(**{n: getattr(rule, n) for n in rule.settings}, agreeing=True), **setting).test_error
    assert a == pytest.approx(b, abs=1e-10)


def test_label_aware_selection_can_beat_generator_pruner_and_every_agnostic_rule():
    """Generator 0.7, pruner 0.9, which errs apart from it, four rows per dimension."""
    setting = dict(d=500, n=2000, alignment=0.63, generator_alignment=0.7, pruner_truth_alignment=0.9)
    ridge, p = np.geomspace(1e-4, 30, 40)[:, None], np.linspace(0.02, 1, 50)
    aware, agnostic = (
        min(
            isotropic_error(kind.keeping(p, agreeing=agreeing), ridge=ridge, **setting).test_error.min()
            for kind in (KeepHard, KeepEasy)
        )
        for agreeing in (True, False)
    )
    assert aware == pytest.approx(0.172, abs=0.002)
    assert agnostic > 0.22
    assert aware < np.arccos(0.7) / np.pi


def test_agreement_never_seen_keeps_nothing_and_is_a_coin_toss():
    exact = isotropic_error(KeepAll(agreeing=True), d=30, n=90, ridge=0.1, alignment=-1.0)
    assert exact.kept_fraction == 0 and exact.test_error == 0.5 and exact.finite_size == np.inf


def test_settings_broadcast_and_are_chunked():
    grid = isotropic_error(
        Tempered(np.array([0.5, 1.0, 2.0]), agreeing=True),
        d=100,
        n=np.array([100.0, 1000.0])[:, None],
        ridge=0.01,
        alignment=0.8,
        label_noise=0.1,
    )
    assert grid.test_error.shape == (2, 3)
    one = isotropic_error(Tempered(2.0, agreeing=True), d=100, n=1000, ridge=0.01, alignment=0.8, label_noise=0.1)
    assert grid.test_error[1, 2] == pytest.approx(one.test_error, abs=1e-12)


@pytest.mark.parametrize(
    "call",
    [
        lambda: isotropic_error(KeepAll(), d=3, n=4, label_noise=0.6),
        lambda: isotropic_error(KeepAll(), d=3, n=4, label_noise=-0.1),
        lambda: isotropic_error(KeepAll(), d=3, n=4, loss="hinge"),
        lambda: printed_error(KeepAll(agreeing=True), "proved", d=3, n=4, ridge=0.1),
    ],
)
def test_bad_arguments_are_refused_in_one_line(call):
    with pytest.raises(ArgumentError, match=r"^[^\n]*found[^\n]*$"):
        call()
