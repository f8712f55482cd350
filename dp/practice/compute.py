"""Settings that make training and generation faster."""

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from dp.utils.errors import UserError, in_a_line
from dp.utils.validation import Settings

if TYPE_CHECKING:  # the command line reads the settings, and is not to wait for torch
    from torch import Tensor, nn


@dataclass(frozen=True)
class Compute(Settings):
    """Make a run compute faster. Changes results by rounding only: a run may go on with another choice."""

    compile: bool = False  # torch.compile; needs a C++ compiler
    compile_generator: bool = False  # the same of the generator's network and of its decoder
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
        name = "compile" if self.compile else "compile_generator"
        problem = _compile_problem() if self.compile or self.compile_generator else None
        if problem:
            option = f"--{name.replace('_', '-')}"
            raise UserError(f"{name}: {problem}; install a C++ compiler such as g++, or run without {option}")

    def prepare(self, learner: "nn.Module") -> None:
        """Compile a learner's calls in place: its weights keep their names, and copies of it are not compiled."""
        if self.compile:
            # Dropout and the like draw the numbers that they draw otherwise.
            learner.compile(options={"fallback_random": True})

    def prepare_generator(self, origin: Any) -> None:
        """Lay out and compile the parts of a generator that take its time, in place; nothing for real images."""
        if not (self.compile_generator or self.channels_last):
            return
        import torch

        from dp.generation.generator import Generator
        from dp.guidance.decoders import autoencoder_of
        from dp.guidance.unet_gradient import networks_of

        if not isinstance(origin, Generator):
            return
        vae = getattr(origin.decode, "module", None)
        parts = [part for part in (*networks_of(origin.pipe), vae, autoencoder_of(origin.pipe)) if part is not None]
        for part in dict.fromkeys(parts):
            if self.channels_last:
                part.to(memory_format=torch.channels_last)
            if self.compile_generator:
                (part.decoder if hasattr(part, "decoder") else part).compile()

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
        return in_a_line(error)
    return None
