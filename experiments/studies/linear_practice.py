"""A linear classifier that practises: does entropy selection improve the exponent of its error, with either loss?

Question   A linear classifier is trained by gradient descent on cross-entropy, and selects the rows of highest entropy.
           Does the error fall with a larger exponent than without selection, is that so for ridge regression on the
           same rows, and does it survive wrong labels? (claim C13; the first of the checks named with the linear model)
Feeds      the figure "linear_practice"
Command    python -m experiments run linear_practice
Time       about two minutes on one core
Expected   cross-entropy near 1 without noise and above it with practice; ridge, and either loss with noise, near 1/2

Inputs are isotropic, labels the sign of a fixed direction, flipped with a given probability; test errors are exact, the
angle to that direction. Every policy is measured by the rows it has selected. A learner's entropy is that of its own
softmax, and a share of each fresh pool is kept, the rows of highest entropy:

* keep all: no selection;
* fixed: the entropy of a classifier that does not learn, at a given alignment with the labels;
* fresh: four rounds of equal size, each selected by the classifier of the round before and trained on alone;
* accumulated: the same, trained on the rows of all rounds;
* small rounds: accumulated, with a round of d rows at a time.

Either loss has a small ridge: a fixed one per row, which in the end bounds what can be reached, or one that vanishes as
rows grow. Ridge regression is fitted to the same rows, selected by the classifier of cross-entropy. The exact curves of
keep all and of fixed selection, by ``theory.isotropic_error``, stand beside.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.special import entr, expit

from experiments.engine.results import Job
from experiments.engine.study import Profile, Study
from theory import KeepAll, KeepHard, isotropic_error
from theory.sampling.fits import fit

LOSSES = ("logistic", "squared")
ROUNDS = 4


@dataclass(frozen=True)
class LinearPractice:
    """Settings of the study.

    Attributes:
        d: Input dimension.
        sizes: Rows selected; multiples of d, and of the rounds.
        kept_fraction: Share of a pool that is kept, highest entropy first.
        alignments: Of the classifiers that select and do not learn.
        noises: Probabilities that a label flips.
        ridge: Penalty per row trained on, for either loss; a fixed one bounds the classifier's length.
        penalty: The same as a sum over rows, as scikit-learn has it: the ridge is this over the rows trained on, and
            vanishes as they grow.
        seeds: Independent histories.
    """

    d: int = 30
    sizes: tuple[int, ...] = (60, 120, 300, 600, 1200, 3000, 6000)
    kept_fraction: float = 0.2
    alignments: tuple[float, ...] = (1.0, 0.9)
    noises: tuple[float, ...] = (0.0, 0.1)
    ridge: float = 1e-6
    penalty: float = 1e-3
    seeds: int = 8


def jobs(settings: LinearPractice, _: Profile) -> list[Job]:
    """One result per label noise and kind of penalty."""
    found = []
    for noise in settings.noises:
        for name, kind in (("", {"ridge": settings.ridge}), ("-vanishing", {"penalty": settings.penalty})):
            config = {
                "d": settings.d,
                "sizes": list(settings.sizes),
                "kept_fraction": settings.kept_fraction,
                "alignments": list(settings.alignments),
                "label_noise": noise,
                **kind,
                "seeds": settings.seeds,
            }
            found.append(Job("linear_practice", f"noise-{noise:g}{name}", config, compute, estimate=100.0))
    return found


def ridge_of(config: dict[str, Any], count: int) -> float:
    """Return the ridge per row for a number of rows trained on."""
    return float(config["ridge"] if "ridge" in config else config["penalty"] / count)


def compute(config: dict[str, Any], progress: Callable[[float], None]) -> dict[str, Any]:
    """Return rows with ``series`` (``"trained"`` or ``"exact"``), policy, loss, rows selected, seed and test error."""
    rows = exact_rows(config)
    for seed in range(config["seeds"]):
        for policy, size, x, y in histories(config, np.random.default_rng([seed, 17])):
            for loss in LOSSES:
                point = {"series": "trained", "policy": policy, "loss": loss, "n_selected": size, "seed": seed}
                rows.append(point | {"test_error": angle(train(x, y, ridge_of(config, len(x)), loss))})
        progress((seed + 1) / config["seeds"])
    return {"rows": rows}


def histories(config: dict[str, Any], rng: np.random.Generator) -> Iterator[tuple[str, int, np.ndarray, np.ndarray]]:
    """Yield policy, rows selected, and the rows [m, d] and labels [m] that the policy then trains on."""
    d = config["d"]

    def select(w: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        return selected(w, count, config["kept_fraction"], config["label_noise"], rng)

    everything = np.zeros(d)  # no preference: all entropies are equal
    for size in config["sizes"]:
        yield "keep all", size, *select(everything, size)
        for alignment in config["alignments"]:
            pruner = np.zeros(d)
            pruner[:2] = alignment, np.sqrt(1 - alignment**2)
            yield f"fixed, alignment {alignment:g}", size, *select(pruner, size)
        # Rounds trained on alone: as many rows in each, and the last round's are what is trained on.
        w = everything
        for _ in range(ROUNDS):
            x, y = select(w, size // ROUNDS)
            w = train(x, y, ridge_of(config, len(x)))
        yield "practice, fresh", size, x, y
        w, x, y = everything, np.empty((0, d)), np.empty(0)
        for _ in range(ROUNDS):
            x, y = joined(x, y, select(w, size // ROUNDS))
            w = train(x, y, ridge_of(config, len(x)))
        yield "practice, accumulated", size, x, y
    w, x, y = everything, np.empty((0, d)), np.empty(0)
    while len(x) < max(config["sizes"]):
        x, y = joined(x, y, select(w, d))
        w = train(x, y, ridge_of(config, len(x)), start=w)
        if len(x) in config["sizes"]:
            yield "practice, small rounds", len(x), x, y


def selected(
    w: np.ndarray, count: int, share: float, noise: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return the ``count`` rows of highest entropy under ``w`` of a pool of ``count / share``, and their labels.

    A classifier of zeros has no preference, and its pool is kept whole.
    """
    x = rng.standard_normal((count if not w.any() else round(count / share), len(w)))
    if w.any():
        # Entropies of confident rows round to 0: far out, scale the logits to tell rows apart, which keeps their order.
        logits = x @ w
        p = expit(logits / max(1.0, np.abs(logits).max() / 30))
        x = x[np.argsort(entr(p) + entr(1 - p))[-count:]]
    y = np.where(x[:, 0] >= 0, 1.0, -1.0)
    return x, np.where(rng.random(len(y)) < noise, -y, y)


