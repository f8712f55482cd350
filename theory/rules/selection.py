"""Selection rules: which rows of a pool are kept.

The pruner sees the margin ``t = x . w_s``, in units of its standard deviation, and keeps the row with probability
``q(t)``, a symmetric function into [0, 1] (arXiv 2502.15588, Section 3). With ``G ~ N(0, 1)`` and ``tau = rho /
sqrt(1 - rho^2)`` the test error of ridge regression depends on ``q`` through four numbers (Theorem 1)::

    p     = E[q(G)]             fraction kept
    gamma = E[q(G) G^2]         second moment of the margin among the kept rows
    beta  = 2 E[q(G) phi(tau G)]
    beta~ = 2 E[q(G) Phi(tau G) G]

An agreeing rule looks at the label as well, and keeps a row only if its label is the pruner's own, ``sign(t)``; the
moments are then those of ``theory.rules.moments``.

A ``q`` strictly between 0 and 1 is a keep PROBABILITY, each row being kept or not. Read as a sample weight it would
be another model with another error.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.special import erf, erfc, erfcinv, erfinv, gammainc, gammaincc

from theory.checks import ArgumentError, Array, broadcast, number, probability, real
from theory.rules.moments import PDF0, Moments, agreeing_moments, angles, label_agnostic
from theory.rules.quadrature import TAIL, TOWARDS_ZERO, merged, panel_nodes, resolved_edges

SOME = "Keep some rows: give a fraction above 0 and at most 1."
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(20)


@dataclass(frozen=True)
class Rule(ABC):
    """A symmetric keep probability ``q(t)`` of the standardised margin ``t``.

    Args:
        agreeing: Whether a row is kept only if its label is the pruner's, ``sign(t)``.

    Example:
        >>> from theory import KeepHard, Rule
        >>> rule: Rule = KeepHard(1.0)
        >>> rule.keep_probability([0.5, 2.0]).tolist()
        [1.0, 0.0]
    """

    agreeing: bool = field(default=False, kw_only=True)
    name: ClassVar[str]
    settings: ClassVar[tuple[str, ...]] = ()  # fields that may be arrays

    def __post_init__(self) -> None:
        if not isinstance(self.agreeing, bool | np.bool_):
            raise ArgumentError(f"agreeing: found {self.agreeing!r}, expected True or False. Give one of them.")

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the rule's settings; ``()`` for one rule."""
        return np.broadcast_shapes(*(np.shape(getattr(self, name)) for name in self.settings))

    @property
    @abstractmethod
    def kept_fraction(self) -> Any:
        """Fraction of the pool whose margin is kept, ``E[q(G)]``; of an agreeing rule before its look at the labels."""

    @property
    @abstractmethod
    def edges(self) -> Array:
        """Edges [..., E] of panels that resolve ``q`` on the half line ``t > 0``, from the first margin kept."""

    @abstractmethod
    def keep_probability(self, t: Array) -> Array:
        """Return the keep probability of each margin.

        Args:
            t: Standardised margins, any shape.

        Returns:
            Probabilities in [0, 1], broadcast against the rule's settings if those are arrays.
        """

    @abstractmethod
    def clean_moments(self, alignment: ArrayLike) -> tuple[Array, Array, Array, Array]:
        """Return ``p``, ``gamma``, ``beta`` and ``beta~`` of clean labels without agreement (Theorem 1)."""

    def moments(self, alignment: ArrayLike, label_noise: ArrayLike = 0.0) -> Moments:
        """Return the moments at a cosine between pruner and labelling direction (arXiv 2502.15588, Theorem 1).

        Args:
            alignment: ``rho``, in [-1, 1], any shape that broadcasts against the rule's settings.
            label_noise: Probability that a label flips, in [0, 0.5]; broadcasts too.

        Raises:
            ArgumentError: If an argument is out of range.
        """
        noise = probability("label_noise", label_noise)
        if self.agreeing:
            return agreeing_moments(self, alignment, noise)
        return label_agnostic(*self.clean_moments(alignment), noise)

    def half_line(self, scales: Array, count: int = 20) -> tuple[Array, Array]:
        """Return nodes of quadrature over the margins kept, ``t > 0``, and weights times ``q``, both [..., K].

        Args:
            scales: More edges of panels, [..., X].
            count: Nodes per panel.
        """
        return panel_nodes(merged(self.edges, scales), count)

    def part(self, shape: tuple[int, ...], index: Any) -> Self:
        """Return the rule with its settings broadcast to ``shape``, flattened and indexed."""
        chosen = {name: np.broadcast_to(getattr(self, name), shape).reshape(-1)[index] for name in self.settings}
        return replace(self, **chosen) if self.shape else self

    @abstractmethod
    def draw(self, shape: int | tuple[int, ...], rng: np.random.Generator) -> Array:
        """Return independent margins of kept rows, of the density ``q(t) phi(t) / p``."""

    def keep(self, t: Array, rng: np.random.Generator) -> np.ndarray:
        """Return which margins are kept, a boolean array; drawn where the keep probability is not 0 or 1."""
        q = self.keep_probability(t)
        sure = (q == 0) | (q == 1)
        return np.asarray(q == 1 if sure.all() else rng.random(np.shape(t)) < q)


