"""One run at a time may write a pool folder."""

import fcntl
import os
from pathlib import Path

from dp.errors import UserError


def acquire(path: Path) -> int:
    """Lock a file, made if absent; the kernel unlocks it when the process ends, however it ends.

    Returns:
        A handle; closing it unlocks too.

    Raises:
        UserError: another process (or another part of this one) holds the lock; names its process id.
    """
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
    except OSError as error:
        raise UserError(f"{path}: cannot be locked: {error.strerror}; give the run a folder it may write to") from None
    if not _try_lock(handle, fcntl.LOCK_EX):
        holder = os.read(handle, 20).decode("ascii", "replace").strip() or "unknown"
        os.close(handle)
        raise UserError(
            f"{path.parent}: two runs in one folder: process {holder} is writing here; "
            "wait until it has ended, or give this run a folder of its own"
        )
    os.ftruncate(handle, 0)
    os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
    return handle


def is_held(path: Path) -> bool:
    """Whether some process holds the lock."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        return not _try_lock(handle, fcntl.LOCK_SH)  # shared: those who ask at once do not meet each other
    finally:
        os.close(handle)


def _try_lock(handle: int, kind: int) -> bool:
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def release(handle: int) -> None:
    """Unlock."""
    os.ftruncate(handle, 0)
    os.close(handle)
