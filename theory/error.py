"""Exact test error of a linear classifier trained on a pruned pool, in the limit of large ``n`` and ``d``.

The model (arXiv 2502.15588, Section 3): a pool of ``n`` rows ``x ~ N(0, Sigma)`` labelled ``y = sign(w_g . x)``, each
label flipped with probability ``label_noise``; a pruner ``w_s`` keeps each row with probability ``q(t)``, ``t`` its
standardised margin. The classifier minimises the mean loss of the kept rows and a ridge penalty, ``n`` being the pool
BEFORE pruning::

    (1 / n) sum_kept loss(y x . w) + (ridge / 2) |w|^2

With squared loss, ``(1 - m)^2 / 2``, that is ``w_hat = (X'DX / n + ridge I)^-1 X'Dy / n``, the paper's classifier; with
logistic loss see ``theory.losses.fixed_point``. The test error is measured on clean labels of the truth ``w_t``
(``w_g = w_t`` unless the generator is imperfect) and is an angle::

    E_test = arccos(overlap / norm) / pi

For squared loss both come from the population fit ``w_bar = (Sigma_q + L)^-1 c`` with the effective ridge ``L`` (see
``theory.spectrum``), ``Sigma_q`` the covariance and ``c`` the label moment of the kept rows::

    overlap = w_t . Sigma w_bar / |w_t|_Sigma
    norm^2  = |w_bar|_Sigma^2 + V E[q (y - x . w_bar)^2]

that is, bias plus the kept rows' squared residual inflated by ``V``. For isotropic inputs this is the paper's
theorem in its proved form (see ``theory.printed`` for the forms as printed); for a general covariance it supplies
the second moment that both public versions leave open.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from theory.checks import LEAST, MOST, Array, broadcast, cosine, probability, real
from theory.directions import Metric, eigensystem, plane_of, truth_coordinates, turned, whitened
from theory.losses.expectations import KeptRows
from theory.losses.fixed_point import Solution, solve
from theory.losses.inputs import Covariances, Isotropic
from theory.losses.loss import checked_loss
from theory.rules.moments import Moments
from theory.rules.selection import Rule, checked_rule
from theory.spectrum import general_spectrum, isotropic_spectrum


@dataclass(frozen=True)
class ExactError:
    """The theory's answer for one setting, as floats, or for a grid of them, as float64 arrays of one shape.

    Attributes:
        test_error: Probability of misclassifying a fresh input, in [0, 1]; 0.5 if nothing is kept.
        overlap: Limit of ``w_hat . Sigma w_t / |w_t|_Sigma``.
        squared_norm: Limit of ``w_hat . Sigma w_hat``; infinite at the interpolation threshold.
        generator_overlap: As ``overlap``, with the generator's direction in place of the truth's.
        kept_fraction: Fraction of the pool kept, in [0, 1].
        finite_size: Estimate of what the limit leaves out, relative to the squared angle: the fit's fluctuation
            along the pruner, one direction among d, which weighs most when hard selection leaves little variance
            there. For spectra with many large eigenvalues the limit is close below about 0.1; above 1 a very
            selective rule should be simulated instead. It tells neither of a covariance with few large eigenvalues
            nor of the interpolation threshold: at a small ridge, when the kept rows ``n p`` are within a few of their
            standard deviations ``sqrt(n p (1 - p))`` of d, simulate.

    Example:
        >>> from theory import KeepAll, isotropic_error
        >>> found = isotropic_error(KeepAll(), d=100, n=[100, 1000], ridge=0.1)
        >>> found.test_error.shape, float(found.kept_fraction[0])
        ((2,), 1.0)
    """

    test_error: Any
    overlap: Any
    squared_norm: Any
    generator_overlap: Any
    kept_fraction: Any
    finite_size: Any


def isotropic_error(
    rule: Rule,
    *,
    d: ArrayLike,
    n: ArrayLike,
    ridge: ArrayLike = 0.0,
    alignment: ArrayLike = 1.0,
    generator_alignment: ArrayLike = 1.0,
    pruner_truth_alignment: ArrayLike | None = None,
    label_noise: ArrayLike = 0.0,
    loss: str = "squared",
) -> ExactError:
    """Return the exact error for ``x ~ N(0, I_d)``.

    For squared loss it is Theorem 1 of arXiv 2502.15588, and Corollary 1 at ridge 0, in the form that the proofs reach.
    All arguments broadcast, the rule's settings included.

    Args:
        rule: Which rows are kept.
        d: Input dimension, above 0.
        n: Pool size before pruning, above 0 (need not be whole); infinite is the population limit.
        ridge: Ridge penalty, at least 0; at 0 the limit of small ones: the minimum-norm fit of squared loss, the
            largest margin of logistic loss where the rows are separable.
        alignment: Cosine between pruner and labelling generator, in [-1, 1].
        generator_alignment: Cosine between generator and truth, in [-1, 1].
        pruner_truth_alignment: Cosine between pruner and truth; by default the product of the other two, as when
            generator and pruner err independently.
        label_noise: Probability that a label flips, in [0, 0.5].
        loss: ``"squared"`` or ``"logistic"`` (see ``theory.losses.fixed_point``; a fraction of a second per setting).

    Raises:
        ArgumentError: If an argument is out of range, or no three directions have the three cosines.
        RuntimeError: If the fixed point of logistic loss is not found.

    Example:
        >>> from theory import KeepHard, isotropic_error
        >>> found = isotropic_error(KeepHard.keeping(0.5), d=512, n=2048, ridge=0.01, alignment=0.9)
        >>> round(float(found.test_error), 3)
        0.136
    """
    rule, d, n, ridge = checked_rule(rule), size("d", d), pool_size(n), penalty(ridge)
    rho, noise = cosine("alignment", alignment), probability("label_noise", label_noise)
    along, across, outside = truth_coordinates(rho, generator_alignment, pruner_truth_alignment)
    broadcast(d=d, n=n, ridge=ridge, alignment=rho, generator_alignment=along, label_noise=noise, rule=_settings(rule))
    k = rule.moments(rho, noise)
    if checked_loss(loss) == "logistic":
        w_along, w_across, spread, wander = _isotropic_logistic(rule, d / n, n, ridge, rho, noise)
    else:
        effective, variance = isotropic_spectrum(d / n, k.p, ridge)
        w_along, w_across = _plane_fit(k, effective)
        residual = k.p - k.beta_tilde * w_along - k.beta * w_across - effective * (w_along**2 + w_across**2)
        spread = variance * residual
        wander = _per_kept(k, n, residual * (1 + k.p * variance)) * _plane_spread(k, effective)
    overlap = along * w_along + across * w_across
    bias = w_along**2 + w_across**2
    sideways = (along * w_across - across * w_along) ** 2 + outside**2 * bias  # part of w_bar orthogonal to the truth
    generator_overlap = rho * w_along + np.sqrt((1 - rho) * (1 + rho)) * w_across
    return exact_error(overlap, bias, sideways, spread, generator_overlap, k.p, wander, along)


def general_error(
    rule: Rule,
    *,
    n: ArrayLike,
    ridge: ArrayLike = 0.0,
    covariance: ArrayLike,
    pruner: ArrayLike,
    generator: ArrayLike,
    truth: ArrayLike | None = None,
    label_noise: ArrayLike = 0.0,
    test_covariance: ArrayLike | None = None,
    loss: str = "squared",
) -> ExactError:
    """Return the exact error for ``x ~ N(0, Sigma)``.

    For squared loss it is what Propositions 1 and 2 of arXiv 2502.15588 v1 are about, with the second moment that they
    leave open. ``n``, ``ridge``, ``label_noise`` and the rule's settings broadcast. The rule sees the margin divided by
    its standard deviation, so that the fraction kept does not depend on ``Sigma``.

    Args:
        rule: Which rows are kept.
        n: Pool size before pruning, above 0; infinite is the population limit.
        ridge: Ridge penalty, at least 0.
        covariance: ``Sigma`` as a symmetric matrix [d, d], or its eigenvalues [d], the vectors then being given in
            the eigenbasis. No eigenvalue may be negative.
        pruner: ``w_s`` [d], any length.
        generator: ``w_g`` [d], the direction that labels.
        truth: ``w_t`` [d]; by default the generator.
        label_noise: Probability that a label flips, in [0, 0.5].
        test_covariance: Covariance of the inputs tested on, as ``covariance``; by default the same. ``overlap`` and
            ``squared_norm`` are then in its metric, ``generator_overlap`` stays in that of the training inputs.
        loss: ``"squared"`` or ``"logistic"`` (see ``theory.losses.fixed_point``; a fraction of a second per setting).

    Raises:
        ArgumentError: If an argument is out of range or a direction carries no variance.
        RuntimeError: If the fixed point of logistic loss is not found.

    Example:
        >>> from theory import KeepHard, general_error
        >>> setting = dict(covariance=[1.0, 2.0, 3.0], pruner=[1, 0, 0], generator=[1, 0, 0])
        >>> round(float(general_error(KeepHard.keeping(0.5), n=100, ridge=0.1, **setting).test_error), 3)
        0.056
    """
    rule, n, ridge = checked_rule(rule), pool_size(n), penalty(ridge)
    noise = probability("label_noise", label_noise)
    broadcast(n=n, ridge=ridge, label_noise=noise, rule=_settings(rule))
    s, basis = eigensystem(covariance)
    root = np.sqrt(s)
    u_s, u_g = (whitened(name, w, root, basis) for name, w in (("pruner", pruner), ("generator", generator)))
    test = Metric.of(test_covariance, s, basis, generator if truth is None else truth)
    rho, across = plane_of(u_s, u_g)
    k = rule.moments(rho, noise)
    u_t = root * turned(generator if truth is None else truth, basis)
    along = np.asarray(u_s @ u_t / max(float(np.linalg.norm(u_t)), 1e-300))
    if checked_loss(loss) == "logistic":
        w_bar, spread, wander = _general_logistic(rule, s, u_s, across, n, ridge, np.asarray(rho), noise, test.diagonal)
        overlap, bias, sideways = test.split(w_bar)
        return exact_error(overlap, bias, sideways, spread, (root * w_bar) @ u_g, k.p, wander, along)
    effective, variance = general_spectrum(s, n, k.p, ridge)

    # w_bar = (p Sigma + L + B (M - p) B')^-1 c in the eigenbasis, B = Sigma^1/2 (pruner, across): Woodbury, as two
    # rank-one updates of Sherman and Morrison would have it.
    p, gamma, beta, beta_tilde, cross, extra, level = (
        np.broadcast_to(x, effective.shape)[..., None]
        for x in (k.p, k.gamma, k.beta, k.beta_tilde, k.cross, k.across - k.p, effective)
    )
    shrunk = p * s + level  # [..., d]
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = np.where((s > 0) & (shrunk > 0), 1 / shrunk, 0.0)  # null directions are not fitted
    b_s, b_v = root * u_s, root * across  # [d]
    ss, sv, vv = _dot(inverse * b_s, b_s), _dot(inverse * b_s, b_v), _dot(inverse * b_v, b_v)
    # In the plane: (1 + (M - p) Q) z = h gives w_bar = inverse B z, with Q = B' inverse B and M - p = [[g, x], [x, e]].
    g, x, e = gamma - p, cross, extra
    m11, m12, m21, m22 = 1 + g * ss + x * sv, g * sv + x * vv, x * ss + e * sv, 1 + x * sv + e * vv
    determinant = m11 * m22 - m12 * m21
    z_s, z_v = (m22 * beta_tilde - m12 * beta) / determinant, (m11 * beta - m21 * beta_tilde) / determinant
    moment = beta_tilde * b_s + beta * b_v  # c, [..., d]
    w_bar = inverse * (z_s * b_s + z_v * b_v)
    residual = k.p - (moment * w_bar).sum(-1) - effective * (w_bar**2).sum(-1)
    stiffness = (ss * m22 - sv * m21) / determinant  # the fit's answer to a push along the pruner
    wander = _per_kept(k, n, residual * (1 + k.p * variance)) * k.gamma * stiffness[..., 0] ** 2
    scaled = root * w_bar  # Sigma^1/2 w_bar, [..., d]
    overlap, bias, sideways = test.split(w_bar)
    spread = variance * residual
    if test_covariance is not None:
        spread = residual * (1 + k.p * variance) / n * (test.diagonal * s * inverse**2).sum(-1)
    return exact_error(overlap, bias, sideways, spread, scaled @ u_g, k.p, wander, along)


def size(name: str, value: ArrayLike) -> Array:
    """Return a dimension or a pool size: positive and finite."""
    return real(name, value, LEAST, MOST, advice="It is a count of rows or columns.")


def pool_size(value: ArrayLike) -> Array:
    """Return a pool size: positive, perhaps infinite."""
    return real("n", value, LEAST, np.inf, advice="It is a count of rows; infinite is the population limit.")


def penalty(value: ArrayLike) -> Array:
    """Return a ridge penalty: finite, at least 0."""
    return real("ridge", value, 0, MOST, advice="Use 0 for the minimum-norm fit.")


def exact_error(
    overlap: Array, bias: Array, sideways: Array, noise: Array, label: Array, p: Array, wander: Array, along: Array
) -> ExactError:
    """Assemble the angle from what is orthogonal to the truth: arccos of the ratio would lose half the digits.

    Args:
        overlap: Mean fit along the truth.
        bias: Squared norm of the mean fit.
        sideways: Squared norm of the mean fit's part across the truth.
        noise: Variance of the fit, all of it across the truth.
        label: Mean fit along the generator.
        p: Fraction kept.
        wander: Variance of the fit along the pruner.
        along: Cosine of pruner and truth.
    """
    noise = np.maximum(noise, 0.0)
    test_error = np.arctan2(np.sqrt(sideways + noise), overlap) / np.pi
    with np.errstate(divide="ignore", invalid="ignore"):
        share = wander * (1 - along**2) / (sideways + noise) + wander * along**2 / (bias + noise)
    finite_size = np.where(np.isinf(noise) | (p == 0), np.inf, np.where(wander == 0, 0.0, share))
    found = np.where(p == 0, 0.5, test_error), overlap, bias + noise, label, p, finite_size
    return ExactError(*(x[()] for x in np.broadcast_arrays(*found)))


def _settings(rule: Rule) -> Array:
    return np.empty(rule.shape)


def _per_kept(k: Moments, n: Array, total: Array) -> Array:
    """Return a sum over the kept rows per row kept, 0 where none is."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(k.p > 0, total / (k.p * n), 0.0)


