"""Exact test error of a ridge classifier trained on a pruned pool, in the limit of large ``n`` and ``d``.

The model (arXiv 2502.15588, Section 3): a pool of ``n`` rows ``x ~ N(0, Sigma)`` labelled ``y = sign(w_g . x)``; a
pruner ``w_s`` keeps each row with probability ``q(t)``, ``t`` its standardised margin; the classifier is ``w_hat =
(X'DX / n + ridge I)^-1 X'Dy / n`` with ``D`` the kept rows and ``n`` the pool BEFORE pruning. Its test error is
measured against the truth ``w_t`` (``w_g = w_t`` unless the generator is imperfect) and is an angle::

    E_test = arccos(overlap / norm) / pi

Both come from the population fit ``w_bar = (Sigma_q + L)^-1 c`` with the effective ridge ``L`` (see
``theory.spectrum``), ``Sigma_q`` the covariance and ``c`` the label moment of the kept rows::

    overlap = w_t . Sigma w_bar / |w_t|_Sigma
    norm^2  = |w_bar|_Sigma^2 + V E[q (y - x . w_bar)^2]

that is, bias plus the kept rows' squared residual inflated by ``V``. For isotropic inputs this is the paper's
theorem in its proved form (see ``theory.printed`` for the forms as printed); for a general covariance it supplies
the second moment that both public versions leave open.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from theory.checks import ArgumentError, Array, broadcast, real, vector
from theory.selection import Rule
from theory.spectrum import general_spectrum, isotropic_spectrum

EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class ExactError:
    """What the theory says of one setting, or of a whole grid of them; float64 arrays of one shape.

    Attributes:
        test_error: Probability of misclassifying a fresh input, in [0, 1].
        overlap: Limit of ``w_hat . Sigma w_t / |w_t|_Sigma``.
        squared_norm: Limit of ``w_hat . Sigma w_hat``; infinite at the interpolation threshold.
        generator_overlap: As ``overlap``, with the generator's direction in place of the truth's.
        kept_fraction: Fraction of the pool kept, in (0, 1].
        finite_size: Estimate of what the limit leaves out, relative to the squared angle: the fit's fluctuation
            along the pruner, one direction among d, which weighs most when hard selection leaves little variance
            there. For spectra with many large eigenvalues the limit is close below about 0.1; above 1 a very
            selective rule should be simulated instead. It tells neither of a covariance with few large eigenvalues
            nor of the interpolation threshold: at a small ridge, when the kept rows ``n p`` are within a few of their
            standard deviations ``sqrt(n p (1 - p))`` of d, simulate.
    """

    test_error: Array
    overlap: Array
    squared_norm: Array
    generator_overlap: Array
    kept_fraction: Array
    finite_size: Array


def isotropic_error(
    rule: Rule,
    *,
    d: ArrayLike,
    n: ArrayLike,
    ridge: ArrayLike = 0.0,
    alignment: ArrayLike = 1.0,
    generator_alignment: ArrayLike = 1.0,
    pruner_truth_alignment: ArrayLike | None = None,
) -> ExactError:
    """Exact error for ``x ~ N(0, I_d)``. All arguments broadcast, the rule's threshold included.

    Args:
        rule: Which rows are kept.
        d: Input dimension, above 0.
        n: Pool size before pruning, above 0 (need not be whole).
        ridge: Ridge penalty, at least 0; 0 is the minimum-norm fit.
        alignment: Cosine between pruner and labelling generator, in [-1, 1].
        generator_alignment: Cosine between generator and truth, in [-1, 1].
        pruner_truth_alignment: Cosine between pruner and truth; by default the product of the other two, as when
            generator and pruner err independently.

    Raises:
        ArgumentError: If an argument is out of range, or no three directions have the three cosines.
    """
    rule, d, n, ridge = checked_rule(rule), size("d", d), size("n", n), penalty(ridge)
    rho = real("alignment", alignment, -1, 1, advice="It is a cosine.")
    along, across, outside = truth_coordinates(rho, generator_alignment, pruner_truth_alignment)
    broadcast(d=d, n=n, ridge=ridge, alignment=rho, generator_alignment=along, rule=rule.kept_fraction)
    k = rule.moments(rho)
    effective, variance = isotropic_spectrum(d / n, k.p, ridge)
    w_along, w_across = k.beta_tilde / (k.gamma + effective), k.beta / (k.p + effective)
    overlap = along * w_along + across * w_across
    bias = w_along**2 + w_across**2
    residual = k.p - k.beta_tilde * w_along - k.beta * w_across - effective * bias
    sideways = (along * w_across - across * w_along) ** 2 + outside**2 * bias  # part of w_bar orthogonal to the truth
    generator_overlap = rho * w_along + np.sqrt((1 - rho) * (1 + rho)) * w_across
    wander = residual * (1 + k.p * variance) * k.gamma / (k.p * n * (k.gamma + effective) ** 2)
    return _exact_error(overlap, bias, sideways, variance * residual, generator_overlap, k.p, wander, along)


def general_error(
    rule: Rule,
    *,
    n: ArrayLike,
    ridge: ArrayLike = 0.0,
    covariance: ArrayLike,
    pruner: ArrayLike,
    generator: ArrayLike,
    truth: ArrayLike | None = None,
) -> ExactError:
    """Exact error for ``x ~ N(0, Sigma)``. ``n``, ``ridge`` and the rule's threshold broadcast.

    The rule sees the margin divided by its standard deviation, so that the fraction kept does not depend on
    ``Sigma``.

    Args:
        rule: Which rows are kept.
        n: Pool size before pruning, above 0.
        ridge: Ridge penalty, at least 0.
        covariance: ``Sigma`` as a symmetric matrix [d, d], or its eigenvalues [d], the vectors then being given in
            the eigenbasis. No eigenvalue may be negative.
        pruner: ``w_s`` [d], any length.
        generator: ``w_g`` [d], the direction that labels.
        truth: ``w_t`` [d]; by default the generator.

    Raises:
        ArgumentError: If an argument is out of range or a direction carries no variance.
    """
    rule, n, ridge = checked_rule(rule), size("n", n), penalty(ridge)
    broadcast(n=n, ridge=ridge, rule=rule.kept_fraction)
    s, basis = eigensystem(covariance)
    root = np.sqrt(s)
    u_s, u_g = (whitened(name, w, root, basis) for name, w in (("pruner", pruner), ("generator", generator)))
    u_t = u_g if truth is None else whitened("truth", truth, root, basis)
    rho = float(np.clip(u_s @ u_g, -1, 1))
    across = u_g - rho * u_s
    across = across / max(float(np.linalg.norm(across)), 1e-300)
    k = rule.moments(rho)
    effective, variance = general_spectrum(s, n, k.p, ridge)

    # w_bar = (p Sigma + L + (gamma - p) b b')^-1 c in the eigenbasis, b = Sigma^1/2 u_s: Sherman-Morrison.
    p, gamma, beta, beta_tilde, level = (
        np.broadcast_to(x, effective.shape)[..., None] for x in (k.p, k.gamma, k.beta, k.beta_tilde, effective)
    )
    shrunk = p * s + level  # [..., d]
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = np.where(s > 0, 1 / shrunk, 0.0)  # null directions are not fitted
    b = root * u_s  # [d]
    moment = beta_tilde * b + beta * (root * across)  # c, [..., d]
    solved_b, solved_c = inverse * b, inverse * moment
    strength = (gamma - p) * _dot(b, solved_c) / (1 + (gamma - p) * _dot(b, solved_b))
    w_bar = solved_c - strength * solved_b
    scaled = root * w_bar  # Sigma^1/2 w_bar, [..., d]
    overlap = scaled @ u_t
    sideways = scaled - overlap[..., None] * u_t
    residual = k.p - (moment * w_bar).sum(-1) - effective * (w_bar**2).sum(-1)
    stiffness = _dot(b, solved_b) / (1 + (gamma - p) * _dot(b, solved_b))
    wander = residual * (1 + k.p * variance) * k.gamma / (k.p * n) * stiffness[..., 0] ** 2
    bias, sideways = (scaled**2).sum(-1), (sideways**2).sum(-1)
    return _exact_error(overlap, bias, sideways, variance * residual, scaled @ u_g, k.p, wander, np.asarray(u_s @ u_t))


def truth_coordinates(
    alignment: Array, generator_alignment: ArrayLike, pruner_truth_alignment: ArrayLike | None
) -> tuple[Array, Array, Array]:
    """The truth in the frame (pruner, generator's part across the pruner, rest), from three cosines.

    Returns:
        Its three coordinates, a unit vector; the third is at least 0.

    Raises:
        ArgumentError: If a cosine is out of range or no three directions have these cosines.
    """
    rho = alignment
    generator = real("generator_alignment", generator_alignment, -1, 1, advice="It is a cosine.")
    if pruner_truth_alignment is None:
        broadcast(alignment=rho, generator_alignment=generator)
        along = rho * generator
    else:
        along = real("pruner_truth_alignment", pruner_truth_alignment, -1, 1, advice="It is a cosine.")
        broadcast(alignment=rho, generator_alignment=generator, pruner_truth_alignment=along)
    sine = np.sqrt((1 - rho) * (1 + rho))
    with np.errstate(divide="ignore", invalid="ignore"):
        across = np.where(sine > 0, (generator - rho * along) / sine, 0.0)
    outside = 1 - along**2 - across**2
    if np.any(outside < -1e-9) or np.any((sine == 0) & (np.abs(generator - rho * along) > 1e-9)):
        raise ArgumentError(
            "pruner_truth_alignment: found three cosines that no three directions have. Move it towards "
            "alignment * generator_alignment."
        )
    # The root of a rounding error would be a floor on small errors.
    return along, across, np.sqrt(np.where(outside > 4 * EPS, outside, 0.0))


def eigensystem(covariance: ArrayLike) -> tuple[Array, Array | None]:
    """Eigenvalues [d] and eigenvectors [d, d] of a covariance; None for vectors already in the eigenbasis.

    Raises:
        ArgumentError: If it is neither [d] nor [d, d], not symmetric, not finite, zero, or not positive
        semi-definite.
    """
    sigma = real("covariance", covariance, -1e100, 1e100, advice="Give finite entries.")
    if sigma.ndim == 1 and sigma.size:
        s, basis = sigma, None
    elif sigma.ndim == 2 and sigma.shape[0] == sigma.shape[1] and sigma.size:
        if not np.allclose(sigma, sigma.T, rtol=1e-10, atol=1e-12 * np.abs(sigma).max()):
            raise ArgumentError("covariance: found a matrix that is not symmetric. Use (S + S.T) / 2 if that is meant.")
        s, basis = np.linalg.eigh(sigma)
    else:
        raise ArgumentError(f"covariance: found shape {sigma.shape}, expected eigenvalues [d] or a matrix [d, d].")
    # eigh finds a matrix's eigenvalues to within `rounding`; the matrix may have been rounded more coarsely itself.
    rounding = 0.0 if basis is None else EPS * len(s) * np.abs(s).max()
    if s.min() < -1e4 * rounding or s.max() <= 0:
        raise ArgumentError(f"covariance: found an eigenvalue {s.min():g}, expected none negative and one above 0.")
    return np.where(s > rounding, s, 0.0), basis


def whitened(name: str, direction: ArrayLike, root: Array, basis: Array | None) -> Array:
    """``Sigma^1/2 w``, normalised, in the eigenbasis [d].

    Raises:
        ArgumentError: If the direction has the wrong shape or carries no variance.
    """
    w = vector(name, direction, len(root))
    w = root * (w if basis is None else basis.T @ w) / np.abs(w).max()
    length = float(np.linalg.norm(w))
    if length == 0:
        raise ArgumentError(f"{name}: found a direction in which the covariance is zero. Choose one that varies.")
    return w / length


def checked_rule(rule: Rule) -> Rule:
    """The rule itself, refused if it is something else."""
    if not isinstance(rule, Rule):
        raise ArgumentError(f"rule: found {type(rule).__name__}, expected a selection rule such as KeepHard(0.7).")
    return rule


def size(name: str, value: ArrayLike) -> Array:
    """A dimension or a pool size: positive and finite."""
    return real(name, value, 0, 1e300, open_low=True, advice="It is a count of rows or columns.")


def penalty(value: ArrayLike) -> Array:
    """A ridge penalty: finite, at least 0."""
    return real("ridge", value, 0, 1e300, advice="Use 0 for the minimum-norm fit.")


def _exact_error(
    overlap: Array, bias: Array, sideways: Array, noise: Array, label: Array, p: Array, wander: Array, along: Array
) -> ExactError:
    """Assemble the angle from what is orthogonal to the truth: arccos of the ratio would lose half the digits.

    ``wander`` is the variance of the fit along the pruner and ``along`` the cosine of pruner and truth.
    """
    noise = np.maximum(noise, 0.0)
    test_error = np.arctan2(np.sqrt(sideways + noise), overlap) / np.pi
    with np.errstate(divide="ignore", invalid="ignore"):
        share = wander * (1 - along**2) / (sideways + noise) + wander * along**2 / (bias + noise)
    finite_size = np.where(np.isinf(noise), np.inf, share)
    return ExactError(*np.broadcast_arrays(test_error, overlap, bias + noise, label, p, finite_size))


def _dot(x: Array, y: Array) -> Array:
    return np.asarray((x * y).sum(-1, keepdims=True))
