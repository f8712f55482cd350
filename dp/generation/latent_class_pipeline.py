"""Latent diffusion conditioned on a class, as a pipeline of diffusers."""

import inspect
from typing import Optional

import numpy as np
import torch
from diffusers import AutoencoderKL, DiffusionPipeline, ImagePipelineOutput, SchedulerMixin, UNet2DModel
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor

from dp.utils.pixels import unit


class LatentClassPipeline(DiffusionPipeline):
    """Latent diffusion conditioned on a class, with classifier-free guidance.

    The U-Net's last class embedding is the null class. `from_pretrained` and `save_pretrained` read and write
    diffusers' folder layout with safetensors.
    """

    model_cpu_offload_seq = "unet->vae"

    def __init__(
        self,
        vae: AutoencoderKL,
        unet: UNet2DModel,
        scheduler: SchedulerMixin,
        id2label: Optional[dict[str, str]] = None,  # noqa: UP045 (diffusers 0.35 reads no other notation)
    ):
        """Put the parts together; `id2label` names the classes, text of a label -> name, as in DiTPipeline."""
        super().__init__()
        self.register_to_config(id2label=id2label)
        self.register_modules(vae=vae, unet=unet, scheduler=scheduler)

    @property
    def null_class(self) -> int:
        """Label of the null class; the classes are 0 .. null_class - 1."""
        return self.unet.config.num_class_embeds - 1

    def predict_noise(self, x_t: Tensor, t: Tensor | int, labels: Tensor, guidance_scale: float) -> Tensor:
        """Noise prediction with classifier-free guidance; guidance_scale = 1 + lambda_cfg of the paper.

        x_t: [B, 4, h, w]; labels: int64 [B]; returns float32 [B, 4, h, w].
        """
        if hasattr(self.scheduler, "scale_model_input"):  # flow matching has none
            x_t = self.scheduler.scale_model_input(x_t, t)
        x_t = x_t.to(self.unet.dtype)
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
        x_t = latents.to(device) * getattr(self.scheduler, "init_noise_sigma", 1.0)
        accepted = inspect.signature(self.scheduler.step).parameters  # not every scheduler takes eta
        extra = {name: value for name, value in (("eta", eta), ("generator", generator)) if name in accepted}
        for t in self.progress_bar(self.scheduler.timesteps):
            eps = self.predict_noise(x_t, t, labels, guidance_scale)
            x_t = self.scheduler.step(eps, t, x_t, **extra).prev_sample
        if output_type == "latent":
            images = x_t
        else:
            images = unit(self.decode(x_t))
            if output_type != "pt":
                images = np.asarray(images.permute(0, 2, 3, 1).cpu())
            if output_type == "pil":
                images = self.numpy_to_pil(images)
        return ImagePipelineOutput(images) if return_dict else (images,)
