"""Training on real images, the reference that generated ones are measured against.

They make up the initial pool as if they had been generated, so that everything after it is the same: static training.
"""

from concurrent.futures import ThreadPoolExecutor

import torch

from dp.data.image_set import LOADERS, ImageSet, RealImages
from dp.samples import Samples, unjudged
from dp.utils.errors import UserError


class RealData:
    """Stands where a run has its generator: slot i of the initial pool is the i-th real image of a random order."""

    def __init__(self, data: RealImages, num_classes: int, count: int, seed: int):
        """`count` of the images, each at most once.

        Args:
            data: real training images.
            num_classes: K; labels are 0 .. K - 1.
            count: how many; all there are, or fewer.
            seed: the run's; names the order.

        Raises:
            UserError: there are fewer.
        """
        if count > len(data):
            raise UserError(
                f"n_initial: got {count:,}, but there are {len(data):,} real training images; restore those that are "
                "missing, or ask for fewer"
            )
        self.data = data
        self.num_classes = num_classes
        self.order = torch.randperm(len(data), generator=torch.Generator().manual_seed(seed))[:count]

    def samples(self, slots: range) -> Samples:
        """The images of some slots; their seeds are their places in the data.

        Raises:
            UserError: a file that is no whole image; the line names it.
        """
        index = self.order[slots.start : slots.stop]
        if isinstance(self.data, ImageSet):
            images, labels = self.data.images[index], self.data.labels[index]
        else:
            with ThreadPoolExecutor(LOADERS) as pool:
                items = list(pool.map(self.data.__getitem__, index.tolist()))
            images, labels = torch.stack([image for image, _ in items]), torch.tensor([label for _, label in items])
        return unjudged(images, labels, index)

    def generate(self, *_arguments: object, **_named: object) -> Samples:
        """There is nothing to generate.

        Raises:
            UserError: always.
        """
        raise UserError("real: real images cannot be added to; leave out what needs a generator")
