"""The files of a pool folder: their names, places and kinds."""

import os
import re
from pathlib import Path
from typing import Literal

from dp.utils.errors import UserError

Encoding = Literal["PNG", "JPEG", "WEBP"]  # of the images
MANIFEST = "manifest.json"
README = "README.md"  # tells `datasets` which files are data
REPAIR = "python -m dp pool repair"  # the command line that makes damaged shards again


def shard_name(round_: int, shard: int) -> str:
    """Name the file of the k-th shard of a round, relative to the folder; sorted, in the order of rounds and slots."""
    return f"round-{round_:04d}/{shard:05d}.parquet"


def shards_in(folder: Path, round_: int) -> dict[int, Path]:
    """Return the files that have the name of a shard of a round, by the shards' numbers."""
    found = inside(folder, shard_name(round_, 0)).parent.glob("*.parquet")
    return {int(path.stem): path for path in found if re.fullmatch(r"\d{5,9}", path.stem)}


def portions_name(round_: int) -> str:
    """Name the folder with images of a round whose shards are not complete."""
    return f"round-{round_:04d}/portions"


def slots_name(round_: int) -> str:
    """Name the file that lists the label and seed of each slot of a round, so that a lost shard can be made again."""
    return f"round-{round_:04d}/slots.json"


def inside(folder: Path, name: str) -> Path:
    """Return the path of a file of the folder.

    Raises:
        UserError: symbolic links lead out of the folder.
    """
    path = folder / name
    real = Path(os.path.realpath(path))  # a loop of links is not an error to it
    if not real.is_relative_to(folder.resolve()):
        raise UserError(f"{path}: a link to {real}, expected a file inside the pool folder; replace it by the file")
    return path
