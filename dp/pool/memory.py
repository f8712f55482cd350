"""The growing training pool in memory."""

from dataclasses import fields

import torch
from torch import Tensor

from dp.errors import UserError
from dp.samples import Samples

FIELDS = tuple(field.name for field in fields(Samples))


class Pool:
    """Generated samples, rounds in order. Rows are appended and never change.

    Room doubles when it runs out, so that a row moves twice at most on average. A copy (`copy.copy`, `copy.deepcopy`)
    shares the rows it starts with and takes no memory of its own; what is appended to either is not in the other.
    """

    def __init__(self, samples: Samples):
        """A pool of `samples`, which it keeps without copying: do not write to their tensors afterwards.

        Raises:
            UserError: rounds not in order.
        """
        _check_rounds(samples.rounds)
        self._rows = samples  # the first self._size of these are the pool, the others are room to grow
        self._size = len(samples)
        self._newest = self._first_of_newest()

    def __len__(self) -> int:
        return self._size

    def __copy__(self) -> "Pool":
        # The copy has no room left, so whatever is appended to it goes to storage of its own.
        return Pool(self.samples)

    def __deepcopy__(self, memo: dict[int, object]) -> "Pool":
        return self.__copy__()

    @property
    def samples(self) -> Samples:
        """All rows, as views: nothing is copied, and later additions are not in them."""
        return self._rows[: self._size]

    @property
    def images(self) -> Tensor:
        """uint8 [N, C, H, W], a view."""
        return self._rows.images[: self._size]

    @property
    def labels(self) -> Tensor:
        """int64 [N], a view."""
        return self._rows.labels[: self._size]

    @property
    def rounds(self) -> Tensor:
        """int64 [N], never falling: 0 for the initial images, k for the k-th addition; a view."""
        return self._rows.rounds[: self._size]

    def append(self, samples: Samples) -> None:
        """Add a copy of `samples` after the rows there are.

        Raises:
            UserError: another image shape or type, or a round before the newest one.
        """
        for name in FIELDS:
            mine, new = getattr(self._rows, name), getattr(samples, name)
            if (new.shape[1:], new.dtype) != (mine.shape[1:], mine.dtype):
                raise UserError(
                    f"{name}: got rows of shape {tuple(new.shape[1:])} and {new.dtype}, "
                    f"expected the pool's {tuple(mine.shape[1:])} and {mine.dtype}"
                )
        _check_rounds(torch.cat([self.rounds[-1:], samples.rounds]))
        size = self._size + len(samples)
        if size > len(self._rows):
            self._make_room(max(size, 2 * self._size))
        for name in FIELDS:
            getattr(self._rows, name)[self._size : size] = getattr(samples, name)
        self._size = size
        self._newest = self._first_of_newest()

    def batch(self, size: int, rng: torch.Generator, newest_weight: float = 1.0) -> tuple[Tensor, Tensor]:
        """Images and labels drawn with replacement; there are no epochs.

        Args:
            size: how many.
            rng: CPU generator of the draw.
            newest_weight: how many times as often an image of the newest round is drawn as one of an earlier round.
                Does nothing while there is one round only.

        Returns:
            Images uint8 [size, C, H, W] and labels int64 [size].

        Raises:
            UserError: an empty pool, or a weight that is not above 0.
        """
        if not self._size:
            raise UserError("pool: got no images, expected at least 1; append some before drawing a batch")
        if newest_weight == 1 or not self._newest:
            index = torch.randint(self._size, (size,), generator=rng)
        else:
            index = self._weighted(size, rng, newest_weight)
        return self._rows.images[index], self._rows.labels[index]

    def _weighted(self, size: int, rng: torch.Generator, weight: float) -> Tensor:
        """Rows drawn with weight 1 before the newest round and `weight` in it."""
        if not 0 < weight < float("inf"):
            raise UserError(f"newest_weight: got {weight}, expected a number above 0")
        total = self._newest + weight * (self._size - self._newest)
        # Positions on a line where an old row is 1 long and a new one `weight` long.
        at = torch.rand(size, generator=rng, dtype=torch.float64) * total
        index = torch.where(at < self._newest, at, self._newest + (at - self._newest) / weight).long()
        return index.clamp_(max=self._size - 1)  # rounding may reach the very end of the line

    def _make_room(self, capacity: int) -> None:
        """Move the rows to storage for `capacity` of them."""
        room = []
        for name in FIELDS:
            old = getattr(self._rows, name)
            new = torch.empty((capacity, *old.shape[1:]), dtype=old.dtype, device=old.device)
            new[: self._size] = old[: self._size]
            room.append(new)
        self._rows = Samples(*room)

    def _first_of_newest(self) -> int:
        """The row at which the newest round begins."""
        rounds = self.rounds
        return int((rounds < rounds[-1]).sum()) if len(rounds) else 0


def _check_rounds(rounds: Tensor) -> None:
    falls = (rounds.diff() < 0).nonzero()
    if len(falls):
        before, after = rounds[falls[0, 0]].item(), rounds[falls[0, 0] + 1].item()
        raise UserError(f"rounds: got round {after} after round {before}, expected rounds in order; append them so")
