"""A small pipeline with random weights, for fixtures and for processes that make their own."""

import torch

from dp.generation.generator import Generator
from dp.generation.latent_class_pipeline import LatentClassPipeline
from dp.pretrained.train import GeneratorConfig, new_scheduler, new_unet, new_vae


def small_pipeline() -> LatentClassPipeline:
    """Grey images of 32 x 32 pixels in 10 classes; the same weights whenever it is asked for."""
    torch.manual_seed(0)
    config = GeneratorConfig(vae_channels=(8, 8, 8), unet_channels=(16, 16))
    pipe = LatentClassPipeline(new_vae(config).eval(), new_unet(config).eval(), new_scheduler())
    pipe.set_progress_bar_config(disable=True)
    return pipe


def small_generator() -> Generator:
    """Two steps an image, ten images at once."""
    return Generator(small_pipeline(), 1.5, 2, batch_size=10)
