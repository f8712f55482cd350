"""Settings that make the training of a learner faster."""

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from dp.utils.errors import UserError
from dp.utils.validation import Settings

if TYPE_CHECKING:  # the command line reads the settings, and is not to wait for torch
    from torch import Tensor, nn


@dataclass(frozen=True)
class Compute(Settings):
    """Make the training faster. Changes results by rounding only: a run may go on with another choice."""

    compile: bool = False  # torch.compile; needs a C++ compiler
    channels_last: bool = False  # images in the memory layout that convolutions on GPUs are fastest with

    # Gradients are added in an order that does not depend on the number of processes; None: on CPUs, not on GPUs.
    deterministic: bool | None = None

    @property
    def ordered(self) -> bool:
        """True if gradients are added in that order; else torch's DistributedDataParallel adds them."""
        from dp.utils.device import best_device

        return best_device().type != "cuda" if self.deterministic is None else self.deterministic

    def check(self) -> None:
        """UserError if torch.compile does not work here; found out by compiling something."""
        problem = _compile_problem() if self.compile else None
        if problem:
            raise UserError(f"compile: {problem}; install a C++ compiler such as g++, or run without --compile")

    def prepare(self, learner: "nn.Module") -> None:
        """Compile a learner's calls in place: its weights keep their names, and copies of it are not compiled."""
        if self.compile:
            # Dropout and the like draw the numbers that they draw otherwise.
            learner.compile(options={"fallback_random": True})

    def lay_out(self, images: "Tensor") -> "Tensor":
        """Images [B, C, H, W] in the memory layout they are trained on. Weights stay as they are, for the optimiser."""
        if not self.channels_last:
            return images
        import torch

        # A copy, since `contiguous` leaves the layout of grey images alone, and convolutions then do not see it.
        return torch.empty_like(images, memory_format=torch.channels_last).copy_(images)


@cache
def _compile_problem() -> str | None:
    import torch

    from dp.utils.device import best_device

    try:
        torch.compile(lambda x: x + 1)(torch.zeros(2, device=best_device()))
    except Exception as error:  # of many kinds, by what is missing
        return (str(error).strip() or type(error).__name__).splitlines()[0]
    return None
