"""Deliberate Practice: Algorithm 1 of arXiv 2502.15588.

Train a classifier on generated images only. Whenever its accuracy on a small real validation set stops improving, the
generator, guided by the classifier's current entropy, makes a few more images that the classifier finds hard.

Static training is rounds = 0; data added without guidance is omega = 0; generate-then-prune is over_sampling > 1.
docs/method.md puts the paper's lines beside these; `dp.run_folder` makes a run survive being killed.
"""

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, replace
from functools import cache
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from timm.utils import ModelEmaV3
from torch import Tensor, nn

from dp.augment import ResizedCrop, Shift, mixing
from dp.checks import check_crop, check_images, check_learner, check_real
from dp.config import PracticeConfig
from dp.errors import UserError
from dp.evaluate import RealImages, accuracy
from dp.filters import DiffusionClassifier, Disagreement, Filter, LatentDiffusion, RoundTrip, accepted
from dp.guidance import GuidanceConfig
from dp.learner import build_learner, normalise, wsd
from dp.patience import Patience
from dp.pipelines import LatentClassPipeline
from dp.plateau import Agreement, RealAccuracy, Signal, SyntheticAccuracy, TrainingLoss
from dp.pool.memory import Pool
from dp.precision import Compute, autocast, best_device
from dp.preprocessing import CenterCrop
from dp.processes import from_first, pairwise_sum, parts_of, world
from dp.prune import choose, judged, prune
from dp.randomness import seed_for, stream
from dp.real_data import RealData
from dp.samples import Samples

# Random streams of a run: seed_for(run seed, stream, ...).
IMAGES, BATCHES, WEIGHTS, HELD_OUT, LAYERS = 1, 2, 3, 4, 5


class ImageGenerator(Protocol):
    """What makes images: `dp.generator.Generator`, or anything with these two."""

    @property
    def num_classes(self) -> int | None:
        """Classes it can make."""

    def generate(
        self,
        labels: Tensor,
        seeds: list[int],
        learner: nn.Module | None = ...,
        guidance: GuidanceConfig = ...,
        other: nn.Module | None = ...,
        round_: int = ...,
    ) -> Samples:
        """One image a label, which depends on its label, its seed and the learners alone."""


