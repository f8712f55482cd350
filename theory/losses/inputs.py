"""Inputs of a fit: how a push and a curvature become a fit, given the covariances of the rows and their planes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np

from theory.checks import Array


class Inputs(Protocol):
    """Covariances of K populations of rows, and the plane of each."""

    @property
    def scale(self) -> float:
        """A typical eigenvalue."""

    def fit(self, ridge: float, push: Array, curvature: Array, square: Array) -> tuple[Array, Array]:
        """Return ``(a, b, r)`` [K, 3] and the leverages [K]; see ``theory.losses.fixed_point``.

        Args:
            ridge: Ridge penalty.
            push: ``h``, [K, 2].
            curvature: ``nu``, [K].
            square: Mean square of the slopes, [K].
        """


@dataclass(frozen=True)
class Isotropic:
    """Inputs ``N(0, I_d)`` of one population.

    Attributes:
        ratio: Dimension over pool size, at least 0.
    """

    ratio: float
    scale: ClassVar[float] = 1.0

    def fit(self, ridge: float, push: Array, curvature: Array, square: Array) -> tuple[Array, Array]:
        """Return ``(a, b, r)`` [1, 3] and the leverage [1]."""
        level = ridge + curvature[0]
        a, b = push[0] / level
        return np.array([[a, b, np.sqrt(self.ratio * square[0]) / level]]), np.array([self.ratio / level])


@dataclass(frozen=True)
class Covariances:
    """Inputs of any covariances, in a common basis.

    Attributes:
        matrices: ``Sigma_k``: [K, d] if all are diagonal, else [K, d, d].
        planes: ``Sigma_k^1/2 (pruner, across)``, [K, d, 2].
        n: Pool size.
    """

    matrices: Array
    planes: Array
    n: float

    @property
    def scale(self) -> float:
        """A typical eigenvalue."""
        diagonals = self.matrices if self.matrices.ndim == 2 else np.einsum("kii->ki", self.matrices)
        return float((diagonals**2).sum() / diagonals.sum())

    def fit(self, ridge: float, push: Array, curvature: Array, square: Array) -> tuple[Array, Array]:
        """Return ``(a, b, r)`` [K, 3] and the leverages [K]; see ``theory.losses.fixed_point``."""
        w, noise = self.mean(ridge, push, curvature), self.noise(ridge, curvature, square)
        if self.matrices.ndim == 2:
            norms, noises = self.matrices @ w**2, self.matrices @ noise
            leverages = self.matrices @ self._resolvent(ridge, curvature)
        else:
            norms = np.einsum("i,kij,j->k", w, self.matrices, w)
            noises = np.einsum("kij,ij->k", self.matrices, noise)
            leverages = np.einsum("kij,ij->k", self.matrices, self._resolvent(ridge, curvature))
        plane = np.einsum("kdi,d->ki", self.planes, w)
        rest = np.sqrt(np.maximum(norms - (plane**2).sum(1), 0.0) + noises)
        return np.column_stack([plane, rest]), leverages / self.n

    def mean(self, ridge: float, push: Array, curvature: Array) -> Array:
        """Return ``w_bar`` [d]."""
        pushed = np.einsum("kdi,ki->d", self.planes, push)
        resolvent = self._resolvent(ridge, curvature)
        return resolvent * pushed if resolvent.ndim == 1 else np.asarray(resolvent @ pushed)

    def noise(self, ridge: float, curvature: Array, square: Array) -> Array:
        """Return the covariance of the fit: its diagonal [d] if all are diagonal, else [d, d]."""
        resolvent = self._resolvent(ridge, curvature)
        spread = np.tensordot(square / self.n, self.matrices, 1)
        return resolvent**2 * spread if resolvent.ndim == 1 else np.asarray(resolvent @ spread @ resolvent)

    def _resolvent(self, ridge: float, curvature: Array) -> Array:
        bent = np.tensordot(curvature, self.matrices, 1)
        if bent.ndim == 2:
            return np.asarray(np.linalg.pinv(bent + ridge * np.eye(len(bent)), hermitian=True))
        with np.errstate(divide="ignore"):
            return np.where(bent + ridge > 0, 1 / (bent + ridge), 0.0)
