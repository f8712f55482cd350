"""The training of a small latent-diffusion generator on real images, Fashion-MNIST's or a folder's.

Three parts, each resumable and skipped when done: the KL autoencoder, the class-conditional U-Net on its latents, and
a classifier on real images (the oracle that counts how many generated images are recognised as their class). What is
under dp/assets was made by `dp train-generator` and measured by `dp model-card`.
"""

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DModel
from timm.utils import ModelEmaV3
from torch import Tensor, nn
from tqdm import tqdm

from dp.data.fashion_mnist import CLASSES, IMAGE_SIZE
from dp.data.image_set import ImageSet
from dp.generation.latent_class_pipeline import LatentClassPipeline
from dp.learner.augment import Shift
from dp.pretrained.oracle import crop_of, new_oracle
from dp.utils.checkpoint import load_state, save_state
from dp.utils.device import autocast
from dp.utils.errors import UserError
from dp.utils.pixels import normalise
from dp.utils.seeding import AUTOENCODER, ORACLE, UNET, stream
from dp.utils.validation import Count, NonNegative, Positive, Seed, Settings, Share, ShareBelowOne

CHECKPOINT_SECONDS = 60.0


@dataclass(frozen=True)
class GeneratorConfig(Settings):
    """The settings of the three trainings.

    Raises:
        UserError: a setting is of another type or out of range.
    """

    seed: Seed = 0

    # The autoencoder
    vae_channels: tuple[Count, ...] = (16, 32, 32)  # at 32, 16 and 8 pixels; multiples of 8
    vae_iterations: Count = 5000
    vae_batch: Count = 64
    vae_lr: Positive = 2e-3
    kl_weight: NonNegative = 1e-7  # small: the latents only need to be smooth and of bounded size

    # The U-Net on its latents
    unet_channels: tuple[Count, ...] = (48, 96)  # at 8, 4, 2 pixels; multiples of 16
    unet_iterations: Count = 4500
    unet_batch: Count = 128
    unet_lr: Positive = 1.5e-3
    null_fraction: Share = 0.1  # labels replaced by the null class, for classifier-free guidance
    ema_decay: ShareBelowOne = 0.999

    # The oracle
    oracle_iterations: Count = 4000
    oracle_batch: Count = 128
    oracle_lr: Positive = 2e-3
    mirror: bool = True  # it sees mirrored images too; not for letters and digits

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, levels, multiple in (("vae_channels", (3,), 8), ("unet_channels", (1, 2, 3), 16)):
            channels = getattr(self, name)
            if len(channels) not in levels or any(each % multiple or each > 4096 for each in channels):
                counts = " or ".join(map(str, levels))
                raise UserError(f"{name}: got {channels}, expected {counts} multiples of {multiple}, up to 4096")


def new_vae(config: GeneratorConfig, channels: int = 1, side: int = IMAGE_SIZE) -> AutoencoderKL:
    """Make an untrained KL autoencoder of images [channels, side, side], with latents [4, side / 4, side / 4]."""
    levels = len(config.vae_channels)
    vae = AutoencoderKL(
        in_channels=channels,
        out_channels=channels,
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        block_out_channels=config.vae_channels,
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=8,
        sample_size=side,
        mid_block_add_attention=False,
    )
    # Begin with little noise on the latents: its gradient is too noisy to take it away in a short training.
    nn.init.constant_(vae.quant_conv.bias[vae.config.latent_channels :], -6.0)
    return vae


