"""Guidance beside what else a pipeline can be set to: IP-Adapter, offloading, slicing and tiling, modular pipelines."""

import sys
from pathlib import Path

import diffusers
import pytest
import torch
from diffusers.modular_pipelines import FluxAutoBlocks, StableDiffusionXLAutoBlocks
from packaging.version import Version
from torch import nn

import dp

sys.path.append(str(Path(__file__).parents[3]))  # benchmarks/ is not installed

from benchmarks.tiny_pipelines import built, sampled

N, STEPS, CPU = 2, 4, torch.device("cpu")


@pytest.fixture(scope="module")
def classifier():
    """Logits of five classes, sure of some images."""
    torch.manual_seed(3)
    net = nn.Sequential(dp.Preprocess(8), nn.Flatten(), nn.Linear(192, 16), nn.Tanh(), nn.Linear(16, 5))
    with torch.no_grad():
        net[-1].weight *= 4
    return net


def guided(pipe, classifier, sample):
    """Plain images, and those of both gradients; omega 0 changes nothing, and entropy rises for every image."""
    made = {"plain": sample()}
    with dp.guide(pipe, classifier, omega=0.0):
        assert torch.equal(sample(), made["plain"])
    hardness = dp.Entropy(classifier)
    for gradient in ("x0", "unet"):
        with dp.guide(pipe, classifier, omega=0.5, interval=(0.0, 0.6), gradient=gradient) as handle:
            made[gradient] = sample()
        assert handle.guided_steps >= 1 and handle.zero_steps.sum() == 0
        assert (hardness(made[gradient] * 2 - 1) > hardness(made["plain"] * 2 - 1)).all()
    assert torch.equal(sample(), made["plain"])
    return made


def disk(pipe, folder):
    pipe.enable_group_offload(CPU, offload_type="leaf_level", offload_to_disk_path=str(folder))


def sliced(pipe, _folder):
    pipe.enable_attention_slicing(1)
    pipe.vae.enable_slicing()
    pipe.unet.to(memory_format=torch.channels_last)


SAME_IMAGES = {
    "model offload": ("Stable Diffusion 1", lambda pipe, _: pipe.enable_model_cpu_offload(device="cpu")),
    "group offload": ("FLUX", lambda pipe, _: pipe.enable_group_offload(CPU, num_blocks_per_group=1)),
    "group offload to disk": ("Stable Diffusion 1", disk),
    "slicing and channels-last": ("Stable Diffusion 1", sliced),
}


@pytest.mark.parametrize("way", SAME_IMAGES)
def test_what_saves_memory_changes_no_guided_image(classifier, tmp_path, way):
    name, change = SAME_IMAGES[way]
    pipe, arguments = built(name, N)
    if way.startswith("group") and not hasattr(pipe, "enable_group_offload"):
        pytest.skip("a newer way than this diffusers")
    before = guided(pipe, classifier, lambda: sampled(pipe, arguments, N, STEPS))
    change(pipe, tmp_path)
    after = guided(pipe, classifier, lambda: sampled(pipe, arguments, N, STEPS))
    assert all(torch.allclose(after[each], before[each], atol=1e-5) for each in before)


def test_a_tiled_autoencoder_is_seen_through(classifier):
    pipe, arguments = built("Stable Diffusion 1", N)
    before = sampled(pipe, arguments, N, STEPS)
    pipe.vae.enable_tiling()
    pipe.vae.tile_latent_min_size, pipe.vae.tile_sample_min_size = 4, 8
    after = guided(pipe, classifier, lambda: sampled(pipe, arguments, N, STEPS))
    assert not torch.equal(after["plain"], before)


def test_an_ip_adapter_stays_in_the_graph(classifier):
    pipe, arguments = built("Stable Diffusion 1", N)
    before = sampled(pipe, arguments, N, STEPS)
    pipe.unet._load_ip_adapter_weights([ip_adapter(pipe.unet)])
    picture = torch.randn(1, 1, 32, generator=torch.Generator().manual_seed(9)).expand(N, -1, -1)
    arguments["ip_adapter_image_embeds"] = [torch.cat([torch.zeros_like(picture), picture])]
    after = guided(pipe, classifier, lambda: sampled(pipe, arguments, N, STEPS))
    assert not torch.equal(after["plain"], before)


def ip_adapter(unet):
    """Random weights of an adapter to pictures' embeddings of 32 numbers."""
    rng, cross, own = torch.Generator().manual_seed(0), unet.config.cross_attention_dim, {}
    attentions = [name for name, part in unet.named_modules() if name.endswith("attn2") and hasattr(part, "to_k")]
    for i, name in enumerate(attentions):
        width = unet.get_submodule(name).to_k.out_features
        for each in ("k", "v"):
            own[f"{2 * i + 1}.to_{each}_ip.weight"] = 0.3 * torch.randn(width, cross, generator=rng)
    projection = {
        "proj.weight": 0.2 * torch.randn(4 * cross, 32, generator=rng),
        "proj.bias": torch.zeros(4 * cross),
        "norm.weight": torch.ones(cross),
        "norm.bias": torch.zeros(cross),
    }
    return {"image_proj": projection, "ip_adapter": own}


@pytest.mark.parametrize(
    ("name", "blocks"), [("Stable Diffusion XL", StableDiffusionXLAutoBlocks), ("FLUX", FluxAutoBlocks)]
)
def test_a_modular_pipeline_is_guided(classifier, name, blocks):
    if Version(diffusers.__version__) < Version("0.36"):
        pytest.skip("the modular pipelines of diffusers 0.35 were not finished")
    parts, arguments = built(name, 1)
    blocks = blocks()
    blocks.sub_blocks.pop("text_encoder")  # the embeddings are given
    pipe = blocks.init_pipeline()
    wanted = {each.name for each in pipe.blocks.expected_components}
    pipe.update_components(**{k: v for k, v in parts.components.items() if k in wanted and v is not None})

    def sample():
        seeds = [torch.Generator().manual_seed(seed) for seed in range(N)]
        more = {"num_inference_steps": STEPS, "output_type": "pt", "output": "images"}
        return torch.cat([pipe(**arguments, **more, generator=rng) for rng in seeds])

    made = guided(pipe, classifier, sample)
    assert made["x0"].shape[2:] == made["plain"].shape[2:] == (arguments["height"], arguments["width"])
