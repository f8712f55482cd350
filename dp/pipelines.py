"""A small class-conditional latent-diffusion pipeline in diffusers' format."""

import contextlib
import inspect
import re
import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from diffusers import AutoencoderKL, AutoencoderTiny, DDIMScheduler, DiffusionPipeline, ImagePipelineOutput, UNet2DModel
from diffusers.utils import logging
from diffusers.utils.torch_utils import randn_tensor
from huggingface_hub.utils import logging as hub_logging
from safetensors import SafetensorError
from torch import Tensor
from transformers.utils import logging as transformers_logging

from dp.config import PracticeConfig
from dp.data import ASSETS
from dp.errors import UserError
from dp.generator import Generator
from dp.linear_decoder import LinearDecoder
from dp.precision import best_device

BUNDLED = ASSETS / "generator"
DECODERS = ASSETS / "decoders"  # made by dp.fit_decoder for it
# What loading raises, by the file that is damaged, absent or of another version of diffusers.
DAMAGED = (OSError, ValueError, TypeError, AttributeError, KeyError, RuntimeError, SafetensorError)


class LatentClassPipeline(DiffusionPipeline):
    """Latent diffusion conditioned on a class, with classifier-free guidance.

    The U-Net's last class embedding is the null class. `from_pretrained` and `save_pretrained` read and write
    diffusers' folder layout with safetensors.
    """

    model_cpu_offload_seq = "unet->vae"

    def __init__(self, vae: AutoencoderKL, unet: UNet2DModel, scheduler: DDIMScheduler):
        super().__init__()
        self.register_modules(vae=vae, unet=unet, scheduler=scheduler)

    @property
    def null_class(self) -> int:
        """Label of the null class; the classes are 0 .. null_class - 1."""
        return self.unet.config.num_class_embeds - 1

    def predict_noise(self, x_t: Tensor, t: Tensor | int, labels: Tensor, guidance_scale: float) -> Tensor:
        """Noise prediction with classifier-free guidance; guidance_scale = 1 + lambda_cfg of the paper.

        x_t: [B, 4, h, w]; labels: int64 [B]; returns float32 [B, 4, h, w].
        """
        x_t = self.scheduler.scale_model_input(x_t, t).to(self.unet.dtype)
        if guidance_scale == 1:
            return self.unet(x_t, t, class_labels=labels).sample.float()
        both = torch.cat([labels, torch.full_like(labels, self.null_class)])
        conditional, unconditional = self.unet(torch.cat([x_t, x_t]), t, class_labels=both).sample.float().chunk(2)
        return unconditional + guidance_scale * (conditional - unconditional)

    def decode(self, latents: Tensor) -> Tensor:
        """Latents [B, 4, h, w] -> images, float32 [B, C, H, W], nominally in [-1, 1] (not clamped)."""
        return self.vae.decode((latents / self.vae.config.scaling_factor).to(self.vae.dtype)).sample.float()

    @torch.no_grad()
    def __call__(
        self,
        class_labels: Tensor | list[int],
        num_inference_steps: int = 10,
        guidance_scale: float = 1.5,
        eta: float = 0.0,
        generator: torch.Generator | list[torch.Generator] | None = None,
        latents: Tensor | None = None,
        output_type: str = "pil",
        return_dict: bool = True,
    ) -> ImagePipelineOutput | tuple:
        """Sample one image a label.

        Args:
            class_labels: int [B], each in 0 .. null_class - 1.
            generator: one for the batch, or a list of B, so that an image depends on its own generator alone.
            latents: initial noise [B, 4, h, w] instead of a generator's.
            output_type: "pil", "np" (float [B, H, W, C] in [0, 1]), "pt" (float [B, C, H, W] in [0, 1]) or "latent".
        """
        device = self._execution_device
        labels = torch.as_tensor(class_labels, dtype=torch.int64, device=device).reshape(-1)
        if len(labels) == 0 or labels.min() < 0 or labels.max() >= self.null_class:
            raise ValueError(
                f"class_labels: expected one or more labels in 0 .. {self.null_class - 1}, got {class_labels}"
            )
        if latents is None:
            size = self.unet.config.sample_size
            shape = (len(labels), self.unet.config.in_channels, size, size)
            latents = randn_tensor(shape, generator=generator, device=device, dtype=self.unet.dtype)
        self.scheduler.set_timesteps(num_inference_steps, device=device)
        x_t = latents.to(device) * self.scheduler.init_noise_sigma
        accepted = inspect.signature(self.scheduler.step).parameters  # not every scheduler takes eta
        extra = {name: value for name, value in (("eta", eta), ("generator", generator)) if name in accepted}
        for t in self.progress_bar(self.scheduler.timesteps):
            eps = self.predict_noise(x_t, t, labels, guidance_scale)
            x_t = self.scheduler.step(eps, t, x_t, **extra).prev_sample
        if output_type == "latent":
            images = x_t
        else:
            images = (self.decode(x_t) / 2 + 0.5).clamp(0, 1)
            if output_type != "pt":
                images = np.asarray(images.permute(0, 2, 3, 1).cpu())
            if output_type == "pil":
                images = self.numpy_to_pil(images)
        return ImagePipelineOutput(images) if return_dict else (images,)


