import math
from types import SimpleNamespace

import pytest
import torch
from diffusers import AutoencoderTiny, DDIMScheduler
from torch import nn

from dp.guidance.decoders import latent_decoder, pixels
from dp.guidance.guidance import Guidance, GuidanceConfig, entropy_guidance, guided_eps
from dp.guidance.linear_decoder import LinearDecoder
from dp.guidance.objectives import (
    Disagreement,
    Entropy,
    LabelLoss,
    Margin,
    checked_logits,
    divergence,
    entropy,
    frozen,
    margin,
)
from dp.guidance.path import point, preserving
from dp.guidance.schedulers import EntropyGuidedDDIMScheduler
from dp.utils.errors import UserError

SCHEDULER = DDIMScheduler(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012)
ALPHAS = SCHEDULER.alphas_cumprod
PREDICTIONS = ["epsilon", "v_prediction", "sample"]


@pytest.fixture
def learner() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.Tanh(), nn.Linear(16, 5))


def noisy(seed: int = 0, channels: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(6, channels, 8, 8, generator=rng), torch.randn(6, channels, 8, 8, generator=rng)


def at(t, prediction="epsilon"):
    return preserving(ALPHAS[t], prediction)


def predict_x0(x_t, eps, t):
    return at(t).x0_of(x_t, eps)


def guide_of(learner, omega: float = 0.3, **settings) -> Guidance:
    return Guidance(Entropy(learner), pixels, GuidanceConfig(omega, **settings))


def output_of(x_t, eps, t, prediction):
    """What a network of that kind gives for this noise."""
    a, s = ALPHAS[t].sqrt(), (1 - ALPHAS[t]).sqrt()
    x0 = (x_t - s * eps) / a
    return {"epsilon": eps, "v_prediction": a * eps - s * x0, "sample": x0}[prediction]


def test_entropy_bounds_and_known_values():
    assert entropy(torch.zeros(1, 10)).item() == pytest.approx(math.log(10), abs=1e-6)
    assert entropy(torch.tensor([[100.0, 0.0]])).item() == pytest.approx(0, abs=1e-6)
    p = torch.tensor([0.2, 0.3, 0.5])
    assert entropy(p.log()[None]).item() == pytest.approx(-(p * p.log()).sum().item(), abs=1e-6)


def test_margin_and_divergence_at_their_limits():
    logits = torch.tensor([[0.0, 0.0, -9.0], [7.0, 0.0, -1.0]])
    assert margin(logits).tolist() == pytest.approx([0.0, -7.0])
    certain, opposite = torch.tensor([[60.0, 0.0]]), torch.tensor([[0.0, 60.0]])
    assert divergence(certain, certain).item() == pytest.approx(0, abs=1e-6)
    assert divergence(certain, opposite).item() == pytest.approx(math.log(2), abs=1e-6)


@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize("t", [0, 300, 999])
def test_every_prediction_type_means_the_same_noise(prediction, t):
    x0, eps = noisy()
    x_t = SCHEDULER.add_noise(x0, eps, torch.tensor([t]))
    output = output_of(x_t, eps, t, prediction)
    assert torch.allclose(at(t, prediction).noise_of(x_t, output), eps, atol=2e-3)
    assert torch.allclose(predict_x0(x_t, eps, t), x0, atol=1e-4)


@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize("t", [10, 399])
def test_guidance_raises_entropy_and_its_negation_lowers_it(learner, prediction, t):
    x_t, eps = noisy()
    output = output_of(x_t, eps, t, prediction)
    place = at(t, prediction)
    up = guide_of(learner, 1e-3)(x_t, output, place)
    down = Guidance(lambda x: -entropy(learner(x)), pixels, GuidanceConfig(1e-3))(x_t, output, place)

    def hardness(out):
        return entropy(learner(place.x0_of(x_t, place.noise_of(x_t, out))))

    assert (hardness(up) > hardness(output)).all()
    assert (hardness(down) < hardness(output)).all()


@pytest.mark.parametrize("relative", [True, False])
def test_every_prediction_type_takes_the_same_step(learner, relative):
    x_t, eps = noisy()
    t = 200
    expected = guide_of(learner, relative=relative)(x_t, eps, at(t))
    for prediction in PREDICTIONS[1:]:
        place = at(t, prediction)
        guided = guide_of(learner, 0.3, relative=relative)(x_t, output_of(x_t, eps, t, prediction), place)
        assert torch.allclose(place.noise_of(x_t, guided), expected, atol=1e-4)


DECODERS = {
    "pixels": lambda vae: (pixels, 3, 8),
    "vae": lambda vae: (latent_decoder(vae.double()), 4, 16),
    "tiny": lambda vae: (
        latent_decoder(
            AutoencoderTiny(
                encoder_block_out_channels=(8, 8),
                decoder_block_out_channels=(8, 8),
                num_encoder_blocks=(1, 1),
                num_decoder_blocks=(1, 1),
                act_fn="silu",  # smooth, as finite differences want it
            ).double()
        ),
        4,
        16,
    ),
    "linear": lambda vae: (latent_decoder(LinearDecoder(factor=2).double()), 4, 16),
}


@pytest.mark.parametrize("gradient", ["x0", "unet"])
@pytest.mark.parametrize("prediction", [*PREDICTIONS, "flow_prediction"])
@pytest.mark.parametrize("decoder", DECODERS)
def test_the_gradient_is_that_of_finite_differences(small_vae, decoder, prediction, gradient):
    """d H(decode(x0_hat)) / d x_t along random directions: with the noise prediction fixed, or through the network."""
    torch.manual_seed(0)
    decode, channels, side = DECODERS[decoder](small_vae)
    learner = nn.Sequential(nn.Flatten(), nn.Linear(3 * side**2, 8), nn.Tanh(), nn.Linear(8, 4)).double()
    network = nn.Sequential(nn.Conv2d(channels, 8, 3, padding=1), nn.Tanh(), nn.Conv2d(8, channels, 3, padding=1))
    h, x = 1e-2, torch.randn(2, channels, 8, 8)
    place = at(200, prediction) if prediction in PREDICTIONS else point(*torch.tensor([0.6, 0.4]), prediction)
    guide = Guidance(
        lambda images: entropy(learner(images.double())),
        decode,
        GuidanceConfig(0.1, gradient=gradient),
    )
    x_ = x.clone().requires_grad_()
    output = network(x_)
    _, found, _ = guide.ascent(x_ if gradient == "unet" else x, output, place)
    fixed = place.noise_of(x, output.detach())

    @torch.no_grad()
    def hardness(x):
        eps = place.noise_of(x, network(x)) if gradient == "unet" else fixed
        return entropy64(learner(decode(place.x0_of(x, eps)).double()))

    for seed in range(3):
        direction = torch.randn(x.shape, generator=torch.Generator().manual_seed(seed))
        direction /= direction.flatten(1).norm(dim=1).reshape(-1, 1, 1, 1)
        numeric = (hardness(x + h * direction) - hardness(x - h * direction)) / (2 * h)
        along = (found * direction).flatten(1).sum(1).double()
        scale = found.flatten(1).norm(dim=1).double() / math.sqrt(direction[0].numel())
        assert ((along - numeric).abs() < 0.02 * scale + 1e-5).all(), (along, numeric)


def entropy64(logits: torch.Tensor) -> torch.Tensor:
    p = logits.softmax(-1)
    return -(p * p.log()).sum(-1)


def test_a_relative_step_has_its_stated_length_for_each_sample(learner):
    x_t, eps = noisy()
    step = eps - guide_of(learner)(x_t, eps, at(100))
    expected = 0.3 * (1 - ALPHAS[100]).sqrt() * eps.flatten(1).norm(dim=1)
    assert torch.allclose(step.flatten(1).norm(dim=1), expected, rtol=1e-4)


def test_the_papers_formula_can_be_read_off():
    """eps - omega sqrt(1 - abar) grad H, in numbers small enough to check by hand."""
    eps, gradient = torch.tensor([[[[3.0, 4.0]]]]), torch.tensor([[[[0.0, 2.0]]]])
    assert guided_eps(eps, gradient, 0.5, 0.6, relative=False).flatten().tolist() == pytest.approx([3.0, 3.4])
    assert guided_eps(eps, gradient, 0.5, 0.6).flatten().tolist() == pytest.approx([3.0, 4 - 0.5 * 0.6 * 5])


def test_a_guidance_is_one_line(learner):
    assert repr(guide_of(learner)) == "Guidance(omega=0.3, interval=(0.0, 0.4), gradient='x0', 0 steps)"


def test_labels_of_several_images_per_prompt_lie_side_by_side():
    logits = torch.tensor([[9.0, 0], [9, 0], [0, 9], [0, 9]])
    loss = LabelLoss(lambda images: logits, torch.tensor([0, 1]))(torch.zeros(4, 3, 8, 8))
    assert loss.max() < 1e-3


def test_a_raw_step_is_the_gradient(learner):
    x_t, eps = noisy()
    guide = guide_of(learner, relative=False)
    _, gradient, _ = guide.ascent(x_t, eps, at(100))
    assert torch.allclose(eps - guide(x_t, eps, at(100)), 0.3 * (1 - ALPHAS[100]).sqrt() * gradient, atol=1e-6)


def test_unusable_gradients_give_no_step_and_are_counted():
    x_t, eps = noisy()

    def learner(
        images,
    ):  # constant for sample 0; finite, with an infinite gradient, for sample 1; usable for the others
        first = images.flatten(1).mean(1)
        first = torch.cat([first[:1], (first[1:2] - first[1:2].detach()).abs().sqrt(), first[2:]])
        logits = torch.stack([first, torch.zeros(len(images))], 1)
        return logits * torch.tensor([0.0] + [1.0] * (len(images) - 1))[:, None]

    guide = guide_of(learner)
    for t in (50, 20):
        guided = guide(x_t, eps, at(t))
        assert guided.isfinite().all()
        assert torch.equal(guided[:2], eps[:2])
        assert (guided[2:] != eps[2:]).flatten(1).any(1).all()
    assert guide.zero_steps.tolist() == [2, 2, 0, 0, 0, 0]
    guide.renew()
    guide(x_t, eps, at(20))
    assert guide.zero_steps.tolist() == [1, 1, 0, 0, 0, 0] and guide.guided_steps == 1


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, [350, 250, 150, 50]),
        ({"every": 2}, [350, 150]),
        ({"every": 5}, [350]),
        ({"interval": (0.2, 0.6)}, [550, 450, 350, 250]),
        ({"interval": (0.0, 1.0), "every": 3}, [950, 650, 350, 50]),
        ({"omega": 0.0}, []),
    ],
)
def test_only_the_chosen_steps_are_guided(learner, settings, expected):
    x_t, eps = noisy()
    guide = guide_of(learner, **settings)
    for _ in range(2):  # and so in every run
        guide.renew()
        assert [t for t in range(950, 0, -100) if guide(x_t, eps, at(t)) is not eps] == expected


