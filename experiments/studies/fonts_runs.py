"""Runs on printed digits: the generator has never seen the target, the handwriting that validates and tests."""

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any, Literal

import torch
from torch import Tensor

from dp.config import PracticeConfig
from dp.data.image_set import ImageSet
from dp.generation.generator import Generator
from dp.generation.real_images import RealData
from dp.generation.visualize import png
from dp.guidance.guidance import GuidanceConfig
from dp.learner.evaluate import accuracy, logits_of
from dp.pool.in_memory import Pool
from dp.practice.loop import run_practice
from dp.practice.state import State
from dp.samples import Samples
from dp.utils.seeding import seed_for, stream
from experiments.data.digits import CLASSES, PATH, handwriting, other_digits
from experiments.data.fonts import GLYPHS, changed, glyphs
from experiments.engine.practice_runs import plain_pool, practice_seconds, reporting, settings_of
from experiments.engine.results import Job
from experiments.engine.variants import Variant, varied
from experiments.studies.fonts_generator import generator_of, judge, judge_file, weights_of
from experiments.studies.settings import EQUAL

Source = Literal["generated", "real", "glyphs"]
PICTURES = 10**6  # random stream of the images that are shown
BASE = replace(EQUAL, iterations=4000)


def job(
    study: str,
    name: str,
    config: PracticeConfig,
    seen: int = 0,
    source: Source = "generated",
    purpose: Literal["result", "tuning"] = "result",
    variant: Variant = Variant(),
) -> Job:
    """Return a run on printed digits and handwriting.

    Args:
        study, name, config: of the result.
        seen: percent of handwriting among the generator's training images.
        source: what the run starts from; a static run has nothing else.
        purpose: while tuning, test images are not looked at.
        variant: how the additions are made.
    """
    values = asdict(config) | {"data": "fonts", "seen": seen, "source": source}
    if variant != Variant():
        values["variant"] = variant.changes()
    files = (*weights_of(seen), PATH)
    if purpose == "result":
        files += (judge_file("handwriting"),)
    else:
        values["purpose"] = purpose
    if source == "glyphs":
        files += (GLYPHS,)
    return Job(study, name, values, compute, files, asdict(PracticeConfig()), practice_seconds(config))


def compute(values: dict[str, Any], progress: Callable[[float], None]) -> dict[str, Any]:
    """Run: outcomes, each with its predictions and its accuracy on the digits of another source; log and additions."""
    config = settings_of(values)
    plain = generator_of(values["seen"], config)
    initial = initial_images(values, config, plain)
    generator = varied(plain, values.get("variant"))

    report = reporting(config, progress)
    tuned = values.get("purpose") == "tuning"
    test = None if tuned else lambda: handwriting("test")
    outcomes, state = run_practice(config, generator, handwriting("validation"), test, initial=initial, progress=report)
    found = {"outcomes": [each.numbers() for each in outcomes], "log": state.log, "additions": state.additions}
    if tuned:
        return found
    others = other_digits()
    for numbers, each in zip(found["outcomes"], outcomes, strict=True):
        predictions = logits_of(each.learner, handwriting("test").images).argmax(1)
        numbers["test_predictions"] = "".join(map(str, predictions.tolist()))
        numbers["other_digits"] = accuracy(each.learner, others)
    return found | {"recognised": recognised(state)}


def compute_pictures(values: dict[str, Any], progress: Callable[[float], None]) -> dict[str, Any]:
    """Return pictures in rows of one per class and column: glyphs, plain and guided images of one seed, handwriting.

    The images are guided by a learner trained as the settings say; the dot of a picture that it gets wrong is for the
    figure to draw.
    """
    config, count = settings_of(values), 2 * len(CLASSES)
    generator = generator_of(values["seen"], config)
    initial = plain_pool(config, generator, weights_of(values["seen"]))

    report = reporting(config, progress)
    outcomes, _ = run_practice(config, generator, handwriting("validation"), None, initial=initial, progress=report)
    learner = outcomes[-1].learner
    labels, seeds = torch.arange(count) % len(CLASSES), [seed_for(config.seed, PICTURES, i) for i in range(count)]
    shown = {
        "glyphs": _one_each(glyphs(), labels, config.seed),
        "plain": generator.generate(labels, seeds).images,
        "guided, x0 at the late steps": generator.generate(
            labels, seeds, learner, GuidanceConfig(omega=0.2, interval=(0.0, 0.4), gradient="x0")
        ).images,
        "guided, U-Net at all steps": generator.generate(
            labels, seeds, learner, GuidanceConfig(omega=0.2, interval=(0.0, 1.0), gradient="unet")
        ).images,
        "handwriting": _one_each(handwriting("train"), labels, config.seed),
    }
    return {
        "rows": [
            {
                "name": name,
                "pictures": [
                    {"png": png(image), "correct": int(found == label)}
                    for image, found, label in zip(
                        images, logits_of(learner, images).argmax(1).tolist(), labels.tolist(), strict=True
                    )
                ],
            }
            for name, images in shown.items()
        ]
    }


def _one_each(images: ImageSet, labels: Tensor, seed: int) -> Tensor:
    """Return a random image of each label."""
    rng = stream(seed, PICTURES)
    chosen = []
    for label in labels.tolist():
        of_class = (images.labels == label).nonzero()[:, 0]
        chosen.append(int(of_class[int(torch.randint(len(of_class), (1,), generator=rng))]))
    return images.images[chosen]


def initial_images(values: dict[str, Any], config: PracticeConfig, generator: Generator) -> Samples:
    """Return what a run starts from: plain images, handwriting, or glyphs changed at random."""
    if values["source"] == "generated":
        return plain_pool(config, generator, weights_of(values["seen"]))
    if values["source"] == "real":
        data = handwriting("train")
    else:
        data = changed(glyphs(), max(len(glyphs()), config.n_initial), seed=2 + config.seed)
    return RealData(data, len(CLASSES), config.n_initial, config.seed).samples(range(config.n_initial))


def recognised(state: State) -> list[float]:
    """Return of the first images and of each addition the percent that the judge of handwriting takes for its class."""
    assert isinstance(state.pool, Pool)  # the store is in memory
    pool, by = state.pool.samples, judge("handwriting")
    rounds = [pool[pool.rounds == k] for k in range(len(state.additions) + 1)]
    return [accuracy(by, ImageSet(each.images, each.labels)) for each in rounds]
