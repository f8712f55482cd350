"""Threads for work that leaves Python's lock free, such as reading files and decoding images."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import TypeVar

import numpy as np

PORTION = 32  # items a thread takes at once: handing over one small image costs more than decoding it

Item = TypeVar("Item")
Result = TypeVar("Result")


def useful(workers: int) -> int:
    """Return how many threads to start: no more than there are cores for this process, and at least one.

    More of them only wait for each other: on two cores, eight decode small images half as fast as two.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(workers, cores))


def in_threads(
    function: Callable[[Item], Result], items: Sequence[Item] | np.ndarray, workers: int
) -> Iterator[Result]:
    """Yield the function's values in the order of its items, computed by this many threads."""
    portions = [items[first : first + PORTION] for first in range(0, len(items), PORTION)]
    with ThreadPoolExecutor(workers) as threads:
        yield from chain.from_iterable(threads.map(lambda portion: [function(item) for item in portion], portions))