def _plane_fit(k: Moments, effective: Array) -> tuple[Array, Array]:
    """Return ``(M + L)^-1 c`` along and across the pruner, by elimination; 0 where nothing is kept or penalised."""
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(k.cross == 0, 0.0, k.cross / (k.across + effective))
        along = (k.beta_tilde - share * k.beta) / (k.gamma + effective - share * k.cross)
        along = np.where(k.p > 0, along, 0.0)
        across = np.where(k.p > 0, (k.beta - k.cross * along) / (k.across + effective), 0.0)
    return along, across


def _plane_spread(k: Moments, effective: Array) -> Array:
    """Return the variance of the fit along the pruner, but for a factor: an entry of ``(M + L)^-1 M (M + L)^-1``."""
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(k.cross == 0, 0.0, k.cross / (k.across + effective))
        pivot = k.gamma + effective - share * k.cross
        spread = (k.gamma - 2 * share * k.cross + share**2 * k.across) / pivot**2
    return np.where(k.p > 0, spread, 0.0)


def _isotropic_logistic(
    rule: Rule, ratio: Array, n: Array, ridge: Array, rho: Array, noise: Array
) -> tuple[Array, Array, Array, Array]:
    """Return the mean fit along and across the pruner, the variance of the rest, and that along the pruner."""
    shape = np.broadcast_shapes(ratio.shape, n.shape, ridge.shape, rho.shape, noise.shape, rule.shape)
    ratio = np.broadcast_to(ratio, shape).ravel()
    found = np.zeros((4, ratio.size))
    for flat, row, size, penalty in _each_setting(rule, shape, n, ridge, rho, noise):
        inputs = Isotropic(float(ratio[flat]))
        point = solve(inputs, [row], penalty)
        ((a, b, r),), _ = inputs.fit(point.ridge, point.push, point.curvature, point.square)
        found[:, flat] = a, b, r**2, _wander(row, point, size)
    w_along, w_across, spread, wander = found.reshape(4, *shape)
    return w_along, w_across, spread, wander


