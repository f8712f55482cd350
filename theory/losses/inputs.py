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

    @property
    def rank(self) -> int:
        """Dimensions in which some population varies."""
        total = self.matrices.sum(0)
        return int(np.count_nonzero(total)) if total.ndim == 1 else int(np.linalg.matrix_rank(total, hermitian=True))

    def fit(self, ridge: float, push: Array, curvature: Array, square: Array) -> tuple[Array, Array]:
        """Return ``(a, b, r)`` [K, 3] and the leverages [K]; see ``theory.losses.fixed_point``."""
        resolvent = self._resolvent(ridge, curvature)
        w, noise = self._mean(resolvent, push), self._noise(resolvent, square)
        if self.matrices.ndim == 2:
            norms, noises, leverages = self.matrices @ w**2, self.matrices @ noise, self.matrices @ resolvent
        else:
            norms = np.einsum("kj,j->k", np.einsum("i,kij->kj", w, self.matrices), w)
            noises, leverages = (np.einsum("kij,ij->k", self.matrices, each) for each in (noise, resolvent))
        plane = np.einsum("kdi,d->ki", self.planes, w)
        rest = np.sqrt(np.maximum(norms - (plane**2).sum(1), 0.0) + noises)
        return np.column_stack([plane, rest]), leverages / self.n

    def mean(self, ridge: float, push: Array, curvature: Array) -> Array:
        """Return ``w_bar`` [d]."""
        return self._mean(self._resolvent(ridge, curvature), push)

    def noise(self, ridge: float, curvature: Array, square: Array) -> Array:
        """Return the covariance of the fit: its diagonal [d] if all are diagonal, else [d, d]."""
        return self._noise(self._resolvent(ridge, curvature), square)

    def traces(self, ridge: float, curvature: Array) -> tuple[Array, Array]:
        """Return the leverages [K] and how each falls as a curvature grows, [K, K]."""
        resolvent = self._resolvent(ridge, curvature)
        if resolvent.ndim == 1:
            moved = self.matrices * resolvent
            return moved.sum(1) / self.n, moved @ moved.T / self.n
        moved = self.matrices @ resolvent
        return np.einsum("kii->k", moved) / self.n, np.einsum("kij,lji->kl", moved, moved) / self.n

    def planes_in_resolvent(self, ridge: float, curvature: Array) -> Array:
        """Return the products of the populations' plane directions through the resolvent, [K, 2, K, 2]."""
        resolvent = self._resolvent(ridge, curvature)
        across = self.planes * resolvent[:, None] if resolvent.ndim == 1 else resolvent @ self.planes
        return np.einsum("kda,jdb->kajb", self.planes, across)

    def _mean(self, resolvent: Array, push: Array) -> Array:
        pushed = np.einsum("kdi,ki->d", self.planes, push)
        return resolvent * pushed if resolvent.ndim == 1 else np.asarray(resolvent @ pushed)

    def _noise(self, resolvent: Array, square: Array) -> Array:
        spread = np.tensordot(square / self.n, self.matrices, 1)
        return resolvent**2 * spread if resolvent.ndim == 1 else np.asarray(resolvent @ spread @ resolvent)

    def _resolvent(self, ridge: float, curvature: Array) -> Array:
        bent = np.tensordot(curvature, self.matrices, 1)
        if bent.ndim == 1:
            with np.errstate(divide="ignore"):
                return np.where(bent + ridge > 0, 1 / (bent + ridge), 0.0)
        if ridge > 0:
            return np.asarray(np.linalg.inv(bent + ridge * np.eye(len(bent))))
        return np.asarray(np.linalg.pinv(bent, hermitian=True))
