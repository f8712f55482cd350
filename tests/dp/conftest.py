"""Small diffusers pipelines with random weights, whose images are noise and whose plumbing is real; small ImageNets."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from diffusers import (
    AutoencoderKL,
    DDIMPipeline,
    DDIMScheduler,
    DiTPipeline,
    DiTTransformer2DModel,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
    UNet2DModel,
)
from PIL import Image
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from dp.data.imagenet import class_list, folders_of
from dp.generation.latent_class_pipeline import LatentClassPipeline
from tests.dp.image_files import save
from tests.dp.small import small_pipeline

SCHEDULE = {
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "clip_sample": False,
    "steps_offset": 1,
}


@pytest.fixture(autouse=True)
def disk(monkeypatch) -> None:
    """One on which a terabyte is free, whatever this machine has: room for a row of the paper, not for any number."""
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=10**12))


@pytest.fixture(params=[torch.float32, torch.bfloat16], ids=str)
def arithmetic(request, monkeypatch) -> torch.dtype:
    """Of mixed precision, whichever this machine's hardware computes in: the other is emulated."""
    monkeypatch.setattr("dp.utils.device.number_format", lambda device: request.param)
    return request.param


@pytest.fixture(scope="session")
def imagenet(tmp_path_factory) -> Path:
    """Two images of each of ImageNet-100's classes, no two alike, in train and in val."""
    root, rng = tmp_path_factory.mktemp("imagenet"), np.random.default_rng(0)
    for split in ("train", "val"):
        for wnid in class_list("imagenet100").wnids:
            folder = root / split / wnid
            folder.mkdir(parents=True)
            for k in range(2):
                pixels = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
                Image.fromarray(pixels).resize((64, 48)).save(folder / f"{k}.JPEG")
    return root


@pytest.fixture(scope="session")
def whole(tmp_path_factory) -> Path:
    """train and val of ImageNet-100, one small image a class, and folders that are not of it."""
    root = tmp_path_factory.mktemp("whole")
    one = save(root / "one.jpg", size=(8, 8)).read_bytes()
    for split in ("train", "val"):
        for wnid in [*class_list("imagenet100").wnids, "n01440764"]:  # a tench is not among the 100
            folder = root / split / wnid
            folder.mkdir(parents=True)
            (folder / f"{wnid}_1.JPEG").write_bytes(one)
    return root


@pytest.fixture
def tree(whole, tmp_path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "imagenet"))


@pytest.fixture(scope="session")
def ood(tmp_path_factory) -> dict[str, Path]:
    """An image of each of ImageNet-100's classes in V2 and R."""
    rng = np.random.default_rng(1)
    roots = {name: tmp_path_factory.mktemp(name) for name in ("v2", "r")}
    for name, root in roots.items():
        for folder in folders_of(name, "imagenet100").values():
            (root / folder).mkdir()
            pixels = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).resize((64, 48)).save(root / folder / "a.JPEG")
    return roots


@pytest.fixture(scope="session")
def tiny_pipe() -> LatentClassPipeline:
    return small_pipeline()


@pytest.fixture
def small_vae() -> AutoencoderKL:
    """From latents [B, 4, h, w] to images [B, 3, 2h, 2w]."""
    torch.manual_seed(0)
    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=(8, 8),
        latent_channels=4,
        norm_num_groups=4,
        sample_size=16,
    ).eval()


@pytest.fixture(scope="session")
def tokenizer(tmp_path_factory) -> CLIPTokenizer:
    letters = "abcdefghijklmnopqrstuvwxyz"
    tokens = ["<|startoftext|>", "<|endoftext|>", *letters, *(f"{letter}</w>" for letter in letters)]
    folder = tmp_path_factory.mktemp("tokenizer")
    (folder / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    return CLIPTokenizer.from_pretrained(folder, model_max_length=16)


def prompted_unet(**more) -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=8,
        in_channels=4,
        out_channels=4,
        block_out_channels=(8, 16),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=4,
        norm_num_groups=4,
        **more,
    ).eval()


def text_config(tokenizer) -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=16,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
        projection_dim=16,
    )


@pytest.fixture
def stable_diffusion(tokenizer, small_vae) -> StableDiffusionPipeline:
    torch.manual_seed(0)
    unet = prompted_unet(cross_attention_dim=16)
    pipe = StableDiffusionPipeline(
        vae=small_vae,
        text_encoder=CLIPTextModel(text_config(tokenizer)).eval(),
        tokenizer=tokenizer,
        unet=unet,
        scheduler=DDIMScheduler(**SCHEDULE),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.fixture
def sdxl(tokenizer, small_vae) -> StableDiffusionXLPipeline:
    torch.manual_seed(0)
    unet = prompted_unet(
        cross_attention_dim=32,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=6 * 8 + 16,
    )
    config = text_config(tokenizer)
    pipe = StableDiffusionXLPipeline(
        vae=small_vae,
        text_encoder=CLIPTextModel(config).eval(),
        text_encoder_2=CLIPTextModelWithProjection(config).eval(),
        tokenizer=tokenizer,
        tokenizer_2=tokenizer,
        unet=unet,
        scheduler=DDIMScheduler(**SCHEDULE),
        add_watermarker=False,
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.fixture
def dit(small_vae) -> DiTPipeline:
    torch.manual_seed(0)
    transformer = DiTTransformer2DModel(
        num_attention_heads=2,
        attention_head_dim=8,
        in_channels=4,
        out_channels=8,  # the second half is a learnt variance
        num_layers=1,
        sample_size=8,
        patch_size=2,
        norm_num_groups=4,
    )
    for p in transformer.parameters():  # its output layer starts at zero
        torch.nn.init.normal_(p, std=0.1)
    pipe = DiTPipeline(transformer.eval(), small_vae, DDIMScheduler(**SCHEDULE))
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.fixture
def ddim() -> DDIMPipeline:
    torch.manual_seed(0)
    unet = UNet2DModel(
        sample_size=16,
        in_channels=3,
        out_channels=3,
        layers_per_block=1,
        block_out_channels=(8, 16),
        down_block_types=("DownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "UpBlock2D"),
        norm_num_groups=4,
    )
    pipe = DDIMPipeline(unet.eval(), DDIMScheduler(**SCHEDULE))
    pipe.set_progress_bar_config(disable=True)
    return pipe
