"""The images of a round: plain, guided, pruned or filtered; each named by run, round, slot and attempt."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import torch
from torch import Tensor, nn

from dp.config import PracticeConfig
from dp.data.image_set import RealImages
from dp.generation.generator import Generator
from dp.generation.guided_batch import fit_guided_batch
from dp.generation.latent_class_pipeline import LatentClassPipeline
from dp.generation.pipeline_info import image_shape_of
from dp.generation.real_images import RealData
from dp.learner.evaluate import errors_by_class
from dp.learner.models import build_learner, on_full_images
from dp.practice.interfaces import ImageGenerator
from dp.practice.state import State
from dp.practice.store import Store
from dp.samples import Samples
from dp.selection.filters import DiffusionClassifier, Disagreement, Filter, RoundTrip, accepted
from dp.selection.latent_diffusion import LatentDiffusion
from dp.selection.prune import hardest, judged
from dp.utils.device import best_device
from dp.utils.errors import UserError
from dp.utils.seeding import CLASS, image_seed, stream

OF_TRAINING = 5  # times the learner's weights: their average, gradients, buckets of these and AdamW's two moments


def classes_of(generator: ImageGenerator) -> int:
    """Return the number of classes; UserError for a generator without."""
    if not generator.num_classes or generator.num_classes < 2:
        raise UserError(
            f"generator: it makes {generator.num_classes or 'no'} classes, expected 2 or more to tell apart"
        )
    return generator.num_classes


def image_maker(
    config: PracticeConfig,
    generator: ImageGenerator,
    round_: int,
    state: State | None = None,
    keep: Filter | None = None,
    store: Store | None = None,
    errors: Tensor | None = None,
) -> Callable[[range], Samples]:
    """Return what makes the images of some slots of a round, classes in turn so that the pool is balanced.

    With `errors`, int64 [K], classes are drawn in proportion to them instead (`class_shares`).

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

    # The first classes of a round are those whose turn it is after the images before it.
    before = config.n_initial + (round_ - 1) * config.n_per_round if round_ else 0

    def candidates(slots: list[int], attempts: list[int]) -> Samples:
        turn = (before + torch.tensor(slots)) % classes
        labels = turn if errors is None else drawn(errors, [image_seed(config.seed, round_, slot) for slot in slots])
        seeds = [image_seed(config.seed, round_, *at) for at in zip(slots, attempts, strict=True)]
        return generator.generate(labels, seeds, averaged, guidance, current, round_)

    def plain(slots: list[int]) -> Samples:
        return candidates(slots, [0] * len(slots))

    count = round(config.n_per_round * config.over_sampling)

    def hardest_of(scores: Tensor) -> Tensor:
        return hardest(scores, torch.arange(count) % classes, config.n_per_round, classes)

    # The whole round is pruned once, whatever part of it is asked for.
    @cache
    def pruned() -> Samples:
        assert averaged is not None
        every = judged(plain(list(range(count))), averaged)
        return every[hardest_of(every.entropy)]

    def score(numbers: range) -> Tensor:
        assert averaged is not None
        return judged(plain(list(numbers)), averaged).entropy

    chosen: list[int] = []
    if store and averaged and config.over_sampling > 1:
        scores = store.scores(round_, count, score)
        if scores is not None:
            chosen = hardest_of(scores).tolist()

    def make(slots: range) -> Samples:
        if averaged is None or current is None:
            return plain(list(slots))
        if chosen:
            return judged(plain(chosen[slots.start : slots.stop]), averaged)
        if config.over_sampling > 1:
            return pruned()[slots.start : slots.stop]
        if keep is None:
            return plain(list(slots))
        return accepted(candidates, lambda new: keep(new, current, averaged), list(slots), config.max_attempts)

    return make


def drawn(errors: Tensor, seeds: list[int]) -> Tensor:
    """Return classes drawn in proportion to errors, one by each seed: int64.

    Args:
        errors: numbers of wrong answers by class, [K]; each counts with a tenth of their mean more, so that a class
            without errors comes at times, and without any error all come alike.
        seeds: of images.
    """
    shares = errors.double() + 0.1 * errors.double().mean() + 1e-9
    return torch.cat([torch.multinomial(shares, 1, generator=stream(seed, CLASS)) for seed in seeds])


def try_guided_batch(config: PracticeConfig, generator: ImageGenerator, net: nn.Module | None) -> None:
    """Make a guided batch on a GPU before anything else, so that one that does not fit is told before the training."""
    if not config.rounds or not isinstance(generator, Generator) or best_device().type != "cuda":
        return
    channels = image_shape_of(generator.pipe)[0]
    with torch.random.fork_rng():
        learner = net or build_learner(config.learner, classes_of(generator), channels, config.crop or None)
    learner.to(best_device())
    weights = sum(p.nbytes for p in learner.parameters())
    fit_guided_batch(generator, on_full_images(config, learner), config.guidance, OF_TRAINING * weights)


def add_images(
    config: PracticeConfig,
    state: State,
    generator: ImageGenerator,
    keep: Filter | None,
    store: Store,
    validation: RealImages,
) -> None:
    """Grow the pool by P images guided by the current learner (Algorithm 1, step 3)."""
    round_, errors, recorded = len(state.additions) + 1, None, {}
    if config.class_shares == "errors":
        errors = errors_by_class(on_full_images(config, state.ema.module), validation, state.classes)
        recorded = {"errors_by_class": errors.tolist()}
    make = image_maker(config, generator, round_, state, keep, store, errors)
    new = store.round(state, round_, config.n_per_round, make)
    state.pool.append(new)
    state.additions.append(
        recorded
        | {
            "iteration": state.iteration,
            "trigger": state.pending,
            "pool_size": len(state.pool),
            "entropy": new.entropy.mean().item(),
            "correct_at_birth": new.correct.float().mean().item(),
            "zero_steps": int(new.zero_steps.sum()),
            "candidates": candidates(config, round_, new),
        }
    )
    state.pending = None


def candidates(config: PracticeConfig, round_: int, samples: Samples) -> int:
    """Return how many images were generated to get a round, as told by the seeds that it ended up with."""
    if config.over_sampling > 1:
        return round(config.n_per_round * config.over_sampling)
    total = 0
    for slot, seed in enumerate(samples.seeds.tolist()):
        seeds = (image_seed(config.seed, round_, slot, attempt) for attempt in range(config.max_attempts))
        total += 1 + next((attempt for attempt, each in enumerate(seeds) if each == seed), 0)
    return total


def filter_of(config: PracticeConfig, generator: ImageGenerator) -> Filter | None:
    """Return the filter that `config.filter` names."""
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
    if not hasattr(pipe.scheduler, "alphas_cumprod"):
        raise UserError(
            f"filter: {config.filter} works with a scheduler that has alphas_cumprod, such as DDIMScheduler, not with "
            f"{type(pipe.scheduler).__name__}; take another generator, or the filter disagreement"
        )
    kind = {"diffusion_classifier": DiffusionClassifier, "round_trip": RoundTrip}[config.filter]
    return kind(LatentDiffusion.of(pipe))
