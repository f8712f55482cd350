"""Guidance in diffusers' own pipelines, unchanged; random weights, so what is tested is the plumbing."""

import json
from types import SimpleNamespace

import accelerate
import diffusers
import pytest
import torch
from diffusers import (
    AutoencoderTiny,
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    LDMPipeline,
    StableDiffusionImg2ImgPipeline,
    UniPCMultistepScheduler,
)
from packaging.version import Version
from torch import nn

from dp.generation.generator import Generator
from dp.guidance.decoders import latent_decoder
from dp.guidance.guidance import Guidance, GuidanceConfig, entropy_guidance
from dp.guidance.guide import guide
from dp.guidance.linear_decoder import LinearDecoder
from dp.guidance.objectives import Entropy
from dp.guidance.path import point_of
from dp.guidance.preprocessing import Preprocess
from dp.guidance.schedulers import EntropyGuidedDDIMScheduler, EntropyGuidedDPMSolverScheduler
from dp.utils.errors import UserError
from tests.dp.small import small_pipeline

STOCK = {EntropyGuidedDDIMScheduler: DDIMScheduler, EntropyGuidedDPMSolverScheduler: DPMSolverMultistepScheduler}
PAIRS = [
    *((name, scheduler) for name in ("stable_diffusion", "sdxl", "img2img", "dit") for scheduler in STOCK),
    ("ddim", EntropyGuidedDDIMScheduler),  # diffusers' DDIMPipeline takes no other scheduler
]


@pytest.fixture
def classifier() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(Preprocess(8), nn.Flatten(), nn.Linear(192, 16), nn.Tanh(), nn.Linear(16, 5))


@pytest.fixture
def call(request):
    """A pipeline and how to sample three images from it: float [3, C, H, W]."""

    def make(name):
        if name == "img2img":
            pipe = StableDiffusionImg2ImgPipeline(
                **request.getfixturevalue("stable_diffusion").components, requires_safety_checker=False
            )
            pipe.set_progress_bar_config(disable=True)
        else:
            pipe = request.getfixturevalue(name)
        picture = torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(5))
        arguments = {
            "stable_diffusion": {"prompt": ["a cat", "a dog", "a hat"], "guidance_scale": 3.0, "output_type": "pt"},
            "sdxl": {"prompt": ["a cat", "a dog", "a hat"], "guidance_scale": 3.0, "output_type": "pt"},
            "img2img": {"prompt": ["a cat"] * 3, "image": picture, "strength": 0.7, "output_type": "pt"},
            "dit": {"class_labels": [1, 2, 3], "guidance_scale": 3.0, "output_type": "pt"},
            "ddim": {"batch_size": 3, "output_type": "np"},
        }[name]

        def sample(**more):
            rngs = [torch.Generator().manual_seed(i) for i in range(3)]
            return torch.as_tensor(
                pipe(**arguments, **more, num_inference_steps=10, generator=rngs, return_dict=False)[0]
            )

        return pipe, sample

    return make


@pytest.mark.parametrize(("name", "scheduler"), PAIRS)
def test_guidance_drops_into_a_pipeline(call, classifier, name, scheduler):
    pipe, sample = call(name)
    pipe.scheduler = STOCK[scheduler].from_config(pipe.scheduler.config)
    stock = sample()
    pipe.scheduler = scheduler.from_config(pipe.scheduler.config)
    assert torch.equal(sample(), stock)
    pipe.scheduler.guidance = entropy_guidance(pipe, classifier, omega=0.0)
    assert torch.equal(sample(), stock)

    modes, flags = [m.training for m in classifier.modules()], [p.requires_grad for p in classifier.parameters()]
    pipe.scheduler.guidance = entropy_guidance(pipe, classifier, omega=0.5)
    guided = sample()
    assert guided.isfinite().all() and all((g != s).any() for g, s in zip(guided, stock, strict=True))
    late = sum(t < 400 for t in pipe.scheduler.timesteps)
    assert pipe.scheduler.guidance.guided_steps == late >= 3 and pipe.scheduler.guidance.zero_steps.sum() == 0
    assert [m.training for m in classifier.modules()] == modes
    assert [p.requires_grad for p in classifier.parameters()] == flags
    assert all(p.grad is None for p in classifier.parameters())
    pipe.scheduler.guidance = None
    assert torch.equal(sample(), stock)


