"""Grids: what the images look like, over training, over omega, and beside pruned and initial ones.

Question   What does guidance make of an image, and is what it makes diverse?
Feeds      figure 6 right and figures 8, 10, 11, 12 and 13
Command    python -m experiments run grids
Time       about ten minutes on one core
Expected   the same seed turns into a harder image as omega grows and as the learner learns; guided images are as
           diverse as plain ones or more, pruned ones less

One DP run; the learners that guided some of its additions then guide the same seeds at several omegas. Pictures are
kept as PNG in the result. Diversity is recall and coverage of real validation images in the oracle's features.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from dp.config import PracticeConfig
from dp.data.fashion_mnist import validation_images
from dp.generation.diversity import diversity
from dp.generation.generator import Generator
from dp.generation.visualize import denoised_estimates, guided_grid, pictures, png
from dp.guidance.guidance import GuidanceConfig
from dp.pool.in_memory import Pool
from dp.practice.loop import run_practice
from dp.pretrained.load import bundled_generator
from dp.pretrained.oracle import BUNDLED_ORACLE, bundled_oracle, features
from dp.samples import Samples
from dp.selection.prune import hardest, judged
from dp.utils.seeding import seed_for, stream
from experiments.engine.practice_runs import Observed, plain_pool, practice_job, settings_of
from experiments.engine.results import Job
from experiments.engine.study import Profile, Study
from experiments.studies.settings import EQUAL, MIDDLE

PICTURES, DIVERSE, DRAWN = 10**6, 10**6 + 1, 10**6 + 2  # random streams of the images in the grids


@dataclass(frozen=True)
class Grids:
    """Settings of the study.

    Attributes:
        run: the DP run; figures 6 and 8 to 13 show images of its guidance scale.
        omegas: columns of the grids.
        learners: how many of the run's learners are shown, evenly over its additions.
        seeds_per_class: images of each class.
        images: for each measure of diversity.
    """

    run: PracticeConfig = MIDDLE.apply(EQUAL)
    omegas: tuple[float, ...] = (0.0, 0.05, 0.1, 0.2, 0.4)
    learners: int = 5
    seeds_per_class: int = 2
    images: int = 2000


def jobs(settings: Grids, _: Profile) -> list[Job]:
    """List the one result."""
    job = practice_job("grids", "grids", settings.run)
    shown = {name: value for name, value in asdict(settings).items() if name != "run"}
    depends = (*job.depends, BUNDLED_ORACLE)
    return [replace(job, config=job.config | shown, compute=compute, depends=depends, estimate=3 * job.estimate)]


def compute(values: dict[str, Any], progress: Callable[[float], None]) -> dict[str, Any]:
    """Make pictures with what the learners make of them, and measure the diversity of each way of making images."""
    config = settings_of(values)
    generator = bundled_generator(config)
    store = Observed(config)
    _, state = run_practice(
        config,
        generator,
        validation_images(),
        None,
        initial=plain_pool(config, generator),
        store=store,
        progress=lambda state: progress(0.5 * state.iteration / config.iterations),
    )
    assert isinstance(state.pool, Pool)  # the store is in memory
    additions = len(store.learners)
    chosen = sorted({round(i) for i in torch.linspace(0, additions - 1, values["learners"]).tolist()})
    learners = {state.additions[k]["iteration"]: store.learners[k] for k in chosen}
    shown = _named(values["seeds_per_class"], PICTURES)
    guided = guided_grid(
        generator,
        learners,
        config.guidance,
        values["omegas"],
        *shown,
        lambda share: progress(0.5 + 0.3 * share),
    )
    last = store.learners[-1]
    shown_pools = pools(state.pool.samples, additions)
    return {
        "guided": guided,
        "intermediate": denoised_estimates(generator, last, config.guidance, *_named(1, PICTURES)),
        "pools": {name: pool_pictures(pool, values["seeds_per_class"]) for name, pool in shown_pools.items()},
        "pool_diversity": pool_diversities(shown_pools["initial"], shown_pools["final"]),
        "pruned": pictures(_pruned(generator, last, config.guidance, 10 * values["seeds_per_class"])),
        "diversity": diversities(generator, last, config.guidance, values["images"]),
        "additions": state.additions,
    }


def _named(per_class: int, stream: int) -> tuple[Tensor, list[int]]:
    """Return labels, classes in turn, and seeds: the same whatever the learner and the guidance."""
    n = 10 * per_class
    return torch.arange(n) % 10, [seed_for(stream, i) for i in range(n)]


def _pruned(generator: Generator, learner: nn.Module, guidance: GuidanceConfig, keep: int) -> Samples:
    """Return the hardest quarter of plain images."""
    plain = replace(guidance, omega=0.0)
    every = judged(generator.generate(*_named(4 * keep // 10, DIVERSE), learner, plain), learner)
    return every[hardest(every.entropy, every.labels, keep, 10)]


def pools(pool: Samples, additions: int) -> dict[str, Samples]:
    """Return the initial pool, as many images drawn from the final pool, and the last addition."""
    initial = pool[pool.rounds == 0]
    drawn = torch.randperm(len(pool), generator=stream(DRAWN))[: len(initial)]
    return {"initial": initial, "final": pool[drawn], "last": pool[pool.rounds == additions]}


def pool_pictures(pool: Samples, per_class: int) -> list[dict[str, Any]]:
    """Return the first images of each class."""
    rows = [(pool.labels == label).nonzero()[:per_class, 0] for label in range(10)]
    chosen = pool[torch.stack(rows, 1).flatten()]
    return [
        {"label": label, "png": png(image)} for image, label in zip(chosen.images, chosen.labels.tolist(), strict=True)
    ]


def pool_diversities(initial: Samples, final: Samples) -> dict[str, dict[str, float]]:
    """Return precision, recall and coverage of the initial pool and of as many images of the final one."""
    oracle = bundled_oracle()
    real = features(oracle, validation_images().images[: len(initial)])
    sets = {"initial": initial, "final": final}
    return {name: asdict(diversity(real, features(oracle, made.images))) for name, made in sets.items()}


def diversities(
    generator: Generator, learner: nn.Module, guidance: GuidanceConfig, images: int
) -> dict[str, dict[str, float]]:
    """Return precision, recall and coverage of `images` plain, guided and pruned images."""
    oracle = bundled_oracle()
    real = features(oracle, validation_images().images[:images])
    plain, guided = (
        generator.generate(*_named(images // 10, DIVERSE), learner, replace(guidance, omega=omega))
        for omega in (0.0, guidance.omega)
    )
    pruned = _pruned(generator, learner, guidance, images)
    sets = {"plain": plain, "guided": guided, "pruned": pruned}
    return {name: asdict(diversity(real, features(oracle, made.images))) for name, made in sets.items()}


STUDY = Study("grids", Grids(), jobs)
