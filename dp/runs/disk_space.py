"""The room on disk that a run or a pool will need, estimated from its settings before anything is made.

Weights are counted, a checkpoint twice: a new one is written beside the old one. Images are taken to be as large as
photographs and generated clothes are; they are known to take between half of that and a third more. Files that are
there already are not counted. Nor is what --log writes, and of a quota nothing is known.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch

from dp.config import PracticeConfig
from dp.learner.models import build_learner
from dp.pool.paths import shards_in
from dp.pool.shards import Layout, image_bytes
from dp.runs.paths import checkpoint_file, learner_file
from dp.utils.errors import UserError

RECORD = 80  # bytes of an image's other columns and of its line in slots.json
FOOTER = 5_000  # bytes of a shard without a row, beside the names of the classes
ADVICE = "make room, name a folder elsewhere, or take a smaller encoding"
LINE = 150  # bytes of a validation's entry, in the log and in a checkpoint


@dataclass(frozen=True)
class Need:
    """The bytes still to be written in one place.

    Attributes:
        folder: where; it need not exist.
        parts: what -> bytes.
    """

    folder: Path
    parts: dict[str, int]

    @property
    def bytes(self) -> int:
        """Return the sum."""
        return sum(self.parts.values())

    @property
    def disk(self) -> Path:
        """Return the folder, or the nearest one above it that exists."""
        return next(path for path in (self.folder.absolute(), *self.folder.absolute().parents) if path.exists())

    def __str__(self) -> str:
        parts = ", ".join(f"{what} {size(count)}" for what, count in self.parts.items())
        return f"{self.folder}: about {size(self.bytes)} ({parts})"


def pool_need(folder: Path, rounds: Sequence[int], layout: Layout) -> Need:
    """Return what a pool will write; `rounds` are the images of each round."""
    rows = layout.shard_size
    images = shards = 0
    for round_, count in enumerate(rounds):
        there = shards_in(folder, round_)
        images += count - sum(len(range(count)[k * rows : (k + 1) * rows]) for k in there)
        shards += -(-count // rows) - len(there)
    names = sum(len(name) + 5 for name in layout.classes)  # in JSON; plainly, and in base64 in Arrow's schema
    content = images * (image_bytes(layout.image_shape, layout.encoding) + RECORD) + shards * (FOOTER + 3 * names)
    return Need(folder, {"images": max(0, content)})


def run_need(folder: Path, config: PracticeConfig, layout: Layout) -> Need:
    """Return what a run will write to its folder.

    Args:
        folder: the run's.
        config: its settings.
        layout: of its pool.

    Raises:
        UserError: there is no such learner.
    """
    rounds = [config.n_initial] + [config.n_per_round] * config.rounds
    pool = pool_need(folder / "pool", rounds, layout)
    learner, trained = _learner_bytes(config, layout)
    log = -(-config.iterations // config.validate_every) * LINE
    # The learner and its average; in a checkpoint two moments of what is trained besides.
    sizes = {folder / "log.jsonl": log}
    sizes |= {learner_file(folder, round_ + 1): 2 * learner for round_ in range(config.rounds)}
    sizes |= {checkpoint_file(folder, size): 2 * (learner + trained) + log for size in (None, *config.branch_sizes)}
    weights = sum(size for path, size in sizes.items() if not path.exists())
    weights += sizes[checkpoint_file(folder)]  # a new one is written beside the old one
    return replace(pool, folder=folder, parts=pool.parts | {"weights": weights})


def check_room(need: Need) -> None:
    """Raise UserError if the disk has less room than will be needed on it."""
    if need.bytes > free(need):
        raise UserError(f"{need} to be written, {size(free(need))} free; {ADVICE}")


def free(need: Need) -> int:
    """Return the bytes free on the disk that it is for."""
    return shutil.disk_usage(need.disk).free


def size(count: float) -> str:
    """Write a number of bytes for people: "1.5 GB"."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:,.1f} TB"


def _learner_bytes(config: PracticeConfig, layout: Layout) -> tuple[int, int]:
    """Return the bytes of a learner's weights and buffers, and of the weights that are trained."""
    build = partial(build_learner, config.learner, len(layout.classes), layout.image_shape[0], config.crop or None)
    try:
        with torch.device("meta"):  # no memory, no time
            learner = build()
    except (RuntimeError, UserError):  # older versions of timm look at numbers that are not there
        learner = build()
    trained = sum(weight.nbytes for weight in learner.parameters() if weight.requires_grad)
    return sum(value.nbytes for value in learner.state_dict().values()), trained
