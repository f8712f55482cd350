"""Runs of the practice loop on the bundled generator, as jobs of a study."""

import copy
import hashlib
import time
from collections.abc import Callable
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import nn
from torchvision.utils import make_grid

from dp.config import PracticeConfig, config_from
from dp.data.fashion_mnist import BUNDLE, CLASSES, test_images, train_images, validation_images
from dp.data.image_set import ImageSet
from dp.generation.generator import Generator
from dp.generation.real_images import RealData
from dp.generation.visualize import png
from dp.guidance.objectives import entropy
from dp.learner.evaluate import accuracy, hardness, logits_of
from dp.learner.models import CROP, CenterCrop, on_full_images
from dp.pool.in_memory import Pool
from dp.practice.additions import image_maker
from dp.practice.interfaces import ImageGenerator
from dp.practice.loop import run_practice
from dp.practice.state import State
from dp.practice.store import InMemory
from dp.pretrained.load import BUNDLED, DECODERS, bundled_generator, bundled_pipeline
from dp.pretrained.oracle import BUNDLED_ORACLE, bundled_oracle, features
from dp.samples import Samples, concatenate
from dp.utils.device import best_device
from dp.utils.files import atomic
from experiments.data.shift_sets import shift_sets
from experiments.engine.results import BUILD, Job
from experiments.engine.variants import varied


def weights_of(folder: Path) -> Path:
    """Return the file of a model's weights in diffusers' layout."""
    return folder / "diffusion_pytorch_model.safetensors"


def generator_files(folder: Path) -> tuple[Path, ...]:
    """Return the weights of a generator."""
    return weights_of(folder / "unet"), weights_of(folder / "vae")


GENERATOR_FILES = generator_files(BUNDLED)
CHUNK = 200  # plain images are kept in files of this many
SHEET_COLUMNS = 32  # images per row of a sheet


def practice_job(
    study: str,
    name: str,
    config: PracticeConfig,
    source: Literal["generated", "real"] = "generated",
    purpose: Literal["result", "tuning", "live"] = "result",
    **more: Any,
) -> Job:
    """Return the job of a run of Algorithm 1, or of training on as many real images.

    While tuning, test images are not looked at. A live run keeps some of its pictures.

    Args:
        study, name, config: of the result.
        source: what is trained on.
        purpose: of the run.
        more: `validation_images`, how many there are of them, all by default; `judged`, whether an oracle says of each
            addition how many images are what their label says; `variant`, how additions are made otherwise than by
            Algorithm 1 (see `experiments.engine.variants`).
    """
    values = asdict(config) | {"source": source} | ({"purpose": purpose} if purpose != "result" else {}) | more
    files = (*GENERATOR_FILES, BUNDLE)
    if config.decoder != "vae":
        files += (weights_of(DECODERS / config.decoder),)
    if more.get("judged") or purpose == "live":
        files += (BUNDLED_ORACLE,)
    return Job(study, name, values, compute_practice, files, asdict(PracticeConfig()), practice_seconds(config))


def practice_seconds(config: PracticeConfig) -> float:
    """Return a rough time on one core of a laptop: iterations, branches (about 60% of a run each) and images."""
    per_iteration = {"convnet": 0.016, "vit": 0.032}.get(config.learner, 0.045)
    images = config.n_initial + config.rounds * config.n_per_round * config.over_sampling
    # Generated on the way: 10 ms an image, 40 if the gradient goes through the U-Net.
    guided = config.rounds * config.n_per_round if config.guidance.omega and config.guidance.gradient == "unet" else 0
    return config.iterations * per_iteration * (1 + 0.6 * len(config.branch_sizes)) + 0.01 * images + 0.03 * guided


def settings_of(values: dict[str, Any]) -> PracticeConfig:
    """Return the settings in a job's configuration."""
    names = {each.name for each in fields(PracticeConfig)}
    return config_from({name: value for name, value in values.items() if name in names})


