"""Guide a diffusers pipeline in one line.

with dp.guide(pipe, classifier, omega=0.3) as guided:
    images = pipe("a photo of a goldfish").images
print(guided.guided_steps, guided.entropy_before)
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor

from dp.guidance.decoders import decoder_of
from dp.guidance.guidance import Gradient, Guidance, GuidanceConfig, objective_for
from dp.guidance.objectives import Learner, Objective
from dp.guidance.preprocessing import with_own_preprocessing
from dp.guidance.schedulers import Guided, guided_copy
from dp.guidance.unet_gradient import NetworkInputs, networks_of


class GuidedPipeline:
    """Hold what `guide` put into a pipeline: the record of its last run, and the way back.

    As a context manager it puts back what the pipeline had before, which may be the guidance of a block around it.

    Attributes:
        pipe: the pipeline, with a guided copy of its scheduler.
        guidance: that scheduler's.
        scheduler: the pipeline's own, which `remove` puts back.
    """

    def __init__(self, pipe: Any, guidance: Guidance):
        self.pipe, self.guidance = pipe, guidance
        self._before = pipe.scheduler
        self.scheduler = getattr(pipe.scheduler, "stock", pipe.scheduler)
        _install(pipe, self.scheduler, guidance)
        self._guided = pipe.scheduler

    @property
    def guided_steps(self) -> int:
        """Return how many steps of the last run were guided."""
        return self.guidance.guided_steps

    @property
    def zero_steps(self) -> Tensor | None:
        """Return how many guided steps of each image had no usable gradient: int64 [B]; None before the first run."""
        return self.guidance.zero_steps

    @property
    def entropy_before(self) -> Tensor | None:
        """Return the objective on each x0_hat before the first guided step: float32 [B]; None before the first run."""
        return self.guidance.before

    @property
    def sampler(self) -> str:
        """Return the class of the pipeline's own sampler, which takes the guided steps too, such as "PNDMScheduler"."""
        return type(self.scheduler).__name__

    def remove(self) -> None:
        """Put the pipeline's own scheduler back; the record stays."""
        if not self._put_back(self.scheduler):
            self._guided.guidance = None  # a block inside which this is removed does not bring it back

    def _put_back(self, scheduler: Any) -> bool:
        """Give the pipeline a scheduler instead of this guidance's; False: it has another one by now."""
        if getattr(self.pipe.scheduler, "guidance", None) is not self.guidance:
            return False
        _unwatch(self.pipe.scheduler)
        _set_scheduler(self.pipe, scheduler)
        _watch(self.pipe, scheduler)
        return True

    def __enter__(self) -> "GuidedPipeline":
        return self

    def __exit__(self, *_: object) -> None:
        self._put_back(self._before if getattr(self._before, "guidance", None) else self.scheduler)

    def __repr__(self) -> str:
        c = self.guidance.config
        return (
            f"guide({type(self.pipe).__name__}, {self.sampler}, omega={c.omega:g}, "
            f"interval={c.interval}, every={c.every}, gradient={c.gradient!r}, guided_steps={self.guided_steps})"
        )


def guide(
    pipe: Any,
    classifier: Learner | None = None,
    omega: float = 0.3,
    interval: tuple[float, float] = (0.0, 0.4),
    every: int = 1,
    gradient: Gradient = "x0",
    decoder: Any = None,
    objective: Objective | None = None,
    relative: bool = True,
) -> GuidedPipeline:
    """Guide a diffusers pipeline toward images that a classifier is unsure of, with the pipeline's own sampler.

    Args:
        pipe: any diffusers pipeline of images with a scheduler that `dp.guidance.path` knows.
        classifier: images float [B, C, H, W] in [-1, 1], at the pipeline's resolution -> logits [B, K]. A timm model
            gets its own size and normalisation first, with a warning that says so; put `Preprocess` before others that
            want another range.
        omega, interval, every, gradient, relative: see `GuidanceConfig`.
        decoder: what turns latents into images: by default the pipeline's own VAE (nothing for a pixel-space
            pipeline); an AutoencoderTiny or a `LinearDecoder` costs a fraction; a function of latents will do.
        objective: raise this, images -> [B], instead of the classifier's entropy.

    Returns:
        The handle: the record of the last run, and `remove()`.

    Raises:
        UserError: the scheduler has no path of a known kind, the decoder is not understood, the classifier cannot be
            called, or a setting is out of range.

    Example:
        >>> from dp import bundled_oracle, bundled_pipeline, guide
        >>> pipe = bundled_pipeline()
        >>> with guide(pipe, bundled_oracle(), omega=0.3) as guided:
        ...     images = pipe([0, 1]).images
        >>> len(images), guided.guided_steps
        (2, 4)
    """
    config = GuidanceConfig(omega, interval, every, relative, gradient)
    if objective is None:
        classifier = with_own_preprocessing(classifier)
    return GuidedPipeline(pipe, Guidance(objective_for(classifier, objective), decoder_of(pipe, decoder), config))


@contextmanager
def guided_by(pipe: Any, guidance: Guidance | None) -> Iterator[None]:
    """Have a pipeline guided so inside, or not at all; put back what it had before, guidance included."""
    before = pipe.scheduler
    if guidance is not None or isinstance(before, Guided):
        _install(pipe, getattr(before, "stock", before), guidance)
    try:
        yield
    finally:
        _unwatch(pipe.scheduler)
        _set_scheduler(pipe, before)
        _watch(pipe, before)


def _install(pipe: Any, stock: Any, guidance: Guidance | None) -> None:
    copied = guided_copy(stock)
    copied.stock, copied.guidance = stock, guidance
    copied.doubled = hasattr(pipe, "transformer") and hasattr(pipe, "get_label_ids")  # DiT's pipeline
    _unwatch(pipe.scheduler)
    _set_scheduler(pipe, copied)
    _watch(pipe, copied)


def _set_scheduler(pipe: Any, scheduler: Any) -> None:
    if hasattr(pipe, "update_components"):  # a modular pipeline
        pipe.update_components(scheduler=scheduler)
    else:
        pipe.scheduler = scheduler


def _watch(pipe: Any, scheduler: Any) -> None:
    """Watch the pipeline's networks, as far as the scheduler's guidance needs it."""
    guidance = getattr(scheduler, "guidance", None)
    if guidance is None or not isinstance(scheduler, Guided):
        return
    if getattr(guidance.decode, "watched", None) is not None:
        guidance.decode.watched.install()
    if guidance.config.gradient == "unet" and guidance.config.omega > 0:
        scheduler.inputs = NetworkInputs(networks_of(pipe), scheduler.is_due)


def _unwatch(scheduler: Any) -> None:
    if not isinstance(scheduler, Guided):
        return
    if scheduler.inputs is not None:
        scheduler.inputs.remove()
        scheduler.inputs = None
    watched = getattr(getattr(scheduler.guidance, "decode", None), "watched", None)
    if watched is not None:
        watched.remove()
