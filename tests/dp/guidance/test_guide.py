"""`guide` in one line: diffusers' pipelines with their own samplers, tiny; a handle, and nothing left behind."""

import copy
import json
import pickle
import sys
import warnings
from pathlib import Path

import diffusers
import pytest
import timm
import torch
from torch import nn
from transformers import (
    DeiTImageProcessor,
    EfficientNetImageProcessor,
    ViTConfig,
    ViTForImageClassification,
    ViTImageProcessor,
)

import dp
from dp.guidance.decoders import decoder_of
from dp.guidance.objectives import Robust
from dp.guidance.path import point_of
from dp.guidance.preprocessing import with_own_preprocessing

sys.path.append(str(Path(__file__).parents[3]))  # benchmarks/ is not installed

from benchmarks.guidance_cost import peak_memory
from benchmarks.tiny_pipelines import built, sampled

N, STEPS = 4, 6
SHAPES = [
    "Stable Diffusion 1",
    "Stable Diffusion XL",
    "Stable Diffusion 3",
    "FLUX",
    "Qwen-Image",
    "DeepFloyd IF",
    "DiT",
]


class Classifier(nn.Module):
    """Images of any size -> logits of five classes; sure of some images."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(3)
        self.net = nn.Sequential(dp.Preprocess(8), nn.Flatten(), nn.Linear(192, 16), nn.Tanh(), nn.Linear(16, 5))
        with torch.no_grad():
            self.net[-1].weight *= 4

    def forward(self, images):
        return self.net(images)


@pytest.fixture(scope="module")
def classifier():
    return Classifier()


@pytest.fixture(scope="module")
def made():
    """Each tiny pipeline with its arguments and plain images, built once."""
    kept = {}

    def of(name):
        if name not in kept:
            pipe, arguments = built(name, N)
            kept[name] = pipe, arguments, sampled(pipe, arguments, N, STEPS)
        return kept[name]

    return of


@pytest.mark.parametrize("name", SHAPES)
def test_any_pipeline_is_guided_with_its_own_sampler(made, classifier, name):
    pipe, arguments, plain = made(name)
    own = pipe.scheduler
    with dp.guide(pipe, classifier, omega=0.0):
        assert torch.equal(sampled(pipe, arguments, N, STEPS), plain)
    for gradient in ("x0", "unet"):
        with dp.guide(pipe, classifier, omega=0.5, interval=(0.0, 0.6), gradient=gradient) as guided:
            assert type(pipe.scheduler).__name__ == type(own).__name__ and isinstance(pipe.scheduler, type(own))
            images = sampled(pipe, arguments, N, STEPS)
        assert guided.guided_steps >= 1 and guided.zero_steps.tolist() == [0] * N and len(guided.entropy_before) == N
        assert images.isfinite().all() and all((a != b).any() for a, b in zip(images, plain, strict=True))
    assert pipe.scheduler is own and not torch.is_grad_enabled() == torch.is_inference_mode_enabled()
    assert torch.equal(sampled(pipe, arguments, N, STEPS), plain)


def test_the_gradient_through_a_pipelines_network_is_that_of_finite_differences(made, classifier):
    """Classifier-free guidance in one doubled batch and an input that the sampler scales (XL, Euler)."""
    pipe, arguments, _ = made("Stable Diffusion XL")
    found = {}
    pipe_double = pipe  # float32 throughout: differences of 1e-2 are far above its rounding
    with dp.guide(pipe_double, classifier, omega=0.1, gradient="unet") as guided:
        ascent = guided.guidance.ascent

        def watched(x, output, point, inputs, scale):
            result = ascent(x, output, point, inputs, scale)
            found.setdefault("x", x.detach().clone())
            found.setdefault("gradient", result[1])
            found.setdefault("t", pipe.scheduler.timesteps[pipe.scheduler.step_index])
            return result

        guided.guidance.ascent = watched
        sampled(pipe, arguments, N, STEPS)
        decode = guided.guidance.decode
    scheduler = copy.deepcopy(pipe.scheduler)
    scheduler.set_timesteps(STEPS)
    scheduler._init_step_index(found["t"])
    place, x = point_of(scheduler, found["t"]), found["x"]
    added = {"text_embeds": torch.cat([arguments["negative_pooled_prompt_embeds"], arguments["pooled_prompt_embeds"]])}
    added["time_ids"] = torch.tensor([[16.0, 16, 0, 0, 16, 16]]).repeat(2 * N, 1)
    text = torch.cat([arguments["negative_prompt_embeds"], arguments["prompt_embeds"]])

    @torch.no_grad()
    def hardness(x):
        scaled = x / (place.noise**2 + 1) ** 0.5
        output = pipe.unet(
            torch.cat([scaled, scaled]), found["t"], encoder_hidden_states=text, added_cond_kwargs=added
        ).sample
        plain, prompted = output.chunk(2)
        n = plain + 5.0 * (prompted - plain)
        return dp.entropy(classifier(decode(place.x0_of(x, n))))

    gradient = found["gradient"]
    for seed in range(2):
        direction = torch.randn(x.shape, generator=torch.Generator().manual_seed(seed)) + 3 * gradient.sign()
        direction /= direction.flatten(1).norm(dim=1).reshape(-1, 1, 1, 1)
        numeric = (hardness(x + 0.02 * direction) - hardness(x - 0.02 * direction)) / 0.04
        along = (gradient * direction).flatten(1).sum(1)
        assert torch.allclose(along, numeric, rtol=0.05, atol=0.02 * float(numeric.abs().max()))


def test_a_guided_pipeline_is_saved_as_the_users_own(made, classifier, tmp_path):
    pipe, _, _ = made("Stable Diffusion 1")
    pipe.save_pretrained(tmp_path / "stock")
    with dp.guide(pipe, classifier):
        pipe.save_pretrained(tmp_path / "guided")
    for name in ("model_index.json", "scheduler/scheduler_config.json"):
        assert (tmp_path / "guided" / name).read_text() == (tmp_path / "stock" / name).read_text()
    assert json.loads((tmp_path / "guided" / "model_index.json").read_text())["scheduler"] == [
        "diffusers",
        "PNDMScheduler",
    ]


@pytest.mark.parametrize("gradient", ["x0", "unet"])
def test_a_guided_pipeline_can_be_copied_and_pickled(made, classifier, gradient):
    pipe, arguments, plain = made("Stable Diffusion 1")
    with dp.guide(pipe, classifier, omega=0.5, gradient=gradient):
        expected = sampled(pipe, arguments, N, STEPS)
        for again in (copy.deepcopy(pipe), pickle.loads(pickle.dumps(pipe))):
            assert again.scheduler is not pipe.scheduler
            assert torch.equal(sampled(again, arguments, N, STEPS), expected)
            assert again.scheduler.guidance.guided_steps == pipe.scheduler.guidance.guided_steps
    assert torch.equal(sampled(pipe, arguments, N, STEPS), plain)


def test_the_copy_keeps_all_that_the_users_scheduler_was_set_to():
    """`from_config` forgets every value that equals the class's default, and a corrected steps_offset."""
    heun = diffusers.HeunDiscreteScheduler(beta_schedule="scaled_linear")
    assert dp.EntropyGuidedDDIMScheduler.from_config(heun.config).config.clip_sample is False
    lcm = diffusers.LCMScheduler()
    ours = dp.EntropyGuidedDDIMScheduler.from_config(lcm.config)
    assert (ours.config.beta_end, ours.config.beta_schedule) == (lcm.config.beta_end, "scaled_linear")
    pipe, _ = built("Stable Diffusion 1", 1)
    with dp.guide(pipe, Classifier()) as guided:
        assert dict(pipe.scheduler.config) == dict(guided.scheduler.config) and pipe.scheduler.config.steps_offset == 1


