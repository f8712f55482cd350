"""The processes of a run: one, or as many as torchrun has started (also under SLURM).

Every function works in a single process too, and does nothing there. What a run computes does not depend on how many
processes share the work: batches are drawn for the whole run and each process takes its part, images are named by
their slots, and gradients are added pairwise in an order that does not know of processes.
"""

import os
from collections.abc import Iterable
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor

from dp.utils.errors import UserError

Gradients = list[Tensor]

AT_ONCE = 1 << 22  # numbers
LONGEST_WAIT = timedelta(days=1)  # for those that still make images, or check those of a large pool


def join() -> None:
    """Meet the other processes, if the environment says that there are some (WORLD_SIZE, as torchrun sets it).

    They must come within torch's usual timeout (10 minutes with GPUs); from then on they are waited for, up to a day.
    One that dies later is noticed by the connection to it, and by its torchrun.
    """
    if processes_asked() > 1 and not dist.is_initialized():
        from accelerate import PartialState

        later = hasattr(dist, "set_timeout")  # older versions of torch wait as long for those that are to come, too
        # Chooses the backend and this process's GPU.
        PartialState(cpu=not torch.cuda.is_available(), **{} if later else {"timeout": LONGEST_WAIT})
        wait()
        if later:
            dist.set_timeout(LONGEST_WAIT)


def processes_asked() -> int:
    """Return how many processes the environment says that there are.

    Raises:
        UserError: a variable that torchrun sets is no number, or missing beside the others.
    """
    advice = "torchrun sets it; unset WORLD_SIZE to run in one process"
    numbers = {name: os.environ.get(name, "") for name in ("WORLD_SIZE", "RANK", "MASTER_PORT")}
    if not numbers["WORLD_SIZE"]:
        return 1
    for name, value in numbers.items():
        if name == "WORLD_SIZE" or numbers["WORLD_SIZE"] != "1":
            if not (value.isdecimal() and len(value) < 7):
                raise UserError(f'{name}: got "{value[:80]}", expected a number; {advice}')
    if numbers["WORLD_SIZE"] != "1" and not os.environ.get("MASTER_ADDR"):
        raise UserError(f"MASTER_ADDR: not set, but WORLD_SIZE is {numbers['WORLD_SIZE']}; {advice}")
    return int(numbers["WORLD_SIZE"])


def leave() -> None:
    """Leave the other processes."""
    if dist.is_initialized():
        dist.destroy_process_group()


def rank() -> int:
    """Return which process this is; 0 writes what all share."""
    return dist.get_rank() if dist.is_initialized() else 0


def world() -> int:
    """Return how many processes there are."""
    return dist.get_world_size() if dist.is_initialized() else 1


def wait() -> None:
    """Wait until every process is here."""
    if world() > 1:
        dist.barrier()


def largest(value: int) -> int:
    """Return the largest of the processes' values, the same for all of them."""
    return int(_reduced(torch.tensor(value), dist.ReduceOp.MAX))


def total(value: int) -> int:
    """Return the sum of the processes' values."""
    return int(_reduced(torch.tensor(value), dist.ReduceOp.SUM))


def summed(values: Tensor) -> Tensor:
    """Return the sum over the processes of int64 values on the CPU, of any number: a part at a time."""
    if world() > 1:
        for part in values.view(-1).split(AT_ONCE):
            part.copy_(_reduced(part, dist.ReduceOp.SUM))
    return values


def of_first(value: float) -> float:
    """Return the first process's value, the same for all: where each has its own, a last bit would part their ways."""
    return from_first([torch.tensor(value, dtype=torch.float64, device=_device())])[0].item() if world() > 1 else value


def _reduced(value: Tensor, operation: dist.ReduceOp.RedOpType) -> Tensor:
    if world() > 1:
        value = value.to(_device())
        dist.all_reduce(value, operation)
    return value


def _device() -> torch.device:
    return torch.device("cuda" if dist.get_backend() == "nccl" else "cpu")


def parts_of(parts: int) -> range:
    """Return which of a batch's `parts` this process computes; consecutive ones.

    Raises:
        UserError: the processes cannot share them evenly.
    """
    processes = world()
    check_share(parts, processes)
    mine = parts // processes
    return range(rank() * mine, (rank() + 1) * mine)


