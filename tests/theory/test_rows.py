"""Draws of kept rows alone: the law of drawing the pool and pruning it, at a cost that does not see the pool."""

import tracemalloc

import numpy as np
import pytest
from scipy.stats import ks_2samp, kstest

from tests.theory.whole_pool import whole_pool_errors
from theory import (
    KeepAll,
    KeepEasy,
    KeepHard,
    Tempered,
    UserRule,
    accumulated_rounds,
    banded,
    dense,
    isotropic_error,
)

RULES = [
    KeepAll(),
    KeepHard(0.05),
    KeepEasy(2.5),
    Tempered(3.0, 0.5),
    Tempered(-1.0, 0.2),
    Tempered(400.0, scale=5.0),
    UserRule(lambda t: np.where(np.abs(t - np.sign(t)) < 0.2, 0.9, 0.1)),
]


@pytest.mark.parametrize("rule", RULES)
def test_margins_of_kept_rows_have_the_density_of_pruned_ones(rule):
    drawn = rule.draw(20_000, np.random.default_rng(1))
    edges = np.linspace(-9, 9, 400_001)
    middle = (edges[1:] + edges[:-1]) / 2
    mass = np.append(0, np.cumsum(rule.keep_probability(middle) * np.exp(-(middle**2) / 2)))
    assert kstest(drawn, lambda t: np.interp(t, edges, mass / mass[-1])).pvalue > 0.001 / len(RULES)


SETTINGS = [
    (KeepHard(0.3), dict(d=30, n=300, ridge=1e-2, alignment=0.8, label_noise=0.1)),
    (KeepEasy(1.0, agreeing=True), dict(d=40, n=200, ridge=1e-3, alignment=0.6, label_noise=0.2)),
    (Tempered(2.0, agreeing=True), dict(d=25, n=150, ridge=1e-1, alignment=-0.3, generator_alignment=0.8)),
    (KeepHard(0.9, agreeing=True), dict(d=30, n=200, ridge=1e-2, alignment=0.7, label_noise=0.15, loss="logistic")),
    (KeepHard(0.5), dict(d=20, n=100, ridge=1e-3, alignment=1.0, loss="logistic")),
]


@pytest.mark.parametrize(("rule", "setting"), SETTINGS)
def test_simulations_of_kept_rows_have_the_law_of_the_whole_pool(rule, setting):
    count = 250 if setting.get("loss") == "logistic" else 600
    errors, kept = whole_pool_errors(rule, **setting, replicates=count, seed=1)
    runs = [dense(rule, **setting, replicates=count, seed=2)]
    if setting.get("loss") != "logistic":
        runs.append(banded(rule, **setting, replicates=2000, seed=3))
    for run in runs:
        assert ks_2samp(run.kept, kept).pvalue > 1e-4
        assert ks_2samp(run.replicates, errors).pvalue > 1e-4
        spread = [np.abs(x - np.median(x)) for x in (run.replicates, errors)]
        assert ks_2samp(*spread).pvalue > 1e-4


def test_accumulated_rounds_have_the_law_of_whole_pools():
    """One round with a given pruner is a pool pruned by it, and many rows fold into a triangle on the way."""
    rule, setting = KeepHard(0.5), dict(d=10, ridge=1e-2, alignment=0.7, label_noise=0.1)
    errors, _ = whole_pool_errors(rule, n=400, **setting, replicates=400, seed=1)
    (run,) = accumulated_rounds([rule], pools=[400], **setting, replicates=400, seed=2)
    assert ks_2samp(run.replicates, errors).pvalue > 0.001


def test_pools_of_a_hundred_million_rows():
    tracemalloc.start()
    rule, setting = KeepHard.keeping(1e-3), dict(d=500, n=100_000_000, ridge=1e-6, alignment=1.0)
    run = banded(rule, **setting, seed=0)
    assert tracemalloc.get_traced_memory()[1] < 300e6
    tracemalloc.stop()
    assert run.kept[0] == pytest.approx(100_000, rel=0.02)
    assert run.mean == pytest.approx(isotropic_error(rule, **setting).test_error, rel=0.1)
