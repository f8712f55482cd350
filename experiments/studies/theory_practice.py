"""Theory meets practice: does the linear model, fitted to static training, predict what practice gains?

Question   The linear model has three numbers: input dimension, ridge and how far the generator is from the truth. With
           these fitted to static training, and the strength of selection to practice, does it have the shape of what
           practice gains, and does it say how much selection is too much?
Feeds      the figure "theory_practice"
Command    python -m experiments run theory_practice
Time       a few minutes
Expected   the static curve and an interior optimum of selection; no gain beyond the generator's own error

The model is that of arXiv 2502.15588, Section 3: isotropic inputs, labels of a generator at an angle to the truth. Its
static training is exact. Its practice is simulated (`theory.practice.accumulated_rounds`): each round's rows are the
hardest fraction of a fresh pool to the classifier that all rows so far have trained. Ten classes are not two: errors
are multiplied by 5/9, so that chance is chance. Its first limitation is its loss, which is squared where the learners'
is cross-entropy: the two behave oppositely where rows of several rounds are accumulated (study `linear_practice`). One
scaling study is therefore fitted and practised with logistic loss as well.

The measured numbers are part of a result's configuration: new measurements make it stale.
"""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import mean
from typing import Any

import numpy as np
from scipy.optimize import least_squares

from dp.utils.errors import UserError
from experiments.analysis.table import curve, rows
from experiments.engine.results import Job
from experiments.engine.study import Profile, Study
from theory.error import isotropic_error
from theory.practice import accumulated_rounds
from theory.rules.selection import KeepAll, KeepHard

RIDGES = (1e-8, 10.0)  # between which the ridge is fitted
PER_CLASS = 5 / 9  # from an error among ten classes to one among two: chance is 0.9 and 0.5


@dataclass(frozen=True)
class TheoryPractice:
    """Settings of the study.

    Attributes:
        studies: folders of scaling results, each to be fitted on its own.
        selection: the one of them whose settings the study of selection has.
        kept_fractions: among which the strength of selection is fitted.
        ceilings: generator's errors, as shares of the fitted one, among which practice's own is fitted.
        replicates: of simulations.
        logistic: those of the studies that are fitted with logistic loss too.
        logistic_kept_fractions: among which the strength of selection is fitted there.
        logistic_replicates: of simulations there.
    """

    studies: tuple[str, ...] = (
        "scaling-equal-convnet",
        "scaling-tuned-convnet",
        "scaling-equal-vit",
        "scaling-tuned-vit",
    )
    selection: str = "scaling-equal-convnet"
    kept_fractions: tuple[float, ...] = (1.0, 0.7, 0.5, 0.35, 0.25, 0.18, 0.125, 0.09, 0.06)
    ceilings: tuple[float, ...] = (1.0, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7)
    replicates: int = 20
    logistic: tuple[str, ...] = ("scaling-equal-convnet",)
    logistic_kept_fractions: tuple[float, ...] = (1.0, 0.5, 0.18)
    logistic_replicates: int = 3


def jobs(settings: TheoryPractice, profile: Profile) -> list[Job]:
    """List one result per scaling study that has been measured at enough sizes."""
    found = []
    for study in settings.studies:
        try:
            measured = rows(profile.name, study)
        except UserError:
            continue  # a damaged file is told of with its own study
        static, practised = curve(measured, "static"), curve(measured, "DP")
        if len(static) < 4 or not practised:
            continue
        # One history a size: the longest run that passes it. A branch is the beginning of its run.
        histories = {
            row["images"]: [row["n_initial"], row["n_per_round"], row["rounds"]]
            for row in measured
            if row["method"] == "DP" and row["images"] in practised
        }
        config = {
            "static": [[n, mean(values)] for n, values in static.items()],
            "practice": [[*histories[n], mean(values)] for n, values in practised.items()],
            "selection": _selection(profile.name) if study == settings.selection else [],
            "kept_fractions": list(settings.kept_fractions),
            "ceilings": list(settings.ceilings),
            "replicates": settings.replicates,
            "seed": 0,
        }
        found.append(Job("theory_practice", study, config, compute, estimate=300.0))
        if study in settings.logistic:
            own = {
                "static": config["static"],
                "practice": config["practice"],
                "kept_fractions": list(settings.logistic_kept_fractions),
                "replicates": settings.logistic_replicates,
                "loss": "logistic",
                "seed": 0,
            }
            found.append(Job("theory_practice", f"{study}-logistic", own, compute_logistic, estimate=60.0))
    return found


