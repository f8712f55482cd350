"""Entropy guidance: steer diffusion sampling toward images a learner is unsure of.

The learner's entropy H plays the part of log pi in the paper's pruned distribution dQ = pi dP: adding omega grad H to
the score samples the hard images directly. The score is -eps / sqrt(1 - abar_t), so RAISING entropy means
eps - omega sqrt(1 - abar_t) grad H (equation 7 of arXiv 2502.15588 prints a plus sign, which lowers it).
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor


def entropy(logits: Tensor) -> Tensor:
    """Shannon entropy of softmax(logits) in nats, float32 [B], from logits [B, K]; 0 .. log K."""
    log_p = logits.float().log_softmax(-1)
    return -(log_p.exp() * log_p).sum(-1)


def predict_x0(x_t: Tensor, eps: Tensor, abar_t: Tensor | float) -> Tensor:
    """The denoised estimate x0_hat = (x_t - sqrt(1 - abar_t) eps) / sqrt(abar_t)."""
    abar_t = torch.as_tensor(abar_t, dtype=torch.float32, device=x_t.device)
    return (x_t.float() - (1 - abar_t).sqrt() * eps.float()) / abar_t.sqrt()


@dataclass
class EntropyGuidance:
    """guide(x_t, eps, t) -> eps, for one sampling run of a batch.

    The gradient of H(learner(decode(x0_hat))) is taken with respect to x_t with eps held fixed (the U-Net's Jacobian is
    skipped), and only its direction is used: each sample's step has length omega sqrt(1 - abar_t) |eps|. A zero or
    non-finite gradient gives a zero step.

    Attributes:
        learner: images float [B, C, H, W] in [-1, 1] -> logits [B, K]; a module should be in eval mode.
        decode: x0_hat [B, c, h, w] -> images float [B, C, H, W] in [-1, 1].
        alphas_cumprod: float [T], the scheduler's.
        omega: relative step, >= 0. 0 guides nothing.
        guided_below: guide where t < guided_below * T, in (0, 1]: only the late, less noisy steps.
        zero_steps: int64 [B], how many of a sample's guided steps had no usable gradient.
    """

    learner: Callable[[Tensor], Tensor]
    decode: Callable[[Tensor], Tensor]
    alphas_cumprod: Tensor
    omega: float
    guided_below: float = 0.4
    zero_steps: Tensor | None = field(default=None, init=False)

    def __call__(self, x_t: Tensor, eps: Tensor, t: int) -> Tensor:
        """x_t, eps: [B, c, h, w]; t: time step, 0 .. T - 1. Returns the guided eps, of eps's dtype."""
        if self.omega == 0 or t >= self.guided_below * len(self.alphas_cumprod):
            return eps
        abar_t = self.alphas_cumprod[t].to(x_t.device, torch.float32)
        with torch.enable_grad():
            x = x_t.detach().requires_grad_()
            hardness = entropy(self.learner(self.decode(predict_x0(x, eps.detach(), abar_t))))
            gradient = torch.autograd.grad(hardness.sum(), x)[0].float()
        length = gradient.flatten(1).norm(dim=1)
        usable = length.isfinite() & (length > 0)
        self.zero_steps = (0 if self.zero_steps is None else self.zero_steps) + (~usable).long()
        # Samples without a usable gradient are replaced, not multiplied by zero: 0 * nan is nan.
        direction = torch.where(_per_sample(usable), gradient / _per_sample(length.clamp_min(1e-30)), 0.0)
        step = self.omega * (1 - abar_t).sqrt() * eps.float().flatten(1).norm(dim=1)
        return (eps.float() - _per_sample(step) * direction).to(eps.dtype)


def _per_sample(values: Tensor) -> Tensor:
    return values[:, None, None, None]