class TrainingPool(Protocol):
    """A pool that a run trains on: `dp.pool.memory.Pool`, or one on disk (`dp.pool.on_disk.DiskPool`)."""

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""

    def __len__(self) -> int: ...

    def draw(self, size: int, rng: torch.Generator, newest_weight: float = ...) -> Tensor:
        """Rows int64 [size] of a mini-batch."""

    def rows(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Images uint8 [n, C, H, W] and labels int64 [n]."""

    def append(self, samples: Samples) -> None:
        """Take in the samples of a new round."""


@dataclass
class State:
    """Everything a run needs to go on; a deep copy is a branch."""

    learner: nn.Module  # crops float [B, C, crop, crop] in [-1, 1] -> logits [B, K]
    ema: ModelEmaV3
    optimizer: torch.optim.Optimizer
    pool: TrainingPool
    patience: Patience
    classes: int  # K
    compute: Compute = Compute()
    iteration: int = 0
    pending: str | None = None  # why an addition is due that has not been made yet
    branch: int | None = None  # the pool size at which this branch left the run; None: the run itself
    losses: list[Tensor] = field(default_factory=list)  # float32 [], since the last validation
    log: list[dict[str, Any]] = field(default_factory=list)  # one entry a validation
    additions: list[dict[str, Any]] = field(default_factory=list)  # one entry an addition


class Store(Protocol):
    """Where a run keeps what it must not lose; `InMemory`, or a folder (`dp.run_folder`)."""

    def round(self, state: State | None, round_: int, count: int, make: Callable[[range], Samples]) -> Samples:
        """The samples of a round: those there are already, and `make(slots)` of the missing ones.

        A store that trains from disk gives them without images: uint8 [n, 0, 0, 0].
        """

    def pool(self, initial: Samples) -> TrainingPool:
        """The pool to train on, of the initial samples."""

    def iteration(self, state: State) -> None:
        """Called after every iteration and before every addition: the moments at which a run can be interrupted."""

    def put_branch(self, state: State) -> None:
        """Keep a state that will go on without additions when the run is finished."""

    def branches(self) -> list[int]:
        """Pool sizes of the branches kept."""

    def resume(self, fresh: State, branch: int | None = None) -> State:
        """The run (or branch) as it was kept last; `fresh` if there is nothing."""


class InMemory:
    """A store that ends with the process."""

    def __init__(self) -> None:
        self._branches: dict[int, State] = {}

    def round(self, state: State | None, round_: int, count: int, make: Callable[[range], Samples]) -> Samples:
        return make(range(count))

    def pool(self, initial: Samples) -> TrainingPool:
        return Pool(initial)

    def iteration(self, state: State) -> None:
        pass

    def put_branch(self, state: State) -> None:
        assert state.branch is not None
        self._branches[state.branch] = copy.deepcopy(state)

    def branches(self) -> list[int]:
        return sorted(self._branches)

    def resume(self, fresh: State, branch: int | None = None) -> State:
        return fresh if branch is None else self._branches.pop(branch)


def classes_of(generator: ImageGenerator) -> int:
    """The number of classes; UserError for a generator without."""
    if not generator.num_classes or generator.num_classes < 2:
        raise UserError(
            f"generator: it makes {generator.num_classes or 'no'} classes, expected 2 or more to tell apart"
        )
    return generator.num_classes


def whole(config: PracticeConfig, net: nn.Module) -> nn.Module:
    """A net that knows crops, for whole images float [B, C, H, W] in [-1, 1]: it sees their centre; in eval mode."""
    return (nn.Sequential(CenterCrop(config.crop), net) if config.crop else net).eval()


def image_seed(config: PracticeConfig, round_: int, slot: int, attempt: int = 0) -> int:
    """The seed of an image; the first attempt's is that of its slot."""
    return seed_for(config.seed, IMAGES, round_, slot, *[attempt] * (attempt > 0))


def image_maker(
    config: PracticeConfig,
    generator: ImageGenerator,
    round_: int,
    state: State | None = None,
    keep: Filter | None = None,
) -> Callable[[range], Samples]:
    """What makes the images of some slots of a round, classes in turn so that every prefix is balanced.

    An image's seed is named by run, round, slot and attempt: neither the number of slots asked for at once nor that of
    the processes that share them changes an image. With a state, images are guided by the entropy of its averaged
    weights; where a filter refuses an image, the slot's next attempt takes its place. Real images (`RealData`) are not
    made, they come in their own order.
    """
    if isinstance(generator, RealData) and round_ == 0:
        return generator.samples
    classes = classes_of(generator)
    averaged = whole(config, state.ema.module) if state else None
    current = whole(config, state.learner) if state else None
    guidance = config.guidance if state else replace(config.guidance, omega=0.0)

    def candidates(slots: list[int], attempts: list[int]) -> Samples:
        labels = torch.tensor(slots) % classes
        seeds = [image_seed(config, round_, *at) for at in zip(slots, attempts, strict=True)]
        return generator.generate(labels, seeds, averaged, guidance, current, round_)

    def plain(slots: list[int]) -> Samples:
        return candidates(slots, [0] * len(slots))

    # Of the whole round, whatever part of it is asked for.
    @cache
    def hardest() -> Samples:
        assert averaged is not None
        return prune(plain, averaged, config.n_per_round, config.over_sampling, classes)

    chosen: list[int] = []
    if averaged and config.over_sampling > 1 and world() > 1:  # at once, since all processes must take part
        chosen = choose(plain, averaged, config.n_per_round, config.over_sampling, classes)

    def make(slots: range) -> Samples:
        if averaged is None or current is None:
            return plain(list(slots))
        if chosen:
            return judged(plain(chosen[slots.start : slots.stop]), averaged)[0]
        if config.over_sampling > 1:
            return hardest()[slots.start : slots.stop]
        if keep is None:
            return plain(list(slots))
        return accepted(candidates, lambda new: keep(new, current, averaged), list(slots), config.max_attempts)[0]

    return make


def start(
    config: PracticeConfig,
    pool: TrainingPool,
    num_classes: int,
    net: nn.Module | None = None,
    compute: Compute = Compute(),
) -> State:
    """A learner (a new one, or `net`) and its optimiser, before the first iteration."""
    with torch.random.fork_rng():
        torch.manual_seed(seed_for(config.seed, WEIGHTS))
        learner = net or build_learner(config.learner, num_classes, pool.image_shape[0], config.crop or None)
    learner.to(best_device())
    weights = [p for p in learner.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(weights, config.lr, betas=(0.9, 0.98), weight_decay=config.weight_decay, fused=True)
    ema = ModelEmaV3(learner, decay=config.ema_decay, use_warmup=True)
    patience = Patience(config.patience, config.incremental, signal=config.signal)
    return State(learner, ema, optimizer, pool, patience, num_classes, compute)


Batch = list[tuple[Tensor, Tensor]]  # images uint8 [b, C, h, w] and labels int64 [b] of each part


def draw_batch(config: PracticeConfig, pool: TrainingPool, iteration: int) -> Batch:
    """This process's parts of a mini-batch drawn uniformly from the pool, augmented; a function of its arguments."""
    rng = stream(config.seed, BATCHES, iteration)
    index = pool.draw(config.batch_size, rng, config.newest_weight)
    augment = augmentation(config, pool.image_shape, rng)
    size = config.batch_size // config.parts
    batch = []
    for part in parts_of(config.parts):
        mine = slice(part * size, (part + 1) * size)
        images, labels = pool.rows(index[mine])
        batch.append((augment(images, mine) if augment else images, labels))
    return batch


def augmentation(
    config: PracticeConfig, image_shape: tuple[int, int, int], rng: torch.Generator
) -> Shift | ResizedCrop | None:
    """What happens to a mini-batch of images."""
    _, height, width = image_shape
    if not config.crop:
        return None
    kind = Shift if config.augment == "shift" else ResizedCrop
    return kind.draw(config.batch_size, (height, width), config.crop, rng)


def train_iteration(config: PracticeConfig, state: State, batch: Batch) -> None:
    """One step on a mini-batch (Algorithm 1, step 2), of which `batch` is what this process computes."""
    weights = [p for p in state.learner.parameters() if p.requires_grad]
    lr = config.lr * wsd(state.iteration, config.iterations, config.warmup, config.cooldown)
    for group in state.optimizer.param_groups:
        group["lr"] = lr
    state.learner.train()
    # Statistics of batch norm are those of the first part, whichever process has it.
    statistics = list(state.learner.buffers()) if config.parts > 1 else []
    kept: list[Tensor] = []

    def gradients() -> Iterator[list[Tensor]]:
        for part, (images, labels) in zip(parts_of(config.parts), batch, strict=True):
            state.optimizer.zero_grad(set_to_none=True)
            loss = part_loss(config, state, part, images, labels) / config.parts
            loss.backward()
            if part == 0:
                kept.extend(each.clone() for each in statistics)
            yield [loss.detach().reshape(1), *(torch.zeros_like(p) if p.grad is None else p.grad for p in weights)]

    loss, *summed = pairwise_sum(gradients())
    for weight, gradient in zip(weights, summed, strict=True):
        weight.grad = gradient
    for buffer, value in zip(statistics, from_first(kept or statistics), strict=True):
        buffer.copy_(value)
    nn.utils.clip_grad_norm_(weights, 1.0)
    state.optimizer.step()
    state.iteration += 1
    state.ema.update(state.learner, step=state.iteration)
    state.losses.append(loss[0])


def part_loss(config: PracticeConfig, state: State, part: int, images: Tensor, labels: Tensor) -> Tensor:
    """Mean loss of the learner in training mode on one part of a mini-batch, mixed as Mixup and CutMix do."""
    device = next(state.learner.parameters()).device
    # For dropout and the like. torch.manual_seed asks for every kind of device there may be, which takes its time.
    seed_layers = torch.default_generator.manual_seed if device.type == "cpu" else torch.manual_seed
    seed_layers(seed_for(config.seed, LAYERS, state.iteration, part))
    x, targets = normalise(images.to(device)), labels.to(device)
    if config.mixup or config.cutmix:
        x, targets = mixing(config.mixup, config.cutmix, state.classes)(x, targets)
    with autocast(device):
        logits = state.learner(state.compute.lay_out(x))
    return F.cross_entropy(logits.float(), targets, label_smoothing=config.label_smoothing)


def validate(config: PracticeConfig, state: State, signal: Signal) -> float:
    """The value of the signal, logged with the mean loss since the last validation."""
    loss = torch.stack(state.losses).mean().item()
    if not math.isfinite(loss):
        raise UserError(f"lr: the training loss is {loss} at iteration {state.iteration}; training diverged, lower lr")
    value = signal(whole(config, state.learner), whole(config, state.ema.module), state.losses)
    state.log.append(
        {
            "iteration": state.iteration,
            "train_loss": loss,
            signal.name.replace(" ", "_"): value,
            "pool_size": len(state.pool),
        }
    )
    state.losses = []
    return value


def overdue(config: PracticeConfig, state: State) -> bool:
    """Whether the next addition has reached its place on an even schedule over the stable phase."""
    begin, end = config.warmup * config.iterations, (1 - config.cooldown) * config.iterations
    due = begin + (end - begin) * (len(state.additions) + 1) / (config.rounds + 1)
    return config.backstop and state.iteration >= due


def add_images(
    config: PracticeConfig, state: State, generator: ImageGenerator, keep: Filter | None, store: Store
) -> None:
    """Grow the pool by P images guided by the current learner (Algorithm 1, step 3)."""
    round_ = len(state.additions) + 1
    new = store.round(state, round_, config.n_per_round, image_maker(config, generator, round_, state, keep))
    state.pool.append(new)
    state.additions.append(
        {
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
    """Images that were generated to get a round: told by the seeds it ended up with."""
    if config.over_sampling > 1:
        return round(config.n_per_round * config.over_sampling)
    total = 0
    for slot, seed in enumerate(samples.seeds.tolist()):
        total += 1 + next((a for a in range(config.max_attempts) if image_seed(config, round_, slot, a) == seed), 0)
    return total


def train(
    config: PracticeConfig,
    state: State,
    signal: Signal,
    generator: ImageGenerator | None,
    store: Store,
    keep: Filter | None = None,
    progress: Callable[[State], None] | None = None,
) -> State:
    """Train to the end of the schedule. Without a generator: no (more) additions."""
    begin, end = config.warmup * config.iterations, (1 - config.cooldown) * config.iterations
    state.compute.prepare(state.learner)
    while state.iteration < config.iterations:
        if state.pending and generator is not None:
            add_images(config, state, generator, keep, store)
            if signal.of_pool:
                state.patience.forget()
            store.iteration(state)
        train_iteration(config, state, draw_batch(config, state.pool, state.iteration))
        if state.iteration % config.validate_every == 0 or state.iteration == config.iterations:
            value = validate(config, state, signal)
            if progress:
                progress(state)
            may_add = begin <= state.iteration < end and len(state.additions) < config.rounds
            if generator is not None and may_add:
                if state.patience.exhausted(value, len(state.pool) / config.n_initial):
                    state.pending = "patience"
                elif overdue(config, state):
                    state.pending = "schedule"
                if state.pending and len(state.pool) in config.branch_sizes:
                    store.put_branch(replace(state, branch=len(state.pool), pending=None))
        store.iteration(state)
    return state


@dataclass(frozen=True)
class Outcome:
    """What a finished run, or one of its branches, has reached; accuracies in percent, of the averaged weights."""

    pool_size: int
    branched_at: int | None  # iteration at which the branch left the run; None for the run itself
    validation_accuracy: float
    test_accuracy: float | None  # None: not looked at
    learner: nn.Module = field(repr=False, compare=False)  # in eval mode; images [B, C, H, W] in [-1, 1] -> logits

    def numbers(self) -> dict[str, float | None]:
        """All but the learner, as JSON values."""
        return {each.name: getattr(self, each.name) for each in fields(self) if each.name != "learner"}


def practise(
    config: PracticeConfig,
    generator: ImageGenerator,
    validation: RealImages,
    test: Callable[[], RealImages] | None,
    net: nn.Module | None = None,
    initial: Samples | None = None,
    signal: Signal | None = None,
    keep: Filter | None = None,
    store: Store | None = None,
    progress: Callable[[State], None] | None = None,
    compute: Compute = Compute(),
) -> tuple[list[Outcome], State]:
    """A whole run with its branches.

    Args:
        config: settings.
        generator: makes the images.
        validation: real images for plateau detection (with another signal: for the outcome only).
        test: held-out real images, asked for once, at the end, for the final evaluation; None while tuning.
        net: trains this module instead of the one that config.learner names; crops in [-1, 1] -> logits.
        initial: the initial images if they exist already (see `image_maker`).
        signal: what must stop improving, instead of what config.signal names.
        keep: refuses harmful outliers, instead of what config.filter names.
        store: keeps the run; by default it ends with the process.
        progress: called after every validation.
        compute: what makes training faster.

    Returns:
        The outcomes (branches in order of size, then the run) and the run's final state.
    """
    parts_of(config.parts)  # whether the processes can share a batch
    compute.check()
    store = store or InMemory()
    if initial is None:
        initial = store.round(None, 0, config.n_initial, image_maker(config, generator, 0))
    classes = classes_of(generator)
    pool = store.pool(initial)
    if initial.images.numel():
        check_images("initial", initial.images, initial.labels, classes)
    first_real = check_real("validation", validation, classes)
    check_crop(config, pool.image_shape)
    signal = signal or signal_of(config, generator, validation)
    keep = keep or filter_of(config, generator)
    fresh = start(config, pool, classes, net, compute)
    for images in (pool.rows(torch.arange(min(2, len(pool))))[0], first_real):
        check_learner(whole(config, fresh.learner), images, classes)
    blank = copy.deepcopy(fresh) if config.branch_sizes else fresh
    with torch.random.fork_rng():
        state = train(config, store.resume(fresh), signal, generator, store, keep, progress)
        branches = [store.resume(copy.deepcopy(blank), size) for size in store.branches()]
        for branch in branches:
            train(config, branch, signal, None, store, None, progress)
    held_out = test() if test else None
    if held_out is not None:
        check_real("test", held_out, classes)
    outcomes = []
    for each in [*branches, state]:
        learner = whole(config, each.ema.module)
        left_at = None if each.branch is None else _left_at(state, each.branch)
        result = None if held_out is None else accuracy(learner, held_out)
        outcomes.append(Outcome(len(each.pool), left_at, accuracy(learner, validation), result, learner))
    return outcomes, state


def _left_at(state: State, size: int) -> int:
    """The iteration at which the run outgrew a pool size."""
    return next(each["iteration"] for each in state.additions if each["pool_size"] > size)


def signal_of(config: PracticeConfig, generator: ImageGenerator, validation: RealImages) -> Signal:
    """What config.signal names."""
    if config.signal == "real":
        return RealAccuracy(validation)
    if config.signal == "loss":
        return TrainingLoss()
    labels = torch.arange(config.n_held_out) % classes_of(generator)
    seeds = [seed_for(config.seed, HELD_OUT, i) for i in range(config.n_held_out)]
    held_out = generator.generate(labels, seeds)
    return SyntheticAccuracy(held_out) if config.signal == "synthetic" else Agreement(held_out.images)


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
            "practise a filter of your own (keep=...), or take the filter disagreement"
        )
    kind = {"diffusion_classifier": DiffusionClassifier, "round_trip": RoundTrip}[config.filter]
    return kind(LatentDiffusion.of(pipe))