def check_share(parts: int, processes: int) -> None:
    """Raise UserError unless so many processes can share the parts of a batch evenly."""
    if parts % processes or processes & (processes - 1):
        counts = [str(2**k) for k in range(parts.bit_length()) if parts % 2**k == 0]
        raise UserError(
            f"processes: got {processes}, but a batch has {parts} parts (batch_size / micro_batch) to share; start "
            f"{' or '.join(counts)}"
        )


def share_of(batch: int) -> range:
    """Return which rows of a batch this process computes; consecutive ones, as many for every process.

    Raises:
        UserError: the processes cannot share them evenly.
    """
    check_even(batch, world())
    mine = batch // world()
    return range(rank() * mine, (rank() + 1) * mine)


def check_even(batch: int, processes: int) -> None:
    """Raise UserError unless so many processes can share the rows of a batch evenly."""
    if batch % processes:
        raise UserError(
            f"batch_size: got {batch} for {processes} processes, expected a multiple of {processes}; change "
            "batch_size, or start another number of processes"
        )


def over_processes(values: list[Tensor]) -> list[Tensor]:
    """Return each value's mean over the processes, the same for all of them."""
    if world() == 1:
        return values
    summed = torch.stack(values)
    dist.all_reduce(summed)
    return list(summed / world())


def pairwise_sum(mine: Iterable[Gradients]) -> Gradients:
    """Return the sum over all parts of a batch, the same bits in every process and for every number of processes.

    Parts are added in pairs, pairs in pairs and so on, along a binary tree over the parts' numbers; processes hold
    subtrees. A plain all-reduce adds in an order that depends on the processes and the network.

    Args:
        mine: of this process's parts, in order; their number and that of the processes are powers of two.
    """
    waiting: list[tuple[int, Gradients]] = []  # sums of 2^level parts, levels falling
    for gradients in mine:
        level, partial = 0, gradients
        while waiting and waiting[-1][0] == level:
            partial = [a.add_(b) for a, b in zip(waiting.pop()[1], partial, strict=True)]
            level += 1
        waiting.append((level, partial))
    assert len(waiting) == 1
    whole = waiting[0][1]
    return _exchange(whole) if world() > 1 else whole


def from_first(values: list[Tensor]) -> list[Tensor]:
    """Return the first process's values, in every process."""
    if world() > 1 and values:
        # One message for each format, not for each value; in an order that all processes share, which a set has not.
        for kind in dict.fromkeys(value.dtype for value in values):
            alike = [value for value in values if value.dtype == kind]
            flat = torch.cat([value.flatten() for value in alike])
            dist.broadcast(flat, 0)
            for value, piece in zip(alike, flat.split([value.numel() for value in alike]), strict=True):
                value.copy_(piece.view_as(value))
    return values


def _exchange(partial: Gradients) -> Gradients:
    """Return the sum over all processes by recursive halving and doubling, 2 (W - 1) / W of the numbers sent by each.

    In the first half a process and its partner share what both still hold: each sends one half and adds the other, so
    that in the end each has the whole sum of one W-th. In the second half they give each other what they have. Who adds
    whom follows the tree of `pairwise_sum`: partners are 1, 2, 4 ... apart.
    """
    processes = world()
    sizes = [each.numel() for each in partial]
    flat = partial[0].new_zeros(-(-sum(sizes) // processes) * processes)
    torch.cat([each.flatten() for each in partial], out=flat[: sum(sizes)])
    first, length, step = 0, len(flat), 1  # this process's segment
    received = torch.empty_like(flat[: length // 2])
    while step < processes:
        length //= 2
        mine, other = (first + length, first) if rank() & step else (first, first + length)
        _swap(flat[other : other + length], received[:length], rank() ^ step)
        flat[mine : mine + length] += received[:length]  # a + b and b + a are the same bits
        first, step = mine, step * 2
    while step > 1:
        step //= 2
        other = first - length if rank() & step else first + length
        _swap(flat[first : first + length], flat[other : other + length], rank() ^ step)
        first, length = min(first, other), length * 2
    return [piece.view_as(each) for piece, each in zip(flat[: sum(sizes)].split(sizes), partial, strict=True)]


def _swap(sent: Tensor, received: Tensor, peer: int) -> None:
    operations = [dist.P2POp(dist.isend, sent, peer), dist.P2POp(dist.irecv, received, peer)]
    for request in dist.batch_isend_irecv(operations):
        request.wait()
