"""The images of a round: plain, guided, pruned or filtered; each named by run, round, slot and attempt."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import torch
from torch import Tensor

from dp.config import PracticeConfig
from dp.generation.latent_class_pipeline import LatentClassPipeline
from dp.generation.real_images import RealData
from dp.learner.models import on_full_images
from dp.practice.interfaces import ImageGenerator
from dp.practice.state import State
from dp.practice.store import Store
from dp.samples import Samples
from dp.selection.filters import DiffusionClassifier, Disagreement, Filter, RoundTrip, accepted
from dp.selection.latent_diffusion import LatentDiffusion
from dp.selection.prune import hardest, judged, prune
from dp.utils.errors import UserError
from dp.utils.seeding import IMAGES, seed_for


def classes_of(generator: ImageGenerator) -> int:
    """The number of classes; UserError for a generator without."""
    if not generator.num_classes or generator.num_classes < 2:
        raise UserError(
            f"generator: it makes {generator.num_classes or 'no'} classes, expected 2 or more to tell apart"
        )
    return generator.num_classes


def image_seed(config: PracticeConfig, round_: int, slot: int, attempt: int = 0) -> int:
    """The seed of an image; the first attempt's is that of its slot."""
    return seed_for(config.seed, IMAGES, round_, slot, *[attempt] * (attempt > 0))


def image_maker(
    config: PracticeConfig,
    generator: ImageGenerator,
    round_: int,
    state: State | None = None,
    keep: Filter | None = None,
    store: Store | None = None,
) -> Callable[[range], Samples]:
    """What makes the images of some slots of a round, classes in turn so that every prefix is balanced.

    An image's seed is named by run, round, slot and attempt: neither the number of slots asked for at once nor that of
    the processes that share them changes an image. With a state, images are guided by the entropy of its averaged
    weights; where a filter refuses an image, the slot's next attempt takes its place. Real images (`RealData`) are not
    made, they come in their own order.

    To prune, all candidates of the round are scored. A store that keeps the scores gets them at once, from all
    processes; the candidates that are kept are then made again, at 1 / over_sampling of the cost. Otherwise one process
    prunes when the first image is asked for.
    """
    if isinstance(generator, RealData) and round_ == 0:
        return generator.samples
    classes = classes_of(generator)
    averaged = on_full_images(config, state.ema.module) if state else None
    current = on_full_images(config, state.learner) if state else None
    guidance = config.guidance if state else replace(config.guidance, omega=0.0)

    def candidates(slots: list[int], attempts: list[int]) -> Samples:
        labels = torch.tensor(slots) % classes
        seeds = [image_seed(config, round_, *at) for at in zip(slots, attempts, strict=True)]
        return generator.generate(labels, seeds, averaged, guidance, current, round_)

    def plain(slots: list[int]) -> Samples:
        return candidates(slots, [0] * len(slots))

    # Of the whole round, whatever part of it is asked for.
    @cache
    def pruned() -> Samples:
        assert averaged is not None
        return prune(plain, averaged, config.n_per_round, config.over_sampling, classes)

    def score(numbers: range) -> Tensor:
        assert averaged is not None
        return judged(plain(list(numbers)), averaged)[0].entropy

    chosen: list[int] = []
    if store and averaged and config.over_sampling > 1:
        count = round(config.n_per_round * config.over_sampling)
        scores = store.scores(round_, count, score)
        if scores is not None:
            chosen = hardest(scores, torch.arange(count) % classes, config.n_per_round, classes).tolist()

    def make(slots: range) -> Samples:
        if averaged is None or current is None:
            return plain(list(slots))
        if chosen:
            return judged(plain(chosen[slots.start : slots.stop]), averaged)[0]
        if config.over_sampling > 1:
            return pruned()[slots.start : slots.stop]
        if keep is None:
            return plain(list(slots))
        return accepted(candidates, lambda new: keep(new, current, averaged), list(slots), config.max_attempts)[0]

    return make


def candidates(config: PracticeConfig, round_: int, samples: Samples) -> int:
    """Images that were generated to get a round: told by the seeds it ended up with."""
    if config.over_sampling > 1:
        return round(config.n_per_round * config.over_sampling)
    total = 0
    for slot, seed in enumerate(samples.seeds.tolist()):
        total += 1 + next((a for a in range(config.max_attempts) if image_seed(config, round_, slot, a) == seed), 0)
    return total


def filter_of(config: PracticeConfig, generator: ImageGenerator) -> Filter | None:
    """What config.filter names."""
    if config.filter == "none":
        return None
    if config.filter == "disagreement":
        return Disagreement()
    pipe = getattr(generator, "pipe", None)
    if not isinstance(pipe, LatentClassPipeline):
        raise UserError(
            f"filter: {config.filter} works with a LatentClassPipeline, not with {type(pipe).__name__}; give "
            "run_practice a filter of your own (keep=...), or take the filter disagreement"
        )
    kind = {"diffusion_classifier": DiffusionClassifier, "round_trip": RoundTrip}[config.filter]
    return kind(LatentDiffusion.of(pipe))