@dataclass(frozen=True)
class KeepAll(Rule):
    """No selection: ``q = 1``.

    Example:
        >>> from theory import KeepAll
        >>> float(KeepAll().kept_fraction)
        1.0
    """

    name = "keep-all"

    @property
    def kept_fraction(self) -> Any:
        return 1.0

    @property
    def edges(self) -> Array:
        return np.arange(TAIL + 1)

    def keep_probability(self, t: Array) -> Array:
        return np.ones_like(t)

    def clean_moments(self, alignment: ArrayLike) -> tuple[Array, Array, Array, Array]:
        rho, sine, _ = angles(alignment)
        one = np.ones_like(rho)
        return one, one, 2 * PDF0 * sine, 2 * PDF0 * rho

    def draw(self, shape: int | tuple[int, ...], rng: np.random.Generator) -> Array:
        return rng.standard_normal(shape)


@dataclass(frozen=True)
class KeepHard(Rule):
    """Keep the rows nearest the pruner's boundary: ``q = 1[|t| <= threshold]``.

    Args:
        threshold: Largest margin kept, above 0 (infinity keeps all); a number or an array.

    Raises:
        ArgumentError: If a threshold is not above 0.

    Example:
        >>> from theory import KeepHard
        >>> rule = KeepHard.keeping(0.5)
        >>> round(float(rule.threshold), 3)
        0.674
    """

    threshold: ArrayLike
    name = "keep-hard"
    settings = ("threshold",)

    def __post_init__(self) -> None:
        super().__post_init__()
        a = real("threshold", self.threshold, 1e-100, np.inf, advice="A keep-hard rule at 0 keeps nothing; raise it.")
        object.__setattr__(self, "threshold", a)

    @classmethod
    def keeping(cls, fraction: ArrayLike, *, agreeing: bool = False) -> KeepHard:
        """Return the rule that keeps the hardest ``fraction``, in (0, 1]."""
        return cls(np.sqrt(2) * erfinv(_fraction(fraction)), agreeing=agreeing)

    @property
    def kept_fraction(self) -> Any:
        return erf(self.threshold / np.sqrt(2))

    @property
    def edges(self) -> Array:
        return np.minimum(np.asarray(self.threshold)[..., None], np.arange(TAIL + 1))

    def keep_probability(self, t: Array) -> Array:
        return (np.abs(t) <= self.threshold).astype(np.float64)

    def clean_moments(self, alignment: ArrayLike) -> tuple[Array, Array, Array, Array]:
        rho, sine, tau = angles(alignment)
        a = np.asarray(self.threshold)
        with np.errstate(divide="ignore", over="ignore"):
            u = a / sine
        e1 = erf(u / np.sqrt(2))
        beta_tilde = _keep_hard_beta_tilde(a, rho, u, tau)
        return np.asarray(self.kept_fraction), gammainc(1.5, a**2 / 2), 2 * PDF0 * sine * e1, beta_tilde

    def draw(self, shape: int | tuple[int, ...], rng: np.random.Generator) -> Array:
        return np.asarray(np.sqrt(2) * erfinv(rng.uniform(-1, 1, shape) * self.kept_fraction))