def _general_logistic(
    rule: Rule, s: Array, u_s: Array, across: Array, n: Array, ridge: Array, rho: Array, noise: Array, test: Array
) -> tuple[Array, Array, Array]:
    """Return the mean fit [..., d], its variance in inputs of diagonal ``test``, and the variance along the pruner."""
    shape = np.broadcast_shapes(n.shape, ridge.shape, noise.shape, rule.shape)
    count = int(np.prod(shape))
    means, spread, wander = np.zeros((count, len(s))), np.zeros(count), np.zeros(count)
    planes = np.sqrt(s)[None, :, None] * np.stack([u_s, across], axis=-1)
    for flat, row, size, penalty in _each_setting(rule, shape, n, ridge, rho, noise):
        inputs = Covariances(s[None], planes, size)
        point = solve(inputs, [row], penalty)
        means[flat] = inputs.mean(point.ridge, point.push, point.curvature)
        spread[flat] = test @ inputs.noise(point.ridge, point.curvature, point.square)
        wander[flat] = _wander(row, point, size)
    return means.reshape(*shape, len(s)), spread.reshape(shape), wander.reshape(shape)


def _each_setting(
    rule: Rule, shape: tuple[int, ...], n: Array, ridge: Array, rho: Array, noise: Array
) -> Iterator[tuple[int, KeptRows, float, float]]:
    """Yield the settings of a grid that keep rows: flat index, law of the kept rows, pool size, ridge."""
    n, ridge, rho, noise = (np.broadcast_to(x, shape).ravel() for x in (n, ridge, rho, noise))
    for flat in range(n.size):
        row = KeptRows(rule.part(shape, flat), float(rho[flat]), float(noise[flat]))
        if float(row.rule.moments(row.alignment, row.label_noise).p) > 0:
            yield flat, row, float(n[flat]), float(ridge[flat])


def _wander(row: KeptRows, point: Solution, n: float) -> float:
    """Return the variance of a fit along the pruner, taking the response to be the same at all margins."""
    k = row.rule.moments(row.alignment, row.label_noise)
    share = float(k.gamma) / float(k.p)
    return float(point.square[0] * share / n / (point.ridge + point.curvature[0] * share) ** 2)


def _dot(x: Array, y: Array) -> Array:
    return np.asarray((x * y).sum(-1, keepdims=True))
