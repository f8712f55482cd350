"""Copy any scheduler so that it guides: its step sees x_t, the network's output and t, and changes the output.

A copy is an instance of a subclass of the scheduler's class that has the same name and module, so a guided pipeline is
saved as the user's own, and loads where this package is not installed. With no guidance, or omega 0, its steps are the
scheduler's bit for bit.

Guidance belongs to a process, not to a configuration: a pipeline that is saved and loaded again guides no longer.
"""

import copy
import functools
import warnings
from typing import Any

# SchedulerMixin is imported because diffusers looks for it in this module when it loads a saved pipeline.
from diffusers import DDIMScheduler, DPMSolverMultistepScheduler, SchedulerMixin
from torch import Tensor

from dp.guidance.guidance import Guidance
from dp.guidance.path import check_path, extrapolates, next_point_of, point_of
from dp.guidance.unet_gradient import NetworkInputs
from dp.utils.errors import UserError

__all__ = ["EntropyGuidedDDIMScheduler", "EntropyGuidedDPMSolverScheduler", "Guided", "SchedulerMixin", "guided_copy"]


class Guided:
    """Guide the steps of the scheduler class that it is mixed into by `guided_class`.

    Attributes:
        guidance: of the next runs; None guides nothing.
        inputs: what the networks are called with, for gradient "unet".
        doubled: whether the samples may be the two halves of classifier-free guidance, each the same (DiT's pipeline).
    """

    config: Any  # these six are the scheduler's
    step_index: Any
    prk_timesteps: Any
    timesteps: Any
    counter: Any
    ets: Any

    guidance: Guidance | None = None
    inputs: NetworkInputs | None = None
    doubled: bool = False
    _asked_at: Any = None  # the time step that the pipeline scaled the network's input for, since the last step
    _place: int | None = None  # the next step's, in `timesteps`; None before the first
    _guides: bool = False  # whether the last step was guided

    def renew(self) -> None:
        """Begin a new run."""
        self._asked_at, self._place, self._guides = None, None, False
        if self.guidance is not None:
            self.guidance.renew()
        if self.inputs is not None:
            self.inputs.close()

    def is_due(self) -> bool:
        """Return whether the step ahead is guided; also where that cannot be told before it is taken."""
        if self.guidance is None or self.guidance.config.omega == 0:
            return False
        if not getattr(self, "state_in_first_order", True):
            return self._guides
        t = self._asked_at
        if t is None:
            place = self._place
            if place is None and hasattr(self, "begin_index"):
                place = self.begin_index or 0  # pipelines that begin later say so
            if place is None or place >= len(self.timesteps):
                return True
            t = self.timesteps[place]
        return self.guidance.is_due(point_of(self, t))

    def guided_step(self, kind: Any, output: Tensor, t: Any, x: Tensor, args: tuple, kwargs: dict[str, Any]) -> Any:
        """Take a step of the class `kind`, with the guided output."""
        guidance = self.guidance
        if guidance is None or guidance.config.omega == 0:
            return kind.step(self, output, t, x, *args, **kwargs)
        try:
            point = point_of(self, t)
            inner = not getattr(self, "state_in_first_order", True)
            # Calls that correct a first-order step just taken: PNDM's second one, Heun's inner ones. They would take a
            # change back, so after a guided step they leave the sample as it is.
            corrects = hasattr(self, "plms_timesteps") and self.config.skip_prk_steps and self.counter == 1
            corrects = corrects or (inner and hasattr(self, "prev_derivative"))
            if not inner and not corrects:
                self._guides = guidance.active(point)
            # A midpoint solver's outer call only finds the point that the step's direction is taken at, and a change of
            # it would be taken back: the inner call is guided, and the last outer one, which no inner one follows.
            midway = hasattr(self, "sigmas_interpol") and not inner and self.step_index < len(self.timesteps) - 1
            guided = None
            if self._guides and not corrects and not midway:
                guided = self._guided_output(output, point, t, x)
        finally:
            if self.inputs is not None:
                self.inputs.close()
            self._advance(t)
        output = output.detach()
        if not self._guides or midway:
            result = kind.step(self, output, t, x, *args, **kwargs)
        elif guided is None or (extrapolates(self) and not self._is_runge_kutta()):
            result = self._first_order_step(kind, guided, output, t, x, args, kwargs)
        else:
            averaged = self._is_runge_kutta()
            self._begin_anew()
            result = kind.step(self, guided, t, x, *args, **kwargs)
            self._begin_anew()
            if averaged and len(self.ets) and self.ets[-1] is guided:
                self.ets[-1] = output
        self._warn_if_nothing_was_guided(t)
        return result

    def _is_runge_kutta(self) -> bool:
        """Return whether PNDM's step is one of its first, which average outputs instead of extrapolating."""
        begins = hasattr(self, "prk_timesteps") and not self.config.skip_prk_steps
        return begins and self.counter < len(self.prk_timesteps)

    def _guided_output(self, output: Tensor, point: Any, t: Any, x: Tensor) -> Tensor:
        half = len(x) // 2
        doubled = (
            self.doubled and len(x) == 2 * half and x[:half].equal(x[half:]) and output[:half].equal(output[half:])
        )
        if doubled:
            x, output = x[:half], output[:half]
        scale = 1.0
        if self.inputs is not None and hasattr(type(self), "scale_model_input"):
            scale = float(super().scale_model_input(x.new_ones((), dtype=x.dtype).float(), t))  # type: ignore[misc]
        guided = self.guidance.guide(x, output, point, self.inputs, scale)  # type: ignore[union-attr]
        return guided.repeat(2, *[1] * (guided.ndim - 1)) if doubled else guided

    def _first_order_step(
        self, kind: Any, guided: Tensor | None, output: Tensor, t: Any, x: Tensor, args: tuple, kwargs: dict[str, Any]
    ) -> Any:
        """Step to signal x0_hat + noise n; the solver's history, which it extrapolates, stays that of plain steps.

        `guided` is None in a correcting call, where the sample already is what the guided step led to.
        """
        if guided is None:
            previous = x
        else:
            point, following = point_of(self, t), next_point_of(self, t)
            n = point.noise_of(x, guided)
            previous = following.x_of(point.x0_of(x, n), n).to(x.dtype)
        result = kind.step(self, output, t, x, *args, **kwargs)
        if hasattr(self, "last_sample"):
            self.last_sample = None  # a corrector would take the step back
        if isinstance(result, tuple):
            return (previous, *result[1:])
        result.prev_sample = previous
        return result

    def _begin_anew(self) -> None:
        """Have a multistep solver take its next step at first order, without past outputs, and correct none.

        It would go half a step too far along a change, and take that half back at the next step.
        """
        if hasattr(self, "lower_order_nums"):
            self.lower_order_nums = 0
        if hasattr(self, "last_sample"):
            self.last_sample = None

    def _advance(self, t: Any) -> None:
        self._asked_at = None
        if self._place is None:
            matches = [i for i, each in enumerate(self.timesteps) if float(each) == _number(t)]
            self._place = matches[0] if matches else 0
        self._place += 1

    def _warn_if_nothing_was_guided(self, t: Any) -> None:
        guidance = self.guidance
        if guidance is None or float(self.timesteps[-1]) != _number(t):
            return
        if guidance.guided_steps == 0:
            warnings.warn(
                f"guidance: none of this run's steps is at a noise level in {guidance.config.interval}, so omega "
                f"{guidance.config.omega:g} did nothing; take more steps or a wider interval",
                stacklevel=4,
            )
        elif guidance.zero_steps is not None and bool((guidance.zero_steps == guidance.guided_steps).all()):
            warnings.warn(
                f"guidance: no image had a usable gradient at any of {guidance.guided_steps} guided steps, so omega "
                f"{guidance.config.omega:g} did nothing; see whether the decoder and the classifier pass gradients on",
                stacklevel=4,
            )