def test_eta_reaches_the_steps(call):
    pipe, sample = call("stable_diffusion")
    stock = sample(eta=1.0)
    pipe.scheduler = EntropyGuidedDDIMScheduler.from_config(pipe.scheduler.config)
    assert torch.equal(sample(eta=1.0), stock) and not torch.equal(sample(), stock)


@pytest.mark.parametrize(("name", "scheduler"), [pair for pair in PAIRS if pair[0] != "img2img"])
def test_a_guided_pipeline_survives_saving(call, classifier, name, scheduler, tmp_path):
    pipe, sample = call(name)
    pipe.scheduler = scheduler.from_config(pipe.scheduler.config)
    pipe.scheduler.guidance = entropy_guidance(pipe, classifier)
    guided = sample()
    pipe.save_pretrained(tmp_path)
    assert "guidance" not in json.loads((tmp_path / "scheduler" / "scheduler_config.json").read_text())
    again = scheduler.from_pretrained(tmp_path / "scheduler")
    assert again.guidance is None
    pipe.scheduler = again
    assert not torch.equal(sample(), guided)
    again.guidance = entropy_guidance(pipe, classifier)
    assert torch.equal(sample(), guided)


@pytest.mark.parametrize(
    "decoder",
    [
        LinearDecoder(factor=2),
        AutoencoderTiny(
            encoder_block_out_channels=(8, 8),
            decoder_block_out_channels=(8, 8),
            num_encoder_blocks=(1, 1),
            num_decoder_blocks=(1, 1),
        ),
    ],
)
def test_a_cheap_decoder_stands_in_for_the_vae(call, classifier, decoder):
    pipe, sample = call("stable_diffusion")
    pipe.scheduler = EntropyGuidedDDIMScheduler.from_config(pipe.scheduler.config)
    stock = sample()
    pipe.scheduler.guidance = entropy_guidance(pipe, classifier, decoder=decoder)
    pipe.vae.decode, calls = _counted(pipe.vae.decode)
    assert not torch.equal(sample(), stock)
    assert len(calls) == 1  # the finished images only


def _counted(function):
    calls = []

    def counted(*args, **kwargs):
        calls.append(1)
        return function(*args, **kwargs)

    return counted, calls


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_pipelines_guide_in_float32(call, classifier, dtype):
    pipe, sample = call("stable_diffusion")
    pipe.scheduler = EntropyGuidedDDIMScheduler.from_config(pipe.scheduler.config)
    pipe.to(dtype)
    plain = sample()
    pipe.scheduler.guidance = entropy_guidance(pipe, classifier, omega=1.0)
    guided = sample()
    assert guided.dtype == plain.dtype and guided.isfinite().all()
    assert all((g != p).any() for g, p in zip(guided, plain, strict=True))
    assert pipe.scheduler.guidance.zero_steps.sum() == 0
    assert pipe.scheduler.guidance.before.dtype == torch.float32


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", ["stable_diffusion", "dit", "ddim", "latent"])
def test_the_generator_guides_half_precision_pipelines_in_their_own_format(call, name, dtype, monkeypatch):
    """Also where the hardware would have a float32 pipeline compute in mixed precision."""
    if (name, dtype) == ("ddim", torch.bfloat16) and Version(diffusers.__version__) < Version("0.36"):
        pytest.skip("diffusers 0.35 makes an array of every image, and numpy has no bfloat16")
    monkeypatch.setattr("dp.utils.device.number_format", lambda device: torch.bfloat16)
    pipe = small_pipeline() if name == "latent" else call(name)[0]
    seen = []

    def learner(images):
        seen.append(torch.is_autocast_enabled("cpu"))
        return images.mean(1)[:, :4].mean(2).mul(4)

    classes = ("cat", "dog", "hat") if name == "stable_diffusion" else None
    generator = Generator(pipe.to(dtype), 3.0, 10, batch_size=3, classes=classes)
    plain = generator.generate(torch.arange(3), [1, 2, 3], learner)
    for gradient in ("x0", "unet"):
        guided = generator.generate(torch.arange(3), [1, 2, 3], learner, GuidanceConfig(0.5, gradient=gradient))
        assert guided.zero_steps.sum() == 0 and (guided.entropy > plain.entropy).all()
    nothing = GuidanceConfig(1e-12, gradient="unet")
    same = generator.generate(torch.arange(3), [1, 2, 3], learner, nothing)
    assert (same.images.int() - plain.images.int()).abs().float().mean() < 1
    assert not any(seen)


