"""Schedulers with guidance inside: a scheduler's step sees x_t, the network's output and t of any diffusers pipeline.

    pipe.scheduler = EntropyGuidedDDIMScheduler.from_config(pipe.scheduler.config)
    pipe.scheduler.guidance = entropy_guidance(pipe, classifier, omega=0.3)

Guidance belongs to a process, not to a configuration: a pipeline that is saved and loaded again guides no longer, until
it is given its guidance again.
"""

import functools
from typing import Any

# SchedulerMixin is imported because diffusers looks for it in this module when it loads a saved pipeline.
from diffusers import DDIMScheduler, DPMSolverMultistepScheduler, SchedulerMixin
from torch import Tensor

from dp.guidance.guidance import Guidance
from dp.utils.errors import UserError

__all__ = ["EntropyGuidedDDIMScheduler", "EntropyGuidedDPMSolverScheduler", "SchedulerMixin"]


def _check_config(config: Any) -> None:
    kind = config.get("prediction_type")
    if "beta_schedule" not in config or kind not in ("epsilon", "v_prediction", "sample"):
        raise UserError(
            f"pipe.scheduler: its configuration has no noise schedule of the DDIM kind (prediction_type {kind!r}); "
            "guidance needs a diffusion model with a beta schedule, such as Stable Diffusion 1.5, 2.1, XL or DiT"
        )


class EntropyGuidedDDIMScheduler(DDIMScheduler):
    """A DDIMScheduler whose `step` first lets `guidance` change the network's output.

    With `guidance` None, or its omega 0, the steps are DDIMScheduler's bit for bit.
    """

    guidance: Guidance | None = None

    @classmethod
    def from_config(cls, config: Any = None, **kwargs: Any) -> Any:
        """As for any scheduler; UserError if the configuration is of a model that has no DDIM steps.

        Samples are clipped only if the configuration says so: those of samplers that know no clipping (Euler,
        DPM-Solver, UniPC) say nothing, and DDIM clips by default, which spoils latents.
        """
        _check_config(config)
        return super().from_config({"clip_sample": False, **config}, **kwargs)

    @functools.wraps(DDIMScheduler.set_timesteps)  # pipelines look at its signature too
    def set_timesteps(self, *args: Any, **kwargs: Any) -> None:
        """As DDIMScheduler.set_timesteps; guidance begins a new run."""
        super().set_timesteps(*args, **kwargs)
        if self.guidance is not None:
            self.guidance.renew()

    @functools.wraps(DDIMScheduler.step)  # pipelines look at its signature to see whether it takes eta
    def step(self, model_output: Tensor, timestep: int, sample: Tensor, *args: Any, **kwargs: Any) -> Any:
        """As DDIMScheduler.step (equation 12 of DDIM), with the guided output."""
        if self.guidance is not None:
            model_output = self.guidance(sample, model_output, int(timestep))
        return super().step(model_output, timestep, sample, *args, **kwargs)


class EntropyGuidedDPMSolverScheduler(DPMSolverMultistepScheduler):
    """A DPMSolverMultistepScheduler (DPM-Solver++ by default) whose `step` guides likewise: as good in fewer steps."""

    guidance: Guidance | None = None

    @classmethod
    def from_config(cls, config: Any = None, **kwargs: Any) -> Any:
        """As for any scheduler; UserError if the configuration is of a model that has no such steps."""
        _check_config(config)
        return super().from_config(config, **kwargs)

    @functools.wraps(DPMSolverMultistepScheduler.set_timesteps)  # pipelines look at its signature too
    def set_timesteps(self, *args: Any, **kwargs: Any) -> None:
        """As DPMSolverMultistepScheduler.set_timesteps; guidance begins a new run."""
        super().set_timesteps(*args, **kwargs)
        if self.guidance is not None:
            self.guidance.renew()

    @functools.wraps(DPMSolverMultistepScheduler.step)
    def step(self, model_output: Tensor, timestep: int, sample: Tensor, *args: Any, **kwargs: Any) -> Any:
        """As DPMSolverMultistepScheduler.step, with the guided output."""
        if self.guidance is not None:
            model_output = self.guidance(sample, model_output, int(timestep))
        return super().step(model_output, timestep, sample, *args, **kwargs)
