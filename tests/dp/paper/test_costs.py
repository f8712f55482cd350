"""Counted operations of full-size models, against counts made by hand and known ones."""

from types import SimpleNamespace

import pytest
import torch
from diffusers import DDIMScheduler
from torch import nn

from dp.guidance.guidance import Guidance, GuidanceConfig, guided_steps
from dp.guidance.guide import guided_by
from dp.guidance.objectives import entropy
from dp.guidance.path import preserving
from dp.paper.costs import (
    SD15_SCHEDULE,
    UNETS,
    Cost,
    Parts,
    classifier,
    cost,
    cost_ratio,
    image_cost,
    latent_diffusion,
    operations,
    sd15_parts,
    sd15_timesteps,
    training_step,
)

TERA = 1e12


def test_a_linear_layer_is_counted_as_by_hand():
    layer = nn.Linear(30, 7, device="meta").requires_grad_(False)
    assert cost(layer, torch.empty(5, 30, device="meta")) == Cost(2 * 5 * 30 * 7, 2 * 2 * 5 * 30 * 7)


@pytest.mark.parametrize(
    ("part", "forward", "gradient"),
    [("unet", 0.80, 1.73), ("vae", 2.51, 5.06), ("tiny", 0.141, 0.283)],
)
def test_stable_diffusion_at_512_pixels(part, forward, gradient):
    counted = latent_diffusion()[part]
    assert counted.forward / TERA == pytest.approx(forward, rel=0.01)
    assert counted.gradient / TERA == pytest.approx(gradient, rel=0.01)


def test_a_vit_b_16():
    assert classifier().forward / TERA == pytest.approx(0.035, rel=0.01)
    assert classifier().gradient / TERA == pytest.approx(0.072, rel=0.01)


def test_the_linear_decoder_is_one_convolution():
    assert latent_diffusion()["linear"].forward == 2 * (64 * 64) * (9 * 4) * (3 * 8 * 8)


@pytest.mark.parametrize(
    ("decoder", "every", "ratio"), [("vae", 1, 4.10), ("vae", 5, 1.62), ("tiny", 1, 1.21), ("tiny", 2, 1.11)]
)
def test_ratios_with_all_steps_guided(decoder, every, ratio):
    config = GuidanceConfig(interval=(0.0, 1.0), every=every)
    assert cost_ratio(sd15_parts(decoder), sd15_timesteps(50), config) == pytest.approx(ratio, rel=0.005)


@pytest.mark.parametrize(("every", "one_pass", "both"), [(1, 4.66, 5.21), (5, 1.73, 1.84)])
def test_ratios_through_the_unet(every, one_pass, both):
    """Differentiating the conditional pass only is cheaper; `unet_gradient` differentiates both, which is exact."""
    parts, timesteps = sd15_parts("vae"), sd15_timesteps(50)
    config = GuidanceConfig(interval=(0.0, 1.0), every=every, gradient="unet")
    assert cost_ratio(parts, timesteps, config, differentiated=1) == pytest.approx(one_pass, rel=0.005)
    assert cost_ratio(parts, timesteps, config) == pytest.approx(both, rel=0.005)


def test_exact_guidance_differentiates_both_passes():
    """`unet_gradient` itself, counted on a network with classifier-free guidance, costs what `image_cost` says."""
    network = nn.Linear(6, 6, bias=False).requires_grad_(False)
    learner = nn.Linear(6, 3, bias=False).requires_grad_(False)

    def predict(x, t):
        conditional, unconditional = network(torch.cat([x, x])).chunk(2)
        return unconditional + 3 * (conditional - unconditional)

    config = GuidanceConfig(interval=(0.0, 1.0), every=5, gradient="unet")
    guidance = Guidance(lambda x: entropy(learner(x)), lambda x: x, config)
    pipe = SimpleNamespace(scheduler=DDIMScheduler(), unet=network)

    @torch.no_grad()
    def sample():
        pipe.scheduler.set_timesteps(50)
        x = torch.ones(1, 6)
        for t in pipe.scheduler.timesteps:
            x = pipe.scheduler.step(predict(pipe.scheduler.scale_model_input(x, t), t), t, x).prev_sample

    with guided_by(pipe, guidance):
        counted = operations(sample)
    nothing = Cost(0, 0)
    parts = Parts(cost(network, torch.ones(1, 6)), nothing, nothing, cost(learner, torch.ones(1, 6)))
    assert counted == image_cost(parts, 50, 10, "unet")


def test_training_costs_about_three_forward_passes():
    assert training_step() == pytest.approx(3 * classifier().forward, rel=0.02)


@pytest.mark.parametrize(("name", "size", "forward"), [(list(UNETS)[2], 512, 0.80), (list(UNETS)[3], 1024, 6.76)])
def test_the_other_generators(name, size, forward):
    """2.1 is 1.5 with another text encoder; XL at its own 1,024 pixels takes 8.4 times as much a pass."""
    assert latent_diffusion(name, size)["unet"].forward / TERA == pytest.approx(forward, rel=0.05)


def test_the_late_interval_guides_20_of_50_steps():
    assert len(sd15_timesteps(50)) == 50
    assert guided_steps(sd15_timesteps(50), GuidanceConfig(interval=(0.0, 0.4))) == 20


@pytest.mark.parametrize("every", [1, 2, 3])
@pytest.mark.parametrize("interval", [(0.0, 0.4), (0.3, 0.7), (0.0, 1.0)])
def test_guided_steps_are_those_that_guidance_takes(interval, every):
    config = GuidanceConfig(interval=interval, every=every)
    guide, abar = Guidance(entropy, lambda x: x, config), DDIMScheduler(**SD15_SCHEDULE).alphas_cumprod
    assert guided_steps(sd15_timesteps(25), config) == sum(
        guide.active(preserving(abar[t])) for t in sd15_timesteps(25)
    )


def test_nothing_guided_costs_nothing():
    parts = Parts(Cost(10, 20), Cost(5, 10), Cost(5, 10), Cost(1, 2))
    assert image_cost(parts, 3) == 3 * 2 * 10 + 5
    assert image_cost(parts, 3, 2) == 65 + 2 * (10 + 2)
    assert image_cost(parts, 3, 2, "unet") == 65 + 2 * (10 + 2 + 2 * 10)
    assert cost_ratio(parts, [3, 2, 1], GuidanceConfig(omega=0.0)) == 1
