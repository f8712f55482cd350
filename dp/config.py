"""The settings of a run."""

from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from dp.guidance.guidance import GuidanceConfig
from dp.utils.errors import UserError

# The way of the recorded experiments; a cheaper one, and what it gives up: docs/guidance.md.
AS_IN_THE_PAPER = GuidanceConfig(omega=0.2, interval=(0.0, 1.0), gradient="unet")


@dataclass(frozen=True)
class PracticeConfig:
    """One run. Sizes count images; iterations count mini-batches; validations come every validate_every iterations."""

    seed: int = 0
    n_initial: int = 1000  # N
    n_per_round: int = 100  # P
    rounds: int = 10  # additions; the final pool has N + rounds * P images; 0 = static
    branch_sizes: tuple[int, ...] = ()  # pool sizes at which a copy goes on without additions
    guidance: GuidanceConfig = AS_IN_THE_PAPER  # of the additions; omega 0 = plain images
    over_sampling: float = 1.0  # above 1: additions are the hardest 1 / over_sampling of plain images instead
    filter: Literal["none", "diffusion_classifier", "round_trip", "disagreement"] = "none"  # refuses harmful outliers
    max_attempts: int = 3  # candidates for an image that the filter refuses
    guidance_scale: float = 3.0  # classifier-free guidance, 1 + lambda_cfg
    inference_steps: int = 10  # DDIM steps
    decoder: Literal["vae", "tiny", "linear"] = "vae"  # what guidance decodes with
    signal: Literal["real", "synthetic", "loss", "agreement"] = "real"  # what must stop improving
    n_held_out: int = 1000  # generated images that are never trained on, for the signals synthetic and agreement
    validate_every: int = 50  # tau
    patience: int = 2  # T_max at the initial pool, in validations
    incremental: bool = False  # whether T_max grows with the pool
    backstop: bool = True  # make overdue additions on an even schedule, so that the final size is reached
    newest_weight: float = 1.0  # how many times as often an image of the newest round is drawn
    learner: str = "convnet"  # convnet, vit, a timm name, probe:<timm name> or hf:<folder>
    crop: int = 28  # the learner sees crops of this size: random ones in training, else the central one; 0 = all
    augment: Literal["shift", "resized_crop"] = "shift"  # random place, or also random area, shape and mirroring
    mixup: float = 0.0  # alpha; 0 = off
    cutmix: float = 0.0  # alpha; 0 = off
    iterations: int = 6000
    batch_size: int = 64  # of an iteration, shared by all processes
    micro_batch: int = 0  # images that the learner sees at once; batch_size / micro_batch is a power of 2; 0 = all
    lr: float = 2e-3
    weight_decay: float = 0.05
    label_smoothing: float = 0.1
    ema_decay: float = 0.99  # of the averaged weights that validate, guide and are the result
    warmup: float = 0.1  # fraction of the iterations; no additions
    cooldown: float = 0.2  # fraction of the iterations; no additions

    def __post_init__(self) -> None:
        positive = "n_initial validate_every patience iterations batch_size inference_steps max_attempts n_held_out"
        for name in positive.split():
            if getattr(self, name) < 1:
                raise UserError(f"{name}: got {getattr(self, name)}, expected 1 or more")
        sizes = "seed rounds n_per_round weight_decay crop guidance_scale mixup cutmix micro_batch"
        for name in sizes.split():
            if not 0 <= getattr(self, name) < float("inf"):
                raise UserError(f"{name}: got {getattr(self, name)}, expected a finite number of 0 or more")
        for name in ("lr", "newest_weight"):
            if not 0 < getattr(self, name) < float("inf"):
                raise UserError(f"{name}: got {getattr(self, name)}, expected a finite number above 0")
        for name in ("label_smoothing", "ema_decay"):
            if not 0 <= getattr(self, name) < 1:
                raise UserError(f"{name}: got {getattr(self, name)}, expected 0 or more and less than 1")
        if self.rounds and not self.n_per_round:
            raise UserError("n_per_round: got 0 with rounds > 0, expected 1 or more")
        if self.parts & (self.parts - 1) or self.micro_batch not in (0, self.batch_size // self.parts):
            raise UserError(
                f"micro_batch: got {self.micro_batch} for a batch_size of {self.batch_size}, expected the batch_size "
                "divided by 1, 2, 4, 8 ..."
            )
        if self.augment == "resized_crop" and not self.crop:
            raise UserError("crop: got 0 with augment resized_crop, expected the size that the learner takes")
        if not 1 <= self.over_sampling < float("inf"):
            raise UserError(f"over_sampling: got {self.over_sampling}, expected a number of 1 or more")
        if self.over_sampling > 1 and (self.guidance.omega > 0 or self.filter != "none"):
            raise UserError(
                f"over_sampling: got {self.over_sampling} with omega {self.guidance.omega} and filter {self.filter}; "
                "pruning chooses among plain images: set omega 0 and no filter"
            )
        if not (self.warmup >= 0 and self.cooldown >= 0 and self.warmup + self.cooldown < 1):
            raise UserError(
                f"warmup, cooldown: got {self.warmup}, {self.cooldown}; expected fractions that add up to < 1"
            )
        reached = {self.n_initial + k * self.n_per_round for k in range(self.rounds)}
        if not set(self.branch_sizes) <= reached:
            raise UserError(f"branch_sizes: got {self.branch_sizes}, expected sizes out of {sorted(reached)}")

    @property
    def parts(self) -> int:
        """Micro-batches of an iteration."""
        return max(1, self.batch_size // self.micro_batch) if self.micro_batch else 1


def plain(config: PracticeConfig) -> PracticeConfig:
    """The same run without guidance; what is left of its settings does nothing and is the default."""
    return replace(config, guidance=GuidanceConfig(omega=0.0))


def config_from(values: dict[str, Any]) -> PracticeConfig:
    """The settings that `dataclasses.asdict` gave, also after a way through JSON.

    Raises:
        UserError: a setting is unknown or missing, or out of range.
    """
    given = dict(values)
    guidance = dict(given.pop("guidance", {}))
    for kind, found in ((PracticeConfig, given), (GuidanceConfig, guidance)):
        expected = {each.name for each in fields(kind)} - {"guidance"}
        if set(found) != expected:
            raise UserError(
                f"settings: {', '.join(sorted(set(found) ^ expected))}: unknown or missing; these are settings of "
                "another version"
            )
    guidance["interval"] = tuple(guidance["interval"])
    given["branch_sizes"] = tuple(given["branch_sizes"])
    return PracticeConfig(**given, guidance=GuidanceConfig(**guidance))
