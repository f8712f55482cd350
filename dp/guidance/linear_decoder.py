"""Take a linear map in the place of a VAE, for guidance: one convolution, fitted by least squares."""

import torch.nn.functional as F
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from diffusers.models.autoencoders.vae import DecoderOutput
from torch import Tensor, nn


class LinearDecoder(ModelMixin, ConfigMixin):
    """Map latents to pixels by a 3 x 3 convolution whose outputs are blocks of `factor` x `factor` pixels.

    It stands where a VAE stands: `decode(latents).sample`, latents [B, c, h, w] in the pipeline's scaling ->
    images [B, C, factor h, factor w] in [-1, 1]. `save_pretrained` and `from_pretrained` as for any diffusers model.
    """

    @register_to_config
    def __init__(
        self, latent_channels: int = 4, out_channels: int = 3, factor: int = 8, scaling_factor: float = 1.0
    ) -> None:
        super().__init__()
        self.map = nn.Conv2d(latent_channels, out_channels * factor**2, 3, padding=1)

    def decode(self, latents: Tensor) -> DecoderOutput:
        """Return images [B, C, factor h, factor w] of latents [B, c, h, w]."""
        return DecoderOutput(sample=F.pixel_shuffle(self.map(latents), self.config.factor))