def test_a_second_guide_takes_the_firsts_place_and_the_way_back_is_the_users_own(made, classifier):
    pipe, arguments, plain = made("Stable Diffusion XL")
    own = pipe.scheduler
    first = dp.guide(pipe, classifier, gradient="unet")
    second = dp.guide(pipe, classifier, omega=0.5)
    first.remove()  # it is not there any more
    assert not torch.equal(sampled(pipe, arguments, N, STEPS), plain) and second.guided_steps > 0
    second.remove()
    assert pipe.scheduler is own and not pipe.unet._forward_pre_hooks
    assert "\n" not in repr(second) and repr(second).startswith("guide(StableDiffusionXLPipeline, EulerDiscreteSched")


@pytest.mark.parametrize("gradient", ["x0", "unet"])
def test_a_block_inside_another_gives_its_guidance_back(made, classifier, gradient):
    pipe, arguments, plain = made("Stable Diffusion XL")
    own = pipe.scheduler
    with dp.guide(pipe, classifier, omega=0.5, gradient=gradient) as outer:
        expected = sampled(pipe, arguments, N, STEPS)
        with dp.guide(pipe, classifier, omega=1.0):
            assert not torch.equal(sampled(pipe, arguments, N, STEPS), expected)
        assert torch.equal(sampled(pipe, arguments, N, STEPS), expected) and outer.guided_steps > 0
        with dp.guide(pipe, classifier, omega=1.0):
            outer.remove()
        assert pipe.scheduler is own
    assert pipe.scheduler is own and not pipe.unet._forward_pre_hooks
    assert torch.equal(sampled(pipe, arguments, N, STEPS), plain)


