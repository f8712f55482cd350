"""Adaptive selection: rounds of practice, each pruning with the classifier the last round trained.

With a fresh pool every round the classifier enters the next round only through its angles, so the exact error gives a
recursion: ``rho_(k+1) = cos(pi E_test(rho_k))`` (with an imperfect generator, one cosine for the labels and one for
the truth). Training on the rows of all rounds together correlates rows and pruner; its exact error is open and it is
only simulated here.

``rules`` and ``pools`` list one rule and one pool size a round; ``ridge`` may be one number or one a round. To
start from a plain classifier give ``KeepAll()`` first.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from theory.checks import MOST, ArgumentError, Array, broadcast, cosine, integer, one_cosine, real
from theory.error import isotropic_error
from theory.losses.loss import checked_loss
from theory.progress import progress
from theory.rules.selection import Rule
from theory.sampling.fits import Gathered
from theory.sampling.rows import kept_rows
from theory.sampling.simulate import Simulation, angle_error, banded, generator_of, one_noise, single_rule


def practice_error(
    rules: Sequence[Rule],
    *,
    d: ArrayLike,
    pools: Sequence[ArrayLike],
    ridge: float | Sequence[float] = 0.0,
    alignment: ArrayLike = 0.0,
    generator_alignment: ArrayLike = 1.0,
    label_noise: ArrayLike = 0.0,
    loss: str = "squared",
) -> Array:
    """Exact test error after every round, each with a fresh pool and only that round's rows.

    Where a round keeps no row, the next one's pruner is at a right angle to the truth.

    Args:
        rules: One rule a round.
        d: Input dimension, above 0.
        pools: One pool size before pruning a round, above 0.
        ridge: Ridge penalty, at least 0; one number, or one a round.
        alignment: Cosine of the first round's pruner with the generator, in [-1, 1]; ignored by a first ``KeepAll``.
        generator_alignment: Cosine of generator and truth, in [-1, 1].
        label_noise: Probability that a label flips, in [0, 0.5].
        loss: ``"squared"`` or ``"logistic"``.

    Returns:
        Test errors [rounds, ...], the other arguments' shape last.

    Raises:
        ArgumentError: If an argument is out of range or the lists differ in length.

    Example:
        >>> from theory import KeepAll, KeepHard, practice_error
        >>> practice_error([KeepAll(), KeepHard.keeping(0.5)], d=20, pools=[100, 400], ridge=0.1).shape
        (2,)
    """
    ridges = _each_round(rules, pools, ridge)
    rho = cosine("alignment", alignment)
    generator = cosine("generator_alignment", generator_alignment)
    broadcast(alignment=rho, generator_alignment=generator)
    truth = rho * generator
    errors = []
    for rule, n, penalty in zip(rules, pools, ridges, strict=True):
        exact = isotropic_error(
            rule,
            d=d,
            n=n,
            ridge=penalty,
            alignment=rho,
            generator_alignment=generator,
            pruner_truth_alignment=truth,
            label_noise=label_noise,
            loss=loss,
        )
        errors.append(exact.test_error)
        length = np.sqrt(np.where(exact.squared_norm > 0, exact.squared_norm, 1.0))
        rho = np.clip(exact.generator_overlap / length, -1, 1)
        truth = np.cos(np.pi * exact.test_error)
    return np.stack(np.broadcast_arrays(*errors))


def fresh_rounds(
    rules: Sequence[Rule],
    *,
    d: int,
    pools: Sequence[int],
    ridge: float | Sequence[float] = 0.0,
    alignment: float = 0.0,
    generator_alignment: float = 1.0,
    label_noise: float = 0.0,
    replicates: int = 1,
    seed: int | np.random.Generator = 0,
) -> list[Simulation]:
    """Simulate what :func:`practice_error` states, by the banded sampler: O(n + d) a round.

    Returns:
        One simulation a round; replicate ``i`` is one history through all of them.

    Raises:
        ArgumentError: As :func:`practice_error`.

    Example:
        >>> from theory import KeepAll, KeepHard, fresh_rounds
        >>> rules = [KeepAll(), KeepHard.keeping(0.5)]
        >>> first, second = fresh_rounds(rules, d=20, pools=[100, 4000], ridge=0.1, replicates=10)
        >>> first.mean > second.mean
        True
    """
    ridges = _each_round(rules, pools, ridge)
    rng, replicates = generator_of(seed), integer("replicates", replicates, 1)
    first, generator = _cosines(alignment, generator_alignment)
    rho: Array = np.full(replicates, first)
    truth = rho * generator
    runs = []
    for rule, n, penalty in zip(rules, pools, ridges, strict=True):
        run = banded(
            rule,
            d=d,
            n=n,
            ridge=penalty,
            alignment=rho,
            generator_alignment=generator,
            pruner_truth_alignment=truth,
            label_noise=label_noise,
            replicates=replicates,
            seed=rng,
        )
        runs.append(run)
        length = np.sqrt(np.where(run.squared_norm > 0, run.squared_norm, 1.0))
        rho, truth = np.clip(run.generator_overlap / length, -1, 1), np.clip(run.overlap / length, -1, 1)
    return runs


def accumulated_rounds(
    rules: Sequence[Rule],
    *,
    d: int,
    pools: Sequence[int],
    ridge: float | Sequence[float] = 0.0,
    alignment: float = 0.0,
    generator_alignment: float = 1.0,
    label_noise: float = 0.0,
    loss: str = "squared",
    replicates: int = 1,
    seed: int | np.random.Generator = 0,
) -> list[Simulation]:
    """Simulate rounds that train on the kept rows of ALL rounds so far, row by row; ``n`` is the sum of the pools.

    Only kept rows are drawn (see ``theory.sampling.rows``). Algorithm 1 of arXiv 2502.15588 for a linear classifier.

    Returns:
        One simulation a round; replicate ``i`` is one history through all of them.

    Raises:
        ArgumentError: As :func:`practice_error`.

    Example:
        >>> from theory import KeepAll, KeepHard, accumulated_rounds
        >>> first, second = accumulated_rounds([KeepAll(), KeepHard.keeping(0.5)], d=20, pools=[100, 400], ridge=0.1)
        >>> first.mean > second.mean
        True
    """
    ridges = _each_round(rules, pools, ridge)
    d, rng, replicates = integer("d", d, 3), generator_of(seed), integer("replicates", replicates, 1)
    pools = [integer("pools", n, 1) for n in pools]
    noise, loss = one_noise(label_noise), checked_loss(loss)
    for rule in rules:
        single_rule(rule)
    rho, with_truth = _cosines(alignment, generator_alignment)
    generator, truth, first = np.zeros((3, d))
    generator[0] = 1
    truth[:2] = with_truth, np.sqrt(1 - with_truth**2)
    first[0], first[2] = rho, np.sqrt(1 - rho**2)
    record = np.empty((len(rules), 4, replicates))
    for i in progress(range(replicates), "accumulated rounds"):
        w, rows = first, Gathered(d, loss)
        for k, (rule, n, penalty) in enumerate(zip(rules, pools, ridges, strict=True)):
            length = np.linalg.norm(w)
            pruner = w / length if length > 0 else first
            for x, y in kept_rows(rule, n, pruner, generator, noise, rng):
                rows.add(x, y)
            w = rows.fit(sum(pools[: k + 1]), penalty)
            record[k, :, i] = w @ truth, w @ w, w @ generator, rows.count
    runs = []
    for overlap, squared_norm, generator_overlap, kept in record:
        error = angle_error(overlap, np.maximum(squared_norm - overlap**2, 0.0))
        runs.append(Simulation(error, overlap, squared_norm, generator_overlap, kept.astype(np.int64)))
    return runs


def _cosines(alignment: float, generator_alignment: float) -> tuple[float, float]:
    return (
        one_cosine("alignment", alignment),
        one_cosine("generator_alignment", generator_alignment),
    )


def _each_round(rules: Sequence[Rule], pools: Sequence[ArrayLike], ridge: float | Sequence[float]) -> list[float]:
    """The ridge of every round, after checking that the lists agree."""
    if not isinstance(pools, Sequence | np.ndarray):
        raise ArgumentError(f"pools: found {pools!r}, expected a list, one pool a round.")
    if not isinstance(rules, Sequence):
        raise ArgumentError(f"rules: found {rules!r}, expected a list, one rule a round.")
    if len(rules) != len(pools) or not rules:
        raise ArgumentError(f"pools: found {len(pools)} for {len(rules)} rules, expected one pool a round.")
    ridges = real("ridge", ridge, 0, MOST, advice="Use 0 for the minimum-norm fit.")
    if ridges.shape not in ((), (len(rules),)):
        raise ArgumentError(f"ridge: found shape {ridges.shape}, expected one number or one a round ({len(rules)}).")
    return [float(x) for x in np.broadcast_to(ridges, (len(rules),))]