@dataclass(frozen=True)
class KeepEasy(Rule):
    """Keep the rows far from the pruner's boundary: ``q = 1[|t| > threshold]``.

    Args:
        threshold: Margin above which a row is kept, in [0, 37]; a number or an array.

    Raises:
        ArgumentError: If a threshold is negative, or so large that nothing is kept.

    Example:
        >>> from theory import KeepEasy
        >>> round(float(KeepEasy(0.7).kept_fraction), 3)
        0.484
    """

    threshold: ArrayLike
    name = "keep-easy"
    settings = ("threshold",)

    def __post_init__(self) -> None:
        super().__post_init__()
        a = real("threshold", self.threshold, 0, 37, advice="Beyond 37 a keep-easy rule keeps nothing in float64.")
        object.__setattr__(self, "threshold", a)

    @classmethod
    def keeping(cls, fraction: ArrayLike, *, agreeing: bool = False) -> KeepEasy:
        """Return the rule that keeps the easiest ``fraction``, in (0, 1]."""
        return cls(np.sqrt(2) * erfcinv(_fraction(fraction)), agreeing=agreeing)

    @property
    def kept_fraction(self) -> Any:
        return erfc(self.threshold / np.sqrt(2))

    @property
    def edges(self) -> Array:
        return np.asarray(self.threshold)[..., None] + np.arange(TAIL + 1)

    def keep_probability(self, t: Array) -> Array:
        return (np.abs(t) > self.threshold).astype(np.float64)

    def clean_moments(self, alignment: ArrayLike) -> tuple[Array, Array, Array, Array]:
        rho, sine, tau = angles(alignment)
        a = np.asarray(self.threshold)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            u = np.where(a > 0, a / sine, 0.0)
            e2 = np.where(a > 0, erf(tau * a / np.sqrt(2)), 0.0)
        f1 = erfc(u / np.sqrt(2))
        beta_tilde = 2 * PDF0 * (rho * f1 + np.exp(-(a**2) / 2) * e2)
        return np.asarray(self.kept_fraction), gammaincc(1.5, a**2 / 2), 2 * PDF0 * sine * f1, beta_tilde

    def draw(self, shape: int | tuple[int, ...], rng: np.random.Generator) -> Array:
        t = np.sqrt(2) * erfcinv((1 - rng.random(shape)) * self.kept_fraction)
        return np.asarray(np.where(rng.random(shape) < 0.5, -t, t))


