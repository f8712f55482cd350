"""The exact error's question answered by sampling: draw the kept rows of a pool, fit, measure the angle.

``dense`` forms every kept row and fits by linear algebra; it takes any covariance and either loss. ``banded`` is for
isotropic inputs and squared loss, and costs O(m + d) a draw, ``m`` the rows kept, with exactly the same law (see
``theory.sampling.bidiagonal``). Neither draws the rows that are not kept (see ``theory.sampling.rows``). Both take the
arguments of the exact error and three more: ``replicates``, ``seed``, and integer sizes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from theory.checks import MOST, ArgumentError, Array, cosine, integer, number, one_cosine, probability
from theory.directions import Metric, eigensystem, truth_coordinates, whitened
from theory.losses.loss import checked_loss
from theory.progress import progress
from theory.rules.selection import Rule, checked_rule
from theory.sampling.bidiagonal import banded_draws
from theory.sampling.fits import Gathered
from theory.sampling.rows import kept_rows


@dataclass(frozen=True)
class Simulation:
    """Independent replicates of one setting; float64 arrays [replicates].

    Attributes:
        replicates: Test error of each fitted classifier, exact given the classifier; in [0, 1].
        overlap: ``w_hat . Sigma w_t / |w_t|_Sigma``.
        squared_norm: ``w_hat . Sigma w_hat``.
        generator_overlap: The same with the generator's direction in place of the truth's.
        kept: Number of rows kept, int64.

    Example:
        >>> from theory import KeepHard, banded
        >>> run = banded(KeepHard.keeping(0.5), d=50, n=400, ridge=0.1, replicates=20)
        >>> run.replicates.shape, abs(run.mean - 0.116) < 4 * run.standard_error
        ((20,), True)
    """

    replicates: Array
    overlap: Array
    squared_norm: Array
    generator_overlap: Array
    kept: np.ndarray

    def __repr__(self) -> str:
        return f"Simulation({len(self.replicates)} replicates, mean={self.mean:.4g})"

    @property
    def mean(self) -> float:
        """Mean test error."""
        return float(self.replicates.mean())

    @property
    def standard_error(self) -> float:
        """Standard error of the mean; NaN for a single replicate."""
        count = len(self.replicates)
        return float(self.replicates.std(ddof=1) / np.sqrt(count)) if count > 1 else float("nan")


def banded(
    rule: Rule,
    *,
    d: int,
    n: int,
    ridge: float = 0.0,
    alignment: ArrayLike = 1.0,
    generator_alignment: ArrayLike = 1.0,
    pruner_truth_alignment: ArrayLike | None = None,
    label_noise: float = 0.0,
    replicates: int = 1,
    seed: int | np.random.Generator = 0,
) -> Simulation:
    """Simulate isotropic inputs at O(m + d) a draw, ``m`` the rows kept (Section 3 of arXiv 2502.15588).

    Arguments are those of :func:`theory.isotropic_error`, with squared loss.

    Args:
        rule: Which rows are kept; its threshold must be one number.
        d: Input dimension, at least 2.
        n: Pool size before pruning, at least 1.
        ridge: Ridge penalty, at least 0.
        alignment: Cosine between pruner and generator; one number, or one a replicate [replicates].
        generator_alignment: Cosine between generator and truth.
        pruner_truth_alignment: Cosine between pruner and truth; by default the product of the other two.
        label_noise: Probability that a label flips, in [0, 0.5].
        replicates: Number of independent draws, at least 1.
        seed: A seed or a numpy Generator.

    Raises:
        ArgumentError: If an argument is out of range.

    Example:
        >>> from theory import KeepHard, banded, isotropic_error
        >>> rule, setting = KeepHard.keeping(0.5), dict(d=512, n=2048, ridge=0.01, alignment=0.9)
        >>> run = banded(rule, **setting, replicates=20)
        >>> bool(abs(run.mean - isotropic_error(rule, **setting).test_error) < 0.01)
        True
    """
    d, n, replicates = integer("d", d, 2), integer("n", n, 1), integer("replicates", replicates, 1)
    ridge, rng = number("ridge", ridge, 0, MOST, advice="Use 0 for the minimum-norm fit."), generator_of(seed)
    single_rule(rule)
    rho = cosine("alignment", alignment)
    along, across, outside = truth_coordinates(rho, generator_alignment, pruner_truth_alignment)
    if d == 2 and np.any(outside > 1e-7):
        raise ArgumentError("d: found 2, expected at least 3 when the truth lies outside the pruner-generator plane.")
    try:
        rho, along, across, outside = (np.broadcast_to(x, (replicates,)) for x in (rho, along, across, outside))
    except ValueError:
        raise ArgumentError(f"alignment: expected one number or one a replicate ({replicates}).") from None
    noise = one_noise(label_noise)
    w, rest, kept = banded_draws(rule, d, n, ridge, rho, noise, rng)  # [R, 2], [R], [R]
    # Given its length, the part of w_hat outside the plane points uniformly into the other d - 2 dimensions.
    first = rng.standard_normal(replicates)
    others = 2 * rng.standard_gamma((d - 3) / 2, replicates) if d > 3 else np.zeros(replicates)
    share = first / np.sqrt(first**2 + others)
    overlap = along * w[:, 0] + across * w[:, 1] + outside * share * rest
    squared_norm = (w**2).sum(1) + rest**2
    sideways = (along * w[:, 1] - across * w[:, 0]) ** 2 + rest**2 + outside**2 * (w**2).sum(1)
    tilted = outside > 0  # then the plane and the rest mix: the difference is exact enough, the error is not small
    sideways = np.where(tilted, np.maximum(squared_norm - overlap**2, 0.0), sideways)
    generator_overlap = rho * w[:, 0] + np.sqrt((1 - rho) * (1 + rho)) * w[:, 1]
    return Simulation(angle_error(overlap, sideways), overlap, squared_norm, generator_overlap, kept)


def dense(
    rule: Rule,
    *,
    d: int,
    n: int,
    ridge: float = 0.0,
    alignment: float = 1.0,
    generator_alignment: float = 1.0,
    pruner_truth_alignment: float | None = None,
    label_noise: float = 0.0,
    loss: str = "squared",
    replicates: int = 1,
    seed: int | np.random.Generator = 0,
) -> Simulation:
    """Simulate isotropic inputs row by row; arguments as in :func:`banded`. Memory grows as the rows kept times d.

    With ``loss="logistic"`` the classifier is fitted by Newton's method (see :func:`theory.sampling.fits.fit`).

    Raises:
        ArgumentError: If an argument is out of range.

    Example:
        >>> from theory import KeepHard, dense
        >>> dense(KeepHard.keeping(0.5), d=50, n=400, ridge=0.1, replicates=5).kept.shape
        (5,)
    """
    d = integer("d", d, 2)
    rho = one_cosine("alignment", alignment)
    g = one_cosine("generator_alignment", generator_alignment)
    with_truth = pruner_truth_alignment
    if with_truth is not None:
        with_truth = one_cosine("pruner_truth_alignment", with_truth)
    along, across, outside = (float(x) for x in truth_coordinates(np.asarray(rho), g, with_truth))
    if d == 2 and outside > 1e-7:
        raise ArgumentError("d: found 2, expected at least 3 when the truth lies outside the pruner-generator plane.")
    pruner, generator, truth = np.zeros((3, d))
    pruner[0] = 1
    generator[:2] = rho, np.sqrt((1 - rho) * (1 + rho))
    truth[: min(d, 3)] = (along, across, outside)[: min(d, 3)]
    return dense_general(
        rule,
        n=n,
        ridge=ridge,
        covariance=np.ones(d),
        pruner=pruner,
        generator=generator,
        truth=truth,
        label_noise=label_noise,
        loss=loss,
        replicates=replicates,
        seed=seed,
    )


def dense_general(
    rule: Rule,
    *,
    n: int,
    ridge: float = 0.0,
    covariance: ArrayLike,
    pruner: ArrayLike,
    generator: ArrayLike,
    truth: ArrayLike | None = None,
    label_noise: float = 0.0,
    test_covariance: ArrayLike | None = None,
    loss: str = "squared",
    replicates: int = 1,
    seed: int | np.random.Generator = 0,
) -> Simulation:
    """Simulate any covariance row by row; arguments as in :func:`theory.general_error` and :func:`dense`.

    Raises:
        ArgumentError: If an argument is out of range, or the ridge too small for the spectrum (see :func:`fit`).

    Example:
        >>> from theory import KeepHard, dense_general
        >>> setting = dict(covariance=[1.0, 2.0, 3.0], pruner=[1, 0, 0], generator=[1, 0, 0])
        >>> dense_general(KeepHard.keeping(0.5), n=100, ridge=0.1, **setting, replicates=5).replicates.shape
        (5,)
    """
    n, replicates = integer("n", n, 1), integer("replicates", replicates, 1)
    ridge, rng = number("ridge", ridge, 0, MOST, advice="Use 0 for the minimum-norm fit."), generator_of(seed)
    single_rule(rule)
    s, basis = eigensystem(covariance)
    root = np.sqrt(s)
    u_s, u_g = (whitened(name, w, root, basis) for name, w in (("pruner", pruner), ("generator", generator)))
    test = Metric.of(test_covariance, s, basis, generator if truth is None else truth)
    noise, loss = one_noise(label_noise), checked_loss(loss)
    data = s > 0  # null directions carry no data
    overlap, generator_overlap, sideways = np.empty((3, replicates))
    kept = np.empty(replicates, np.int64)
    for i in progress(range(replicates), "dense simulation"):
        rows = Gathered(int(data.sum()), loss)
        for g, y in kept_rows(rule, n, u_s[data], u_g[data], noise, rng):
            rows.add(g * root[data], y)
        w = np.zeros(len(s))
        w[data] = rows.fit(n, ridge)
        overlap[i], _, sideways[i] = test.split(w)
        generator_overlap[i], kept[i] = (root * w) @ u_g, rows.count
    return Simulation(angle_error(overlap, sideways), overlap, overlap**2 + sideways, generator_overlap, kept)


def angle_error(overlap: Array, sideways: Array) -> Array:
    """Return the angle over pi; 0.5 for the zero classifier, which is fitted when nothing is kept."""
    zero = (overlap == 0) & (sideways == 0)
    return np.where(zero, 0.5, np.arctan2(np.sqrt(sideways), overlap) / np.pi)


def single_rule(rule: Rule) -> None:
    """Refuse what is not a rule, or is several."""
    if checked_rule(rule).shape:
        raise ArgumentError("rule: found an array of settings, expected one. Call once for each.")


def one_noise(label_noise: float) -> float:
    """Return the one probability that a label flips."""
    return number("label_noise", probability("label_noise", label_noise), 0, 0.5)


def generator_of(seed: int | np.random.Generator) -> np.random.Generator:
    """Return the numpy Generator of a seed; a Generator is passed through."""
    return seed if isinstance(seed, np.random.Generator) else np.random.default_rng(integer("seed", seed, 0))
