"""Directions and covariances: the frame of pruner, generator and truth, and a covariance's eigensystem."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from theory.checks import ArgumentError, Array, broadcast, cosine, real, vector

EPS = float(np.finfo(np.float64).eps)


def truth_coordinates(
    alignment: Array, generator_alignment: ArrayLike, pruner_truth_alignment: ArrayLike | None
) -> tuple[Array, Array, Array]:
    """Return the truth in the frame (pruner, generator's part across the pruner, rest), from three cosines.

    Returns:
        Its three coordinates, a unit vector; the third is at least 0.

    Raises:
        ArgumentError: If a cosine is out of range or no three directions have these cosines.
    """
    rho = alignment
    generator = cosine("generator_alignment", generator_alignment)
    if pruner_truth_alignment is None:
        broadcast(alignment=rho, generator_alignment=generator)
        along = rho * generator
    else:
        along = cosine("pruner_truth_alignment", pruner_truth_alignment)
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
    """Return eigenvalues [d] and eigenvectors [d, d] of a covariance; None for vectors already in the eigenbasis.

    Rounding errors are judged by the precision the covariance comes in: a float32 matrix may have eigenvalues that are
    negative by a rounding error of float32, and they count as 0.

    Raises:
        ArgumentError: If it is neither [d] nor [d, d], not symmetric, not finite, zero, or not positive
        semi-definite.
    """
    precision = _precision(covariance)
    sigma = real("covariance", covariance, -1e100, 1e100, advice="Give finite entries.")
    if sigma.ndim == 1 and sigma.size:
        s, basis = sigma, None
    elif sigma.ndim == 2 and sigma.shape[0] == sigma.shape[1] and sigma.size:
        if not np.allclose(sigma, sigma.T, rtol=1e-10, atol=max(1e-12, 100 * precision) * np.abs(sigma).max()):
            raise ArgumentError("covariance: found a matrix that is not symmetric. Use (S + S.T) / 2 if that is meant.")
        s, basis = np.linalg.eigh((sigma + sigma.T) / 2)
    else:
        raise ArgumentError(f"covariance: found shape {sigma.shape}, expected eigenvalues [d] or a matrix [d, d].")
    # eigh finds a matrix's eigenvalues to within `rounding`; the matrix may have been rounded more coarsely itself.
    rounding = 0.0 if basis is None else precision * len(s) * np.abs(s).max()
    if s.min() < -1e4 * rounding or s.max() <= 0:
        raise ArgumentError(f"covariance: found an eigenvalue {s.min():g}, expected none negative and one above 0.")
    return np.where(s > rounding, s, 0.0), basis


def whitened(name: str, direction: ArrayLike, root: Array, basis: Array | None) -> Array:
    """Return ``Sigma^1/2 w``, normalised, in the eigenbasis [d].

    Raises:
        ArgumentError: If the direction has the wrong shape or carries no variance.
    """
    w = vector(name, direction, len(root))
    w = root * (w if basis is None else basis.T @ w) / np.abs(w).max()
    length = float(np.linalg.norm(w))
    if length == 0:
        raise ArgumentError(f"{name}: found a direction in which the covariance is zero. Choose one that varies.")
    return w / length


def plane_of(pruner: Array, generator: Array) -> tuple[float, Array]:
    """Return the cosine of two unit vectors [d], and the second's part across the first, normalised [d].

    Closer than 1e-7 to each other or to opposites they are taken to be one: what is left between them is rounding.
    """
    rho = float(np.clip(pruner @ generator, -1, 1))
    across = generator - rho * pruner
    sine = float(np.linalg.norm(across))
    if sine < 1e-7:
        return float(np.sign(rho)), np.zeros_like(across)
    across = across - (across @ pruner) * pruner
    return rho, across / np.linalg.norm(across)


def turned(direction: ArrayLike, basis: Array | None) -> Array:
    """Return a direction in the eigenbasis [d]."""
    w = np.asarray(direction, dtype=np.float64)
    return w if basis is None else np.asarray(basis.T @ w)


@dataclass(frozen=True)
class Metric:
    """Inputs tested on, in the eigenbasis of those trained on.

    Attributes:
        root: A matrix [d, d] or a diagonal [d] whose square, in the sense of ``root.T @ root``, is their covariance.
        truth: The truth in these inputs, ``root w_t``, normalised [d].
        diagonal: Diagonal of the covariance, [d].
    """

    root: Array
    truth: Array
    diagonal: Array

    @classmethod
    def of(cls, covariance: ArrayLike | None, s: Array, basis: Array | None, truth: ArrayLike) -> Metric:
        """Build it from the caller's covariance, or, without one, from the training inputs' eigenvalues ``s``."""
        if covariance is None:
            return cls(np.sqrt(s), whitened("truth", truth, np.sqrt(s), basis), s)
        values, own = eigensystem(covariance)
        if len(values) != len(s):
            raise ArgumentError(f"test_covariance: found dimension {len(values)}, expected {len(s)}.")
        toward = np.eye(len(s)) if basis is None else basis  # from the training eigenbasis to the caller's
        if own is None and basis is None:
            return cls(np.sqrt(values), whitened("truth", truth, np.sqrt(values), None), values)
        turned = toward if own is None else own.T @ toward
        root = np.sqrt(values)[:, None] * turned
        return cls(root, whitened("truth", truth, np.sqrt(values), own), np.asarray((root**2).sum(0)))

    def variance(self, noise: Array) -> Array:
        """Return the variance in these inputs of a fit of covariance ``noise``, [d] if it is diagonal, else [d, d]."""
        if noise.ndim == 1:
            return np.asarray(self.diagonal @ noise)
        covariance = np.diag(self.diagonal) if self.root.ndim == 1 else self.root.T @ self.root
        return np.asarray((covariance * noise).sum())

    def split(self, w: Array) -> tuple[Array, Array, Array]:
        """Return a fit's overlap with the truth, its squared norm and that of its part across the truth."""
        scaled = w * self.root if self.root.ndim == 1 else w @ self.root.T
        overlap = scaled @ self.truth
        across = scaled - overlap[..., None] * self.truth
        return overlap, (scaled**2).sum(-1), (across**2).sum(-1)


def _precision(covariance: ArrayLike) -> float:
    """Return the rounding unit of an array's own type; that of float64 for lists and whole numbers."""
    kind = np.asarray(covariance).dtype
    return max(float(np.finfo(kind).eps), EPS) if kind.kind == "f" else EPS
