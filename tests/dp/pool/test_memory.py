"""The pool in memory."""

import copy
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dp.pool.in_memory import FIELDS, Pool
from dp.samples import Samples, concatenate
from dp.utils.errors import UserError


def some(count: int, round_: int = 0, seed: int = 0) -> Samples:
    rng = torch.Generator().manual_seed(1000 * seed + round_)
    return Samples(
        images=torch.randint(256, (count, 1, 4, 4), generator=rng).byte(),
        labels=torch.randint(3, (count,), generator=rng),
        seeds=torch.randint(2**62, (count,), generator=rng),
        rounds=torch.full((count,), round_),
        omega=torch.rand(count, generator=rng),
        entropy_before=torch.rand(count, generator=rng),
        entropy=torch.rand(count, generator=rng),
        correct=torch.randint(-1, 2, (count,), generator=rng).to(torch.int8),
        zero_steps=torch.randint(5, (count,), generator=rng),
    )


def same(a: Samples, b: Samples) -> bool:
    return all(torch.equal(getattr(a, name), getattr(b, name)) for name in FIELDS)


def numbered(old: int, new: int) -> Pool:
    """A pool whose labels are its row numbers."""
    samples = concatenate([some(old, 0), some(new, 1)])
    samples.labels[:] = torch.arange(old + new)
    return Pool(samples)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=12))
def test_the_pool_holds_what_was_appended_in_order(counts):
    parts = [some(count, round_) for round_, count in enumerate(counts)]
    pool = Pool(parts[0])
    for part in parts[1:]:
        pool.append(part)
    whole = concatenate(parts)
    assert len(pool) == sum(counts) and same(pool.samples, whole)
    assert torch.equal(pool.images, whole.images) and torch.equal(pool.labels, whole.labels)
    assert torch.equal(pool.rounds, whole.rounds)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), max_size=10))
def test_a_copy_and_its_original_do_not_see_each_others_additions(steps):
    pool = Pool(some(3))
    expected = [some(3)]
    pool.append(some(2, 1))
    expected.append(some(2, 1))
    branch, of_branch = copy.deepcopy(pool), list(expected)
    for i, (to_branch, count) in enumerate(steps):
        more = some(count, 2, seed=i + 1)
        (branch if to_branch else pool).append(more)
        (of_branch if to_branch else expected).append(more)
    assert same(pool.samples, concatenate(expected)) and same(branch.samples, concatenate(of_branch))


def test_a_copy_takes_no_memory_until_it_grows():
    pool = Pool(some(100))
    for branch in (copy.copy(pool), copy.deepcopy(pool), copy.deepcopy({"pool": pool})["pool"]):
        assert branch.images.data_ptr() == pool.images.data_ptr()


def test_appending_does_not_write_to_the_samples_it_was_made_from():
    first, whole = some(5), some(8)
    pool = Pool(first)
    pool.append(some(4, 1))
    assert same(first, some(5))
    Pool(whole[:5]).append(some(3, 1))  # a view with rows behind it
    assert same(whole, some(8))


def test_growing_moves_the_rows_seldom():
    pool, moves = Pool(some(1)), 0
    for i in range(1, 1025):
        before = pool.images.data_ptr()
        pool.append(some(1, i))
        moves += pool.images.data_ptr() != before
    assert moves <= 11 and len(pool) == 1025


@pytest.mark.parametrize("weight", [1.0, 1])
def test_without_a_weight_batches_are_those_of_randint(weight):
    pool = Pool(some(50))
    pool.append(some(30, 1))
    images, labels = pool.batch(16, torch.Generator().manual_seed(3), weight)
    index = torch.randint(80, (16,), generator=torch.Generator().manual_seed(3))
    assert torch.equal(images, pool.images[index]) and torch.equal(labels, pool.labels[index])
    assert images.dtype == torch.uint8 and labels.dtype == torch.int64


def test_a_weight_does_nothing_in_the_first_round():
    pool = Pool(some(50))
    a, b = (pool.batch(20, torch.Generator().manual_seed(0), weight) for weight in (1.0, 2.0))
    assert torch.equal(a[0], b[0]) and torch.equal(a[1], b[1])


@pytest.mark.parametrize("weight", [0.25, 2.0, 7.5])
def test_new_images_are_drawn_as_much_more_often_as_asked(weight):
    """Every row's count lies within 5 standard deviations of its expectation."""
    old, new, draws = 30, 20, 200_000
    pool = numbered(old, new)
    pool.append(some(0, 5))  # an empty round is nobody's newest
    drawn = pool.batch(draws, torch.Generator().manual_seed(0), weight)[1].bincount(minlength=old + new)
    total = old + weight * new
    expected = torch.tensor([1.0] * old + [weight] * new) / total
    deviation = (drawn - draws * expected) / (draws * expected * (1 - expected)).sqrt()
    assert deviation.abs().max() < 5
    in_new = drawn[old:].sum().item() / draws
    p = weight * new / total
    assert abs(in_new - p) < 5 * math.sqrt(p * (1 - p) / draws)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.floats(1e-300, 1e300), st.integers(0, 2**31))
def test_whatever_the_weight_only_rows_of_the_pool_are_drawn(old, new, weight, seed):
    pool = numbered(old, new)
    labels = pool.batch(50, torch.Generator().manual_seed(seed), weight)[1]
    assert ((labels >= 0) & (labels < old + new)).all()


def test_only_the_newest_round_has_the_weight():
    pool = Pool(some(10))
    pool.append(some(10, 1))
    pool.append(some(10, 2))
    pool.append(some(5, 2, seed=1))  # more of the same round
    pool.samples.labels[:] = torch.arange(35)
    labels = pool.batch(20_000, torch.Generator().manual_seed(0), 1e9)[1]
    assert set(labels.tolist()) == set(range(20, 35))


@pytest.mark.parametrize("weight", [0.0, -1.0, math.nan, math.inf])
def test_a_wrong_weight_is_named(weight):
    with pytest.raises(UserError, match=f"newest_weight: got {weight}, expected a number above 0"):
        numbered(2, 2).batch(1, torch.Generator(), weight)


def test_an_empty_pool_gives_no_batch():
    with pytest.raises(UserError, match="pool: got no images"):
        Pool(some(0)).batch(1, torch.Generator())


def test_rows_that_do_not_fit_are_refused_and_change_nothing():
    pool = Pool(some(4, 1))
    larger = some(2, 1)
    larger = Samples(
        **{name: getattr(larger, name) for name in FIELDS if name != "images"}, images=torch.zeros(2, 3, 4, 4)
    )
    for wrong, message in (
        (larger, r"images: got rows of shape \(3, 4, 4\) and torch.float32, expected the pool's \(1, 4, 4\)"),
        (some(2, 0), "rounds: got round 0 after round 1"),
        (concatenate([some(1, 3), some(1, 2)]), "rounds: got round 2 after round 3"),
    ):
        with pytest.raises(UserError, match=message):
            pool.append(wrong)
        assert same(pool.samples, some(4, 1))
    with pytest.raises(UserError, match="rounds: got round 0 after round 1"):
        Pool(concatenate([some(1, 1), some(1, 0)]))