def _selection(profile: str) -> list[list[float]]:
    """Return N, P, over-sampling and mean test accuracy of pruned additions."""
    by_ratio: dict[float, list[float]] = {}
    sizes = {}
    for row in rows(profile, "selection", omega=0):
        ratio = row["over_sampling"]
        sizes[ratio] = [row["n_initial"], row["n_per_round"], ratio]
        by_ratio.setdefault(ratio, []).append(row["test_accuracy"])
    return [[*sizes[ratio], mean(by_ratio[ratio])] for ratio in sorted(by_ratio)]


def compute(config: dict[str, Any], progress: Callable[[float], None]) -> dict[str, Any]:
    """Fit the model, and predict every measured size and over-sampling, as accuracies of ten classes."""
    model = fit_static(config["static"])
    sizes = [(int(n), int(p), int(k)) for n, p, k, _ in config["practice"]]
    measured = np.array([accuracy for *_, accuracy in config["practice"]])
    grid = [(share, kept) for share in config["ceilings"] for kept in config["kept_fractions"]]
    predicted = {}
    for done, (share, kept) in enumerate(grid):
        own = model | {"generator_error": model["generator_error"] * share}
        predicted[share, kept] = np.array([_practice(own, size, kept, config) for size in sizes])
        progress(0.9 * (done + 1) / len(grid))

    def distance(point: tuple[float, float]) -> float:
        return _rms(predicted[point] - measured)

    same = min((point for point in grid if point[0] == 1.0), key=distance)
    free = min(grid, key=distance)
    plain = np.array([_static(model, n + p * k) for n, p, k in sizes])
    static = np.array([_static(model, n) for n, _ in config["static"]])
    return {
        "model": model,
        "static": _fitted(static, np.array([accuracy for _, accuracy in config["static"]])),
        "no_gain": _fitted(plain, measured),
        "practice": {"kept_fraction": same[1]} | _fitted(predicted[same], measured),
        "practice_own_ceiling": {"kept_fraction": free[1], "share": free[0]} | _fitted(predicted[free], measured),
        "selection": [
            _practice(model, (int(n), int(p), 1), 1 / ratio, config) for n, p, ratio, _ in config["selection"]
        ],
    }


def compute_logistic(config: dict[str, Any], progress: Callable[[float], None]) -> dict[str, Any]:
    """Fit the model with logistic loss to static training, and the strength of selection to practice."""
    points = config["static"]
    sizes, errors = np.array([n for n, _ in points]), _two_class_errors(points)
    first = fit_static(points)
    start = [np.log(first["d"]), np.log(0.1), first["generator_error"]]
    bounds = ([np.log(3), np.log(RIDGES[0]), 0.0], [np.log(5000), np.log(RIDGES[1]), 0.45])

    def distance(x: np.ndarray) -> np.ndarray:
        model = {"d": float(np.exp(x[0])), "ridge": float(np.exp(x[1])), "generator_error": float(x[2])}
        return _exact(model, sizes, "logistic") - errors

    found = least_squares(distance, start, bounds=bounds, diff_step=0.01, max_nfev=15).x
    model = {"d": max(3.0, float(round(np.exp(found[0]))))}
    model |= {"ridge": float(np.exp(found[1])), "generator_error": float(found[2])}
    progress(0.5)
    practised = [(int(n), int(p), int(k)) for n, p, k, _ in config["practice"]]
    measured = np.array([accuracy for *_, accuracy in config["practice"]])
    predicted = {}
    for kept in config["kept_fractions"]:
        predicted[kept] = np.array([_practice(model, size, kept, config) for size in practised])
        progress(0.5 + 0.5 * len(predicted) / len(config["kept_fractions"]))
    best = min(predicted, key=lambda kept: _rms(predicted[kept] - measured))
    static = np.array([_accuracy(error) for error in _exact(model, sizes, "logistic")])
    return {
        "model": model,
        "static": _fitted(static, np.array([accuracy for _, accuracy in points])),
        "practice": {"kept_fraction": best} | _fitted(predicted[best], measured),
        "no_selection": _fitted(predicted[1.0], measured),
    }


