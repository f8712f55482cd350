"""Find how the error falls with data: best kept fraction, best ridge, and local exponents.

Two budgets are told apart. A budget of ``"selected"`` rows fixes what is trained on, the pool being as large as the
rule needs; a budget of a ``"pool"`` fixes what is searched, a selective rule training on less.

Very selective rules are left out where the limit is not yet reached at the given dimension (see
``ExactError.finite_size``), so the best fraction is one that a simulation confirms.

With a budget of a pool the best fraction is an optimum. With a budget of selected rows it is not: a larger pool costs
nothing, and where selection pays at all the exact error, at a tuned ridge, falls all the way as the fraction goes to 0.
The search then returns the smallest fraction that is searched and trusted: its error is close to the least there is,
but the fraction, and with it the rows searched, only say where the search stopped.

The ridge is tuned at every point unless one is given: at a fixed ridge, part of what selection seems to gain or
lose is only the penalty being wrong for the smaller set.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from theory.checks import ArgumentError, Array, broadcast, cosine, integer, number, one_cosine, probability, real
from theory.error import ExactError, general_error, isotropic_error, size
from theory.losses.loss import checked_loss
from theory.rules.selection import Rule
from theory.search import Best, Sweep, search, search_slowly

FRACTIONS = tuple(float(f) for f in np.geomspace(0.01, 1, 41))
RIDGES = (0.0, *(float(r) for r in np.geomspace(1e-8, 1e1, 37)))


def best_isotropic(
    *,
    d: ArrayLike,
    n: ArrayLike,
    budget: str,
    fractions: Sequence[float] = FRACTIONS,
    ridges: Sequence[float] = RIDGES,
    relative_ridge: bool = True,
    easy: bool = True,
    alignment: ArrayLike = 1.0,
    generator_alignment: ArrayLike = 1.0,
    pruner_truth_alignment: ArrayLike | None = None,
    label_noise: ArrayLike = 0.0,
    agreeing: bool = False,
    loss: str = "squared",
) -> Best:
    """Best kept fraction, end (hard or easy) and ridge for isotropic inputs, by search over grids.

    With a budget of ``"selected"`` rows and a tuned ridge a fraction below 1 is no optimum but the smallest that is
    searched and trusted (see ``theory.scaling``).

    Args:
        d: Input dimension; broadcasts with ``n`` and the alignments.
        n: Rows of the budget; finite.
        budget: ``"selected"`` or ``"pool"``: what ``n`` counts.
        fractions: Kept fractions searched, in (0, 1], [F], with 1 among them; a single one is evaluated as it is.
        ridges: Ridges searched, at least 0, [K], and then more finely around the best; a single one is used as it is.
        relative_ridge: Whether the penalty is ``p`` times these (a ridge per kept row) or these themselves.
        easy: Whether keep-easy rules are searched too.
        alignment: As in :func:`theory.isotropic_error`.
        generator_alignment: As in :func:`theory.isotropic_error`.
        pruner_truth_alignment: As in :func:`theory.isotropic_error`.
        label_noise: As in :func:`theory.isotropic_error`.
        agreeing: Whether only rows are kept whose label is the pruner's. A fraction is then that of the margins kept,
            and a budget of selected rows counts those that agree.
        loss: ``"squared"`` or ``"logistic"``; the search with the latter takes seconds per size.

    Raises:
        ArgumentError: If an argument is out of range.

    Example:
        >>> from theory import best_isotropic
        >>> best = best_isotropic(d=100, n=1000, budget="pool", fractions=[0.3, 0.5, 1.0], ridges=[0.01, 0.1])
        >>> round(float(best.kept_fraction), 2)
        0.39
    """
    given: dict[str, Array] = {
        "d": real("d", d, 1, np.inf),
        "alignment": cosine("alignment", alignment),
        "generator_alignment": cosine("generator_alignment", generator_alignment),
        "label_noise": probability("label_noise", label_noise),
    }
    if pruner_truth_alignment is not None:
        given["pruner_truth_alignment"] = cosine("pruner_truth_alignment", pruner_truth_alignment)
    n = size("n", n)
    broadcast(n=n, **given)
    shape = np.broadcast_shapes(n.shape, *(x.shape for x in given.values()))
    n, each = np.broadcast_to(n, shape), {name: np.broadcast_to(x, shape).ravel() for name, x in given.items()}

    def sweep(loss: str) -> Sweep:
        def evaluate(rule: Rule, pool: Array, ridge: Array, where: np.ndarray) -> ExactError:
            mine: dict[str, Any] = {name: x[where, None, None] for name, x in each.items()}
            return isotropic_error(rule, n=pool, ridge=ridge, loss=loss, **mine)

        def kept(rule: Rule, where: np.ndarray) -> Array:
            return rule.moments(each["alignment"][where, None, None], each["label_noise"][where, None, None]).p

        return Sweep(evaluate, kept, n, budget, relative_ridge, agreeing)

    if checked_loss(loss) == "squared":
        return search(sweep("squared"), fractions, ridges, easy)
    start = search(sweep("squared"), fractions, ridges, easy)
    return search_slowly(sweep("logistic"), start, fractions, ridges)


def best_general(
    *,
    covariance: ArrayLike,
    pruner: ArrayLike,
    generator: ArrayLike,
    truth: ArrayLike | None = None,
    n: ArrayLike,
    budget: str,
    fractions: Sequence[float] = FRACTIONS,
    ridges: Sequence[float] = RIDGES,
    easy: bool = False,
) -> Best:
    """Best kept fraction, end and ridge for any covariance; arguments as in :func:`best_isotropic` and
    :func:`theory.general_error`. What is said there of a budget of ``"selected"`` rows holds here.

    Raises:
        ArgumentError: If an argument is out of range.

    Example:
        >>> from theory import best_general
        >>> setting = dict(covariance=[1.0, 2.0, 3.0], pruner=[1, 0, 0], generator=[1, 0, 0])
        >>> round(float(best_general(**setting, n=100, budget="pool", fractions=[0.5, 1.0], ridges=[0.1]).ridge), 3)
        0.05
    """

    n = size("n", n)

    def evaluate(rule: Rule, pool: Array, ridge: Array, where: np.ndarray) -> ExactError:
        return general_error(
            rule, n=pool, ridge=ridge, covariance=covariance, pruner=pruner, generator=generator, truth=truth
        )

    def kept(rule: Rule, where: np.ndarray) -> Array:
        return np.asarray(rule.kept_fraction)

    return search(Sweep(evaluate, kept, n, budget, True, False), fractions, ridges, easy)


def best_rounds(
    *,
    d: float,
    n: ArrayLike,
    rounds: int,
    fractions: Sequence[float] = FRACTIONS,
    ridges: Sequence[float] = RIDGES,
) -> list[Best]:
    """Adaptive rounds: each selects ``n`` rows, hardest first, from as large a fresh pool as the limit is trusted for.

    The first round keeps all; each later one prunes with the classifier of the one before, at the ridge that is best
    for that classifier's alignment. Round ``k`` searches ``n / kept_fraction`` rows.

    The fraction is no optimum but the smallest that is searched and trusted (see ``theory.scaling``). Where trust
    decides it is proportional to the pruner's error; the error then falls close to ``n^(-k/2)`` in selected rows,
    whatever the trust, and close to ``pool^(-k/(k+1))`` in rows searched, which rests on it.

    Args:
        d: Input dimension.
        n: Rows selected in every round, an array for a sweep.
        rounds: Number of rounds, at least 1.
        fractions: As in :func:`best_isotropic`.
        ridges: As in :func:`best_isotropic`.

    Returns:
        One ``Best`` a round.

    Raises:
        ArgumentError: If an argument is out of range.

    Example:
        >>> from theory import best_rounds
        >>> first, second = best_rounds(d=100, n=1000, rounds=2, fractions=[0.3, 1.0], ridges=[0.01, 0.1])
        >>> bool(second.test_error < first.test_error)
        True
    """
    alignment: Array = np.zeros(np.shape(n))
    history: list[Best] = []
    for k in range(integer("rounds", rounds, 1)):
        searched = fractions if k else (1.0,)
        best = best_isotropic(
            d=d, n=n, budget="selected", fractions=searched, ridges=ridges, easy=False, alignment=alignment
        )
        history.append(best)
        alignment = np.cos(np.pi * best.test_error)
    return history


def local_exponents(
    n: ArrayLike, test_error: ArrayLike, standard_error: ArrayLike | None = None, window: int = 5
) -> tuple[Array, Array]:
    """Local scaling exponents ``-d log E / d log n``, the slope of a line through neighbouring points.

    Args:
        n: Sizes, above 0 and increasing, [k].
        test_error: Errors, above 0, [k].
        standard_error: Their standard errors, [k]; without them the uncertainty is that of the residuals, that is,
            of the curve not being a line.
        window: Points in each fit, at least 3.

    Returns:
        Exponents and their standard errors, [k]; at the ends the window is one-sided.

    Raises:
        ArgumentError: If there are fewer points than the window needs, or a value is out of range.

    Example:
        >>> from theory import local_exponents
        >>> sizes = [100, 200, 400, 800]
        >>> exponents, _ = local_exponents(sizes, [3 / size for size in sizes], window=3)
        >>> exponents.round(6).tolist()
        [1.0, 1.0, 1.0, 1.0]
    """
    x = np.log(real("n", n, 0, 1e300, open_low=True))
    error, window = real("test_error", test_error, 0, 1, open_low=True), integer("window", window, 3)
    if x.ndim != 1 or x.shape != error.shape or window > len(x) or np.any(np.diff(x) <= 0):
        raise ArgumentError(
            f"n: found {x.shape} sizes for {error.shape} errors and a window of {window}, expected increasing sizes, "
            "one error each, at least one window of 3 or more."
        )
    y = np.log(error)
    noise = None if standard_error is None else real("standard_error", standard_error, 0, np.inf)
    if noise is not None and noise.shape != error.shape:
        raise ArgumentError(f"standard_error: found shape {noise.shape}, expected {error.shape}, one for each error.")
    slopes, spreads = np.empty(len(x)), np.empty(len(x))
    for i in range(len(x)):
        start = min(max(i - window // 2, 0), len(x) - window)
        part = slice(start, start + window)
        centred = x[part] - x[part].mean()
        weight = centred / (centred @ centred)
        slopes[i] = weight @ y[part]
        if noise is None:
            residual = y[part] - y[part].mean() - slopes[i] * centred
            spreads[i] = np.sqrt(residual @ residual / (window - 2) / (centred @ centred))
        else:
            spreads[i] = np.sqrt(weight**2 @ (noise[part] / error[part]) ** 2)
    return -slopes, spreads


def power_law(
    *, d: int, decay: float, teacher: str, alignment: float = 1.0, generator_alignment: float = 1.0, seed: int = 0
) -> dict[str, Array]:
    """Covariance and directions with eigenvalues ``k^-decay``, as keywords for :func:`theory.general_error`.

    Args:
        d: Input dimension, at least 3.
        decay: Exponent of the spectrum, at least 0.
        teacher: ``"aligned"``: equal weight on every eigenvector, so that large eigenvalues carry the margin; or
            ``"flat"``: every eigenvector carries the same share of the margin's variance.
        alignment: Cosine between the pruner's margin and the generator's, in [-1, 1].
        generator_alignment: Cosine between the generator's margin and the truth's, in [-1, 1].
        seed: Seed of the directions in which pruner and truth deviate from the generator.

    Raises:
        ArgumentError: If an argument is out of range.

    Example:
        >>> from theory import KeepAll, general_error, power_law
        >>> setting = power_law(d=50, decay=1.0, teacher="flat")
        >>> bool(general_error(KeepAll(), n=500, ridge=0.1, **setting).test_error < 0.5)
        True
    """
    d = integer("d", d, 3)
    root = np.arange(1.0, d + 1) ** (-number("decay", decay, 0, 20) / 2)
    rho = one_cosine("alignment", alignment)
    g = one_cosine("generator_alignment", generator_alignment)
    if teacher not in ("aligned", "flat"):
        raise ArgumentError(f"teacher: found {teacher!r}, expected 'aligned' or 'flat'.")
    first = root if teacher == "aligned" else np.ones(d)
    others = np.random.default_rng(integer("seed", seed, 0)).standard_normal((d, 2))
    u, v, w = np.linalg.qr(np.column_stack([first, others]))[0].T  # orthonormal, in whitened coordinates
    return {
        "covariance": root**2,
        "generator": u / root,
        "pruner": (rho * u + np.sqrt(1 - rho**2) * v) / root,
        "truth": (g * u + np.sqrt(1 - g**2) * w) / root,
    }