@dataclass(frozen=True)
class _QuadratureRule(Rule):
    """A rule whose moments are integrals over ``t > 0``, done by quadrature."""

    @property
    def _panels(self) -> Array:
        return np.arange(0, TAIL + 0.1, 0.25)

    @cached_property
    def _edges(self) -> Array:
        return resolved_edges(lambda t: self.keep_probability(t) * np.exp(-(t**2) / 2), self._panels)

    @cached_property
    def _nodes(self) -> tuple[Array, Array]:
        return self.half_line(TOWARDS_ZERO)

    @cached_property
    def _each(self) -> list[Self]:
        return [self.part(self.shape, i) for i in range(int(np.prod(self.shape)))]

    @property
    def edges(self) -> Array:
        return self._edges

    @property
    def kept_fraction(self) -> Any:
        if self.shape:
            return np.reshape([rule.kept_fraction for rule in self._each], self.shape)
        t, weight = self._nodes
        return 2 * PDF0 * np.sum(weight * np.exp(-(t**2) / 2))

    def moments(self, alignment: ArrayLike, label_noise: ArrayLike = 0.0) -> Moments:
        if not self.shape:
            return super().moments(alignment, label_noise)
        shape = np.broadcast_shapes(self.shape, np.shape(alignment), np.shape(label_noise))
        which = np.broadcast_to(np.arange(len(self._each)).reshape(self.shape), shape)
        rho, noise = (np.broadcast_to(x, shape) for x in (alignment, label_noise))
        found = np.empty((len(fields(Moments)), *shape))
        for i, rule in enumerate(self._each):
            mine = rule.moments(rho[which == i], noise[which == i])
            found[:, which == i] = np.broadcast_arrays(*(getattr(mine, part.name) for part in fields(Moments)))
        return Moments(*found)

    def half_line(self, scales: Array, count: int = 20) -> tuple[Array, Array]:
        t, weight = super().half_line(scales, count)
        return t, weight * self.keep_probability(t)

    @cached_property
    def _steps(self) -> tuple[Array, Array, Array]:
        """Panels that carry kept rows: their edges [P, 2], shares of the rows [P], and bounds of the density [P]."""
        panels = np.stack([self._edges[:-1], self._edges[1:]], axis=-1)
        t, weight = panel_nodes(panels)
        t = np.concatenate([panels[:, :1], t, panels[:, 1:]], axis=1)
        density = self.keep_probability(t.ravel()).reshape(t.shape) * np.exp(-(t**2) / 2)
        share = (weight * density[:, 1:-1]).sum(1)
        return panels, share / share.sum(), 1.02 * density.max(1)  # a resolved panel hides no higher peak

    def draw(self, shape: int | tuple[int, ...], rng: np.random.Generator) -> Array:
        panels, share, bound = self._steps
        missing = np.arange(int(np.prod(shape)))
        drawn = np.empty(len(missing))
        which = rng.choice(len(share), size=len(missing), p=share)
        while len(missing):  # rejection within the panel, where the density hardly changes
            t = rng.uniform(panels[which, 0], panels[which, 1])
            accepted = rng.random(len(t)) * bound[which] < self.keep_probability(t) * np.exp(-(t**2) / 2)
            drawn[missing[accepted]] = t[accepted]
            missing, which = missing[~accepted], which[~accepted]
        return np.where(rng.random(shape) < 0.5, -1.0, 1.0) * drawn.reshape(shape)

    def clean_moments(self, alignment: ArrayLike) -> tuple[Array, Array, Array, Array]:
        rho, sine, tau = angles(alignment)
        t, weight = self._nodes
        density = 2 * PDF0 * weight * np.exp(-(t**2) / 2)  # [K], both halves of the line
        beta, beta_tilde = np.empty((2, rho.size))
        step = max(1, 2**21 // len(t))
        for start in range(0, rho.size, step):
            part = slice(start, start + step)
            with np.errstate(divide="ignore", over="ignore"):
                gauss = np.exp(-((t / sine.reshape(-1, 1)[part]) ** 2) / 2)
            beta[part] = 4 * PDF0**2 * (gauss @ weight)
            beta_tilde[part] = erf(tau.reshape(-1, 1)[part] * t / np.sqrt(2)) @ (density * t)
        full = np.full_like(rho, self.kept_fraction), np.full_like(rho, np.sum(density * t**2))
        return *full, beta.reshape(rho.shape), beta_tilde.reshape(rho.shape)


@dataclass(frozen=True)
class Tempered(_QuadratureRule):
    """Keep by the learner's uncertainty: ``q = min(1, level (4 sigmoid(s t) sigmoid(-s t))^omega)``.

    The family of Kolossov, Montanari and Tandon (2023), scaled so that ``level = 1`` keeps the boundary surely. The
    settings broadcast.

    Args:
        omega: Exponent, in [-1e6, 1e6]; above 0 prefers hard rows, below 0 easy ones, 0 keeps at random.
        level: Factor that sets the kept fraction, above 0; with ``omega`` below 0, 1 or more keeps everything.
        scale: ``s``, logits per standard deviation of the margin, in (0, 1e6].

    Raises:
        ArgumentError: If a setting is out of range or the rule keeps nothing.

    Example:
        >>> from theory import Tempered
        >>> round(float(Tempered.keeping(0.5, omega=2.0).kept_fraction), 3)
        0.5
    """

    omega: ArrayLike
    level: ArrayLike = 1.0
    scale: ArrayLike = 1.0
    name = "tempered"
    settings = ("omega", "level", "scale")

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, low, high in (("omega", -1e6, 1e6), ("level", 0.0, 1e300), ("scale", 0.0, 1e6)):
            object.__setattr__(self, name, real(name, getattr(self, name), low, high, open_low=True)[()])
        broadcast(**{name: np.asarray(getattr(self, name)) for name in self.settings})
        _some_kept(self.kept_fraction)

    @classmethod
    def keeping(cls, fraction: float, omega: float, scale: float = 1.0, *, agreeing: bool = False) -> Tempered:
        """Return the rule of exponent ``omega`` that keeps ``fraction`` of the pool, in (0, 1]."""
        target = number("kept fraction", fraction, 1e-100, 1, advice=SOME)
        omega, scale = number("omega", omega, -1e6, 1e6), number("scale", scale, 1e-300, 1e6)
        edge = abs(omega) * scale * TAIL + 1

        def excess(log_level: float) -> float:
            return float(cls(omega, np.exp(log_level), scale).kept_fraction) - target

        if edge > 600:
            raise ArgumentError(
                f"omega: found {omega:g}, too steep to meet a kept fraction. Use keep-hard or keep-easy."
            )
        # From omega 0 on nothing is kept more often than the level; at 0 that is the kept fraction, but for rounding.
        low = np.log(target) - (edge if omega < 0 else 1e-6)
        level = float(np.exp(edge if target >= 1 else brentq(excess, low, edge, xtol=1e-14)))
        return cls(omega, level, scale, agreeing=agreeing)

    @property
    def _panels(self) -> Array:
        omega, level, scale = (float(np.asarray(getattr(self, name))) for name in self.settings)
        width = 1 / (scale * np.sqrt(abs(omega) + 1e-9))  # of the rule's peak at 0
        with np.errstate(over="ignore", divide="ignore"):
            bend = 2 / scale * np.arccosh(max(1.0, np.float64(level) ** (0.5 / omega))) if omega else 0.0
        narrow = width * 2.0 ** np.arange(-2, 5) if width < 0.5 else np.empty(0)
        return merged(np.arange(TAIL + 1), narrow, np.array([min(bend, TAIL)]))  # q reaches 1 at the bend

    def keep_probability(self, t: Array) -> Array:
        omega, level, scale = (np.asarray(getattr(self, name)) for name in self.settings)
        half = np.abs(t) * scale / 2
        log_sech = np.log(2) - half - np.log1p(np.exp(-2 * half))
        return np.asarray(np.exp(np.minimum(0.0, np.log(level) + 2 * omega * log_sech)))


@dataclass(frozen=True)
class UserRule(_QuadratureRule):
    """Any keep probability given as a function.

    Args:
        function: Maps an array of standardised margins to an array of the same shape with values in [0, 1]; symmetric
            in its argument. Jumps are found and resolved; a band narrower than about 0.01 may be missed.

    Raises:
        ArgumentError: If the function is not symmetric, leaves [0, 1], gives NaN, changes the shape, or keeps
        nothing.

    Example:
        >>> import numpy as np
        >>> from theory import UserRule
        >>> round(float(UserRule(lambda t: np.exp(-(t**2))).kept_fraction), 3)
        0.577
    """

    function: Callable[[Array], ArrayLike]
    name = "user"

    def __post_init__(self) -> None:
        super().__post_init__()
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


def checked_rule(rule: Rule) -> Rule:
    """Return the rule itself, refused if it is something else."""
    if not isinstance(rule, Rule):
        raise ArgumentError(f"rule: found {type(rule).__name__}, expected a selection rule such as KeepHard(0.7).")
    return rule


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


def _fraction(value: ArrayLike) -> Array:
    return real("kept fraction", value, 1e-100, 1, advice=SOME)


def _some_kept(p: Any) -> None:
    if not np.all(p > 1e-100):
        raise ArgumentError(f"rule: found a kept fraction of {np.min(p):g}, expected above 0. Loosen the rule.")