def test_the_record_begins_before_guidance(learner):
    x_t, eps = noisy()
    guide = guide_of(learner)
    guide(x_t, eps, at(100))
    assert torch.allclose(guide.before, entropy(learner(predict_x0(x_t, eps, 100))), atol=1e-5)


def test_scheduler_without_guidance_is_ddim_bit_for_bit():
    stock = DDIMScheduler(beta_schedule="scaled_linear", timestep_spacing="trailing")
    ours = EntropyGuidedDDIMScheduler.from_config(stock.config)
    x_t, eps = noisy()
    for scheduler in (stock, ours):
        scheduler.set_timesteps(10)
    for t in stock.timesteps:
        assert torch.equal(stock.step(eps, t, x_t).prev_sample, ours.step(eps, t, x_t).prev_sample)


def test_objectives_say_what_they_measure(learner):
    images = torch.randn(6, 1, 8, 8)
    logits = learner(images)
    labels = torch.tensor([0, 1, 2, 3, 4, 0])
    log_p = logits.log_softmax(-1)
    assert torch.equal(Entropy(learner)(images), entropy(logits))
    assert torch.equal(Margin(learner)(images), margin(logits))
    assert torch.allclose(LabelLoss(learner, labels)(images), -log_p[torch.arange(6), labels])
    assert Disagreement(learner, learner)(images).abs().max() < 1e-6
    assert (Disagreement(learner, lambda x: -learner(x))(images) > 0).all()


