"""The one way to write into a folder: claim it, go on in it after a kill, leave nothing half written.

A long piece of work (a run, a pool, a training) claims its folder, keeps what it has finished there, and the same
command goes on. A short one (an export, a decoder) makes its folder whole or not at all. In either case the settings
stand in the folder's settings.json, and a command with other settings is refused.

    with claimed(folder, settings, "run"):                  # locked, settings compared, leftovers removed
        ...
    with whole_folder(out, settings, "export") as partial:  # None if `out` is there already
        ...
"""

import contextlib
import errno
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from filelock import BaseFileLock, FileLock, Timeout

from dp.utils.errors import UserError
from dp.utils.files import atomic, make_folder, read_record, remove_partials, write_record, writing

T = TypeVar("T")
LOCK = ".lock"
SETTINGS = "settings.json"
FORMAT = 1
# Of how a run computes; another batch changes images by rounding alone.
MAY_CHANGE = ("generation_batch", "guided_batch", "memory")


@contextlib.contextmanager
def claimed(folder: Path, settings: dict[str, Any], kind: str) -> Iterator[None]:
    """Be the one process that writes to a folder while the block runs; see `claim`."""
    lock = claim(folder, settings, kind)
    try:
        yield
    finally:
        release(lock)


def claim(folder: Path, settings: dict[str, Any] | None, kind: str) -> BaseFileLock:
    """Lock a folder, compare or write its settings, and remove what killed processes left half written in it.

    Args:
        folder: absent, empty, or one that the same settings were used in; made if absent.
        settings: JSON values that define the work; those of `MAY_CHANGE` may be others than before (see `renew`). None:
            the folder has no settings.
        kind: what the folder is called in errors, such as "run".

    Returns:
        The lock, for `release`; the kernel releases it when the process ends, however it ends.

    Raises:
        UserError: another process writes there, the settings are others, something else is in the folder, or it cannot
            be written to.
    """
    if settings is not None:
        has_settings(folder, settings, kind)  # a command that is refused leaves nothing behind
    lock = locked(folder)
    try:
        if settings is not None and not has_settings(folder, settings, kind):
            write_record(folder / SETTINGS, {"format": FORMAT} | settings)
        remove_partials(folder)
    except BaseException:
        release(lock)
        raise
    return lock


def release(lock: BaseFileLock) -> None:
    """Let another process write to a folder."""
    with contextlib.suppress(OSError):  # the folder may be gone
        os.truncate(lock.lock_file, 0)
    lock.release()


def locked(folder: Path) -> BaseFileLock:
    """Lock a folder, made if absent.

    Raises:
        UserError: another process, or another part of this one, has locked it; names its process id.
    """
    path = folder / LOCK

    def sign(handle: int) -> None:
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)

    # Where a file system has no locks, a lock that a killed process would leave for ever is no way out.
    lock = FileLock(path, timeout=0, thread_local=False, fallback_to_soft=False, on_acquired=sign)
    try:
        with writing(folder):
            make_folder(folder)
        lock.acquire()
    except Timeout:
        with contextlib.suppress(OSError):
            holder = path.read_text(errors="replace")[:20].strip()
            raise UserError(
                f"{folder}: two runs in one folder: process {holder or 'unknown'} is writing here; wait until it has "
                "ended, or give this run a folder of its own"
            ) from None
        raise
    except OSError as error:
        if error.errno in (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP):
            raise UserError(
                f"{path}: the file system has no locks ({error.strerror}), which keep a second run out; use another, "
                "or mount it with flock"
            ) from None
        raise UserError(f"{path}: cannot be locked: {error.strerror}; give the run a folder it may write to") from None
    return lock


@contextlib.contextmanager
def whole_folder(out: Path, settings: dict[str, Any], kind: str) -> Iterator[Path | None]:
    """Give an empty folder to fill, which is `out` when the block ends without an error.

    Args:
        out: absent, empty, or made with the same settings; whole or absent afterwards.
        settings: JSON values that define what is in it.
        kind: what the folder is called in errors, such as "export".

    Yields:
        The folder to fill; None if `out` is there already.

    Raises:
        UserError: `out` was made with other settings, has something else in it, or cannot be written.
    """
    if has_settings(out, settings, kind):
        yield None
        return
    with atomic(out, folder=True) as partial:
        write_record(partial / SETTINGS, {"format": FORMAT} | settings)
        yield partial


def renew(folder: Path, settings: dict[str, Any]) -> None:
    """Write the settings of a claimed folder anew where those of `MAY_CHANGE` are others."""
    if read_settings(folder) != json.loads(json.dumps(settings)):
        write_record(folder / SETTINGS, {"format": FORMAT} | settings)


def read_settings(folder: Path, *needed: str) -> dict[str, Any]:
    """Return the settings of a folder, as JSON values; `needed` are those that the caller cannot do without.

    Raises:
        UserError: there are none, or they are damaged, of a newer version, or lack one that is needed.
    """
    path = folder / SETTINGS
    try:
        settings = read_record(
            path, 'restore it from a copy (or, if you edited it, remove its "sha256")', unsigned=True
        )
    except FileNotFoundError:
        raise UserError(f"{folder}: no run here (no settings.json); name the folder that `dp run` was given") from None
    number = settings.pop("format", None)
    if number != FORMAT:
        raise UserError(f"{path}: format {number}, this version reads {FORMAT}; use the version that wrote it")
    missing = [name for name in needed if name not in settings]
    if missing:
        raise UserError(
            f"{path}: got no {', '.join(missing)}, expected what `dp run` writes; for a run that was started in Python "
            "do this in Python too (docs/method.md)"
        )
    return settings


def setting_of(folder: Path, name: str, parse: Callable[[Any], T]) -> T:
    """Return what `parse` makes of one of a folder's settings.

    Raises:
        UserError: it is missing, or `parse` raises one; names the file.
    """
    found = read_settings(folder, name)[name]
    try:
        return parse(found)
    except UserError as error:
        raise UserError(f"{folder / SETTINGS}: {error}") from None


def expect_empty(folder: Path, kind: str) -> None:
    """Raise UserError if a folder has something in it beside its settings and hidden files."""
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder}: a file, expected a new or an empty folder; give another name")
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if path.name != SETTINGS and not path.name.startswith("."):
            raise UserError(
                f'{folder}: not a folder of this {kind} and not empty ("{path.name}" is in it); give a new one'
            )


def has_settings(folder: Path, settings: dict[str, Any], kind: str) -> bool:
    """Return whether a folder has these settings already; False: it has none, and nothing else is in it.

    Raises:
        UserError: it has others, or something else is in it.
    """
    if not (folder / SETTINGS).exists():
        expect_empty(folder, kind)
        return False
    different = _differences(read_settings(folder), json.loads(json.dumps(settings)))
    if different:
        raise UserError(
            f"{folder}: another {kind}'s folder ({'; '.join(different)}); use its settings or another folder"
        )
    return True


def _differences(found: dict[str, Any], wanted: dict[str, Any], inside: str = "") -> list[str]:
    """Return what differs, by the names of the settings: "config.lr: 0.002 there, 0.003 asked for"."""
    different = []
    for name in sorted(found.keys() | wanted.keys()):
        there, asked = found.get(name), wanted.get(name)
        if isinstance(there, dict) and isinstance(asked, dict):
            different += _differences(there, asked, f"{inside}{name}.")
        elif there != asked and name not in MAY_CHANGE:
            different.append(f"{inside}{name}: {_brief(there)} there, {_brief(asked)} asked for")
    return different


def _brief(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) < 80 else text[:77] + "..."