def bundled_decoder(name: Literal["linear", "tiny"]) -> Any:
    """A cheap decoder of the repository's generator, for guidance (see `dp.decoders`)."""
    kind = {"linear": LinearDecoder, "tiny": AutoencoderTiny}[name]
    path = DECODERS / name
    made = kind.from_pretrained(path, local_files_only=True, low_cpu_mem_usage=False, use_safetensors=True)
    return made.requires_grad_(False)


def bundled_pipeline(folder: Path = BUNDLED) -> LatentClassPipeline:
    """The Fashion-MNIST generator of the repository (see its model card), float32, without progress bars."""
    with quietly():
        pipe = LatentClassPipeline.from_pretrained(
            folder, dtype=torch.float32, local_files_only=True, low_cpu_mem_usage=False, use_safetensors=True
        )
    pipe.set_progress_bar_config(disable=True)
    for module in (pipe.vae, pipe.unet):
        module.requires_grad_(False)
    return pipe


def load_pipeline(where: str | Path, dtype: torch.dtype = torch.float32) -> Any:
    """A diffusers pipeline of this package's kind or of diffusers' own, without safety checker; on the CPU.

    Args:
        where: a folder that `save_pretrained` wrote, or an id of the Hugging Face Hub ("owner/name").
        dtype: of its weights.

    Raises:
        UserError: there is none, it cannot be fetched, a file of it is damaged or does not fit the others, or its
            weights are not safetensors.
    """
    folder = Path(where)
    index, local = folder / "model_index.json", folder.exists()
    if not index.is_file() and (local or not _is_hub_id(str(where))):
        raise UserError(f"pipeline: {folder} holds no diffusers pipeline (model_index.json); use save_pretrained")
    try:
        own = local and f'"{LatentClassPipeline.__name__}"' in index.read_text()
        kind = LatentClassPipeline if own else DiffusionPipeline
        options: dict[str, Any] = {} if own else {"safety_checker": None, "requires_safety_checker": False}
        with quietly():
            pipe = kind.from_pretrained(
                folder if local else str(where),
                dtype=dtype,
                local_files_only=local,
                use_safetensors=True,
                low_cpu_mem_usage=False,
                **options,
            )
    except DAMAGED as error:
        if not local and isinstance(error, OSError | ValueError):
            raise UserError(
                f"pipeline: {where} is no folder, and could not be fetched from the Hugging Face Hub "
                f"({fetch_problem(error)}); where there is a network: hf download {where} --local-dir FOLDER, then "
                "give that folder"
            ) from None
        raise UserError(
            f"pipeline: {where}: cannot be loaded ({in_a_line(error).rstrip('.:')}); expected what save_pretrained "
            "writes, whole and weights as safetensors; other formats are pickles, which are not opened since they can "
            "run any code"
        ) from None
    pipe.set_progress_bar_config(disable=True)
    return pipe


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Without warnings and the progress bars of loading: what goes wrong is told in one line afterwards."""
    levels = logging.get_verbosity(), hub_logging.get_verbosity()
    logging.set_verbosity_error()
    hub_logging.set_verbosity_error()
    logging.disable_progress_bar()
    transformers_logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.enable_progress_bar()
        transformers_logging.enable_progress_bar()
        logging.set_verbosity(levels[0])
        hub_logging.set_verbosity(levels[1])


def in_a_line(error: BaseException) -> str:
    """The first line of what an exception says, or its kind if it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def fetch_problem(error: BaseException) -> str:
    """Why something could not be fetched from the Hub: the exception from which all others came, in a line."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__  # type: ignore[assignment]  # one of them is there
    return in_a_line(error)


def _is_hub_id(where: str) -> bool:
    return re.fullmatch(r"[A-Za-z0-9][\w.-]*/[\w.-]+", where) is not None


@cache
def _loaded() -> LatentClassPipeline:
    return bundled_pipeline().to(best_device())


def bundled_generator(config: PracticeConfig) -> Generator:
    """The repository's generator with a run's settings, on the best device there is."""
    decoder = None if config.decoder == "vae" else bundled_decoder(config.decoder).to(best_device())
    generator = Generator(_loaded(), config.guidance_scale, config.inference_steps, decoder=decoder)
    if config.rounds:
        generator.check_guidance(config.guidance)
    return generator
