"""Measure how hard an image is for a learner, which is what guidance raises.

An objective is any callable of images, float [B, C, H, W] in [-1, 1] -> float32 [B], differentiable. `Entropy` is the
paper's; the others are there to compare it with. To steer toward easy images, negate one.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dp.utils.errors import UserError, in_a_line

Learner = Callable[[Tensor], Any]  # images float [B, C, H, W] in [-1, 1] -> logits [B, K]; usually a module
Objective = Callable[[Tensor], Tensor]


def entropy(logits: Tensor) -> Tensor:
    """Return the Shannon entropy of softmax(logits) in nats, float32 [B], from logits [B, K]; 0 .. log K.

    Example:
        >>> import torch
        >>> from dp import entropy
        >>> entropy(torch.tensor([[0.0, 0.0], [0.0, 9.0]]))  # log 2: a pure guess; nearly 0: sure
        tensor([0.6931, 0.0012])
    """
    log_p = logits.float().log_softmax(-1)
    return -(log_p.exp() * log_p).sum(-1)


def margin(logits: Tensor) -> Tensor:
    """Return how near the two likeliest classes are: log p2 - log p1, float32 [B], from logits [B, K]; <= 0."""
    first, second = logits.float().topk(2).values.unbind(-1)
    return second - first


def divergence(logits: Tensor, others: Tensor) -> Tensor:
    """Return the Jensen-Shannon divergence of two softmaxes in nats, float32 [B], from logits [B, K]; 0 .. log 2."""
    log_mean = torch.logaddexp(logits.float().log_softmax(-1), others.float().log_softmax(-1)) - math.log(2)
    # Logarithms of probabilities are logits; rounding may leave a tiny negative number where both are equal.
    return (entropy(log_mean) - (entropy(logits) + entropy(others)) / 2).clamp_min(0)


class Entropy:
    """Raise the learner's entropy in nats (Section 3): the paper's objective.

    Example:
        >>> import torch
        >>> from dp import Entropy, bundled_oracle
        >>> hardness = Entropy(bundled_oracle())
        >>> hardness(torch.zeros(2, 1, 32, 32)).shape
        torch.Size([2])
    """

    def __init__(self, learner: Learner):
        self.learner = learner

    def __call__(self, images: Tensor) -> Tensor:
        """Return nats, float32 [B], of images float [B, C, H, W] in [-1, 1]."""
        return entropy(checked_logits(self.learner, images))


class Margin:
    """Close the gap between the learner's two likeliest classes, in nats of log-probability.

    Example:
        >>> import torch
        >>> from dp import Margin, bundled_oracle, bundled_pipeline, guide
        >>> pipe, classifier = bundled_pipeline(), bundled_oracle()
        >>> with guide(pipe, objective=Margin(classifier)):
        ...     images = pipe([0, 1]).images
    """

    def __init__(self, learner: Learner):
        self.learner = learner

    def __call__(self, images: Tensor) -> Tensor:
        """Return nats, float32 [B], <= 0, of images float [B, C, H, W] in [-1, 1]."""
        return margin(checked_logits(self.learner, images))


class LabelLoss:
    """Raise the learner's cross-entropy to the label that each image is generated for, in nats.

    Takes int64 labels [B] of B images, or of k B: k images per prompt, which lie side by side (A A B B).
    """

    def __init__(self, learner: Learner, labels: Tensor):
        self.learner = learner
        self.labels = labels

    def __call__(self, images: Tensor) -> Tensor:
        """Return nats, float32 [B], of images float [B, C, H, W] in [-1, 1]."""
        logits = checked_logits(self.learner, images)
        labels = self.labels
        if len(labels) and len(logits) % len(labels) == 0:
            labels = labels.repeat_interleave(len(logits) // len(labels))
        if len(labels) != len(logits) or labels.min() < 0 or labels.max() >= logits.shape[1]:
            raise UserError(
                f"labels: got {_brief(self.labels)} for {len(logits)} images of a learner with {logits.shape[1]} "
                "classes; give one label an image, each in 0 .. classes - 1"
            )
        return F.cross_entropy(logits.float(), labels.to(logits.device), reduction="none")


class Disagreement:
    """Raise the Jensen-Shannon divergence between two learners' predictions, in nats."""

    def __init__(self, learner: Learner, other: Learner):
        self.learner = learner
        self.other = other

    def __call__(self, images: Tensor) -> Tensor:
        """Return nats, float32 [B], 0 .. log 2, of images float [B, C, H, W] in [-1, 1]."""
        return divergence(checked_logits(self.learner, images), checked_logits(self.other, images))