def test_guidance_that_does_nothing_warns(made, classifier):
    pipe, arguments, _ = made("Stable Diffusion 1")
    with dp.guide(pipe, classifier, interval=(0.9, 0.95)), pytest.warns(UserWarning, match="none of this run's steps"):
        sampled(pipe, arguments, N, STEPS)
    with (
        dp.guide(pipe, objective=lambda images: 0 * images.flatten(1).sum(1)),
        pytest.warns(UserWarning, match="no image had a usable gradient at any of"),
    ):
        sampled(pipe, arguments, N, STEPS)
    with dp.guide(pipe, classifier), warnings.catch_warnings():
        warnings.filterwarnings("error", message="guidance:")
        sampled(pipe, arguments, N, STEPS)


def test_an_error_midway_leaves_gradients_off_and_weights_as_they_were(made):
    pipe, arguments, plain = made("Stable Diffusion XL")

    def broken(images):
        raise RuntimeError("out of order")

    flags = [p.requires_grad for p in pipe.unet.parameters()]
    with dp.guide(pipe, broken, gradient="unet"), pytest.raises(dp.UserError, match="out of order"):
        sampled(pipe, arguments, N, STEPS)
    assert torch.is_grad_enabled() and [p.requires_grad for p in pipe.unet.parameters()] == flags
    assert torch.equal(sampled(pipe, arguments, N, STEPS), plain)


def test_gradient_checkpointing_changes_nothing(made, classifier):
    """Of the network, the VAE and the classifier, none of them frozen."""
    pipe, arguments, _ = made("Stable Diffusion 1")
    pipe = copy.deepcopy(pipe)

    class Checkpointed(Classifier):
        def forward(self, images):
            return torch.utils.checkpoint.checkpoint(self.net, images, use_reentrant=False)

    with dp.guide(pipe, classifier, gradient="unet"):
        expected = sampled(pipe, arguments, N, STEPS)
    pipe.unet.enable_gradient_checkpointing()
    pipe.vae.enable_gradient_checkpointing()
    with dp.guide(pipe, Checkpointed(), gradient="unet"):
        assert torch.allclose(sampled(pipe, arguments, N, STEPS), expected, atol=1e-4)


@pytest.mark.parametrize("gradient", ["x0", "unet"])
def test_memory_does_not_grow_with_the_guided_steps(made, classifier, gradient):
    pipe, arguments, _ = made("Stable Diffusion 1")
    with dp.guide(pipe, classifier, interval=(0.0, 1.0), gradient=gradient) as guided:
        few = peak_memory(lambda: sampled(pipe, arguments, N, 3))
        assert guided.guided_steps == 3  # of which PNDM corrects the first one in a call of its own
        many = peak_memory(lambda: sampled(pipe, arguments, N, 12))
        assert guided.guided_steps == 12
    plain = peak_memory(lambda: sampled(pipe, arguments, N, 3))
    assert few > 1.2 * plain and many < 1.05 * few


@pytest.mark.parametrize(("name", "part"), [("Stable Diffusion 1", "unet"), ("FLUX", "transformer")])
def test_a_network_that_takes_half_of_the_memory_left_is_checkpointed(made, classifier, monkeypatch, name, part):
    pipe, arguments, plain = made(name)
    network, room, calls = getattr(pipe, part), 10**9, []
    block = network.up_blocks[-1].resnets[0] if part == "unet" else network.transformer_blocks[0]
    block.register_forward_pre_hook(lambda *_: calls.append(torch.is_grad_enabled()))
    monkeypatch.setattr("dp.guidance.unet_gradient.memory_left", lambda device: room)
    guided = dp.guide(pipe, classifier, omega=0.5, interval=(0.0, 0.6), gradient="unet")
    expected, once = sampled(pipe, arguments, N, STEPS), sum(calls)
    assert once == guided.guided_steps and not network.is_gradient_checkpointing
    room = 0
    images = sampled(pipe, arguments, N, STEPS)
    assert sum(calls) > 2 * once and network.is_gradient_checkpointing  # the backward pass computes it again
    assert torch.allclose(images, expected, atol=1e-4)
    guided.remove()
    assert not network.is_gradient_checkpointing and torch.equal(sampled(pipe, arguments, N, STEPS), plain)