@pytest.mark.parametrize("objective", ["margin", "loss", "disagreement"])
def test_every_objective_is_raised(learner, objective):
    torch.manual_seed(5)
    other = nn.Sequential(nn.Flatten(), nn.Linear(64, 5))
    raised = {
        "margin": Margin(learner),
        "loss": LabelLoss(learner, torch.arange(6) % 5),
        "disagreement": Disagreement(learner, other),
    }[objective]
    x_t, eps = noisy()
    guided = Guidance(raised, pixels, GuidanceConfig(1e-3))(x_t, eps, at(200))
    assert (raised(predict_x0(x_t, guided, 200)) > raised(predict_x0(x_t, eps, 200))).all()


def test_frozen_gives_every_mode_and_flag_back():
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Dropout())
    model[1].eval()
    model[0].bias.requires_grad_(False)
    before = [m.training for m in model.modules()], [p.requires_grad for p in model.parameters()]
    with pytest.raises(ValueError), frozen(model):
        assert not any(m.training for m in model.modules())
        assert not any(p.requires_grad for p in model.parameters())
        raise ValueError
    assert before == ([m.training for m in model.modules()], [p.requires_grad for p in model.parameters()])


def test_a_learner_in_training_mode_is_asked_in_eval_mode():
    torch.manual_seed(0)
    learner = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(64), nn.Dropout(0.9), nn.Linear(64, 5)).train()
    x_t, eps = noisy()
    mean = learner[1].running_mean.clone()
    first, second = (guide_of(learner)(x_t, eps, at(100)) for _ in range(2))
    assert torch.equal(first, second) and torch.equal(learner[1].running_mean, mean) and learner.training


