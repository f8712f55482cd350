import pytest
import torch

from dp.pipelines import LatentClassPipeline
from dp.train_generator import GeneratorConfig, new_scheduler, new_unet, new_vae


@pytest.fixture(scope="session")
def tiny_pipe() -> LatentClassPipeline:
    """A small pipeline with random weights: its images are noise, its plumbing is real."""
    torch.manual_seed(0)
    config = GeneratorConfig(vae_channels=(8, 8, 8), unet_channels=(16, 16))
    pipe = LatentClassPipeline(new_vae(config).eval(), new_unet(config).eval(), new_scheduler())
    pipe.set_progress_bar_config(disable=True)
    return pipe
