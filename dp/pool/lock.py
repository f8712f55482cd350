"""One run at a time may write a pool folder."""

import fcntl
import os
from pathlib import Path

from dp.utils.errors import UserError


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
    if not _try_lock(path, handle):
        holder = os.read(handle, 20).decode("ascii", "replace").strip() or "unknown"
        os.close(handle)
        raise UserError(
            f"{path.parent}: two runs in one folder: process {holder} is writing here; "
            "wait until it has ended, or give this run a folder of its own"
        )
    os.ftruncate(handle, 0)
    os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
    return handle


def _try_lock(path: Path, handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        os.close(handle)
        raise UserError(
            f"{path}: the file system has no locks ({error.strerror}), which keep a second run out; use another, or "
            "mount it with flock"
        ) from None
    return True


def release(handle: int) -> None:
    """Unlock."""
    os.ftruncate(handle, 0)
    os.close(handle)
