import pytest
import torch
from diffusers import DDIMScheduler

from dp.guidance import EntropyGuidance, entropy, predict_x0
from dp.schedulers import EntropyGuidedDDIMScheduler

T = 1000


@pytest.fixture
def alphas() -> torch.Tensor:
    return DDIMScheduler(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012).alphas_cumprod


@pytest.fixture
def learner() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 16), torch.nn.Tanh(), torch.nn.Linear(16, 5))


def sample(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(6, 1, 8, 8, generator=rng), torch.randn(6, 1, 8, 8, generator=rng)


def test_entropy_bounds_and_known_values():
    assert entropy(torch.zeros(1, 10)).item() == pytest.approx(torch.tensor(10.0).log().item(), abs=1e-6)
    assert entropy(torch.tensor([[100.0, 0.0]])).item() == pytest.approx(0, abs=1e-6)
    p = torch.tensor([0.2, 0.3, 0.5])
    assert entropy(p.log()[None]).item() == pytest.approx(-(p * p.log()).sum().item(), abs=1e-6)


def test_predict_x0_inverts_the_forward_process(alphas):
    x0, eps = sample()
    scheduler = DDIMScheduler(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012)
    for t in (0, 300, 999):
        x_t = scheduler.add_noise(x0, eps, torch.tensor([t]))
        assert torch.allclose(predict_x0(x_t, eps, alphas[t]), x0, atol=1e-4)


@pytest.mark.parametrize("t", [10, 399])
def test_guided_noise_raises_the_entropy_of_x0_and_the_printed_sign_lowers_it(alphas, learner, t):
    x_t, eps = sample()
    guided = EntropyGuidance(learner, lambda z: z, alphas, omega=1e-3)(x_t, eps, t)

    def hardness(noise):
        return entropy(learner(predict_x0(x_t, noise, alphas[t])))

    assert (hardness(guided) > hardness(eps)).all()
    assert (hardness(2 * eps - guided) < hardness(eps)).all()


def test_direction_is_the_gradient_with_respect_to_x_t(alphas, learner):
    x_t, eps = sample()
    learner = learner.double()
    t, h = 200, 1e-5
    moved = eps - EntropyGuidance(learner, lambda z: z.double(), alphas, omega=0.1)(x_t, eps, t)
    direction = moved / moved.flatten(1).norm(dim=1)[:, None, None, None]
    numeric = torch.zeros_like(x_t).double()
    abar = alphas[t].double()
    for i in range(64):
        bump = torch.zeros(64).double()
        bump[i] = h
        bump = bump.reshape(1, 1, 8, 8)
        ends = [
            entropy64(learner((x_t.double() + sign * bump - (1 - abar).sqrt() * eps.double()) / abar.sqrt()))
            for sign in (1, -1)
        ]
        numeric.flatten(1)[:, i] = (ends[0] - ends[1]) / (2 * h)
    numeric /= numeric.flatten(1).norm(dim=1)[:, None, None, None]
    assert torch.allclose(direction.double(), numeric, atol=1e-3)


def entropy64(logits: torch.Tensor) -> torch.Tensor:
    p = logits.softmax(-1)
    return -(p * p.log()).sum(-1)


def test_step_has_its_stated_length_for_each_sample(alphas, learner):
    x_t, eps = sample()
    step = eps - EntropyGuidance(learner, lambda z: z, alphas, omega=0.3)(x_t, eps, 100)
    expected = 0.3 * (1 - alphas[100]).sqrt() * eps.flatten(1).norm(dim=1)
    assert torch.allclose(step.flatten(1).norm(dim=1), expected, rtol=1e-4)


def test_unusable_gradients_give_no_step_and_are_counted(alphas):
    x_t, eps = sample()

    def learner(images):  # constant for sample 0, not a number for sample 1, usable for the others
        logits = torch.stack([images.flatten(1).sum(1), torch.zeros(len(images))], 1)
        scale = torch.tensor([0.0, float("nan")] + [1.0] * (len(images) - 2))
        return logits * scale[:, None]

    guide = EntropyGuidance(learner, lambda z: z, alphas, omega=0.3)
    for t in (50, 20):
        guided = guide(x_t, eps, t)
        assert guided.isfinite().all()
        assert torch.equal(guided[:2], eps[:2])
        assert (guided[2:] != eps[2:]).any()
    assert guide.zero_steps.tolist() == [2, 2, 0, 0, 0, 0]


def test_noisy_steps_and_omega_zero_are_left_alone(alphas, learner):
    x_t, eps = sample()
    assert EntropyGuidance(learner, lambda z: z, alphas, omega=0.0)(x_t, eps, 10) is eps
    guide = EntropyGuidance(learner, lambda z: z, alphas, omega=0.3, guided_below=0.4)
    assert guide(x_t, eps, 400) is eps
    assert guide(x_t, eps, 399) is not eps


def test_scheduler_without_guidance_is_ddim_bit_for_bit():
    stock = DDIMScheduler(beta_schedule="scaled_linear", timestep_spacing="trailing")
    ours = EntropyGuidedDDIMScheduler.from_config(stock.config)
    x_t, eps = sample()
    for scheduler in (stock, ours):
        scheduler.set_timesteps(10)
    for t in stock.timesteps:
        assert torch.equal(stock.step(eps, t, x_t).prev_sample, ours.step(eps, t, x_t).prev_sample)