class Robust:
    """Raise another objective on average over what training does to images: random shifts, a little noise.

    Much of what guidance gains is of the guiding learner's own making; what survives its augmentation is shared by
    other learners to a larger part (docs/guidance.md). The changes are the same at every step and for every image, so
    an image still depends on its label and seed alone.

    Attributes:
        objective: images float [B, C, H, W] in [-1, 1] -> what to raise, [B].
        draws: changed copies that it is averaged over; the objective is computed for each.
        shift: pixels that a copy is moved by at most, in each direction; the border is repeated.
        noise: standard deviation of the noise, in the images' scale.
        seed: of the changes.
    """

    def __init__(self, objective: Objective, draws: int = 4, shift: int = 2, noise: float = 0.1, seed: int = 0):
        if draws < 1 or shift < 0 or not noise >= 0:
            raise UserError(f"robust: got {draws} draws, shift {shift}, noise {noise}; expected 1, 0 and 0 or more")
        self.objective, self.draws, self.shift, self.noise, self.seed = objective, draws, shift, noise, seed

    def __call__(self, images: Tensor) -> Tensor:
        """Return the mean objective, float32 [B], of images float [B, C, H, W] in [-1, 1]."""
        rng = torch.Generator().manual_seed(self.seed)
        height, width = images.shape[-2:]
        padded = F.pad(images, [self.shift] * 4, mode="replicate")
        values = []
        for _ in range(self.draws):
            top, left = torch.randint(2 * self.shift + 1, (2,), generator=rng).tolist()
            noise = torch.randn(images.shape[1:], generator=rng).to(images)
            moved = padded[..., top : top + height, left : left + width]
            values.append(self.objective(moved + self.noise * noise))
        return torch.stack(values).mean(0)


def objective_of(name: str, learner: Learner, labels: Tensor, other: Learner | None = None) -> Objective:
    """Return the objective of that name (see `GuidanceConfig`)."""
    builders: dict[str, Callable[[], Objective]] = {
        "entropy": lambda: Entropy(learner),
        "margin": lambda: Margin(learner),
        "loss": lambda: LabelLoss(learner, labels),
        "disagreement": lambda: Disagreement(learner, other or learner),
    }
    return builders[name]()


@contextmanager
def frozen(*parts: Any) -> Iterator[None]:
    """Keep the modules among `parts` in eval mode and without parameter gradients inside; put them back afterwards.

    Every submodule's own mode and every parameter's own flag come back, so a partly frozen model stays partly frozen.
    """
    modules = [m for part in parts if isinstance(part, nn.Module) for m in part.modules()]
    modes = [m.training for m in modules]
    try:
        for m in modules:
            m.training = False
        with without_parameter_gradients(*parts):
            yield
    finally:
        for m, mode in zip(modules, modes, strict=True):
            m.training = mode


@contextmanager
def without_parameter_gradients(*parts: Any) -> Iterator[None]:
    """Have the parameters of the modules among `parts` ask for no gradients inside; put their flags back afterwards."""
    asking = [p for part in parts if isinstance(part, nn.Module) for p in part.parameters() if p.requires_grad]
    try:
        for p in asking:
            p.requires_grad_(False)
        yield
    finally:
        for p in asking:
            p.requires_grad_(True)


def keeping_weights(*parts: Any) -> AbstractContextManager[Any]:
    """Have a graph keep the weights that it is computed with, where modules are offloaded to disk in groups.

    Such a module's weights are gone by the time of the backward pass, and the gradient would be zero.
    """
    modules = (m for part in parts if isinstance(part, nn.Module) for m in part.modules())
    if not any(hasattr(m, "_diffusers_hook") for m in modules):
        return nullcontext()
    return torch.autograd.graph.saved_tensors_hooks(lambda tensor: tensor.detach(), lambda tensor: tensor)


def checked_logits(learner: Learner, images: Tensor) -> Tensor:
    """Return the learner's logits [B, K] on float images in [-1, 1], in eval mode, checked and differentiable.

    HuggingFace classifiers (an output with `.logits`) and half-precision modules are served as they are.

    Raises:
        UserError: the learner does not take such images, or does not give finite logits of two or more classes.
    """
    if not isinstance(images, Tensor):
        raise UserError(f"images: got {type(images).__name__}, expected a tensor float [B, C, H, W] in [-1, 1]")
    first = next(learner.parameters(), None) if isinstance(learner, nn.Module) else None
    if first is not None and first.is_floating_point() and not torch.is_autocast_enabled(images.device.type):
        images = images.to(first.dtype)
    with ExitStack() as stack:
        stack.enter_context(frozen(learner))
        try:
            output = learner(images)
        except (torch.OutOfMemoryError, UserError):
            raise
        except (RuntimeError, ValueError, AssertionError) as error:
            shape = list(images.shape)
            reason = in_a_line(error)
            raise UserError(f"learner: cannot classify images {shape} ({reason}); give it images it knows") from error
    logits = getattr(output, "logits", output)
    if not isinstance(logits, Tensor) or logits.ndim != 2 or len(logits) != len(images) or logits.shape[1] < 2:
        found = list(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise UserError(f"learner: gave {found} for {len(images)} images, expected logits [{len(images)}, K], K >= 2")
    if not logits.isfinite().all():
        bad = int((~logits.isfinite()).any(1).sum())
        raise UserError(f"learner: nan or infinite logits for {bad} of {len(images)} images; check its weights")
    return logits


def _brief(labels: Tensor) -> str:
    return f"{len(labels)} labels in {int(labels.min())} .. {int(labels.max())}" if len(labels) else "no labels"
