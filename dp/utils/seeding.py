"""Random streams named by what they are for, so that nothing depends on the order in which things run."""

import numpy as np
import torch

# Random streams of a run: seed_for(run seed, stream, ...).
IMAGES, BATCHES, WEIGHTS, HELD_OUT, LAYERS, GRID = 1, 2, 3, 4, 5, 6


def seed_for(*key: int) -> int:
    """A 63-bit seed for the stream named by `key` (non-negative integers), well mixed and stable across versions.

    Trailing zeros do not count: (1, 0) names the stream of (1,). Give all keys of one use the same length.
    """
    return int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> 1)


def stream(*key: int) -> torch.Generator:
    """A CPU random generator for the stream named by `key`."""
    return torch.Generator().manual_seed(seed_for(*key))
