"""Adaptive rounds against simulation, and sweeps against what is known of them."""

import numpy as np
import pytest

from theory import (
    ArgumentError,
    KeepAll,
    KeepEasy,
    KeepHard,
    accumulated_rounds,
    banded,
    best_general,
    best_isotropic,
    best_rounds,
    fresh_rounds,
    isotropic_error,
    local_exponents,
    power_law,
    practice_error,
)

RULES = [KeepAll(), *[KeepHard.keeping(0.3)] * 3]
ROUNDS = dict(d=400, pools=[1600, 5333, 5333, 5333], ridge=1e-3)


@pytest.mark.parametrize("g", [1.0, 0.95])
def test_recursion_is_the_mean_of_fresh_rounds(g):
    exact = practice_error(RULES, **ROUNDS, generator_alignment=g)
    runs = fresh_rounds(RULES, **ROUNDS, generator_alignment=g, replicates=60, seed=1)
    for error, run in zip(exact, runs, strict=True):
        assert abs(run.mean - error) < max(4 * run.standard_error, 0.02 * error)
    assert np.all(np.diff(exact) < 0)


def test_recursion_iterates_the_exact_error():
    exact = practice_error(RULES, **ROUNDS)
    again = isotropic_error(RULES[2], d=400, n=5333, ridge=1e-3, alignment=np.cos(np.pi * exact[1])).test_error
    assert float(exact[2]) == pytest.approx(float(again), abs=1e-12)


def test_after_a_round_that_keeps_nothing_the_pruner_knows_nothing():
    rules, setting = [KeepAll(agreeing=True), KeepHard(0.7)], dict(d=20, ridge=0.1)
    first, second = practice_error(rules, pools=[10, 200], alignment=-1, **setting)
    assert first == 0.5
    assert second == pytest.approx(isotropic_error(rules[1], n=200, alignment=0, **setting).test_error, abs=1e-12)


def test_first_accumulated_round_is_a_fresh_round_and_later_ones_gain():
    runs = accumulated_rounds(RULES[:3], d=100, pools=[400, 1333, 1333], ridge=1e-3, replicates=40, seed=2)
    first = isotropic_error(KeepAll(), d=100, n=400, ridge=1e-3).test_error
    assert abs(runs[0].mean - first) < max(4 * runs[0].standard_error, 0.03 * first)
    assert runs[2].mean < runs[1].mean < runs[0].mean
    assert runs[2].kept.mean() == pytest.approx(400 + 800, rel=0.05)


def test_rounds_are_seeded():
    a, b = (fresh_rounds(RULES, **ROUNDS, replicates=2, seed=5)[-1].replicates for _ in range(2))
    np.testing.assert_array_equal(a, b)


def test_local_exponents_recover_a_power_and_its_uncertainty():
    n = np.geomspace(10, 1e4, 13)
    slope, spread = local_exponents(n, 0.3 * n**-0.7)
    np.testing.assert_allclose(slope, 0.7, atol=1e-12)
    np.testing.assert_allclose(spread, 0, atol=1e-12)
    rng = np.random.default_rng(0)
    relative = 0.02
    noisy = [0.3 * n**-0.7 * (1 + relative * rng.standard_normal(13)) for _ in range(400)]
    fits = np.array([local_exponents(n, y, relative * y)[0][6] for y in noisy])
    stated = local_exponents(n, noisy[0], relative * noisy[0])[1][6]
    assert stated == pytest.approx(fits.std(), rel=0.15)


def test_search_contains_its_candidates():
    setting = dict(d=512, n=np.array([200.0, 2000.0, 20000.0]), budget="pool", alignment=0.9)
    best = best_isotropic(**setting)
    plain = best_isotropic(**setting, fractions=[1.0])
    assert np.all(best.test_error <= plain.test_error)
    hit = isotropic_error(KeepHard.keeping(best.kept_fraction[2]), d=512, n=20000, ridge=best.ridge[2], alignment=0.9)
    assert not best.easy[2] and float(hit.test_error) == pytest.approx(best.test_error[2], abs=1e-12)


