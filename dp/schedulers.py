"""DDIM sampling with guidance inside: the scheduler sees x_t, eps and t of any diffusers pipeline."""

from typing import Any

# SchedulerMixin is imported because diffusers looks for it in this module when it loads a saved pipeline.
from diffusers import DDIMScheduler, SchedulerMixin
from torch import Tensor

from dp.guidance import EntropyGuidance

__all__ = ["EntropyGuidedDDIMScheduler", "SchedulerMixin"]


class EntropyGuidedDDIMScheduler(DDIMScheduler):
    """A DDIMScheduler whose `step` first lets `guidance` change the noise prediction.

        pipe.scheduler = EntropyGuidedDDIMScheduler.from_config(pipe.scheduler.config)
        pipe.scheduler.guidance = EntropyGuidance(...)

    With `guidance` None, or its omega 0, the steps are DDIMScheduler's bit for bit.
    """

    guidance: EntropyGuidance | None = None

    def step(self, model_output: Tensor, timestep: int, sample: Tensor, *args: Any, **kwargs: Any) -> Any:
        """As DDIMScheduler.step (equation 12 of DDIM), with the guided noise prediction."""
        if self.guidance is not None:
            model_output = self.guidance(sample, model_output, int(timestep))
        return super().step(model_output, timestep, sample, *args, **kwargs)
