"""Differentiate through the network, U-Net or transformer of any pipeline, in the pipeline's own loop.

A scheduler never sees the network. So a hook makes the tensor that the network is called with a leaf of the graph and
switches gradients on; they stay on until the scheduler's `step`, so the pipeline's own classifier-free guidance is in
the graph too. There the gradient in x is the direct one plus the leaves', summed over the halves or calls of
classifier-free guidance and scaled by what the scheduler scales the network's input with.

Costs a backward pass of the network per guided step, and as much memory as its graph. Once a graph has taken half of
the memory that a GPU had left, the network's gradient checkpointing is switched on, which keeps less of it, computes
the rest again and changes no image; it stays on until the guidance is removed.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from dp.guidance.objectives import keeping_weights, without_parameter_gradients
from dp.utils.errors import UserError

# What pipelines call the parts that they call with the noisy sample.
NETWORKS = ("unet", "transformer", "transformer_2", "controlnet", "decoder", "prior")
# What those parts call that argument, where it is not the first.
INPUTS = ("sample", "hidden_states", "x", "latents")


class NetworkInputs:
    """Record what a pipeline's networks are called with before each guided step, as leaves of the graph.

    Attributes:
        networks: to be watched.
        is_due: whether the step that the next call belongs to is guided.
        leaves: of the calls since the last step.
    """

    def __init__(self, networks: Sequence[nn.Module], is_due: Callable[[], bool]):
        self.networks = list(networks)
        self.is_due = is_due
        self.leaves: list[Tensor] = []
        self._calls: list[int] = []  # leaves of each call: one, or one for each sample
        self._modes: ExitStack | None = None
        self._flags: list[ExitStack] = []
        self._hooks: list[Any] = []
        self._switched: list[Any] = []  # networks whose gradient checkpointing was switched on here
        for network in self.networks:
            self._hooks.append(network.register_forward_pre_hook(self._before, with_kwargs=True))
            self._hooks.append(network.register_forward_hook(self._after, always_call=True))

    def remove(self) -> None:
        """Watch no longer."""
        enabled = torch.is_grad_enabled()  # a run that was broken off has left the modes in which it began
        for hook in self._hooks:
            hook.remove()
        for network in self._switched:
            network.disable_gradient_checkpointing()
        self._switched = []
        self.close()
        torch.set_grad_enabled(enabled)

    def close(self) -> None:
        """Forget the leaves, and put gradients back to what they were before the first of them."""
        self.leaves, self._calls = [], []
        if self._modes is not None:
            self._modes.close()
            self._modes = None

    @torch.compiler.disable
    def _before(self, network: nn.Module, args: tuple, kwargs: dict[str, Any]) -> tuple[tuple, dict[str, Any]] | None:
        if not self.is_due():
            return None
        if self._modes is None:
            self._modes = ExitStack()
            if torch.is_inference_mode_enabled():
                self._modes.enter_context(torch.inference_mode(False))
            self._modes.enter_context(torch.enable_grad())
        args, kwargs = tree_map(_usable, (args, kwargs))
        if args:
            args = (self._leaf(args[0]), *args[1:])
        else:
            name = next((name for name in INPUTS if kwargs.get(name) is not None), None)
            if name is None:
                raise UserError(
                    f'gradient: "unet" does not know which argument of {type(network).__name__} is the noisy sample; '
                    'take gradient "x0"'
                )
            kwargs = kwargs | {name: self._leaf(kwargs[name])}
        flags = ExitStack()
        flags.enter_context(without_parameter_gradients(network))
        flags.enter_context(keeping_weights(network))
        left = memory_left(self.leaves[-1].device)
        if left is not None and getattr(network, "_supports_gradient_checkpointing", False):
            flags.enter_context(self._checkpointed_beyond(network, left // 2))
        self._flags.append(flags)
        return args, kwargs

    def _checkpointed_beyond(self, network: Any, limit: int) -> torch.autograd.graph.saved_tensors_hooks:
        """Have a network checkpoint its gradients from where its graph inside has more bytes than the limit."""
        known = {p.untyped_storage().data_ptr() for p in network.parameters()}
        taken = 0

        def count(tensor: Tensor) -> Tensor:
            nonlocal taken
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in known:
                known.add(storage.data_ptr())
                taken += storage.nbytes()
            if taken > limit and not network.is_gradient_checkpointing:
                network.enable_gradient_checkpointing()
                self._switched.append(network)
            return tensor.detach()

        return torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor)

    def _leaf(self, given: Any) -> Any:
        """Return the tensor, or the list of one for each sample, as leaves."""
        single = isinstance(given, Tensor)
        leaves = [each.detach().requires_grad_() for each in ([given] if single else given)]
        self.leaves += leaves
        self._calls.append(len(leaves))
        # Given on as views: what counts a network's operations cannot watch the gradient of a leaf.
        views = [leaf.view_as(leaf) for leaf in leaves]
        return views[0] if single else views

    @torch.compiler.disable
    def _after(self, network: nn.Module, args: tuple, output: Any) -> None:
        if self._flags:
            self._flags.pop().close()

    def added(self, gradient: Tensor, x: Tensor, gradients: Sequence[Tensor | None], scale: float) -> Tensor:
        """Return the gradient in x, float32, of which the leaves' own are a part.

        Args:
            gradient: the part that does not go through the network.
            x: the scheduler's sample [B, ...].
            gradients: of the leaves; None for one that the objective does not depend on.
            scale: what the scheduler multiplies the sample by for the network.

        Raises:
            UserError: the network was not called with the scheduler's sample.
        """
        own = (slice(None), *(slice(n) for n in x.shape[1:]))  # without the channels of masks, pictures and the like
        expected = scale * x.detach().float()
        for leaf, part in zip(self._grouped(self.leaves), self._grouped(gradients), strict=True):
            if part is None or leaf is None:
                continue
            if leaf.ndim == x.ndim + 1:  # with an axis of frames, of which there is one
                leaf, part = leaf.squeeze(2), part.squeeze(2)
            if leaf.ndim != x.ndim or len(leaf) % len(x):
                self._refuse(leaf, x)
            for repeat, change in zip(leaf.split(len(x)), part.split(len(x)), strict=True):
                if repeat[own].shape != x.shape or not torch.allclose(
                    repeat[own].detach().float(), expected, rtol=0.02, atol=0.02 * float(expected.abs().max())
                ):
                    self._refuse(leaf, x)
                gradient = gradient + (change[own].float() if scale == 1 else scale * change[own].float())
        return gradient

    def _grouped(self, tensors: Sequence[Tensor | None]) -> list[Tensor | None]:
        """Return one tensor for each call."""
        grouped: list[Tensor | None] = []
        start = 0
        for count in self._calls:
            part = tensors[start : start + count]
            start += count
            whole = [each for each in part if each is not None]
            stacked = None if len(whole) < count else whole[0] if count == 1 else torch.stack(whole)
            grouped.append(stacked)
        return grouped

    def _refuse(self, leaf: Tensor, x: Tensor) -> None:
        raise UserError(
            f'gradient: "unet" finds the network called with {list(leaf.shape)}, which is not the sample '
            f'{list(x.shape)} of the scheduler; take gradient "x0"'
        )


def networks_of(pipe: Any) -> list[nn.Module]:
    """Return the parts of a pipeline that it calls with the noisy sample.

    Raises:
        UserError: it has none.
    """
    parts = [getattr(pipe, name, None) for name in NETWORKS]
    found = [part for part in parts if isinstance(part, nn.Module)]
    if not found:
        raise UserError(
            f'pipe: {type(pipe).__name__} has none of {", ".join(NETWORKS)} to differentiate; take gradient "x0"'
        )
    return found


def memory_left(device: torch.device) -> int | None:
    """Return the bytes of a GPU's memory that tensors can still take; None for other devices, which have swap."""
    if device.type != "cuda":
        return None
    unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return torch.cuda.mem_get_info(device)[0] + unused


def _usable(each: Any) -> Any:
    """Return a tensor that a graph may hold, which one of inference_mode may not be."""
    return each.clone() if isinstance(each, Tensor) and each.is_inference() else each
