"""The growing training pool in memory."""

from collections.abc import Callable
from dataclasses import fields

import torch
from torch import Tensor

from dp.samples import Samples
from dp.utils.errors import UserError

FIELDS = tuple(field.name for field in fields(Samples))
Change = Callable[[Tensor, slice], Tensor]  # of a mini-batch's images, some of which are given: images, and which ones


class Pool:
    """The generated samples, rounds in order. Rows are appended and never change.

    Room doubles when it runs out, so that a row moves twice at most on average. A copy (`copy.copy`, `copy.deepcopy`)
    shares the rows it starts with and takes no memory of its own; what is appended to either is not in the other.
    """

    def __init__(self, samples: Samples):
        """Make a pool of `samples`, which it keeps without copying: do not write to their tensors afterwards.

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
        """Return all rows, as views: nothing is copied, and later additions are not in them."""
        return self._rows[: self._size]

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Return (C, H, W)."""
        _, c, h, w = self._rows.images.shape
        return c, h, w

    @property
    def images(self) -> Tensor:
        """Return the images uint8 [N, C, H, W], a view."""
        return self._rows.images[: self._size]

    @property
    def labels(self) -> Tensor:
        """Return the labels int64 [N], a view."""
        return self._rows.labels[: self._size]

    @property
    def rounds(self) -> Tensor:
        """Return the rounds int64 [N], never falling: 0 for the initial images, k for the k-th addition; a view."""
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

    def rows(self, index: Tensor, change: Change | None = None) -> tuple[Tensor, Tensor]:
        """Return images uint8 [n, C, H, W], changed if so asked, and labels int64 [n] of the rows int64 [n]."""
        images = self._rows.images[index]
        return change(images, slice(0, len(index))) if change else images, self._rows.labels[index]

    def draw(self, size: int, rng: torch.Generator, newest_weight: float = 1.0) -> Tensor:
        """Return rows int64 [size], see `draw`."""
        return draw(self._size, self._newest, size, rng, newest_weight)

    def batch(self, size: int, rng: torch.Generator, newest_weight: float = 1.0) -> tuple[Tensor, Tensor]:
        """Return images uint8 [size, C, H, W] and labels int64 [size], drawn as `draw` does."""
        return self.rows(self.draw(size, rng, newest_weight))

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
        """Return the row at which the newest round begins."""
        rounds = self.rounds
        return int((rounds < rounds[-1]).sum()) if len(rounds) else 0


def draw(rows: int, newest: int, size: int, rng: torch.Generator, newest_weight: float = 1.0) -> Tensor:
    """Draw the rows of a mini-batch, with replacement; there are no epochs.

    Args:
        rows: how many there are.
        newest: the row at which the newest round begins; 0 if there is one round only, and the weight does nothing.
        size: how many to draw.
        rng: CPU generator of the draw.
        newest_weight: how many times as often an image of the newest round is drawn as one of an earlier round.

    Returns:
        int64 [size].

    Raises:
        UserError: an empty pool, or a weight that is not above 0.
    """
    if not rows:
        raise UserError("pool: got no images, expected at least 1; append some before drawing a batch")
    if newest_weight == 1 or not newest:
        return torch.randint(rows, (size,), generator=rng)
    if not 0 < newest_weight < float("inf"):
        raise UserError(f"newest_weight: got {newest_weight}, expected a number above 0")
    total = newest + newest_weight * (rows - newest)
    # Positions on a line where an old row is 1 long and a new one `newest_weight` long.
    at = torch.rand(size, generator=rng, dtype=torch.float64) * total
    index = torch.where(at < newest, at, newest + (at - newest) / newest_weight).long()
    return index.clamp_(max=rows - 1)  # rounding may reach the very end of the line


def _check_rounds(rounds: Tensor) -> None:
    falls = (rounds.diff() < 0).nonzero()
    if len(falls):
        before, after = rounds[falls[0, 0]].item(), rounds[falls[0, 0] + 1].item()
        raise UserError(f"rounds: got round {after} after round {before}, expected rounds in order; append them so")
