"""Choose the device and the number format of the arithmetic, and what makes a learner's training faster."""

import platform

import torch


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
        if platform.machine() in ("x86_64", "AMD64"):  # where oneDNN "supports" it by AVX-512 alone, emulated
            native = native and torch.cpu._is_avx512_bf16_supported()
    else:
        native = False
    return torch.bfloat16 if native else torch.float32


def autocast(device: torch.device, weights: torch.dtype = torch.float32) -> torch.autocast:
    """Mixed precision in `number_format(device)`; no effect where that is float32, or the weights are not."""
    mixed = number_format(device) != torch.float32 and weights == torch.float32
    return torch.autocast(device.type, torch.bfloat16, enabled=mixed)