def compute_practice(values: dict[str, Any], progress: Callable[[float], None]) -> dict[str, Any]:
    """Compute a run with the repository's generator; see `outcomes_of`."""
    purpose, config = values.get("purpose", "result"), settings_of(values)
    generator = bundled_generator(config)
    initial = real_pool(config) if values["source"] == "real" else plain_pool(config, generator)
    real = some_of(validation_images(), values.get("validation_images"), config.seed)
    maker = varied(generator, values.get("variant"))
    result, state = outcomes_of(config, maker, initial, progress, with_test=purpose != "tuning", validation=real)
    if values.get("judged"):
        result["label_right"] = label_right(state)
    if purpose == "live":
        result["samples"] = samples(config, state)
        if state.additions:
            result["pool_map"] = pool_map(state)
    return result


def pool_map(state: State) -> dict[str, Any]:
    """Return a run's pool as a map: its images in one picture, and the oracle's features of each in two dimensions.

    Returns:
        sheet: the images without their frame, `SHEET_COLUMNS` per row, as base64 PNG; rounds: of each image; x, y:
        the two principal components of the features.
    """
    assert isinstance(state.pool, Pool)  # the store is in memory
    pool = state.pool.samples
    found = features(bundled_oracle(), pool.images).double()
    left, scale, _ = torch.linalg.svd(found - found.mean(0), full_matrices=False)
    x, y = (left[:, :2] * scale[:2]).T.tolist()
    sheet = make_grid(CenterCrop(CROP)(pool.images), nrow=SHEET_COLUMNS, padding=0)[: pool.images.shape[1]]
    rounded = {name: [round(value, 3) for value in values] for name, values in (("x", x), ("y", y))}
    return {"sheet": png(sheet), "rounds": pool.rounds.tolist()} | rounded


def some_of(images: ImageSet, count: int | None, seed: int) -> ImageSet:
    """Return `count` of the images at random, or all."""
    if count is None:
        return images
    chosen = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))[:count]
    return ImageSet(images.images[chosen], images.labels[chosen])


def label_right(state: State) -> list[float]:
    """Return the percentage of each addition that a classifier of real images takes for what its label says."""
    return [accuracy(bundled_oracle(), ImageSet(each.images, each.labels)) for each in rounds_of(state)]


def rounds_of(state: State) -> list[Samples]:
    """Return the images of each addition."""
    assert isinstance(state.pool, Pool)  # the store is in memory
    pool = state.pool.samples
    return [pool[pool.rounds == k] for k in range(1, len(state.additions) + 1)]


def outcomes_of(
    config: PracticeConfig,
    generator: ImageGenerator,
    initial: Samples,
    progress: Callable[[float], None],
    with_test: bool = True,
    validation: ImageSet | None = None,
) -> tuple[dict[str, Any], State]:
    """Run practice; return outcomes, log, additions and hardness (see `examined`, `hardness`), and the final state.

    `validation` is what tells plateaus, all validation images by default.
    """
    total = config.iterations * (1 + len(config.branch_sizes))
    iterations = 0

    def report(_: State) -> None:
        nonlocal iterations
        iterations += config.validate_every
        progress(min(1.0, iterations / total))

    test = test_images if with_test else None
    store = Observed(config)
    real = validation_images() if validation is None else validation
    outcomes, state = run_practice(config, generator, real, test, initial=initial, store=store, progress=report)
    assert isinstance(state.pool, Pool)  # the store is in memory
    result = {
        "outcomes": [each.numbers() | (examined(each.learner) if with_test else {}) for each in outcomes],
        "log": state.log,
        "additions": [each | more for each, more in zip(state.additions, store.observed, strict=True)],
        "hardness": hardness([*store.learners, outcomes[-1].learner], rounds_of(state)),
    }
    return result, state