def test_exponents_of_large_samples():
    """Keep all and any fixed alignment: 1/2. A perfect pruner whose fraction shrinks with the pool: 1."""
    n = 1e6 * np.geomspace(64, 1024, 9)
    fractions = np.geomspace(1e-4, 1, 161).tolist()
    for rho, grid, want in ((1.0, [1.0], 0.5), (0.9, fractions, 0.5), (1.0, fractions, 1.0)):
        best = best_isotropic(d=1e6, n=n, budget="pool", alignment=rho, fractions=grid)
        slope, _ = local_exponents(n, best.test_error, window=9)
        assert slope[4] == pytest.approx(want, abs=0.02)


@pytest.mark.parametrize("alignment", [0.95, 0.99, 0.999])
def test_a_tuned_ridge_leaves_the_hard_rows_no_floor(alignment):
    """The bias of an imperfect pruner vanishes at one ridge, which a coarse grid misses."""
    n = 512.0 * 4.0 ** np.arange(3, 9)
    best = best_isotropic(d=512, n=n, budget="selected", fractions=(0.3,), easy=False, alignment=alignment)
    exponents, _ = local_exponents(n, best.test_error, window=3)
    assert exponents[-1] == pytest.approx(0.5, abs=0.02)


def test_an_imperfect_pruner_of_easy_rows_leaves_an_error_that_no_ridge_removes():
    ridges = np.geomspace(1e-12, 1e2, 500)
    easy, every = (
        isotropic_error(rule, d=500, n=[[1e8], [1e10]], ridge=ridges, alignment=0.9).test_error.min(-1)
        for rule in (KeepEasy.keeping(0.5), KeepAll())
    )
    assert easy == pytest.approx(0.103, abs=1e-3) and every[1] < 1e-4
    simulated = banded(KeepEasy.keeping(0.5), d=50, n=200_000, ridge=1e-3, alignment=0.9, replicates=20, seed=0)
    assert simulated.mean == pytest.approx(0.103, abs=5e-3)


def test_rounds_add_half_an_exponent_each():
    n = 1e6 * np.geomspace(16, 64, 5)
    history = best_rounds(d=1e6, n=n, rounds=3, fractions=np.geomspace(1e-4, 1, 161).tolist())
    for k, best in enumerate(history):
        slope, _ = local_exponents(n, best.test_error, window=5)
        assert slope[2] == pytest.approx((k + 1) / 2, abs=0.06)


@pytest.mark.parametrize("rho", [1.0, 0.9, 0.6])
def test_for_given_selected_rows_the_tuned_exact_error_falls_with_the_fraction(rho):
    ratios = np.array([1, 1.5, 2, 4, 9, 18, 50, 200])
    search = dict(d=512, n=1024.0, budget="selected", alignment=rho, easy=False)
    errors = [float(best_isotropic(**search, fractions=[1 / ratio]).test_error) for ratio in ratios]
    assert np.all(np.diff(errors) < 0)


def test_at_low_alignment_a_tuned_simulation_gets_worse_with_selection_all_the_same():
    def accuracy(ratio):
        rule, n = KeepHard.keeping(1 / ratio), 1024 * ratio
        setting = dict(d=512, n=n, alignment=0.6, replicates=100, seed=7)
        return max(1 - banded(rule, ridge=ridge / ratio, **setting).mean for ridge in (0, 1e-4, 1e-3, 1e-2, 0.1, 1))

    assert accuracy(3) - accuracy(18) > 0.03


def test_for_a_given_pool_the_best_fraction_is_an_optimum(monkeypatch):
    search = dict(d=350, n=350 * np.array([4.0, 32.0]), budget="pool", fractions=np.geomspace(1e-3, 1, 61).tolist())
    for rho in (1.0, 0.9):
        kept = best_isotropic(**search, alignment=rho).kept_fraction
        assert np.all((kept > 0.02) & (kept < 1))
        with monkeypatch.context() as patch:
            patch.setattr("theory.search.TRUSTED", np.inf)
            np.testing.assert_allclose(best_isotropic(**search, alignment=rho).kept_fraction, kept, rtol=0.01)


def test_the_fractions_of_rounds_rest_on_what_is_trusted_and_the_errors_do_not(monkeypatch):
    found = []
    for trusted in (0.03, 0.1):
        monkeypatch.setattr("theory.search.TRUSTED", trusted)
        found.append(best_rounds(d=1e4, n=4e5, rounds=3, fractions=np.geomspace(1e-5, 1, 201).tolist()))
    for less, more in zip(found[0][1:], found[1][1:], strict=True):
        assert 1.6 < less.kept_fraction / more.kept_fraction < 2.1
        assert float(less.test_error) == pytest.approx(float(more.test_error), rel=0.01)


