"""The settings of a run."""

from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

from pydantic import Field

from dp.guidance.config import GuidanceConfig
from dp.utils.errors import UserError
from dp.utils.validation import (
    Count,
    CountOrZero,
    NonNegative,
    Positive,
    Scale,
    Seed,
    Settings,
    ShareBelowOne,
    SideOrZero,
    Steps,
    Text,
    settings_from,
)

# The way of the recorded experiments; a cheaper one, and what it gives up: docs/guidance.md.
AS_IN_THE_PAPER = GuidanceConfig(omega=0.2, interval=(0.0, 1.0), gradient="unet")

# Settings that do nothing where no images are added.
OF_ADDITIONS = (
    *("n_per_round", "guidance", "over_sampling", "class_shares", "filter", "max_attempts", "decoder"),
    *("patience", "incremental", "backstop", "newest_weight"),
)

Rounds = Annotated[int, Field(ge=0, le=10_000)]
Ratio = Annotated[float, Field(ge=1, le=1000, allow_inf_nan=False)]
Iterations = Annotated[int, Field(ge=1, le=10**7)]
BatchSize = Annotated[int, Field(ge=1, le=10**6)]
BatchSizeOrZero = Annotated[int, Field(ge=0, le=10**6)]
Attempts = Annotated[int, Field(ge=1, le=1000)]
LearningRate = Annotated[float, Field(gt=0, le=100, allow_inf_nan=False)]


