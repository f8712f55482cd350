"""Intervals cover what they are of, as often as they say, with as few seeds as there are."""

import math

import numpy as np
import pytest

from experiments.analysis.intervals import (
    difference_interval,
    drawn_interval,
    line_interval,
    mean_interval,
    slope_interval,
)


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_the_interval_of_a_mean_covers_it_in_95_of_100(seeds):
    rng = np.random.default_rng(seeds)
    ends = np.array([mean_interval(rng.normal(80, 0.5, seeds).tolist()) for _ in range(2000)])
    assert 0.935 < ((ends[:, 0] < 80) & (ends[:, 1] > 80)).mean() < 0.965


@pytest.mark.parametrize("other", [3, 5])
def test_the_interval_of_a_difference_covers_it_whatever_the_spreads(other):
    rng = np.random.default_rng(other)
    pairs = [(rng.normal(1, 1, 3).tolist(), rng.normal(0, 0.3, other).tolist()) for _ in range(2000)]
    ends = np.array([difference_interval(*pair) for pair in pairs])
    assert 0.93 < ((ends[:, 0] < 1) & (ends[:, 1] > 1)).mean() < 0.985


def test_a_single_seed_bounds_nothing_and_equal_seeds_agree():
    assert mean_interval([80.0]) == difference_interval([80.0, 81.0], [79.0]) == (-math.inf, math.inf)
    assert mean_interval([80.0, 80.0]) == (80.0, 80.0)
    assert difference_interval([80.0, 80.0], [79.5, 79.5]) == (0.5, 0.5)


@pytest.mark.parametrize(("seeds", "spread_of_1"), [(2, 0.5), (3, 0.5), (5, 2.0)])
def test_a_drawn_interval_covers_what_follows_from_the_means(seeds, spread_of_1):
    """Whether one size varies more than the others or not; with one spread for all only if not."""
    rng, true = np.random.default_rng(seeds), {1: 70.0, 2: 74.0, 4: 75.0}
    spread, one_spread = {1: spread_of_1, 2: 0.5, 4: 0.5}, spread_of_1 == 0.5
    covered = 0
    for _ in range(400):
        curves = [
            {size: rng.normal(mean, spread[size], seeds).tolist() for size, mean in true.items()} for _ in range(2)
        ]
        low, high = drawn_interval(lambda a, b: a[4] - b[1], *curves, one_spread=one_spread)
        covered += low < 5 < high
    assert 0.92 < covered / 400 < 0.99


def test_a_drawn_interval_of_one_mean_is_students_and_needs_two_seeds():
    values, others = [79.0, 80.0, 81.5, 80.5, 79.7], [60.0, 70.0, 90.0, 80.0]
    drawn = drawn_interval(lambda curve: curve[0], {0: values, 1: others})
    assert drawn == pytest.approx(mean_interval(values), abs=0.15)
    assert drawn_interval(lambda curve: curve[0], {0: values, 1: [81.0]}) == (-math.inf, math.inf)
    assert -math.inf < drawn_interval(lambda curve: curve[1], {0: values, 1: [81.0]}, one_spread=True)[0] < 81
    assert drawn_interval(lambda curve: curve[0], {0: [80.0], 1: [81.0]}, one_spread=True) == (-math.inf, math.inf)


def test_the_intervals_of_a_line_cover_its_slope_and_height():
    rng, x = np.random.default_rng(0), [0.3, 0.4, 0.45, 0.6, 0.7]
    slopes = heights = 0
    for _ in range(1000):
        y = (5 - 10 * np.array(x) + rng.normal(0, 1, 5)).tolist()
        slope, (low, high) = slope_interval(x, y)
        slopes += low < -10 < high
        assert low < slope < high
        height, (low, high) = line_interval(x, y, 0.65)
        heights += low < -1.5 < high
        assert low < height < high
    assert 0.93 < slopes / 1000 < 0.97 and 0.93 < heights / 1000 < 0.97