def test_a_callable_with_a_length_is_an_objective(made, classifier):
    """torch.compile's modules have one; `a or b` asks for it."""
    pipe, arguments, plain = made("Stable Diffusion 1")

    class Compiled(nn.Sequential):
        def __len__(self):
            raise TypeError("no length")

        def forward(self, images):
            return dp.entropy(classifier(images))

    with dp.guide(pipe, objective=Compiled()):
        assert not torch.equal(sampled(pipe, arguments, N, STEPS), plain)


def test_latents_of_playground_are_normalised_as_its_pipeline_does(made):
    pipe, _, _ = made("Stable Diffusion XL")
    latents = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    mean, std = (
        torch.tensor(v).reshape(1, 4, 1, 1) for v in (pipe.vae.config.latents_mean, pipe.vae.config.latents_std)
    )
    with torch.no_grad():
        expected = pipe.vae.decode(latents * std / pipe.vae.config.scaling_factor + mean).sample
        assert torch.allclose(decoder_of(pipe)(latents), expected, atol=1e-4)


def test_a_timm_model_gets_its_own_normalisation_and_a_transformers_one_is_asked_about():
    model = timm.create_model("resnet10t", num_classes=3).eval()
    images = torch.rand(2, 3, 32, 32) * 2 - 1
    with pytest.warns(UserWarning, match="ResNet is a timm model, so images get its own size and normalisation first"):
        wrapped = with_own_preprocessing(model)
    with torch.no_grad():
        assert torch.equal(wrapped(images), model(dp.Preprocess.of(model)(images)))
    assert with_own_preprocessing(nn.Sequential(model))[0] is model
    grey = timm.create_model("resnet10t", num_classes=3, in_chans=1)
    assert dp.Preprocess.of(grey).mean.shape == (1, 1, 1)
    vit = ViTForImageClassification(ViTConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1, image_size=32))
    with pytest.raises(dp.UserError, match=r"ViTForImageClassification of transformers wants images as its processor"):
        with_own_preprocessing(vit)
    own = dp.Preprocess.of(ViTImageProcessor(size={"height": 32, "width": 32}, image_mean=[0.5] * 3))
    assert own.size == 32 and own.mean.flatten().tolist() == [0.5] * 3


@pytest.mark.parametrize(
    "processor",
    [
        ViTImageProcessor(do_normalize=False, size={"height": 32, "width": 32}),
        ViTImageProcessor(do_resize=False, image_std=[0.2, 0.3, 0.4]),
        DeiTImageProcessor(size={"height": 32, "width": 32}, crop_size={"height": 21, "width": 21}),
        DeiTImageProcessor(do_resize=False, crop_size={"height": 41, "width": 41}),
    ],
)
def test_images_come_out_as_of_a_processor_of_transformers(processor):
    images = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    expected = processor(list(images), return_tensors="pt")["pixel_values"]
    assert torch.allclose(dp.Preprocess.of(processor)(images / 127.5 - 1), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("processor", "found"),
    [
        (ViTImageProcessor(do_rescale=False), "ViTImageProcessor has do_rescale False"),
        (ViTImageProcessor(rescale_factor=1 / 127.5), "rescale_factor 0.00784"),
        (ViTImageProcessor(size={"height": 32, "width": 64}), "size {'height': 32, 'width': 64}"),
        (DeiTImageProcessor(crop_size={"height": 32, "width": 64}), "crop_size {'height': 32, 'width': 64}"),
        (EfficientNetImageProcessor(), "include_top True"),
    ],
)
def test_what_a_processor_does_otherwise_is_refused(processor, found):
    with pytest.raises(dp.UserError, match=f"{found}.*, which is not done here; give size, mean and std"):
        dp.Preprocess.of(processor)


def test_channels_are_those_of_the_first_convolution_not_of_a_position():
    for channels in (1, 3):
        model = timm.create_model("pit_ti_224", in_chans=channels)
        assert dp.Preprocess.of(model).mean.shape == (channels, 1, 1)


def test_a_robust_objective_is_the_mean_over_shifts_and_noise(classifier):
    hardness = dp.Entropy(classifier)
    images = torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    assert torch.equal(Robust(hardness, draws=1, shift=0, noise=0.0)(images), hardness(images))
    robust = Robust(hardness, draws=8)
    assert torch.equal(robust(images), robust(images)) and torch.allclose(robust(images[1:]), robust(images)[1:])
    assert (robust(images) - hardness(images)).abs().max() > 1e-3
    flat = torch.full((1, 3, 16, 16), 0.3)  # nothing to shift
    assert torch.allclose(Robust(hardness, draws=3, noise=0.0)(flat), hardness(flat), atol=1e-6)
    with pytest.raises(dp.UserError, match="robust: got 0 draws"):
        Robust(hardness, draws=0)
