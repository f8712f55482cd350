"""Pools mixed of several populations of rows, such as real and synthetic ones: exact test error, and by sampling.

Every population has its own covariance, its own direction that labels it, its own label noise, and its own rule and
pruner; one classifier is trained on the kept rows of all. It is what a generator that is not the world does to a pool
that holds some of the world as well (Firdoussi et al. 2024 and Rezaei et al. 2025 for ridge regression). The exact
error is the fixed point of ``theory.losses.fixed_point``, whose populations add their pushes and their curvatures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from theory.checks import LEAST, MOST, ArgumentError, Array, integer, number
from theory.directions import Metric, eigensystem, plane_of, whitened
from theory.error import ExactError, exact_error
from theory.losses.expectations import KeptRows
from theory.losses.fixed_point import Solution, solve
from theory.losses.inputs import Covariances
from theory.losses.loss import checked_loss
from theory.losses.squared import solve_squared
from theory.progress import progress
from theory.rules.selection import Rule
from theory.sampling.fits import Gathered
from theory.sampling.rows import kept_rows
from theory.sampling.simulate import Simulation, angle_error, generator_of, one_noise, single_rule


@dataclass(frozen=True)
class Population:
    """Rows of one kind in a pool.

    Args:
        rule: Which of them are kept; its settings must be numbers.
        n: How many there are before pruning, above 0; whole for a simulation.
        covariance: Covariance of their inputs, [d, d], or its eigenvalues [d] if it is diagonal.
        pruner: ``w_s`` [d], any length.
        generator: ``w_g`` [d], the direction that labels them.
        label_noise: Probability that a label flips, in [0, 0.5].

    Raises:
        ArgumentError: If an argument is out of range.

    Example:
        >>> from theory import KeepAll, Population
        >>> real = Population(KeepAll(), n=100, covariance=[1.0, 2.0], pruner=[1, 0], generator=[1, 0])
        >>> real.label_noise
        0.0
    """

    rule: Rule
    n: float
    covariance: ArrayLike
    pruner: ArrayLike
    generator: ArrayLike
    label_noise: float = 0.0

    def __post_init__(self) -> None:
        single_rule(self.rule)
        number("n", self.n, LEAST, MOST, advice="It is a count of rows.")
        one_noise(self.label_noise)


def mixture_error(
    populations: Sequence[Population],
    *,
    ridge: float = 0.0,
    truth: ArrayLike | None = None,
    test_covariance: ArrayLike | None = None,
    loss: str = "squared",
) -> ExactError:
    """Return the exact error of a classifier trained on the kept rows of all populations.

    One population is :func:`theory.general_error` (Section 3 of arXiv 2502.15588, for any covariance).

    Args:
        populations: At least one, of one dimension.
        ridge: Ridge penalty, at least 0; the mean loss is over all rows of the pool.
        truth: ``w_t`` [d]; by default the first population's generator.
        test_covariance: Covariance of the inputs tested on; by default the first population's.
        loss: ``"squared"`` or ``"logistic"``.

    Returns:
        Floats; ``generator_overlap`` is that of the first population, and ``finite_size`` the largest of all.

    Raises:
        ArgumentError: If an argument is out of range.
        RuntimeError: If no fixed point is found, as for squared loss at ridge 0 with as many kept rows as dimensions.

    Example:
        >>> import numpy as np
        >>> from theory import KeepAll, KeepHard, Population, mixture_error
        >>> truth, generator = np.array([1.0, 0, 0]), np.array([0.8, 0.6, 0])
        >>> same = dict(covariance=np.ones(3), pruner=truth)
        >>> real = Population(KeepAll(), n=200, generator=truth, **same)
        >>> synthetic = Population(KeepHard.keeping(0.5), n=2000, generator=generator, **same)
        >>> errors = [float(mixture_error(pool, ridge=0.1, truth=truth).test_error) for pool in ([synthetic], [real])]
        >>> mixed = float(mixture_error([real, synthetic], ridge=0.1).test_error)
        >>> errors[1] < mixed < errors[0]
        True
    """
    ridge = number("ridge", ridge, 0, MOST, advice="Use 0 for the minimum-norm fit.")
    parts = _parts(populations)
    n = float(sum(each.n for each in populations))
    diagonal = all(part.basis is None for part in parts)
    inputs = Covariances(
        np.stack([part.eigenvalues if diagonal else part.covariance for part in parts]),
        np.stack([part.unturned(part.plane) for part in parts]),
        n,
    )
    rows = [
        KeptRows(each.rule, part.alignment, one_noise(each.label_noise), float(each.n) / n)
        for each, part in zip(populations, parts, strict=True)
    ]
    moments = [row.rule.moments(row.alignment, row.label_noise) for row in rows]
    seen = [row for row, k in zip(rows, moments, strict=True) if float(k.p) > 0]
    first, target = populations[0], populations[0].generator if truth is None else truth
    test = Metric.of(
        first.covariance if test_covariance is None else test_covariance, np.ones(len(inputs.planes[0])), None, target
    )
    kept = np.asarray(sum(row.share * float(k.p) for row, k in zip(rows, moments, strict=True)))
    zero = np.zeros(())
    if not seen:
        return exact_error(zero, zero, zero, zero, zero, kept, zero, zero)
    if len(seen) < len(rows):
        raise ArgumentError("populations: found one of which no row is kept. Leave it out.")
    point = (solve if checked_loss(loss) == "logistic" else solve_squared)(inputs, rows, ridge)
    w_bar = inputs.mean(point.ridge, point.push, point.curvature)
    spread = test.variance(inputs.noise(point.ridge, point.curvature, point.square))
    overlap, bias, sideways = test.split(w_bar)
    label = np.asarray(parts[0].root_times(w_bar) @ parts[0].generator)
    found = []
    for part, wander in zip(parts, _wander(inputs, rows, point), strict=True):
        u = part.root_times(np.asarray(target, dtype=np.float64))
        along = np.asarray(part.pruner @ u / max(float(np.linalg.norm(u)), 1e-300))
        found.append(exact_error(overlap, bias, sideways, spread, label, kept, np.asarray(wander), along))
    return max(found, key=lambda each: each.finite_size)


def dense_mixture(
    populations: Sequence[Population],
    *,
    ridge: float = 0.0,
    truth: ArrayLike | None = None,
    test_covariance: ArrayLike | None = None,
    loss: str = "squared",
    replicates: int = 1,
    seed: int | np.random.Generator = 0,
) -> Simulation:
    """Simulate :func:`mixture_error` row by row; further arguments as in :func:`theory.dense`.

    Raises:
        ArgumentError: If an argument is out of range, or the ridge too small for the spectrum.

    Example:
        >>> from theory import KeepAll, Population, dense_mixture
        >>> one = Population(KeepAll(), n=50, covariance=[1.0, 2.0], pruner=[1, 0], generator=[1, 0])
        >>> dense_mixture([one, one], ridge=0.1, replicates=3).kept.tolist()
        [100, 100, 100]
    """
    ridge = number("ridge", ridge, 0, MOST, advice="Use 0 for the minimum-norm fit.")
    replicates, rng, loss = integer("replicates", replicates, 1), generator_of(seed), checked_loss(loss)
    parts = _parts(populations)
    counts = [integer("n", each.n, 1) for each in populations]
    first, target = populations[0], populations[0].generator if truth is None else truth
    d = len(parts[0].eigenvalues)
    test = Metric.of(first.covariance if test_covariance is None else test_covariance, np.ones(d), None, target)
    overlap, generator_overlap, sideways = np.empty((3, replicates))
    kept = np.empty(replicates, np.int64)
    for i in progress(range(replicates), "dense simulation"):
        rows = Gathered(d, loss)
        for each, part, n in zip(populations, parts, counts, strict=True):
            for g, y in kept_rows(each.rule, n, part.pruner, part.generator, one_noise(each.label_noise), rng):
                rows.add(part.unturned((g * part.root).T).T, y)
        w = rows.fit(sum(counts), ridge)
        overlap[i], _, sideways[i] = test.split(w)
        generator_overlap[i], kept[i] = parts[0].root_times(w) @ parts[0].generator, rows.count
    return Simulation(angle_error(overlap, sideways), overlap, overlap**2 + sideways, generator_overlap, kept)


@dataclass(frozen=True)
class _Part:
    """A population in the eigenbasis of its covariance: whitened directions [d], and what leads there and back."""

    eigenvalues: Array
    basis: Array | None
    pruner: Array
    generator: Array

    @property
    def root(self) -> Array:
        return np.sqrt(self.eigenvalues)

    @property
    def covariance(self) -> Array:
        return np.diag(self.eigenvalues) if self.basis is None else (self.basis * self.eigenvalues) @ self.basis.T

    @property
    def alignment(self) -> float:
        return plane_of(self.pruner, self.generator)[0]

    @property
    def plane(self) -> Array:
        """Return ``Sigma^1/2 (pruner, across)`` in the eigenbasis, [d, 2]."""
        return self.root[:, None] * np.column_stack([self.pruner, plane_of(self.pruner, self.generator)[1]])

    def unturned(self, columns: Array) -> Array:
        """Return columns [d, ...] of the eigenbasis in that of the caller."""
        return columns if self.basis is None else np.asarray(self.basis @ columns)

    def root_times(self, w: Array) -> Array:
        """Return ``Sigma^1/2 w`` in the eigenbasis, [d]."""
        return self.root * (w if self.basis is None else self.basis.T @ w)


def _parts(populations: Sequence[Population]) -> list[_Part]:
    if not isinstance(populations, Sequence) or not populations:
        raise ArgumentError(f"populations: found {type(populations).__name__}, expected a list of one or more.")
    others = [type(each).__name__ for each in populations if not isinstance(each, Population)]
    if others:
        raise ArgumentError(f"populations: found {others[0]} in the list, expected Population alone.")
    parts = []
    for each in populations:
        s, basis = eigensystem(each.covariance)
        root = np.sqrt(s)
        directions = (whitened(name, getattr(each, name), root, basis) for name in ("pruner", "generator"))
        parts.append(_Part(s, basis, *directions))
    if len(sizes := {len(part.eigenvalues) for part in parts}) > 1:
        raise ArgumentError(f"populations: found dimensions {sorted(sizes)}, expected one for all.")
    return parts


def _wander(inputs: Covariances, rows: Sequence[KeptRows], point: Solution) -> list[float]:
    """Return the variance of the fit along each pruner, taking the response to be the same at all margins."""
    moments = [row.rule.moments(row.alignment, row.label_noise) for row in rows]
    quadratic = inputs.planes_in_resolvent(point.ridge, point.curvature)
    size = 2 * len(rows)
    q = quadratic.reshape(size, size)
    bent = np.zeros((size, size))
    for i, (k, curvature) in enumerate(zip(moments, point.curvature, strict=True)):
        second = np.array([[k.gamma, k.cross], [k.cross, k.across]], dtype=np.float64)
        bent[2 * i : 2 * i + 2, 2 * i : 2 * i + 2] = curvature * (second / float(k.p) - np.eye(2))
    stiffness = np.diag(np.linalg.solve(np.eye(size) + q @ bent, q))[::2]
    share = np.array([float(k.gamma) / float(k.p) for k in moments])
    return [float(x) for x in point.square * share * stiffness**2 / inputs.n]