def test_a_half_precision_classifier_behind_preprocessing_guides(call, classifier):
    pipe, sample = call("stable_diffusion")
    pipe.scheduler = EntropyGuidedDDIMScheduler.from_config(pipe.scheduler.config)
    plain = sample()
    for half in (nn.Sequential(Preprocess(8), classifier[1:].half()), classifier.half()):
        pipe.scheduler.guidance = entropy_guidance(pipe, half)
        assert (Entropy(half)(sample() * 2 - 1) > Entropy(half)(plain * 2 - 1)).all()
        pipe.scheduler.guidance = None


@pytest.mark.parametrize("name", ["stable_diffusion", "dit", "ddim"])
def test_the_exact_gradient_leaves_the_pipeline_as_it_is(call, classifier, name):
    """With a step of next to nothing, differentiating through the network samples what the pipeline samples."""
    pipe, _ = call(name)
    classes = ("cat", "dog", "hat") if name == "stable_diffusion" else None
    generator = Generator(pipe, 3.0, 10, batch_size=3, classes=classes)
    labels = torch.arange(3)
    plain = generator.generate(labels, [1, 2, 3])
    nothing = GuidanceConfig(1e-12, gradient="unet")
    same = generator.generate(labels, [1, 2, 3], classifier, nothing)
    assert (same.images.int() - plain.images.int()).abs().max() <= 1
    guided = generator.generate(labels, [1, 2, 3], classifier, GuidanceConfig(0.5, gradient="unet"))
    assert not torch.equal(guided.images, plain.images)
    assert guided.entropy.mean() > plain_entropy(classifier, plain)


def plain_entropy(classifier, samples):
    return Entropy(classifier)(samples.images.float() / 127.5 - 1).mean()


@pytest.mark.parametrize("gradient", ["x0", "unet"])
def test_the_generator_keeps_the_users_sampler(dit, classifier, gradient):
    dit.scheduler = DPMSolverMultistepScheduler.from_config(dit.scheduler.config)
    generator = Generator(dit, 3.0, 10, batch_size=3)
    labels = torch.arange(3)
    plain = generator.generate(labels, [1, 2, 3], classifier)
    guided = generator.generate(labels, [1, 2, 3], classifier, GuidanceConfig(0.5, gradient=gradient))
    assert (guided.entropy > plain.entropy).all()
    assert type(dit.scheduler) is DPMSolverMultistepScheduler
    assert generator.sampler == guide(dit, classifier).sampler == "DPMSolverMultistepScheduler"


