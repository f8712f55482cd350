"""Where and how the arithmetic runs: device, number format, and what makes a learner's training faster."""

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor, nn

from dp.errors import UserError


def best_device() -> torch.device:
    """CUDA, Apple's MPS, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def number_format(device: torch.device) -> torch.dtype:
    """bfloat16 where the hardware computes in it, else float32 (emulated bfloat16 is many times slower)."""
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    elif device.type == "cpu":
        native = torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()
        processor = torch.cpu.get_capabilities()
        if processor["architecture"] == "x86_64":  # where oneDNN "supports" it by AVX-512 alone, emulated
            native = native and processor["avx512_bf16"]
    else:
        native = False
    return torch.bfloat16 if native else torch.float32


def autocast(device: torch.device, weights: torch.dtype = torch.float32) -> torch.autocast:
    """Mixed precision in `number_format(device)`; no effect where that is float32, or the weights are not."""
    mixed = number_format(device) != torch.float32 and weights == torch.float32
    return torch.autocast(device.type, torch.bfloat16, enabled=mixed)


@dataclass(frozen=True)
class Compute:
    """How the learner is trained faster. Changes results by rounding only: a run may go on with another choice."""

    compile: bool = False  # torch.compile; needs a C++ compiler
    channels_last: bool = False  # images in the memory layout that convolutions on GPUs are fastest with

    def check(self) -> None:
        """UserError if torch.compile does not work here; found out by compiling something."""
        problem = _compile_problem() if self.compile else None
        if problem:
            raise UserError(f"compile: {problem}; install a C++ compiler such as g++, or run without --compile")

    def prepare(self, learner: nn.Module) -> None:
        """Compile a learner's calls in place: its weights keep their names, and copies of it are not compiled."""
        if self.compile:
            # Dropout and the like draw the numbers that they draw otherwise.
            learner.compile(options={"fallback_random": True})

    def lay_out(self, images: Tensor) -> Tensor:
        """Images [B, C, H, W] in the memory layout they are trained on. Weights stay as they are, for the optimiser."""
        if not self.channels_last:
            return images
        # A copy, since `contiguous` leaves the layout of grey images alone, and convolutions then do not see it.
        return torch.empty_like(images, memory_format=torch.channels_last).copy_(images)


@cache
def _compile_problem() -> str | None:
    try:
        torch.compile(lambda x: x + 1)(torch.zeros(2, device=best_device()))
    except Exception as error:  # of many kinds, by what is missing
        return (str(error).strip() or type(error).__name__).splitlines()[0]
    return None
