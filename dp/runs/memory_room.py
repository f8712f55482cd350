"""The room in memory that a pool takes which training holds there, estimated before anything is made."""

import os
from math import prod

import psutil

from dp.runs.disk_space import size
from dp.utils.errors import UserError

COPIES = 2  # of the images, at the moment when a pool moves to where there is room for a new round


def pool_memory(images: int, image_shape: tuple[int, int, int]) -> int:
    """Return the bytes that a process takes for a pool of so many images (C, H, W)."""
    return COPIES * images * prod(image_shape)


def check_memory(images: int, image_shape: tuple[int, int, int]) -> None:
    """Raise UserError unless the memory that is free holds the pool, once for each process of this machine."""
    processes = int(os.environ.get("LOCAL_WORLD_SIZE") or 1)
    each, there = pool_memory(images, image_shape), free_memory()
    if processes * each > there:
        times = f"{processes} times " if processes > 1 else ""
        raise UserError(
            f"storage.memory: {images:,} images take {times}about {size(each)} of memory, {size(there)} free; "
            "train from disk: --storage.no-memory"
        )


def free_memory() -> int:
    """Return the bytes of memory that are free."""
    return psutil.virtual_memory().available
