"""Random streams, named by what they are for, so that nothing depends on the order in which things run.

Every stream number of the package is here, and here alone. An image's seed is `image_seed(run seed, round, slot)`; its
own stream, `stream(seed)`, gives the noise that its sampling starts from and goes on with.
"""

import numpy as np
import torch

# Streams of a run: seed_for(run seed, stream, ...).
IMAGES = 1  # then round, slot and attempt: see `image_seed`
BATCHES = 2  # then the iteration: which rows of the pool, and their augmentation
WEIGHTS = 3  # the learner's first weights
HELD_OUT = 4  # then the number: plain images of a signal that needs no real ones
LAYERS = 5  # then iteration and part: dropout, Mixup and CutMix
GRID = 6  # then the number: the images of `dp grid`

# Streams of an image: stream(image's seed, stream).
STRENGTH = 1  # what of omega it gets (`GuidanceConfig.strengths`)
RENOISE = 101  # the noise that filters add to it again
CLASS = 201  # its class, where classes are drawn; of the slot's first attempt, so that all are of one class

# Streams of training the generator: stream(its seed, stream, iteration).
AUTOENCODER, UNET, ORACLE = 1, 2, 3

MODEL_CARD = 10**6  # in the place of a run's seed: the images that a generator is measured by


def image_seed(run_seed: int, round_: int, slot: int, attempt: int = 0) -> int:
    """Return the seed of an image.

    Args:
        run_seed: `PracticeConfig.seed`.
        round_: 0 for the initial images, k for the k-th addition.
        slot: its number in the round, from 0; its class is slot modulo the number of classes.
        attempt: how many images of this slot a filter has refused; the first attempt's seed is that of the slot.
    """
    return seed_for(run_seed, IMAGES, round_, slot, *[attempt] * (attempt > 0))


def seed_for(*key: int) -> int:
    """Return a 63-bit seed for the stream named by `key`, non-negative integers; well mixed, the same in any version.

    Trailing zeros do not count: (1, 0) names the stream of (1,). Give all keys of one use the same length.
    """
    return int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> 1)


def stream(*key: int) -> torch.Generator:
    """Return a CPU random generator for the stream named by `key`."""
    return torch.Generator().manual_seed(seed_for(*key))
