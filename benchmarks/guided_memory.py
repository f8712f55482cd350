"""The memory of a guided batch of Stable Diffusion 1.5, counted on modules without weights, memory or a GPU.

Command   python benchmarks/guided_memory.py     (prints what is counted, as JSON)
Time      about two minutes on one core
Expected  with gradient checkpointing, 32 images and more of 512 pixels on 80 GB in bfloat16

Every tensor that is alive is counted, from the operation that makes it until it is dropped. A GPU takes more:
workspaces of its kernels, and memory in pieces. Attention is counted as its fused kernel computes it, as on GPUs.
"""

import json
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import timm
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, AutoencoderTiny, UNet2DConditionModel
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from dp.guidance.guidance import Gradient
from dp.paper.costs import SD15, SD15_VAE, TEXT_TOKENS, UNETS

WAYS: list[tuple[Gradient, str, bool, torch.dtype]] = [
    ("unet", "vae", True, torch.bfloat16),
    ("unet", "vae", False, torch.bfloat16),
    ("unet", "vae", False, torch.float32),
    ("x0", "vae", True, torch.bfloat16),
    ("x0", "vae", False, torch.bfloat16),
    ("x0", "tiny", False, torch.bfloat16),
    ("unet", "tiny", True, torch.bfloat16),
]


class PeakMemory(TorchDispatchMode):
    """Count the bytes of the tensors that are made inside and alive at once.

    Attributes:
        peak: the most so far.
    """

    def __init__(self) -> None:
        super().__init__()
        self.peak = self._now = 0
        self._alive: set[int] = set()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = function(*args, **(kwargs or {}))
        for each in tree_leaves(made):
            if isinstance(each, Tensor) and each.untyped_storage()._cdata not in self._alive:
                self._count(each.untyped_storage())
        return made

    def _count(self, storage: Any) -> None:
        key, size = storage._cdata, storage.nbytes()
        self._alive.add(key)
        self._now += size
        self.peak = max(self.peak, self._now)
        weakref.finalize(storage, self._drop, key, size)

    def _drop(self, key: int, size: int) -> None:
        self._alive.discard(key)
        self._now -= size


@cache
def guided_image_bytes(
    gradient: Gradient = "unet",
    decoder: str = "vae",
    checkpointing: bool = True,
    dtype: torch.dtype = torch.bfloat16,
    size: int = 512,
    generator: str = SD15,
) -> int:
    """Return what one image more in a guided batch takes at the fullest moment of a guided step.

    Args:
        gradient: of guidance.
        decoder: "vae" or "tiny".
        checkpointing: gradient checkpointing in the U-Net and the decoder.
        dtype: of their weights.
        size: pixels of a side.
        generator: a model of `costs.UNETS`, without the XL one.
    """
    one, two = (_peak(images, gradient, decoder, checkpointing, dtype, size, generator) for images in (1, 2))
    return two - one


def _peak(
    images: int, gradient: Gradient, decoder: str, checkpointing: bool, dtype: torch.dtype, size: int, generator: str
) -> int:
    before = torch.get_default_dtype()
    with torch.device("meta"), _fused_attention():
        try:
            torch.set_default_dtype(dtype)
            unet: Any = UNet2DConditionModel(**UNETS[generator])
            vae: Any = AutoencoderKL(**SD15_VAE) if decoder == "vae" else AutoencoderTiny()
        finally:
            torch.set_default_dtype(before)
        learner = timm.create_model("vit_base_patch16_224")
        for part in (unet, vae, learner):
            part.eval().requires_grad_(False)
        if checkpointing:
            unet.enable_gradient_checkpointing()
            vae.enable_gradient_checkpointing()
        x = torch.empty(images, 4, size // 8, size // 8, dtype=dtype, requires_grad=True)
        text = torch.empty(2 * images, TEXT_TOKENS, UNETS[generator]["cross_attention_dim"], dtype=dtype)
        with PeakMemory() as memory:
            with torch.set_grad_enabled(gradient == "unet"):
                both = unet(torch.cat([x, x]), torch.zeros(2 * images), encoder_hidden_states=text).sample
                plain, conditional = both.chunk(2)
            shown = vae.decode(x - (plain + conditional)).sample.float()
            logits = learner(F.interpolate(shown, (224, 224), mode="bicubic", antialias=True))
            torch.autograd.grad(logits.sum(), x)
    return memory.peak


@contextmanager
def _fused_attention() -> Iterator[None]:
    """Have attention computed by a fused kernel inside; modules without weights would take the one that is not."""
    own = F.scaled_dot_product_attention

    def fused(q: Tensor, k: Tensor, v: Tensor, *_: Any, dropout_p: float = 0.0, **__: Any) -> Tensor:
        return torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(q, k, v, dropout_p, False)[0]

    F.scaled_dot_product_attention = fused  # type: ignore[assignment]
    try:
        yield
    finally:
        F.scaled_dot_product_attention = own


def main() -> None:
    """Count, for each way of guiding, the gigabytes that one image more takes."""
    rows = []
    for gradient, decoder, checkpointing, dtype in WAYS:
        count = guided_image_bytes(gradient, decoder, checkpointing, dtype)
        name = str(dtype).removeprefix("torch.")
        row = {"gradient": gradient, "decoder": decoder, "checkpointing": checkpointing, "dtype": name}
        rows.append(row | {"gigabytes_an_image": round(count / 1e9, 2)})
    print(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