def train(
    x: np.ndarray, y: np.ndarray, ridge: float, loss: str = "logistic", start: np.ndarray | None = None
) -> np.ndarray:
    """Return the classifier of mean loss and ridge; cross-entropy by gradient descent (L-BFGS) to convergence."""
    if loss == "squared":
        return fit(x, y, len(x), ridge)
    signed = x * y[:, None]

    def objective(w: np.ndarray) -> tuple[float, np.ndarray]:
        margin = signed @ w
        value = np.logaddexp(0, -margin).mean() + ridge / 2 * w @ w
        return float(value), ridge * w - expit(-margin) @ signed / len(signed)

    first = np.zeros(x.shape[1]) if start is None else start
    options = {"maxiter": 2000, "maxfun": 4000, "ftol": 0.0, "gtol": 1e-7, "maxcor": 30}
    return np.asarray(minimize(objective, first, jac=True, method="L-BFGS-B", options=options).x)


def joined(x: np.ndarray, y: np.ndarray, more: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return rows and labels with more of them."""
    return np.vstack([x, more[0]]), np.append(y, more[1])


def angle(w: np.ndarray) -> float:
    """Return the probability of misclassifying a fresh row by its clean label: the angle to the first axis."""
    return float(np.arctan2(np.linalg.norm(w[1:]), w[0]) / np.pi)


def exact_rows(config: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the exact errors of keep all and of fixed selection."""
    share, rows = config["kept_fraction"], []
    cases: list[tuple[str, Any, float, float]] = [("keep all", KeepAll(), 1.0, 1.0)]
    cases += [(f"fixed, alignment {a:g}", KeepHard.keeping(share), share, a) for a in config["alignments"]]
    for policy, rule, kept, alignment in cases:
        for loss in LOSSES:
            for size in config["sizes"]:
                exact = isotropic_error(
                    rule,
                    d=config["d"],
                    n=size / kept,
                    ridge=ridge_of(config, size) * kept,
                    alignment=alignment,
                    label_noise=config["label_noise"],
                    loss=loss,
                )
                point = {"series": "exact", "policy": policy, "loss": loss, "n_selected": size, "seed": 0}
                rows.append(point | {"test_error": float(exact.test_error)})
    return rows


STUDY = Study("linear_practice", LinearPractice(), jobs)