@functools.cache
def guided_class(kind: Any) -> Any:
    """Return the subclass of a scheduler class that guides: of the same name and module, with the same signatures."""

    # Pipelines look at these signatures, to see whether a scheduler takes sigmas, eta or a generator.
    @functools.wraps(kind.set_timesteps)
    def set_timesteps(self: Any, *args: Any, **kwargs: Any) -> None:
        kind.set_timesteps(self, *args, **kwargs)
        self.renew()

    @functools.wraps(kind.step)
    def step(self: Any, model_output: Tensor, timestep: Any, sample: Tensor, *args: Any, **kwargs: Any) -> Any:
        return self.guided_step(kind, model_output, timestep, sample, args, kwargs)

    def reduced(self: Any, protocol: Any) -> Any:
        if type(self) is not made:  # a class with a name of its own
            return object.__reduce_ex__(self, protocol)
        return _empty, (kind,), self.__dict__.copy()

    members: dict[str, Any] = {"__module__": kind.__module__, "__doc__": kind.__doc__, "__reduce_ex__": reduced}
    members |= {"set_timesteps": set_timesteps, "step": step}
    if hasattr(kind, "scale_model_input"):

        @functools.wraps(kind.scale_model_input)
        def scale_model_input(self: Any, sample: Tensor, timestep: Any = None, *args: Any, **kwargs: Any) -> Tensor:
            self._asked_at = timestep
            return kind.scale_model_input(self, sample, timestep, *args, **kwargs)

        members["scale_model_input"] = scale_model_input
    made = type(kind.__name__, (Guided, kind), members)
    return made