@dataclass(frozen=True)
class PracticeConfig(Settings):
    """One run. Sizes count images; iterations count mini-batches; validations come every validate_every iterations.

    With guidance_scale, inference_steps and decoder the command line and `bundled_generator` make their generators; one
    that is given to `run_practice` has its own, and these are not looked at.

    Raises:
        UserError: a setting is of another type or out of range, or two of them do not go together.

    Example:
        >>> from dp import PracticeConfig
        >>> config = PracticeConfig(n_initial=200, n_per_round=100, rounds=3, iterations=400)
        >>> config.final_size
        500
    """

    seed: Seed = 0  # another seed, another run

    # The pool of images
    n_initial: Count = 1000  # images at the start (N)
    n_per_round: CountOrZero = 100  # images of an addition (P)
    rounds: Rounds = 10  # additions; the final pool has N + rounds * P images; 0 = static
    branch_sizes: tuple[Count, ...] = ()  # pool sizes at which a copy goes on without additions

    # What is added
    guidance: GuidanceConfig = AS_IN_THE_PAPER  # of the additions; omega 0 = plain images
    over_sampling: Ratio = 1.0  # above 1: additions are the hardest 1 / over_sampling of plain images instead
    class_shares: Literal["equal", "errors"] = "equal"  # of additions: equal, or as the learner errs in validation
    filter: Literal["none", "diffusion_classifier", "round_trip", "disagreement"] = "none"  # refuses harmful outliers
    max_attempts: Attempts = 3  # candidates for an image that the filter refuses

    # How images are made
    guidance_scale: Scale = 3.0  # classifier-free guidance, 1 + lambda_cfg
    inference_steps: Steps = 10  # DDIM steps
    decoder: Text = (
        "vae"  # what guidance decodes with: vae, tiny, linear, or a folder or Hub id with an AutoencoderTiny
    )

    # When images are added
    signal: Literal["real", "synthetic", "loss", "agreement"] = "real"  # what must stop improving
    n_held_out: Count = 1000  # generated images that are never trained on, for the signals synthetic and agreement
    validate_every: Iterations = 50  # iterations between two validations (tau)
    patience: Count = 2  # T_max at the initial pool, in validations
    incremental: bool = False  # whether T_max grows with the pool
    backstop: bool = True  # make overdue additions on an even schedule, so that the final size is reached
    newest_weight: Positive = 1.0  # how many times as often an image of the newest round is drawn

    # The learner, and what it sees
    learner: Text = "convnet"  # convnet, vit, a timm name or hf:<folder>
    crop: SideOrZero = 28  # the learner sees crops of this size: random ones in training, else the central one; 0 = all
    augment: Literal["shift", "resized_crop"] = "shift"  # random place, or also random area, shape and mirroring
    mixup: Scale = 0.0  # alpha; 0 = off
    cutmix: Scale = 0.0  # alpha; 0 = off

    # The optimiser and its schedule
    iterations: Iterations = 6000  # mini-batches of the whole run
    batch_size: BatchSize = 64  # of an iteration, shared by all processes
    micro_batch: BatchSizeOrZero = 0  # images that the learner sees at once; batch_size / it is a power of 2; 0 = all
    lr: LearningRate = 2e-3  # of the stable phase, between warm-up and cool-down
    weight_decay: NonNegative = 0.05  # of AdamW
    label_smoothing: ShareBelowOne = 0.1  # of the labels' probability, spread over all classes
    ema_decay: ShareBelowOne = 0.99  # of the averaged weights that validate, guide and are the result
    warmup: ShareBelowOne = 0.1  # fraction of the iterations; no additions
    cooldown: ShareBelowOne = 0.2  # fraction of the iterations; no additions

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rounds and not self.n_per_round:
            raise UserError("n_per_round: got 0 with rounds > 0, expected 1 or more")
        if self.parts & (self.parts - 1) or self.micro_batch not in (0, self.batch_size // self.parts):
            raise UserError(
                f"micro_batch: got {self.micro_batch} for a batch_size of {self.batch_size}, expected the batch_size "
                "divided by 1, 2, 4, 8 ..."
            )
        if self.augment == "resized_crop" and not self.crop:
            raise UserError("crop: got 0 with augment resized_crop, expected the size that the learner takes")
        if self.over_sampling > 1 and (self.guidance.omega > 0 or self.filter != "none"):
            raise UserError(
                f"over_sampling: got {self.over_sampling} with omega {self.guidance.omega} and filter {self.filter}; "
                "pruning chooses among plain images: set omega 0 and no filter"
            )
        if self.class_shares == "errors" and (self.over_sampling > 1 or self.signal != "real"):
            raise UserError(
                f"class_shares: got errors with over_sampling {self.over_sampling} and signal {self.signal}; pruning "
                "keeps classes equal, and errors are counted on real images: set over_sampling 1 and signal real"
            )
        if self.warmup + self.cooldown >= 1:
            raise UserError(
                f"warmup, cooldown: got {self.warmup}, {self.cooldown}; expected fractions that add up to < 1"
            )
        reached = range(self.n_initial, self.final_size, max(1, self.n_per_round))
        unreached = [size for size in self.branch_sizes if size not in reached]
        if unreached:
            raise UserError(
                f"branch_sizes: got {unreached[0]}, expected sizes that the run reaches and grows from: "
                f"{self.n_initial} + k * {self.n_per_round} with k < {self.rounds}"
            )

    @property
    def final_size(self) -> int:
        """Images of the pool after all additions, N + rounds * P."""
        return self.n_initial + self.rounds * self.n_per_round

    @property
    def parts(self) -> int:
        """Micro-batches of an iteration."""
        return max(1, self.batch_size // self.micro_batch) if self.micro_batch else 1


def plain(config: PracticeConfig) -> PracticeConfig:
    """Return the same run without guidance; the rest of its guidance settings do nothing and are the defaults."""
    return replace(config, guidance=GuidanceConfig(omega=0.0))


def idle(config: PracticeConfig) -> dict[str, str]:
    """Return the settings that are not the defaults and do nothing beside the others: name -> why, in words."""
    needs: dict[str, tuple[str, ...]] = {
        "no filter": ("max_attempts",) if config.filter == "none" else (),
        f"signal {config.signal}": ("n_held_out",) if config.signal in ("real", "loss") else (),
        "omega 0": ("decoder",) if config.guidance.omega == 0 else (),
        "rounds 0": () if config.rounds else OF_ADDITIONS,
    }
    default, nothing = PracticeConfig(), {"n_per_round": 0, "guidance": GuidanceConfig(omega=0.0)}
    return {
        name: why
        for why, names in needs.items()
        for name in names
        if getattr(config, name) not in (getattr(default, name), nothing.get(name))
    }


def config_from(values: dict[str, Any]) -> PracticeConfig:
    """Return the settings that `dataclasses.asdict` gave, also after a way through JSON.

    Raises:
        UserError: a setting is unknown or missing, or out of range.
    """
    return settings_from(PracticeConfig, values)