@pytest.mark.parametrize(
    ("logits", "message"),
    [
        (lambda n: torch.full((n, 5), torch.nan), "learner: nan or infinite logits for 6 of 6 images"),
        (lambda n: torch.zeros(n, 1), r"learner: gave \[6, 1\] for 6 images, expected logits \[6, K\], K >= 2"),
        (lambda n: torch.zeros(n), r"learner: gave \[6\] for 6 images"),
        (lambda n: torch.zeros(n + 1, 5), r"learner: gave \[7, 5\] for 6 images"),
        (lambda n: "cat", "learner: gave str for 6 images"),
    ],
)
def test_bad_logits_are_refused(logits, message):
    x_t, eps = noisy()
    with pytest.raises(UserError, match=message):
        guide_of(lambda images: logits(len(images)))(x_t, eps, at(100))


def test_an_output_with_logits_inside_is_understood(learner):
    class Output:
        logits = torch.ones(6, 5)

    assert checked_logits(lambda images: Output, torch.zeros(6, 1, 8, 8)) is Output.logits


@pytest.mark.parametrize("labels", [[0, 1, 2, 3], [0, 1, 2, 3, 4, 5], [0, 1, 2, 3, 4, -1], []])
def test_labels_that_do_not_fit_are_refused(learner, labels):
    with pytest.raises(UserError, match="labels: got"):
        LabelLoss(learner, torch.tensor(labels, dtype=torch.int64))(torch.zeros(6, 1, 8, 8))


def test_an_interval_that_holds_no_noise_level_is_named():
    with pytest.raises(
        UserError, match=r"interval: got \(0.4, 0.4\), expected two noise levels low < high in \[0, 1\]"
    ):
        GuidanceConfig(interval=(0.4, 0.4))


@pytest.mark.parametrize("asks", [False, True])
@pytest.mark.parametrize("gradient", ["x0", "unet"])
def test_a_learner_that_cannot_be_differentiated_is_named(learner, gradient, asks):
    """Whether or not its weights ask for gradients."""
    learner.requires_grad_(asks)
    guide = guide_of(lambda images: learner((images * 100).to(torch.uint8).float()), gradient=gradient)
    x_t, eps = noisy()
    x = x_t.requires_grad_(gradient == "unet")
    with pytest.raises(UserError, match="objective: does not depend differentiably on the images"):
        guide(x, eps + 0 * x, at(100))


def test_an_exception_that_says_nothing_is_named():
    def learner(images):
        raise AssertionError

    with pytest.raises(UserError, match=r"cannot classify images \[6, 1, 8, 8\] \(AssertionError\)"):
        checked_logits(learner, torch.zeros(6, 1, 8, 8))


@pytest.mark.parametrize(
    ("learner", "objective", "message"),
    [
        ("resnet50", None, "classifier: got str, expected a module or a function of images"),
        (None, None, "classifier: got NoneType"),
        (len, "entropy", "objective: got str"),
    ],
)
def test_what_cannot_be_called_is_named_before_any_step(tiny_pipe, learner, objective, message):
    scheduler = EntropyGuidedDDIMScheduler.from_config(tiny_pipe.scheduler.config)
    with pytest.raises(UserError, match=message):
        entropy_guidance(SimpleNamespace(scheduler=scheduler, vae=tiny_pipe.vae), learner, objective=objective)


def test_an_objective_of_the_wrong_shape_is_named():
    x_t, eps = noisy()
    with pytest.raises(UserError, match=r"objective: gave \[\], expected one number an image, \[6\]"):
        Guidance(lambda images: images.sum(), pixels)(x_t, eps, at(100))


def test_the_unet_gradient_needs_a_graph(learner):
    x_t, eps = noisy()
    with pytest.raises(UserError, match='gradient: "unet" needs a network output that was computed with'):
        guide_of(learner, gradient="unet")(x_t, eps, at(100))
