"""The files of a pool folder: their names, and reading and writing them safely."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from dp.utils.errors import UserError

MANIFEST = "manifest.json"
LOCK = ".lock"
SETTINGS = "settings.json"  # of a run, beside its pool; of `dp generate` and `dp prune`, in the pool's folder
REPAIR = "python -m dp pool repair"  # the command line that makes damaged shards again


def shard_name(round_: int, shard: int) -> str:
    """File of the k-th shard of a round, relative to the folder; in the order of rounds and slots when sorted."""
    return f"round-{round_:04d}/{shard:05d}.parquet"


def slots_name(round_: int) -> str:
    """File that says which label and seed each slot of a round has, so that a lost shard can be made again."""
    return f"round-{round_:04d}/slots.json"


def inside(folder: Path, name: str) -> Path:
    """The path of a file of the folder.

    Raises:
        UserError: symbolic links lead out of the folder.
    """
    path = folder / name
    real = path.resolve()
    if not real.is_relative_to(folder.resolve()):
        raise UserError(f"{path}: a link to {real}, expected a file inside the pool folder; replace it by the file")
    return path


def read_bytes(path: Path) -> bytes | None:
    """A file's content; None if there is no such file.

    Raises:
        UserError: it exists but cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; expected a file that can be read") from None


@contextlib.contextmanager
def durable(path: Path) -> Iterator[None]:
    """While `path` is written (with `atomic`): its folder exists, and the new name is on disk at the end.

    Raises:
        UserError: the disk is full, or the folder cannot be written to.
    """
    try:
        if not path.parent.exists():
            path.parent.mkdir(parents=True, exist_ok=True)  # another process may be faster
            sync(path.parent.parent)
        yield
        sync(path.parent)
    except OSError as error:
        raise UserError(
            f"{path}: cannot be written: {error.strerror}; what the pool holds is unharmed, "
            "make room or give write permission and run the same command again"
        ) from None


def remove_partials(folder: Path) -> None:
    """Remove what writers that were killed left half written."""
    for pattern in (".*.partial", "round-*/.*.partial"):
        for path in folder.glob(pattern):
            path.unlink(missing_ok=True)


def sync(folder: Path) -> None:
    """Put the names in a folder on disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