@pytest.mark.parametrize("every", [1, 7])
def test_karras_steps_that_repeat_a_time_are_one_run(call, classifier, every):
    pipe, _ = call("stable_diffusion")
    pipe.scheduler = EntropyGuidedDPMSolverScheduler.from_config(pipe.scheduler.config, use_karras_sigmas=True)
    guide = pipe.scheduler.guidance = entropy_guidance(pipe, classifier, every=every)
    for _ in range(2):
        pipe("a cat", num_inference_steps=50, output_type="latent")
        times = pipe.scheduler.timesteps.tolist()
        assert len(set(times)) < len(times)
        inside = sum(point_at(pipe.scheduler, i).time < 400 for i in range(50))
        assert guide.guided_steps == -(-inside // every) and abs(inside - sum(t < 400 for t in times)) <= 1


def point_at(scheduler, i):
    scheduler._step_index = i
    return point_of(scheduler, None)


def test_every_run_of_a_pipeline_has_its_own_record(call, classifier):
    """Also one that begins lower than the last one got, or at the same step."""
    pipe, sample = call("img2img")
    pipe.scheduler = EntropyGuidedDDIMScheduler.from_config(pipe.scheduler.config)
    guide = pipe.scheduler.guidance = entropy_guidance(pipe, classifier, interval=(0.0, 1.0))

    def stop(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sample(callback_on_step_end=stop)
    for _ in range(2):
        sample()
        assert guide.guided_steps == 7


@pytest.mark.parametrize("scheduler", STOCK)
def test_a_step_of_pure_noise_is_not_guided(call, classifier, scheduler):
    pipe, sample = call("stable_diffusion")
    pipe.scheduler = scheduler.from_config(
        pipe.scheduler.config,
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
        prediction_type="v_prediction",
    )
    plain = sample()
    pipe.scheduler.guidance = entropy_guidance(pipe, classifier, interval=(0.0, 1.0), omega=0.1)
    guided = sample()
    assert pipe.scheduler.timesteps[0] == 999 and pipe.scheduler.guidance.guided_steps == 9
    assert (Entropy(classifier)(guided * 2 - 1) > Entropy(classifier)(plain * 2 - 1)).all()


@pytest.mark.parametrize("gradient", ["x0", "unet"])
def test_an_offloaded_pipeline_generates_the_same_images(call, classifier, gradient):
    pipe, _ = call("stable_diffusion")
    generator = Generator(pipe, 3.0, 5, batch_size=2, classes=("cat", "dog"))
    arguments = torch.arange(2), [1, 2], classifier, GuidanceConfig(0.3, gradient=gradient)
    expected = generator.generate(*arguments)
    for part in (pipe.unet, pipe.vae, pipe.text_encoder):
        accelerate.cpu_offload(part, torch.device("cpu"))
    assert pipe.device.type == "meta"
    assert torch.equal(generator.generate(*arguments).images, expected.images)


@pytest.mark.parametrize("gradient", ["x0", "unet"])
def test_ldm_decodes_by_what_it_calls_vqvae(small_vae, ddim, classifier, gradient):
    unet = type(ddim.unet).from_config(ddim.unet.config, in_channels=4, out_channels=4, sample_size=8)
    pipe = LDMPipeline(small_vae, unet.eval(), ddim.scheduler)
    pipe.set_progress_bar_config(disable=True)
    generator = Generator(pipe, 1.0, 10, batch_size=3)
    plain = generator.generate(torch.arange(3), [1, 2, 3], classifier)
    nothing = generator.generate(torch.arange(3), [1, 2, 3], classifier, GuidanceConfig(1e-12, gradient=gradient))
    assert plain.images.shape == (3, 3, 16, 16)
    assert (nothing.images.int() - plain.images.int()).abs().max() <= 1
    guided = generator.generate(torch.arange(3), [1, 2, 3], classifier, GuidanceConfig(0.5, gradient=gradient))
    assert (guided.entropy > plain.entropy).all()


def test_a_decoder_that_is_not_understood_is_refused(ddim, classifier):
    pipe = SimpleNamespace(scheduler=ddim.scheduler, unet=ddim.unet, components={"other": Decodes()})
    with pytest.raises(UserError, match="decoder: none given, and SimpleNamespace makes its images by its other"):
        guide(pipe, classifier)
    pipe.vae = Decodes()
    with pytest.raises(UserError, match="decoder: Decodes scales latents in a way that is not known here; give a func"):
        guide(pipe, classifier)
    guide(pipe, classifier, decoder=lambda latents: latents)


class Decodes(nn.Module):
    def decode(self, latents):
        return latents


@pytest.mark.parametrize("gradient", ["x0", "unet"])
def test_inference_mode_is_no_obstacle(call, classifier, gradient):
    pipe, sample = call("stable_diffusion")
    guide(pipe, classifier, gradient=gradient)
    expected = sample()
    with torch.inference_mode():
        assert torch.equal(sample(), expected)


@pytest.mark.parametrize("sampler", [DPMSolverMultistepScheduler, EulerDiscreteScheduler, UniPCMultistepScheduler])
def test_latents_of_a_sampler_that_knows_no_clipping_are_not_clipped(sampler):
    """DDIM with perfect predictions of the noise ends at the latents, however large."""
    latents = 4 * torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    config = sampler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear").config
    scheduler = EntropyGuidedDDIMScheduler.from_config(config)
    scheduler.set_timesteps(50)
    x = torch.randn(latents.shape, generator=torch.Generator().manual_seed(1))
    for t in scheduler.timesteps:
        abar = scheduler.alphas_cumprod[t]
        x = scheduler.step((x - abar.sqrt() * latents) / (1 - abar).sqrt(), t, x).prev_sample
    assert latents.abs().max() > 9 and torch.allclose(x, latents, atol=1e-3)


def test_a_scheduler_of_another_kind_is_refused(call, classifier):
    pipe, _ = call("stable_diffusion")
    with pytest.raises(UserError, match=r"pipe\.scheduler: found DDIMScheduler, which does not guide; dp.guide"):
        entropy_guidance(pipe, classifier)
    for scheduler in STOCK:
        with pytest.raises(UserError, match=r"pipe\.scheduler: its configuration has no noise schedule"):
            scheduler.from_config(FlowMatchEulerDiscreteScheduler().config)


def test_a_learner_of_another_channel_count_is_refused_and_left_as_it_was(call):
    pipe, sample = call("stable_diffusion")
    pipe.scheduler = EntropyGuidedDDIMScheduler.from_config(pipe.scheduler.config)
    learner = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    learner[1].eval()
    pipe.scheduler.guidance = entropy_guidance(pipe, learner)
    with pytest.raises(UserError, match=r"learner: cannot classify images \[3, 3, 16, 16\]"):
        sample()
    assert learner.training and learner[0].training and not learner[1].training
    assert all(p.requires_grad for p in learner.parameters()) and all(p.requires_grad for p in pipe.vae.parameters())


@pytest.mark.parametrize("gradient", ["x0", "unet"])
def test_xl_is_guided_with_its_own_sampler(sdxl, classifier, gradient):
    sdxl.scheduler = EulerDiscreteScheduler.from_config(sdxl.scheduler.config)
    generator, labels, seeds = Generator(sdxl, 3.0, 10, batch_size=2, classes=("cat", "dog")), torch.arange(2), [1, 2]
    plain = generator.generate(labels, seeds, classifier)
    guided = generator.generate(labels, seeds, classifier, GuidanceConfig(0.5, gradient=gradient))
    assert (guided.entropy > plain.entropy).all() and type(sdxl.scheduler) is EulerDiscreteScheduler


def test_a_decoder_that_does_not_decode_is_refused(call, classifier):
    pipe, _ = call("stable_diffusion")
    pipe.scheduler = EntropyGuidedDDIMScheduler.from_config(pipe.scheduler.config)
    with pytest.raises(UserError, match=r"decoder: got Linear, expected a module with \.decode"):
        entropy_guidance(pipe, classifier, decoder=nn.Linear(2, 2))


def test_guidance_never_holds_the_graph_of_a_past_step(call, classifier):
    """Memory does not grow with the number of steps: what one guided step allocates is freed before the next."""
    pipe, _ = call("stable_diffusion")
    scheduler = EntropyGuidedDDIMScheduler.from_config(pipe.scheduler.config)
    guidance = Guidance(Entropy(classifier), latent_decoder(pipe.vae), GuidanceConfig(0.3))
    alive = []
    x = torch.randn(3, 4, 8, 8)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: _Held(t, alive), lambda held: held.tensor):
        for t in range(390, 0, -30):
            x = guidance(x, torch.randn_like(x), point_of(scheduler, t))
            assert not alive and not x.requires_grad
    assert guidance.guided_steps == 13


class _Held:
    """A tensor that a graph holds; counted in `alive` while it does."""

    def __init__(self, tensor, alive):
        self.tensor, self.alive = tensor, alive
        alive.append(1)

    def __del__(self):
        self.alive.pop()