def _empty(kind: Any) -> Any:
    """Return a guided scheduler without attributes, as unpickling and copying begin with."""
    made = guided_class(kind)
    return made.__new__(made)


def guided_copy(scheduler: Any) -> Any:
    """Return a copy of a scheduler, with all it has been set and corrected to, that can guide.

    Raises:
        UserError: it follows no path that guidance knows.
    """
    check_path(scheduler)
    kind: Any = type(scheduler)
    if not isinstance(scheduler, Guided):
        kind = guided_class(kind)
    made = kind.__new__(kind)
    kept = {name: value for name, value in vars(scheduler).items() if name not in ("guidance", "inputs", "stock")}
    if "noise_sampler" in kept:  # a stochastic solver's, which begins anew with each run and cannot be copied
        kept["noise_sampler"] = None
    vars(made).update(copy.deepcopy(kept))
    return made


def _number(t: Any) -> float:
    return float(t.flatten()[0]) if isinstance(t, Tensor) else float(t)


def _converted(kind: Any, config: Any, kwargs: dict[str, Any]) -> Any:
    """Return a scheduler of the class with all of a configuration's values, also the defaults of its own class.

    Samples are clipped only if the configuration says so: those of samplers that know no clipping (Euler, DPM-Solver,
    UniPC) say nothing, and DDIM clips by default, which spoils latents.
    """
    prediction = config.get("prediction_type")
    if "beta_schedule" not in config or prediction not in ("epsilon", "v_prediction", "sample"):
        raise UserError(
            f"pipe.scheduler: its configuration has no noise schedule of the DDIM kind (prediction_type {prediction!r})"
            "; dp.guide(pipe, classifier) guides the pipeline with the scheduler that it has"
        )
    values = {name: value for name, value in config.items() if name != "_use_default_values"}
    return super(kind, kind).from_config({"clip_sample": False, **values}, **kwargs)


class EntropyGuidedDDIMScheduler(guided_class(DDIMScheduler)):  # type: ignore[misc]
    """Guide by DDIM whatever the pipeline's sampler was; `dp.guide` keeps that.

    pipe.scheduler = EntropyGuidedDDIMScheduler.from_config(pipe.scheduler.config)
    pipe.scheduler.guidance = entropy_guidance(pipe, classifier, omega=0.3)

    Example:
        >>> from dp import EntropyGuidedDDIMScheduler, bundled_pipeline
        >>> pipe = bundled_pipeline()
        >>> pipe.scheduler = EntropyGuidedDDIMScheduler.from_config(pipe.scheduler.config)
        >>> pipe.scheduler.guidance is None  # plain, until it is given the guidance of `entropy_guidance`
        True
    """

    @classmethod
    def from_config(cls, config: Any = None, **kwargs: Any) -> Any:
        """Return a scheduler; UserError if the configuration is of a model that has no DDIM steps."""
        return _converted(cls, config, kwargs)


class EntropyGuidedDPMSolverScheduler(guided_class(DPMSolverMultistepScheduler)):  # type: ignore[misc]
    """Guide likewise by DPM-Solver++, as good in fewer steps.

    Example:
        >>> from dp import EntropyGuidedDPMSolverScheduler, bundled_pipeline
        >>> pipe = bundled_pipeline()
        >>> pipe.scheduler = EntropyGuidedDPMSolverScheduler.from_config(pipe.scheduler.config)
        >>> len(pipe([0, 1], num_inference_steps=4).images)
        2
    """

    @classmethod
    def from_config(cls, config: Any = None, **kwargs: Any) -> Any:
        """Return a scheduler; UserError if the configuration is of a model that has no such steps."""
        return _converted(cls, config, kwargs)