class Observed(InMemory):
    """Keeps the learner that guided each addition, and how long the addition took to generate."""

    def __init__(self, config: PracticeConfig) -> None:
        super().__init__()
        self.config = config
        self.learners: list[nn.Module] = []
        self.observed: list[dict[str, float]] = []

    def round(self, state: State | None, round_: int, count: int, make: Callable[[range], Samples]) -> Samples:
        """Make an addition in memory, and keep its learner and its seconds."""
        assert state is not None  # the initial images are given
        self.learners.append(on_full_images(self.config, copy.deepcopy(state.ema.module)))
        began = time.perf_counter()
        new = super().round(state, round_, count, make)
        self.observed.append({"generation_seconds": round(time.perf_counter() - began, 2)})
        return new


def examined(learner: nn.Module) -> dict[str, Any]:
    """Return what a learner makes of the test images: its predictions, a digit each, and its accuracy on shifts."""
    predictions = logits_of(learner, test_images().images).argmax(1)
    return {
        "test_predictions": "".join(map(str, predictions.tolist())),
        "shift_accuracy": {name: accuracy(learner, shifted) for name, shifted in shift_sets().items()},
    }


def plain_pool(config: PracticeConfig, generator: Generator, weights: tuple[Path, ...] = GENERATOR_FILES) -> Samples:
    """Return the run's initial images; kept in build/cache, since runs of one seed share them whatever their size.

    Args:
        config: settings.
        generator: makes what is not there yet.
        weights: its files, which name the images together with guidance scale, steps and seed.
    """
    make = image_maker(config, generator, 0)
    folder = _cache_folder(config, weights)
    parts = []
    for first in range(0, config.n_initial, CHUNK):
        path = folder / f"{first:07d}.npz"
        if path.exists():
            with np.load(path, allow_pickle=False) as file:
                part = Samples(**{each.name: torch.from_numpy(file[each.name]) for each in fields(Samples)})
        else:
            part = make(range(first, first + CHUNK))
            with atomic(path) as partial, partial.open("wb") as file:
                np.savez(file, **{each.name: getattr(part, each.name).numpy() for each in fields(Samples)})
        parts.append(part)
    return concatenate(parts)[: config.n_initial]


def _cache_folder(config: PracticeConfig, weights: tuple[Path, ...]) -> Path:
    checksums = Job("", "", {}, compute_practice, weights).inputs
    digest = hashlib.sha256("".join(checksums.values()).encode()).hexdigest()[:12]
    name = f"{digest}-scale{config.guidance_scale}-steps{config.inference_steps}-seed{config.seed}"
    return BUILD / "cache" / "plain-images" / name


def generator_in(folder: Path, config: PracticeConfig) -> Generator:
    """Load the generator of a folder with a run's settings, on the best device there is."""
    return Generator(bundled_pipeline(folder).to(best_device()), config.guidance_scale, config.inference_steps)


def reporting(config: PracticeConfig, progress: Callable[[float], None]) -> Callable[[State], None]:
    """Return what tells how much of its iterations a run has done."""
    return lambda state: progress(state.iteration / config.iterations)


def real_pool(config: PracticeConfig) -> Samples:
    """Return `n_initial` real training images in a random order of the run's seed, as if they had been generated."""
    return RealData(train_images(), len(CLASSES), config.n_initial, config.seed).samples(range(config.n_initial))


def samples(config: PracticeConfig, state: State) -> list[dict[str, Any]]:
    """Return the first three images of each class in the initial pool and in the last addition, with their pictures."""
    pool = state.pool
    assert isinstance(pool, Pool)
    chosen: list[int] = []
    for round_ in sorted({0, len(state.additions)}):
        for label in pool.labels.unique().tolist():
            chosen += ((pool.rounds == round_) & (pool.labels == label)).nonzero()[:3, 0].tolist()
    logits = logits_of(on_full_images(config, state.ema.module), pool.images[chosen])
    return [
        {
            "label": pool.labels[i].item(),
            "seed": pool.samples.seeds[i].item(),
            "round": pool.rounds[i].item(),
            "final_entropy": h,
            "png": png(pool.images[i]),
        }
        for i, h in zip(chosen, entropy(logits).tolist(), strict=True)
    ]
