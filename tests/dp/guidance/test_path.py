"""Every scheduler's path: x0_hat as the scheduler itself sees it, at every step, on random outputs."""

import inspect
import math

import diffusers
import pytest
import torch

from dp.guidance.guidance import Guidance, GuidanceConfig
from dp.guidance.path import SCHEDULERS, Point, check_path, extrapolates, next_point_of, point, point_of, preserving
from dp.guidance.schedulers import guided_copy
from dp.utils.errors import UserError

SD = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}
V = {"prediction_type": "v_prediction"}
SAMPLE = {"prediction_type": "sample"}
FLOW = {"prediction_type": "flow_prediction", "use_flow_sigmas": True}
ZERO = {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing", **V}
SPACINGS = [{"use_karras_sigmas": True}, {"use_exponential_sigmas": True}, {"use_beta_sigmas": True}]
# Settings of each scheduler; each is tried with those of the beta schedule where it takes them.
CASES = {
    "DDIMScheduler": [{"clip_sample": False, **each} for each in ({}, V, SAMPLE, ZERO)],
    "DDIMParallelScheduler": [{"clip_sample": False}],
    "DDPMScheduler": [{"clip_sample": False, **each} for each in ({}, V, SAMPLE, {"variance_type": "learned_range"})],
    "DDPMParallelScheduler": [{"clip_sample": False}],
    "CogVideoXDDIMScheduler": [{"clip_sample": False, **V}],
    "UnCLIPScheduler": [{"clip_sample": False}, {"clip_sample": False, **SAMPLE}],
    "PNDMScheduler": [{"skip_prk_steps": True}, {"skip_prk_steps": True, **V}, {}],
    "LCMScheduler": [{}, V, SAMPLE],
    "TCDScheduler": [{}, V, SAMPLE],
    "SCMScheduler": [{}],
    "IPNDMScheduler": [{}],
    "DDPMWuerstchenScheduler": [{}],
    "EulerDiscreteScheduler": [{}, V, SAMPLE, ZERO, *SPACINGS],
    "EulerAncestralDiscreteScheduler": [{}, V],
    "HeunDiscreteScheduler": [{}, V, SAMPLE, *SPACINGS],
    "KDPM2DiscreteScheduler": [{}, V, *SPACINGS],
    "KDPM2AncestralDiscreteScheduler": [{}, V, *SPACINGS],
    "LMSDiscreteScheduler": [{}, V, SAMPLE, *SPACINGS],
    "DPMSolverSDEScheduler": [{}, V, *SPACINGS],
    "DPMSolverMultistepScheduler": [{}, V, SAMPLE, FLOW, ZERO, {"algorithm_type": "sde-dpmsolver++"}, *SPACINGS],
    "DPMSolverSinglestepScheduler": [{}, V, SAMPLE, FLOW],
    "DEISMultistepScheduler": [{}, V, SAMPLE, FLOW],
    "UniPCMultistepScheduler": [{}, V, SAMPLE, FLOW, *SPACINGS],
    "SASolverScheduler": [{}, V, SAMPLE, FLOW],
    "EDMEulerScheduler": [{}, V],
    "EDMDPMSolverMultistepScheduler": [{}, V],
    "CosineDPMSolverMultistepScheduler": [V],
    "CMStochasticIterativeScheduler": [{"clip_denoised": False}],
    "FlowMatchEulerDiscreteScheduler": [{}, {"shift": 3.0}, {"use_karras_sigmas": True}, {"stochastic_sampling": True}],
    "FlowMatchHeunDiscreteScheduler": [{}, {"shift": 3.0}],
    "FlowMatchLCMScheduler": [{}],
    "LTXEulerAncestralRFScheduler": [{}],
}


def made(name, settings):
    kind = getattr(diffusers, name)
    if kind.__module__.startswith("diffusers.utils.dummy"):
        pytest.skip("needs torchsde")
    accepted = inspect.signature(kind.__init__).parameters
    return kind(**({k: v for k, v in SD.items() if k in accepted and name != "UnCLIPScheduler"} | settings))


def the_schedulers_own(own, output, t, x):
    """x0_hat by the scheduler's own code outside its step; None where only its step shows it, or nothing."""
    if hasattr(own, "precondition_outputs"):
        return own.precondition_outputs(x, output, own.sigmas[own.step_index])
    if hasattr(own, "convert_model_output"):
        converted = own.convert_model_output(output, sample=x)
        if type(own).__name__ != "DEISMultistepScheduler":
            return converted
        a, s = own._sigma_to_alpha_sigma_t(own.sigmas[own.step_index])
        return (x - s * converted) / a
    if hasattr(own, "get_scalings_for_boundary_condition"):
        skip, out = own.get_scalings_for_boundary_condition(own.sigmas[own.step_index])
        return skip * x + out * output
    if type(own).__name__.startswith(("FlowMatch", "LTX")):
        return x - own.sigmas[own.step_index] * output
    if type(own).__name__ in ("LCMScheduler", "TCDScheduler"):
        ddim = diffusers.DDIMScheduler.from_config(own.config, clip_sample=False)
        ddim.set_timesteps(own.num_inference_steps)
        return ddim.step(output, t, x).pred_original_sample
    return None


@pytest.mark.parametrize("name", CASES)
def test_x0_hat_is_the_schedulers_own_at_every_step(name):
    assert set(CASES) == set(SCHEDULERS)
    if not hasattr(diffusers, name):
        pytest.skip("a newer scheduler than this diffusers")
    for settings in CASES[name]:
        scheduler, rng = made(name, settings), torch.Generator().manual_seed(0)
        scheduler.set_timesteps(2 if name == "SCMScheduler" else 9)
        x = torch.randn(2, 3, 4, 4, generator=rng) * getattr(scheduler, "init_noise_sigma", 1.0)
        compared = 0
        for t in scheduler.timesteps[: -1 if name == "SCMScheduler" else None]:
            if name == "DDPMWuerstchenScheduler":
                t = t.expand(2)
                if t[0] == 0:
                    break
            learnt_variance = settings.get("variance_type") == "learned_range"
            output, own = torch.randn(2, 6 if learnt_variance else 3, 4, 4, generator=rng), slice(3)
            if hasattr(scheduler, "scale_model_input"):
                scheduler.scale_model_input(x, t)
            place = point_of(scheduler, t)
            n = place.noise_of(x, output[:, own])
            assert (
                torch.allclose(place.output_of(x, n), output[:, own], atol=2e-4 * float(place.norm.max()))
                or place.all_noise
            )
            expected = the_schedulers_own(scheduler, output, t, x)
            result = scheduler.step(output, t, x)
            expected = getattr(result, "pred_original_sample", None) if expected is None else expected
            if expected is not None and not place.all_noise:
                if name == "SCMScheduler":  # whose samples are in the scale of sigma_data
                    expected = expected / scheduler.config.sigma_data
                scale = max(1.0, float(expected.abs().max()))
                assert (place.x0_of(x, n) - expected).abs().max() < 1e-4 * scale, (settings, t, place)
                compared += 1
            x = result.prev_sample
        assert compared or name in ("IPNDMScheduler", "PNDMScheduler", "DDPMWuerstchenScheduler")


@pytest.mark.parametrize("name", ["PNDMScheduler", "LMSDiscreteScheduler", "IPNDMScheduler", "DEISMultistepScheduler"])
def test_the_first_order_step_is_the_solvers_own_first_step(name):
    """A multistep solver's first step has no history, so there the two must agree."""
    scheduler = made(name, {"skip_prk_steps": True} if name == "PNDMScheduler" else {})
    scheduler.set_timesteps(10)
    x, output = torch.randn(2, 2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    t = scheduler.timesteps[0]
    if name == "IPNDMScheduler":  # which begins at pure noise
        scheduler.set_begin_index(1)
        t = scheduler.timesteps[1]
    assert extrapolates(scheduler)
    here, there = point_of(scheduler, t), next_point_of(scheduler, t)
    n = here.noise_of(x, output)
    expected = scheduler.step(output, t, x).prev_sample
    scale = max(1.0, float(expected.abs().max()))
    assert torch.allclose(there.x_of(here.x0_of(x, n), n), expected, atol=1e-4 * scale)


@pytest.mark.parametrize("name", ["DPMSolverMultistepScheduler", "UniPCMultistepScheduler"])
def test_guided_steps_of_a_solver_that_predicts_data_are_those_of_first_order(name):
    """It would extrapolate a change, and take half of it back; history and corrector are left out."""
    scheduler = guided_copy(made(name, {"final_sigmas_type": "sigma_min"}))
    settings = {"solver_order": 1, "final_sigmas_type": "sigma_min"}
    settings |= {"disable_corrector": list(range(10))} if name.startswith("UniPC") else {}
    first = made(name, settings)
    nothing = GuidanceConfig(1e-12, interval=(0.0, 0.4))
    scheduler.guidance = Guidance(lambda images: images.flatten(1).sum(1), lambda latents: latents.float(), nothing)
    for each in (scheduler, first):
        each.set_timesteps(10)
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(2, 3, 4, 4, generator=rng)
    same = []
    for t in scheduler.timesteps:
        output = torch.randn(x.shape, generator=rng)
        following, expected = scheduler.step(output, t, x).prev_sample, first.step(output, t, x).prev_sample
        same.append(torch.allclose(following, expected, atol=1e-5))
        x = following
    guided = scheduler.guidance.guided_steps
    assert guided >= 3 and same[-guided:] == [True] * guided and not all(same[1:-guided])


def test_one_noise_level_has_one_time_on_every_path():
    """Stable Diffusion's t = 0.4 T is sigma 0.538 of a flow, and whatever Karras steps call it."""
    ddim = made("DDIMScheduler", {})
    for t in (0, 1, 399, 400, 999):
        assert preserving(ddim.alphas_cumprod[t]).time == t  # to the last bit: intervals are compared with it
    flow = point(torch.tensor(1 - 0.538), torch.tensor(0.538), "flow_prediction")
    assert flow.time == pytest.approx(400, abs=2)
    sigma = ((1 - ddim.alphas_cumprod[250]) / ddim.alphas_cumprod[250]).sqrt()
    assert point(torch.ones(()), sigma).time == pytest.approx(250, abs=0.01)
    assert point(torch.ones(()), torch.tensor(1e-9)).time == 0
    assert point(torch.ones(()), torch.tensor(80.0)).time == 999


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction", "sample", "flow_prediction"])
def test_kinds_of_prediction_mean_the_same_noise(kind):
    rng = torch.Generator().manual_seed(0)
    x0, n = torch.randn(2, 3, 4, 4, generator=rng), torch.randn(2, 3, 4, 4, generator=rng)
    place = point(torch.tensor(0.6), torch.tensor(1.3), kind)
    x = place.x_of(x0, n)
    output = {
        "epsilon": n,
        "v_prediction": (0.6 * n - 1.3 * x0) / math.hypot(0.6, 1.3),
        "sample": x0,
        "flow_prediction": n - x0,
    }[kind]
    assert torch.allclose(place.noise_of(x, output), n, atol=1e-5)
    assert torch.allclose(place.output_of(x, n), output, atol=1e-5)
    assert torch.allclose(place.x0_of(x, n), x0, atol=1e-5)


def test_pure_noise_is_known():
    assert preserving(torch.tensor(0.0), "v_prediction").all_noise and not preserving(torch.tensor(0.005)).all_noise
    assert point(torch.tensor(0.0), torch.tensor(1.0), "flow_prediction").all_noise
    assert isinstance(point(torch.tensor(0.5), torch.tensor(0.5)), Point)


@pytest.mark.parametrize(
    "name", ["ScoreSdeVeScheduler", "KarrasVeScheduler", "RePaintScheduler", "DDIMInverseScheduler"]
)
def test_a_scheduler_without_such_a_path_is_refused_in_one_line(name):
    with pytest.raises(UserError, match=f"{name} follows no path .* take DDIMScheduler") as told:
        check_path(getattr(diffusers, name)())
    assert "\n" not in str(told.value)


def test_an_unknown_prediction_is_refused():
    scheduler = made("DDIMScheduler", {"prediction_type": "beauty"})
    with pytest.raises(UserError, match='prediction_type "beauty" is not known; expected one of epsilon'):
        guided_copy(scheduler)
