import math

import pytest

from experiments.analysis.efficiency import efficiency, equivalents, fit, means, size_reaching


def test_size_reaching_is_linear_in_the_logarithm_of_the_size():
    curve = {100: 50.0, 400: 60.0, 1600: 62.0}
    assert size_reaching(curve, 55) == pytest.approx(200)
    assert size_reaching(curve, 60) == pytest.approx(400)
    assert size_reaching(curve, 61) == pytest.approx(800)
    assert size_reaching(curve, 40) == 100
    assert size_reaching(curve, 63) is None


def test_a_clear_win_has_an_interval_above_one():
    static = {1000: [70.0, 70.2, 69.8], 4000: [74.0, 74.2, 73.8], 16000: [75.0, 75.1, 74.9]}
    dp = {1000: [73.0, 73.2, 72.8], 4000: [77.0, 77.2, 76.8]}
    found = efficiency(static, dp)
    assert found.target == pytest.approx(75) and found.static_size == pytest.approx(16000)
    assert found.dp_size == pytest.approx(2000, rel=1e-6) and found.ratio == pytest.approx(8, rel=1e-6)
    assert 1 < found.interval[0] < 8 < found.interval[1] and not found.at_least


def test_a_little_below_a_plateau_its_longest_size_does_not_count():
    static = {1000: [70.0, 70.2], 4000: [74.9, 75.1], 16000: [75.0, 75.2]}
    dp = {1000: [74.5, 74.7], 4000: [77.0, 77.2]}
    at_best, near = efficiency(static, dp), efficiency(static, dp, short=0.5)
    assert at_best.static_size == pytest.approx(16000) and at_best.ratio > 10
    assert near.static_size < 4000 and near.ratio < 4 and near.at_least


def test_a_win_at_the_smallest_size_is_a_lower_bound():
    found = efficiency({1000: [70.0], 16000: [75.0]}, {500: [75.5], 4000: [77.0]})
    assert found.at_least and found.ratio == 32
    static = {1000: [70.0, 70.2, 69.8], 16000: [75.0, 75.1, 74.9]}
    found = efficiency(static, {500: [79.5, 79.7, 79.3], 4000: [81.0, 81.2, 80.8]})
    assert found.at_least and found.interval == pytest.approx((32, math.inf))


def test_where_the_smallest_size_may_do_the_ratio_has_no_upper_end():
    static = {1000: [70.0, 70.2, 69.8], 16000: [75.0, 75.1, 74.9]}
    dp = {500: [74.8, 75.0, 74.6], 4000: [77.0, 77.1, 76.9]}
    found = efficiency(static, dp)
    assert not found.at_least and found.dp_size > 500
    assert 1 < found.interval[0] < found.ratio and found.interval[1] == math.inf


def test_a_size_of_one_seed_is_left_out():
    static = {1000: [70.0, 70.2, 69.8], 16000: [75.0, 75.1, 74.9]}
    dp = {1000: [73.0, 73.2, 72.8], 4000: [77.0, 77.2, 76.8]}
    assert efficiency(static | {32000: [80.0]}, dp | {2000: [76.0]}) == efficiency(static, dp)
    with_one = {each.dp_size: each for each in equivalents(static | {32000: [80.0]}, dp | {2000: [74.5]})}
    assert with_one[1000] == equivalents(static, dp)[0] and math.isinf(with_one[2000].interval[0])


def test_a_loss_is_reported_as_not_reached():
    static = {1000: [70.0, 70.2, 69.8], 16000: [75.0, 75.2, 74.8]}
    dp = {1000: [69.0, 69.2, 68.8], 4000: [72.0, 72.2, 71.8]}
    found = efficiency(static, dp)
    assert found.ratio is None and found.dp_size is None and found.interval == (0.0, 0.0)


def test_equal_curves_have_an_interval_around_one():
    curve = {1000: [70.0, 71.0, 72.0], 4000: [73.0, 74.0, 75.0]}
    found = efficiency(curve, curve)
    assert found.ratio == pytest.approx(1)
    assert found.interval[0] < 1


def test_means_are_sorted_by_size():
    assert list(means({4: [1.0, 3.0], 2: [5.0]}).items()) == [(2, 5.0), (4, 2.0)]


def test_the_static_size_that_equals_dp():
    static = {1000: [70.0, 70.2, 69.8], 4000: [74.0, 74.2, 73.8], 16000: [75.0, 75.1, 74.9]}
    dp = {500: [72.0, 72.2, 71.8], 2000: [78.0, 78.2, 77.8]}
    reached, never = equivalents(static, dp)
    assert reached.static_size == pytest.approx(2000, rel=1e-6) and reached.ratio == pytest.approx(4, rel=1e-6)
    assert 2 < reached.interval[0] < 4 < reached.interval[1] < 8
    assert never.static_size is never.ratio is None and never.interval == (float("inf"), float("inf"))


def test_a_power_law_is_found_again():
    a, b, c = 88.0, 200.0, 0.45
    curve = {n: [a - b * n**-c] for n in (300, 1000, 3000, 10000, 30000)}
    assert fit(curve) == pytest.approx((a, b, c), rel=1e-4)
    assert fit({n: curve[n] for n in (300, 1000, 3000)}) is None