def test_general_search_meets_the_isotropic_one():
    vectors = power_law(d=60, decay=0.0, teacher="flat", alignment=0.8)
    common = dict(n=np.array([100.0, 600.0]), budget="selected", fractions=[0.5, 1.0], ridges=[1e-3, 1e-1])
    a, b = best_general(**vectors, **common), best_isotropic(d=60, alignment=0.8, easy=False, **common)
    np.testing.assert_allclose(a.test_error, b.test_error, atol=1e-10)
    np.testing.assert_array_equal(a.kept_fraction, b.kept_fraction)


@pytest.mark.parametrize("teacher", ["aligned", "flat"])
def test_power_law_has_the_cosines_asked_for(teacher):
    v = power_law(d=50, decay=1.5, teacher=teacher, alignment=0.7, generator_alignment=0.9)
    s = v["covariance"]

    def cosine(a, b):
        return (s * a * b).sum() / np.sqrt((s * a * a).sum() * (s * b * b).sum())

    assert cosine(v["pruner"], v["generator"]) == pytest.approx(0.7)
    assert cosine(v["truth"], v["generator"]) == pytest.approx(0.9)
    assert cosine(v["truth"], v["pruner"]) == pytest.approx(0.63)


@pytest.mark.parametrize(
    "call",
    [
        lambda: practice_error([], d=3, pools=[]),
        lambda: practice_error(RULES, d=3, pools=[1]),
        lambda: practice_error(RULES, d=3, pools=[9] * 4, ridge=[1.0, 2.0]),
        lambda: practice_error(RULES, d=3, pools=[9] * 4, generator_alignment="x"),
        lambda: practice_error(RULES, d=3, pools=[9] * 4, alignment=[0.1, 0.2], generator_alignment=[0.1, 0.2, 0.3]),
        lambda: practice_error(["x"] * 4, d=3, pools=[9] * 4),
        lambda: fresh_rounds(RULES, d=3, pools=[9] * 4, generator_alignment="x"),
        lambda: fresh_rounds(RULES, d=3, pools=[9] * 4, generator_alignment=[0.5, 0.6]),
        lambda: accumulated_rounds(["x"], d=9, pools=[9]),
        lambda: accumulated_rounds([KeepHard([0.5, 0.7])], d=9, pools=[9]),
        lambda: best_isotropic(d=5, n=9, budget="pool", fractions=0.5),
        lambda: best_isotropic(d=5, n=9, budget="pool", fractions=[]),
        lambda: best_isotropic(d=5, n=9, budget="pool", ridges=0.5),
        lambda: best_isotropic(d=5, n=9, budget="pool", ridges=[]),
        lambda: best_isotropic(d=5, n=9, budget="labels"),
        lambda: best_isotropic(d=5, n=np.inf, budget="pool"),
        lambda: best_general(covariance=[1, 2], pruner=[1, 0], generator=[1, 0], n=np.inf, budget="pool"),
        lambda: best_isotropic(d=5, n=9, budget="pool", fractions=[0.3, 0.5]),
        lambda: local_exponents([1, 2], [0.1, 0.1]),
        lambda: local_exponents([3, 2, 1], [0.1, 0.1, 0.1], window=3),
        lambda: local_exponents([1, 2, 3], [0.1, 0.0, 0.1], window=3),
        lambda: power_law(d=10, decay=1.0, teacher="steep"),
    ],
)
def test_bad_arguments_are_refused_in_one_line(call):
    with pytest.raises(ArgumentError) as caught:
        call()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "call",
    [
        lambda: power_law(d=10, decay=1.0, teacher="flat", generator_alignment=2.0),
        lambda: practice_error(RULES, d=3, pools=[9] * 4, generator_alignment=2.0),
        lambda: fresh_rounds(RULES, d=3, pools=[9] * 4, generator_alignment=2.0),
        lambda: accumulated_rounds(RULES, d=3, pools=[9] * 4, generator_alignment=2.0),
    ],
)
def test_a_bad_generator_is_not_called_a_bad_pruner(call):
    with pytest.raises(ArgumentError, match=r"^generator_alignment: found 2"):
        call()
