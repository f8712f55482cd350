"""Settings that several studies of the cpu profile share.

One guidance scale and one set of settings for every method: lambda_cfg = 2, as in the paper's table 1; guidance, as in
the paper, with the gradient through the U-Net and the autoencoder.
"""

from dataclasses import dataclass, replace

from dp.config import PracticeConfig
from dp.guidance.guidance import GuidanceConfig

SEEDS = (0, 1, 2, 3, 4)  # of headline comparisons
FEWER = (0, 1, 2)
LEARNERS = ("convnet", "vit")


@dataclass(frozen=True)
class Preset:
    """A run that grows: N initial images, P an addition, k additions; and the pool sizes at which branches leave it."""

    n_initial: int
    n_per_round: int
    rounds: int
    branch_sizes: tuple[int, ...] = ()

    def apply(self, base: PracticeConfig) -> PracticeConfig:
        """Return `base` with this preset's sizes."""
        return replace(base, **vars(self))


STATIC = PracticeConfig(
    guidance_scale=3.0,
    guidance=GuidanceConfig(omega=0.2, interval=(0.0, 1.0), gradient="unet"),
    lr=2e-3,
    iterations=6000,
    validate_every=100,  # decides nothing where no images are added
    patience=2,
)
EQUAL = replace(STATIC, validate_every=50)  # often enough for patience to ask for most additions
STATIC_SIZES = (320, 1000, 2000, 4000, 8000, 16000, 32000)
SMALL, MIDDLE, LARGE = Preset(250, 50, 15), Preset(1000, 200, 15), Preset(2000, 400, 15)
# The questions are asked of the smallest run, where practice gains most for the time it takes.
QUESTION = SMALL.apply(EQUAL)
