"""Settings of guidance; no library is needed to read them."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from dp.utils.errors import UserError
from dp.utils.validation import NonNegative, Settings, Share

Gradient = Literal["x0", "unet"]
ObjectiveName = Literal["entropy", "margin", "loss", "disagreement"]
Strengths = Literal["same", "uniform", "half"]


@dataclass(frozen=True)
class GuidanceConfig(Settings):
    """Say how strongly, when and how to guide.

    Attributes:
        omega: strength, >= 0; 0 guides nothing.
        interval: noise levels (low, high) in [0, 1]: guides where low <= t / T < high, in Stable Diffusion's t / T by
            the ratio of noise to signal, on any path (0.4 is sigma = 0.538 of a flow). (0.0, 0.4), the default of
            `GuidanceConfig`, is the late, less noisy part, where guidance hardly changes the class of an image; a run
            guides at all levels unless told otherwise, as in the paper.
        every: guides the first of the steps inside the interval and every k-th after it.
        relative: rescales each sample's gradient to the length of its noise prediction, so that omega is the fraction
            of that which changes; otherwise the raw gradient is taken (equation 7).
        gradient: "x0" holds the noise prediction fixed, so the network's Jacobian is skipped; "unet" differentiates
            through the network, U-Net or transformer (see `dp.guidance.unet_gradient`).
        objective: what to raise: "entropy", "margin", "loss" (to the label) or "disagreement" (of two learners).
        strengths: what of omega each image gets: "same" (all of it), "uniform" (its own share, between 0 and 2) or
            "half" (all or nothing, a coin for each image, so that additions mix guided and plain images). Drawn from
            the image's seed, so by `dp.generation.generator` alone: a scheduler knows no seeds.

    Example:
        >>> from dp import GuidanceConfig
        >>> GuidanceConfig(omega=0.2, interval=(0.0, 1.0), gradient="unet").every
        1
        >>> GuidanceConfig(omega=-1)
        Traceback (most recent call last):
        dp.utils.errors.UserError: ...
    """

    omega: NonNegative = 0.3
    interval: tuple[Share, Share] = (0.0, 0.4)
    every: Annotated[int, Field(ge=1, le=1000)] = 1
    relative: bool = True
    gradient: Gradient = "x0"
    objective: ObjectiveName = "entropy"
    strengths: Strengths = "same"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.interval[0] < self.interval[1]:
            raise UserError(f"interval: got {self.interval}, expected two noise levels low < high in [0, 1]")
