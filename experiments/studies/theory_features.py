"""Theory on real features: does the exact error, given their covariance, foresee a linear probe's?

Question   The theory's inputs are Gaussian and its labels the sign of a direction. How far is it off for a linear probe
           on a trained classifier's features of real images, with all rows and with the hardest half?
Feeds      the figure "theory_features"
Command    python -m experiments run theory_features
Time       about a minute on one core
Expected   exact for Gaussian inputs of the same covariance; off for real ones, whose classes are clusters

The features are those of the bundled oracle for the 15,000 images that it was not trained on, centred. The truth is the
direction of the ridge probe of all of them; the labels that it gets wrong count as label noise in the theory, and a
classifier's error on real labels is ``noise + (1 - 2 noise) angle``. Pools are drawn from 10,000 of the images, probes
are tested on the other 5,000. The pruner is a probe of a small sample of the pool's images. Four series:

* exact: the theory, from the covariance, the truth, the noise and the pruner;
* Gaussian: simulated with Gaussian inputs of this covariance, which has to agree;
* teacher: real features, labels by the truth's direction and flipped as often as it is wrong;
* real: real features, real labels.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from dp.data.fashion_mnist import CLASSES, test_images, validation_images
from dp.pretrained.oracle import BUNDLED_ORACLE, bundled_oracle, features
from experiments.engine.results import Job
from experiments.engine.study import Profile, Study
from theory import KeepAll, KeepHard, dense_general, general_error
from theory.sampling.fits import fit

POOL = 10_000  # images that pools are drawn from; the others test
SMALL_RIDGE = 1e-3  # of the probe of all images and of the pruner, in units of the mean eigenvalue


@dataclass(frozen=True)
class TheoryFeatures:
    """Settings of the study.

    Attributes:
        tasks: Names, and the classes labelled 1 and -1.
        sizes: Rows of the pool before pruning; those that a task has images for.
        ridge: In units of the mean eigenvalue.
        kept_fractions: Hardest first.
        pruner_rows: That the pruner is trained on.
        replicates: Pools drawn per size.
    """

    tasks: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
        ("shirt", ("shirt",), ("t-shirt",)),
        ("coat", ("coat",), ("pullover",)),
        ("even", CLASSES[::2], CLASSES[1::2]),
    )
    sizes: tuple[int, ...] = (128, 512, 2048, 8192)
    ridge: float = 0.01
    kept_fractions: tuple[float, ...] = (1.0, 0.5)
    pruner_rows: int = 200
    replicates: int = 10


def jobs(settings: TheoryFeatures, _: Profile) -> list[Job]:
    """List one result per task."""
    found = []
    for name, ones, others in settings.tasks:
        config = {
            "classes": [list(ones), list(others)],
            "sizes": list(settings.sizes),
            "ridge": settings.ridge,
            "kept_fractions": list(settings.kept_fractions),
            "pruner_rows": settings.pruner_rows,
            "replicates": settings.replicates,
            "seed": 0,
        }
        found.append(Job("theory_features", name, config, compute, depends=(BUNDLED_ORACLE,), estimate=60.0))
    return found


def compute(config: dict[str, Any], progress: Callable[[float], None]) -> dict[str, Any]:
    """Return rows with ``series``, ``kept_fraction``, ``n``, ``test_error`` on that series' labels, and its spread.

    Beside them: how many dimensions and images, the share of labels that the truth gets wrong, the pruner's cosine with
    the truth in the metric of the covariance, and the share of the variance in the largest eigenvalue.
    """
    rng = np.random.default_rng(config["seed"])
    x, y, pool = data(config["classes"], rng)
    covariance = x.T @ x / len(x)
    unit = float(np.trace(covariance)) / len(covariance)
    truth = fit(x, y, len(x), SMALL_RIDGE * unit)
    noise = float(np.mean(np.sign(x @ truth) != y))
    first = rng.choice(pool, config["pruner_rows"], replace=False)
    pruner = fit(x[first], y[first], len(first), 10 * SMALL_RIDGE * unit)
    teacher = np.sign(x @ truth)
    setting: dict[str, Any] = {
        "ridge": config["ridge"] * unit, "covariance": covariance, "pruner": pruner, "generator": truth,
        "label_noise": noise,
    }  # fmt: skip
    margin, tested = np.abs(x @ pruner), np.setdiff1d(np.arange(len(x)), pool)
    sizes = [n for n in config["sizes"] if n <= len(pool)]
    rows: list[dict[str, Any]] = []
    for kept in config["kept_fractions"]:
        rule = KeepAll() if kept == 1 else KeepHard.keeping(kept)
        for n in sizes:
            clean = float(general_error(rule, n=n, **setting).test_error)
            run = dense_general(rule, n=n, **setting, replicates=config["replicates"], seed=rng)
            errors: dict[str, list[float]] = {"teacher": [], "real": []}
            for _ in range(config["replicates"]):
                drawn = rng.choice(pool, n, replace=False)
                drawn = drawn[np.argsort(margin[drawn])[: round(kept * n)]]
                flipped = np.where(rng.random(len(drawn)) < noise, -1.0, 1.0)
                for series, labels, wanted in (("teacher", teacher[drawn] * flipped, teacher), ("real", y[drawn], y)):
                    w = fit(x[drawn], labels, n, setting["ridge"])
                    errors[series].append(float(np.mean(np.sign(x[tested] @ w) != wanted[tested])))
            shared = {"kept_fraction": kept, "n": n}
            rows.append({"series": "exact, clean labels", "test_error": clean, "standard_error": 0.0} | shared)
            real = noise + (1 - 2 * noise) * clean
            rows.append({"series": "exact, real labels", "test_error": real, "standard_error": 0.0} | shared)
            rows.append({"series": "Gaussian", "test_error": run.mean, "standard_error": run.standard_error} | shared)
            for series, found in errors.items():
                spread = float(np.std(found, ddof=1) / np.sqrt(len(found)))
                rows.append({"series": series, "test_error": float(np.mean(found)), "standard_error": spread} | shared)
            progress(len(rows) / (5 * len(sizes) * len(config["kept_fractions"])))
    eigenvalues = np.linalg.eigvalsh(covariance)
    cosine = pruner @ covariance @ truth / np.sqrt((pruner @ covariance @ pruner) * (truth @ covariance @ truth))
    about = {"d": len(covariance), "images": len(x), "noise": noise, "pruner_cosine": float(cosine)}
    return about | {"largest_share": float(eigenvalues[-1] / eigenvalues.sum()), "rows": rows}


def data(classes: list[list[str]], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return centred features [N, d] and labels [N] of the images of these classes, and which make the pool."""
    sets = (validation_images(), test_images())
    images, label = (np.concatenate([getattr(each, name).numpy() for each in sets]) for name in ("images", "labels"))
    ones, others = ([CLASSES.index(name) for name in names] for names in classes)
    chosen = np.flatnonzero(np.isin(label, ones + others))
    x = features(bundled_oracle(), torch.from_numpy(images[chosen])).numpy().astype(np.float64)
    pool = rng.choice(len(x), len(x) * POOL // len(label), replace=False)
    return x - x.mean(0), np.where(np.isin(label[chosen], ones), 1.0, -1.0), np.sort(pool)


STUDY = Study("theory_features", TheoryFeatures(), jobs)
