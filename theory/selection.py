"""Selection rules: which rows of a pool are kept, and the moments the exact error needs.

The pruner sees the margin ``t = x . w_s``, in units of its standard deviation, and keeps the row with probability
``q(t)``, a symmetric function into [0, 1]. With ``G ~ N(0, 1)`` and ``tau = rho / sqrt(1 - rho^2)`` the test error
depends on ``q`` through four numbers (arXiv 2502.15588, Theorem 1)::

    p     = E[q(G)]             fraction kept
    gamma = E[q(G) G^2]         second moment of the margin among the kept rows
    beta  = 2 E[q(G) phi(tau G)]
    beta~ = 2 E[q(G) Phi(tau G) G]

A ``q`` strictly between 0 and 1 is a keep PROBABILITY, each row being kept or not. Read as a sample weight it would
be another model with another error.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.special import erf, erfc, erfcinv, erfinv, gammainc, gammaincc

from theory.checks import ArgumentError, Array, number, real

PDF0 = 1 / np.sqrt(2 * np.pi)  # standard normal density at 0
SOME = "Keep some rows: give a fraction above 0 and at most 1."
_TAIL = 13.0  # the standard normal mass beyond is below 1e-37
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(20)


@dataclass(frozen=True)
class Moments:
    """Moments of a selection rule; float64 arrays that broadcast together.

    Attributes:
        p: Fraction kept, in (0, 1].
        gamma: Second moment of the margin over kept rows, not divided by ``p``; in (0, 1].
        beta: Label moment across the pruner, ``2 E[q phi(tau G)]``; in [0, 0.8).
        beta_tilde: Label moment along the pruner, ``2 E[q Phi(tau G) G]``; in (-0.8, 0.8).
    """

    p: Array
    gamma: Array
    beta: Array
    beta_tilde: Array


class Rule(ABC):
    """A symmetric keep probability ``q(t)`` of the standardised margin ``t``."""

    name: str

    @property
    @abstractmethod
    def kept_fraction(self) -> Array:
        """Fraction of the pool kept, ``p = E[q(G)]``."""

    @abstractmethod
    def keep_probability(self, t: Array) -> Array:
        """Keep probability of each margin.

        Args:
            t: Standardised margins, any shape.

        Returns:
            Probabilities in [0, 1], broadcast against the rule's threshold if that is an array.
        """

    @abstractmethod
    def moments(self, alignment: ArrayLike) -> Moments:
        """Moments at the given cosine between pruner and labelling direction.

        Args:
            alignment: ``rho``, in [-1, 1], any shape broadcasting against the rule's threshold.

        Raises:
            ArgumentError: If ``alignment`` is out of range.
        """

    def keep(self, t: Array, rng: np.random.Generator) -> np.ndarray:
        """Which margins are kept, a boolean array; drawn where the keep probability is not 0 or 1."""
        q = self.keep_probability(t)
        sure = (q == 0) | (q == 1)
        return np.asarray(q == 1 if sure.all() else rng.random(np.shape(t)) < q)


@dataclass(frozen=True)
class KeepAll(Rule):
    """No selection: ``q = 1``."""

    name = "keep-all"

    @property
    def kept_fraction(self) -> Array:
        return np.ones(())

    def keep_probability(self, t: Array) -> Array:
        return np.ones_like(t)

    def moments(self, alignment: ArrayLike) -> Moments:
        rho, sine, _ = _angles(alignment)
        one = np.ones_like(rho)
        return Moments(one, one, 2 * PDF0 * sine, 2 * PDF0 * rho)


@dataclass(frozen=True)
class KeepHard(Rule):
    """Keep the rows nearest the pruner's boundary: ``q = 1[|t| <= threshold]``.

    Args:
        threshold: Largest margin kept, above 0 (infinity keeps all); a number or an array.

    Raises:
        ArgumentError: If a threshold is not above 0.
    """

    threshold: ArrayLike
    name = "keep-hard"

    def __post_init__(self) -> None:
        a = real("threshold", self.threshold, 1e-100, np.inf, advice="A keep-hard rule at 0 keeps nothing; raise it.")
        object.__setattr__(self, "threshold", a)

    @classmethod
    def keeping(cls, fraction: ArrayLike) -> KeepHard:
        """The rule that keeps the hardest ``fraction``, in (0, 1]."""
        return cls(np.sqrt(2) * erfinv(_fraction(fraction)))

    @property
    def kept_fraction(self) -> Array:
        return np.asarray(erf(self.threshold / np.sqrt(2)))

    def keep_probability(self, t: Array) -> Array:
        return (np.abs(t) <= self.threshold).astype(np.float64)

    def moments(self, alignment: ArrayLike) -> Moments:
        rho, sine, tau = _angles(alignment)
        a = np.asarray(self.threshold)
        with np.errstate(divide="ignore", over="ignore"):
            u = a / sine
        e1 = erf(u / np.sqrt(2))
        beta_tilde = _keep_hard_beta_tilde(a, rho, u, tau)
        return Moments(self.kept_fraction, gammainc(1.5, a**2 / 2), 2 * PDF0 * sine * e1, beta_tilde)


@dataclass(frozen=True)
class KeepEasy(Rule):
    """Keep the rows far from the pruner's boundary: ``q = 1[|t| > threshold]``.

    Args:
        threshold: Margin above which a row is kept, in [0, 37]; a number or an array.

    Raises:
        ArgumentError: If a threshold is negative, or so large that nothing is kept.
    """

    threshold: ArrayLike
    name = "keep-easy"

    def __post_init__(self) -> None:
        a = real("threshold", self.threshold, 0, 37, advice="Beyond 37 a keep-easy rule keeps nothing in float64.")
        object.__setattr__(self, "threshold", a)

    @classmethod
    def keeping(cls, fraction: ArrayLike) -> KeepEasy:
        """The rule that keeps the easiest ``fraction``, in (0, 1]."""
        return cls(np.sqrt(2) * erfcinv(_fraction(fraction)))

    @property
    def kept_fraction(self) -> Array:
        return np.asarray(erfc(self.threshold / np.sqrt(2)))

    def keep_probability(self, t: Array) -> Array:
        return (np.abs(t) > self.threshold).astype(np.float64)

    def moments(self, alignment: ArrayLike) -> Moments:
        rho, sine, tau = _angles(alignment)
        a = np.asarray(self.threshold)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            u = np.where(a > 0, a / sine, 0.0)
            e2 = np.where(a > 0, erf(tau * a / np.sqrt(2)), 0.0)
        f1 = erfc(u / np.sqrt(2))
        beta_tilde = 2 * PDF0 * (rho * f1 + np.exp(-(a**2) / 2) * e2)
        return Moments(self.kept_fraction, gammaincc(1.5, a**2 / 2), 2 * PDF0 * sine * f1, beta_tilde)


class _QuadratureRule(Rule):
    """A rule whose moments are integrals over ``t > 0``, done by composite Gauss-Legendre quadrature."""

    @cached_property
    def _nodes(self) -> tuple[Array, Array]:
        t, weight = half_line_nodes(lambda t: self.keep_probability(t) * np.exp(-(t**2) / 2))
        return t, weight * self.keep_probability(t)

    @property
    def kept_fraction(self) -> Array:
        t, weight = self._nodes
        return np.asarray(2 * PDF0 * np.sum(weight * np.exp(-(t**2) / 2)))

    def moments(self, alignment: ArrayLike) -> Moments:
        rho, sine, tau = _angles(alignment)
        t, weight = self._nodes
        density = 2 * PDF0 * weight * np.exp(-(t**2) / 2)  # [K], both halves of the line
        with np.errstate(divide="ignore", over="ignore"):
            beta = 4 * PDF0**2 * (np.exp(-((t / sine[..., None]) ** 2) / 2) @ weight)
        beta_tilde = erf(tau[..., None] * t / np.sqrt(2)) @ (density * t)
        gamma = np.sum(density * t**2)
        return Moments(np.full_like(rho, self.kept_fraction), np.full_like(rho, gamma), beta, beta_tilde)


@dataclass(frozen=True)
class Tempered(_QuadratureRule):
    """Keep by the learner's uncertainty: ``q = min(1, level (4 sigmoid(s t) sigmoid(-s t))^omega)``.

    The family of Kolossov, Montanari and Tandon (2023), scaled so that ``level = 1`` keeps the boundary surely.

    Args:
        omega: Exponent, finite; above 0 prefers hard rows, below 0 easy ones, 0 keeps at random.
        level: Factor that sets the kept fraction, above 0; with ``omega`` below 0, 1 or more keeps everything.
        scale: ``s``, logits per standard deviation of the margin, above 0.

    Raises:
        ArgumentError: If a setting is out of range or the rule keeps nothing.
    """

    omega: float
    level: float = 1.0
    scale: float = 1.0
    name = "tempered"

    def __post_init__(self) -> None:
        for field, low in (("omega", -1e6), ("level", 0.0), ("scale", 0.0)):
            value = real(field, getattr(self, field), low, 1e300, open_low=True)
            if value.ndim:
                raise ArgumentError(f"{field}: found an array of shape {value.shape}, expected one number.")
            object.__setattr__(self, field, float(value))
        _some_kept(self.kept_fraction)

    @classmethod
    def keeping(cls, fraction: float, omega: float, scale: float = 1.0) -> Tempered:
        """The rule of exponent ``omega`` that keeps ``fraction`` of the pool, in (0, 1]."""
        target = number("kept fraction", fraction, 1e-100, 1, advice=SOME)
        omega, scale = number("omega", omega, -1e6, 1e300), number("scale", scale, 1e-300, 1e300)
        edge = abs(omega) * scale * _TAIL + 1

        def excess(log_level: float) -> float:
            return float(cls(omega, np.exp(log_level), scale).kept_fraction) - target

        if edge > 600:
            raise ArgumentError(
                f"omega: found {omega:g}, too steep to meet a kept fraction. Use keep-hard or keep-easy."
            )
        # From omega 0 on nothing is kept more often than the level; at 0 that is the kept fraction, but for rounding.
        low = np.log(target) - (edge if omega < 0 else 1e-6)
        return cls(omega, float(np.exp(edge if target >= 1 else brentq(excess, low, edge, xtol=1e-14))), scale)

    def keep_probability(self, t: Array) -> Array:
        half = np.abs(t) * self.scale / 2
        log_sech = np.log(2) - half - np.log1p(np.exp(-2 * half))
        return np.exp(np.minimum(0.0, np.log(self.level) + 2 * self.omega * log_sech))


@dataclass(frozen=True)
class UserRule(_QuadratureRule):
    """Any keep probability given as a function.

    Args:
        function: Maps an array of standardised margins to an array of the same shape with values in [0, 1]; symmetric
            in its argument. Jumps are found and resolved; a band narrower than about 0.01 may be missed.

    Raises:
        ArgumentError: If the function is not symmetric, leaves [0, 1], gives NaN, changes the shape, or keeps
        nothing.
    """

    function: Callable[[Array], ArrayLike]
    name = "user"

    def __post_init__(self) -> None:
        t = np.linspace(0, 8, 1601)
        right, left = self.keep_probability(t), self.keep_probability(-t)
        worst = int(np.argmax(np.abs(right - left)))
        if abs(right[worst] - left[worst]) > 1e-12:
            found = f"q({t[worst]:g}) = {right[worst]:g} but q({-t[worst]:g}) = {left[worst]:g}"
            raise ArgumentError(f"rule: found {found}, expected a symmetric function. Make it depend on |t| only.")
        _some_kept(self.kept_fraction)

    def keep_probability(self, t: Array) -> Array:
        try:
            q = np.asarray(self.function(t))
        except (TypeError, ValueError) as error:
            raise ArgumentError(
                f"rule: the function failed on an array ({error}). Write it with numpy operations."
            ) from None
        if q.shape != np.shape(t):
            raise ArgumentError(
                f"rule: found shape {q.shape} for margins of shape {np.shape(t)}, expected the same shape."
            )
        return real("rule", q, 0, 1, advice="A keep probability is bounded in [0, 1]; divide by its maximum.")


def half_line_nodes(function: Callable[[Array], Array]) -> tuple[Array, Array]:
    """Quadrature nodes and weights on (0, 13) that resolve ``function``, jumps included.

    Panels shrink geometrically towards 0, where the moments of a well-aligned pruner change fastest; a panel is
    halved while its 20-point rule disagrees with the sum over its halves, at most 60 times.

    Returns:
        Nodes and weights, both [K].
    """
    edges = np.concatenate([[0.0], 2.0 ** np.arange(-46, -1), np.arange(0.5, _TAIL + 0.1, 0.25)])
    left, right = edges[:-1], edges[1:]
    done_left: list[Array] = []
    done_right: list[Array] = []
    for _ in range(60):
        middle = (left + right) / 2
        whole = _panel_sums(function, left, right)
        halves = _panel_sums(function, left, middle) + _panel_sums(function, middle, right)
        good = np.abs(whole - halves) <= 1e-16
        done_left.append(left[good])
        done_right.append(right[good])
        if good.all():
            break
        bad = ~good
        left, right = np.append(left[bad], middle[bad]), np.append(middle[bad], right[bad])
    else:  # what is left is narrower than 1e-17
        done_left.append(left)
        done_right.append(right)
    low, high = np.concatenate(done_left), np.concatenate(done_right)
    t, weight = _panels(low, high)
    return t.ravel(), weight.ravel()


def _panels(left: Array, right: Array) -> tuple[Array, Array]:
    half = (right - left)[:, None] / 2  # [panels, 1]
    return left[:, None] + half * (1 + _NODES), half * _WEIGHTS


def _panel_sums(function: Callable[[Array], Array], left: Array, right: Array) -> Array:
    t, weight = _panels(left, right)
    return np.sum(weight * function(t.ravel()).reshape(t.shape), axis=1)


def _keep_hard_beta_tilde(a: Array, rho: Array, u: Array, tau: Array) -> Array:
    """``beta~ = 2 (rho phi(0) e1 - phi(a) e2) = 2 int_0^a t phi(t) erf(tau t / sqrt 2) dt``, without cancellation."""
    with np.errstate(invalid="ignore"):
        e2 = np.where(tau == 0, 0.0, erf(tau * a / np.sqrt(2)))
    closed = rho * erf(u / np.sqrt(2)) - e2 - np.expm1(-(a**2) / 2) * e2
    # The two terms of the closed form cancel when a << sqrt(1 - rho^2); there the integrand is smooth on [0, a].
    small, scale, slope = np.broadcast_arrays(u < 1, a, tau)
    if small.any():
        t = scale[small][:, None] * (1 + _NODES) / 2  # [cases, 20]
        integrand = t * np.exp(-(t**2) / 2) * erf(slope[small][:, None] * t / np.sqrt(2))
        closed = np.array(np.broadcast_to(closed, small.shape))
        closed[small] = scale[small] / 2 * (integrand @ _WEIGHTS)
    return np.asarray(2 * PDF0 * closed)


def _angles(alignment: ArrayLike) -> tuple[Array, Array, Array]:
    """``rho``, ``sqrt(1 - rho^2)`` and ``tau``."""
    rho = real("alignment", alignment, -1, 1, advice="It is a cosine.")
    sine = np.sqrt((1 - rho) * (1 + rho))
    with np.errstate(divide="ignore"):
        return rho, sine, rho / sine


def _fraction(value: ArrayLike) -> Array:
    return real("kept fraction", value, 1e-100, 1, advice=SOME)


def _some_kept(p: Array) -> None:
    if not p > 1e-100:
        raise ArgumentError(f"rule: found a kept fraction of {float(p):g}, expected above 0. Loosen the rule.")