def new_unet(config: GeneratorConfig, classes: int = len(CLASSES), size: int = IMAGE_SIZE // 4) -> UNet2DModel:
    """Make an untrained noise predictor on latents [4, size, size]; the last class embedding is the null class."""
    levels = len(config.unet_channels)
    return UNet2DModel(
        sample_size=size,
        in_channels=4,
        out_channels=4,
        down_block_types=("DownBlock2D",) * levels,
        up_block_types=("UpBlock2D",) * levels,
        block_out_channels=config.unet_channels,
        layers_per_block=1,
        norm_num_groups=16,
        num_class_embeds=classes + 1,
    )


def new_scheduler() -> DDIMScheduler:
    """Make Stable Diffusion's noise schedule, with steps spaced so that sampling starts at the noisiest one."""
    return DDIMScheduler(
        beta_schedule="scaled_linear",
        beta_start=0.00085,
        beta_end=0.012,
        clip_sample=False,
        timestep_spacing="trailing",
    )


def optimise(
    name: str,
    model: nn.Module,
    loss: Callable[[int], Tensor],
    iterations: int,
    lr: float,
    path: Path,
    ema: ModelEmaV3 | None = None,
) -> nn.Module:
    """Train by AdamW with 5% warm-up and cosine decay to zero, and go on from the checkpoint at `path` if there is one.

    `loss(i)` must depend on i and the model alone.
    """
    optimizer = torch.optim.AdamW(model.parameters(), lr, betas=(0.9, 0.98), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, iterations, pct_start=0.05, cycle_momentum=False)
    modules = {"model": model} | ({"ema": ema.module} if ema else {})
    start = load_state(path, modules, optimizer).get("iteration") if path.exists() else 0
    if type(start) is not int or not 0 <= start <= iterations:
        raise UserError(f"{path}: iteration: got {start}, expected 0 .. {iterations}; restore it from a copy")
    bar = tqdm(range(start, iterations), name, total=iterations, initial=start, mininterval=2)
    saved = time.monotonic()
    model.train()
    for i in bar:
        schedule.last_epoch = i - 1  # OneCycleLR is a function of the step alone; resume needs no more state
        with warnings.catch_warnings():  # of a rate that is asked for before the step that it is for
            warnings.filterwarnings("ignore", "Detected call of `lr_scheduler.step")
            schedule.step()
        value = loss(i)
        optimizer.zero_grad(set_to_none=True)
        value.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if ema:
            ema.update(model, step=i)
        if i % 50 == 0:
            bar.set_postfix(loss=f"{value.item():.4f}")
        if time.monotonic() - saved > CHECKPOINT_SECONDS or i == iterations - 1:
            save_state(path, modules, optimizer, iteration=i + 1)
            saved = time.monotonic()
    return (ema.module if ema else model).eval()


def train_vae(config: GeneratorConfig, images: Tensor, path: Path) -> AutoencoderKL:
    """Train the autoencoder on images float32 [N, C, S, S] in [-1, 1]."""
    torch.manual_seed(config.seed)
    vae = new_vae(config, images.shape[1], images.shape[-1])

    def loss(i: int) -> Tensor:
        rng = stream(config.seed, AUTOENCODER, i)
        x = images[torch.randint(len(images), (config.vae_batch,), generator=rng)]
        with autocast(x.device):
            posterior = vae.encode(x).latent_dist
            noise = torch.randn(posterior.mean.shape, generator=rng)
            decoded = vae.decode(posterior.mean.float() + posterior.std.float() * noise).sample
        return F.mse_loss(decoded.float(), x) + config.kl_weight * posterior.kl().mean()

    optimise("autoencoder", vae, loss, config.vae_iterations, config.vae_lr, path)
    return vae.requires_grad_(False)


@torch.no_grad()
def encode_all(vae: AutoencoderKL, images: Tensor) -> tuple[Tensor, Tensor]:
    """Return the means and standard deviations of all latents, each float32 [N, 4, S / 4, S / 4]."""
    means, stds = [], []
    for x in tqdm(images.split(500), "latents", mininterval=2):
        with autocast(x.device):
            posterior = vae.encode(x).latent_dist
        means.append(posterior.mean.float())
        stds.append(posterior.std.float())
    return torch.cat(means), torch.cat(stds)


def train_unet(
    config: GeneratorConfig, means: Tensor, stds: Tensor, labels: Tensor, path: Path, classes: int = len(CLASSES)
) -> UNet2DModel:
    """Train the U-Net on scaled latents, means and stds float32 [N, 4, s, s], with labels int64 [N]."""
    torch.manual_seed(config.seed)
    unet = new_unet(config, classes, means.shape[-1])
    ema = ModelEmaV3(unet, decay=config.ema_decay, use_warmup=True)
    scheduler = new_scheduler()

    def loss(i: int) -> Tensor:
        rng = stream(config.seed, UNET, i)
        batch = torch.randint(len(means), (config.unet_batch,), generator=rng)
        x0 = means[batch] + stds[batch] * torch.randn(means[batch].shape, generator=rng)
        t = torch.randint(scheduler.config.num_train_timesteps, (len(x0),), generator=rng)
        eps = torch.randn(x0.shape, generator=rng)
        null = torch.rand(len(x0), generator=rng) < config.null_fraction
        y = torch.where(null, classes, labels[batch])
        with autocast(x0.device):
            predicted = unet(scheduler.add_noise(x0, eps, t), t, class_labels=y).sample
        return F.mse_loss(predicted.float(), eps)

    optimise("U-Net", unet, loss, config.unet_iterations, config.unet_lr, path, ema)
    return ema.module


def train_oracle(
    config: GeneratorConfig, images: Tensor, labels: Tensor, path: Path, classes: int = len(CLASSES)
) -> nn.Module:
    """Train a ConvNet on real images uint8 [N, C, S, S]; see dp.pretrained.oracle."""
    torch.manual_seed(config.seed)
    oracle = new_oracle(classes, images.shape[1])
    side = images.shape[-1]
    ema = ModelEmaV3(oracle, decay=0.995, use_warmup=True)

    def loss(i: int) -> Tensor:
        rng = stream(config.seed, ORACLE, i)
        batch = torch.randint(len(images), (config.oracle_batch,), generator=rng)
        crops = Shift.draw(len(batch), (side, side), crop_of(side), rng)
        x = normalise(crops(images[batch], slice(None)))
        if config.mirror:
            flip = torch.rand(len(x), generator=rng) < 0.5
            x = torch.where(flip[:, None, None, None], x.flip(-1), x)
        with autocast(x.device):
            logits = oracle(x)
        return F.cross_entropy(logits.float(), labels[batch], label_smoothing=0.05)

    optimise("classifier", oracle, loss, config.oracle_iterations, config.oracle_lr, path, ema)
    return ema.module


def train_pipeline(
    config: GeneratorConfig, real: ImageSet, checkpoints: Path, names: Sequence[str] = CLASSES
) -> LatentClassPipeline:
    """Return the generator of some images, in half precision; goes on from its checkpoints.

    Args:
        config: settings of the training.
        real: images uint8 [N, C, S, S], S a multiple of 8.
        checkpoints: folder of the checkpoints.
        names: of the classes, in order of the labels; the pipeline keeps them.
    """
    images = normalise(real.images)
    vae = train_vae(config, images, checkpoints / "vae.safetensors")
    means, stds = encode_all(vae, images)
    scale = 1 / means.std().item()
    vae.register_to_config(scaling_factor=scale)
    unet = train_unet(config, means * scale, stds * scale, real.labels, checkpoints / "unet.safetensors", len(names))
    own = None if names is CLASSES else {str(label): name for label, name in enumerate(names)}
    return LatentClassPipeline(vae.half(), unet.half(), new_scheduler(), own)
