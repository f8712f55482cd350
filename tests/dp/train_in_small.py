"""The generator's training in small, as a function that a process of its own can run."""

from pathlib import Path

import torch

from dp.data.image_set import ImageSet
from dp.pretrained import train
from dp.utils.seeding import stream

CONFIG = train.GeneratorConfig(
    vae_channels=(8, 8, 8), vae_iterations=40, vae_batch=4, unet_channels=(16, 16), unet_iterations=60, unet_batch=4
)


def train_in_small(folder: Path) -> None:
    """Train the autoencoder, then the U-Net with its moving average, with a checkpoint at every iteration."""
    train.CHECKPOINT_SECONDS = 0.0
    torch.set_num_threads(1)
    images = torch.randint(256, (50, 1, 32, 32), generator=stream(1), dtype=torch.uint8)
    pipe = train.train_pipeline(CONFIG, ImageSet(images, torch.arange(50) % 10), folder)
    pipe.save_pretrained(folder / "pipeline")