def _two_class_errors(points: list[list[float]]) -> np.ndarray:
    return np.asarray(PER_CLASS * (1 - np.array([accuracy for _, accuracy in points]) / 100))


def fit_static(points: list[list[float]]) -> dict[str, float]:
    """Fit dimension, ridge and generator's error to points (images, accuracy in percent) by the exact error.

    Least squares from several starts.
    """
    sizes = np.array([n for n, _ in points])
    errors = _two_class_errors(points)

    def model_of(x: np.ndarray) -> dict[str, float]:
        return {"d": float(np.exp(x[0])), "ridge": float(np.exp(x[1])), "generator_error": float(x[2])}

    starts = [(np.log(d), np.log(ridge), 0.95 * errors.min()) for d in (5, 30, 200) for ridge in (1e-4, 1e-2, 1)]
    bounds = ([np.log(3), np.log(RIDGES[0]), 0.0], [np.log(5000), np.log(RIDGES[1]), 0.45])
    fits = [least_squares(lambda x: _exact(model_of(x), sizes) - errors, start, bounds=bounds) for start in starts]
    model = model_of(min(fits, key=lambda fit: fit.cost).x)
    return model | {"d": max(3.0, float(round(model["d"])))}  # a simulation has whole dimensions


def _exact(model: dict[str, float], n: Any, loss: str = "squared") -> np.ndarray:
    cosine = np.cos(np.pi * model["generator_error"])
    setting: dict[str, Any] = {"d": model["d"], "ridge": model["ridge"], "generator_alignment": cosine}
    return np.asarray(isotropic_error(KeepAll(), n=n, alignment=0.0, loss=loss, **setting).test_error)


def _accuracy(error: float) -> float:
    return round(100 * (1 - float(error) / PER_CLASS), 2)


def _static(model: dict[str, float], n: float) -> float:
    return _accuracy(_exact(model, n).item())


def _practice(model: dict[str, float], size: tuple[int, int, int], kept: float, config: dict[str, Any]) -> float:
    """Return the accuracy after `rounds` additions of `hard` rows to `plain` ones; the ridge is that of a kept row."""
    plain, hard, rounds = size
    candidates = round(hard / kept)
    grown = [(plain + k * hard, plain + k * candidates) for k in range(rounds + 1)]
    runs = accumulated_rounds(
        [KeepAll(), *[KeepHard.keeping(kept)] * rounds],
        d=int(model["d"]),
        pools=[plain, *[candidates] * rounds],
        ridge=[model["ridge"] * rows / pool for rows, pool in grown],
        generator_alignment=float(np.cos(np.pi * model["generator_error"])),
        loss=config.get("loss", "squared"),
        replicates=config["replicates"],
        seed=config["seed"],
    )
    return _accuracy(runs[-1].mean)


def _rms(differences: np.ndarray) -> float:
    return round(float(np.sqrt(np.mean(differences**2))), 2)


def _fitted(predicted: np.ndarray, measured: np.ndarray) -> dict[str, Any]:
    return {"accuracy": [round(float(x), 2) for x in predicted], "rms": _rms(predicted - measured)}


STUDY = Study("theory_practice", TheoryPractice(), jobs)
