"""Files and folders that are either whole or absent, and JSON that carries its checksum."""

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from dp.utils.errors import UserError

LARGEST_JSON = 64_000_000  # bytes; a manifest of ten million images has 3 million


@contextlib.contextmanager
def atomic(path: Path, folder: bool = False) -> Iterator[Path]:
    """Give a temporary path beside `path` to write to, and rename it to `path` when the block ends without an error.

    A reader, or a process started after a crash, sees the old file or the new one, never a part; the new one is on disk
    when the block is left. What a killed writer of the same path has left is removed first.

    Args:
        path: a file to replace, or a folder that is absent or empty.
        folder: give an empty folder to fill instead of an empty file to write.

    Raises:
        UserError: the disk is full, or the place cannot be written to; `path` is as it was before.
    """
    with _temporary(path, folder) as partial:
        yield partial
        for each in [*partial.rglob("*"), partial] if folder else [partial]:
            sync(each)
        partial.replace(path)
        sync(path.parent)


@contextlib.contextmanager
def atomic_files(folder: Path) -> Iterator[Path]:
    """Give an empty folder to fill, and move its files to the same places in `folder` when the block ends.

    Each of them is whole or as it was before; none is moved if the block ends with an error. After a kill between two
    of them, doing the same again moves the rest.

    Raises:
        UserError: the disk is full, or the place cannot be written to.
    """
    with _temporary(folder / "files", True) as partial:
        yield partial
        for path in sorted(each for each in partial.rglob("*") if each.is_file()):
            target = folder / path.relative_to(partial)
            make_folder(target.parent)
            sync(path)
            path.replace(target)
            sync(target.parent)


@contextlib.contextmanager
def _temporary(path: Path, folder: bool) -> Iterator[Path]:
    """Give an empty temporary file or folder beside `path`, which nobody else removes before the block ends."""
    if not path.name:  # ".", "/" or nothing at all
        raise UserError(f"{path}: got a folder without a name, expected the name of what is to be written; give one")
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    with writing(path), contextlib.ExitStack() as stack:
        make_folder(path.parent)
        remove_partials(path.parent, path.name)
        stack.callback(_remove, partial)
        if folder:
            partial.mkdir()
        handle = os.open(partial, os.O_RDONLY if folder else os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        stack.callback(os.close, handle)
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(handle, fcntl.LOCK_EX)  # tells `remove_partials` that this one is being written
        yield partial


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Tell in one line what keeps the block from writing `path`.

    Raises:
        UserError: names the path, the reason and the remedy.
    """
    try:
        yield
    except (OSError, SafetensorError) as error:  # safetensors has an error of its own for a full disk
        reason = getattr(error, "strerror", None) or error
        raise UserError(
            f"{path}: cannot be written: {reason}; what was there is unharmed, make room or give write permission and "
            "run the same command again"
        ) from None


def make_folder(folder: Path) -> None:
    """Make a folder and those above it that are missing; their names are on disk afterwards."""
    if not folder.is_dir():
        make_folder(folder.parent)
        if folder.exists() and not folder.is_dir():  # a folder by now: another process was faster
            raise NotADirectoryError(errno.ENOTDIR, f"Not a directory: {folder}")
        folder.mkdir(exist_ok=True)  # another process may be faster
        sync(folder.parent)


def sync(path: Path) -> None:
    """Put a file's content, or the names in a folder, on disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove_partials(folder: Path, name: str | None = None) -> None:
    """Remove what killed writers left half written; what is being written now stays.

    Args:
        folder: searched with all folders below it; with `name`, alone.
        name: of the file or folder that was to be written; None: any.
    """
    found = folder.rglob(".*.partial") if name is None else _named(folder, name)
    for path in list(found):
        if not _is_written(path):
            _remove(path)


def _named(folder: Path, name: str) -> Iterator[Path]:
    """Yield the temporary paths of `name`; older versions wrote folders without a process id."""
    start, end = f".{name}.", ".partial"
    for entry in os.scandir(folder):
        if entry.name.startswith(start) and entry.name.endswith(end):
            if entry.name[len(start) : -len(end)].isdecimal() or entry.name == f".{name}{end}":
                yield Path(entry)


def _is_written(path: Path) -> bool:
    """Return whether a living process holds a temporary file or folder (see `atomic`)."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:  # gone by now, or a link
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(handle)
    return False


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def size_of_file(path: Path) -> int:
    """Return the bytes of a regular file. To be asked before one is opened: a pipe would wait for a writer.

    Raises:
        UserError: it is a folder, a pipe or a device.
        FileNotFoundError: there is no such file.
    """
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise UserError(f"{path}: got a folder or a device, expected a file; move it away")
    return found.st_size


def expect_files(folder: Path) -> None:
    """Raise UserError if anything in a folder is a pipe or a device, which a library that reads it would wait for."""
    for path in folder.rglob("*"):
        if path.exists() and not path.is_dir():
            size_of_file(path)


def read_bytes(path: Path, largest: int | None = None) -> bytes | None:
    """Return a file's content; None if there is no such file.

    Raises:
        UserError: it is no regular file, has more than `largest` bytes, or cannot be read.
    """
    try:
        size = size_of_file(path)
        if largest is not None and size > largest:
            raise UserError(f"{path}: got {size:,} bytes, expected at most {largest:,}; restore it from a copy")
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; expected a file that can be read") from None


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write an object as JSON, atomically: a line per key, and a line per element of a list of objects."""

    def text(item: Any) -> str:
        if isinstance(item, list) and item and isinstance(item[0], dict):
            return "[\n  " + ",\n  ".join(json.dumps(each, allow_nan=False) for each in item) + "\n ]"
        return json.dumps(item, allow_nan=False)

    lines = [f" {json.dumps(key)}: {text(item)}" for key, item in value.items()]
    with atomic(path) as partial:
        partial.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def read_json(path: Path, remedy: str) -> dict[str, Any]:
    """Return the object in a JSON file.

    Args:
        path: of the file.
        remedy: what to do if it is damaged, as the end of the error's line.

    Raises:
        FileNotFoundError: there is no such file.
        UserError: it is damaged; nothing but an object of a sensible size is accepted.
    """
    data = read_bytes(path, LARGEST_JSON)
    if data is None:
        raise FileNotFoundError(errno.ENOENT, "No such file or directory", str(path))
    try:
        found = json.loads(data)
    except RecursionError:
        raise UserError(f"{path}: damaged (nested too deeply); {remedy}") from None
    except ValueError as error:
        raise UserError(f"{path}: damaged, not JSON ({error}); {remedy}") from None
    if not isinstance(found, dict):
        raise UserError(f"{path}: damaged (got {str(found)[:40]!r}, expected an object); {remedy}")
    return found


def write_record(path: Path, value: dict[str, Any]) -> None:
    """Write an object as `write_json` does, with a checksum of all the rest as its last value, "sha256"."""
    write_json(path, value | {"sha256": digest(value)})


def read_record(path: Path, remedy: str, unsigned: bool = False) -> dict[str, Any]:
    """Return what `write_record` wrote, without the checksum.

    Args:
        path, remedy: as for `read_json`.
        unsigned: accept a file without a checksum, as older versions wrote.

    Raises:
        FileNotFoundError: there is no such file.
        UserError: it is damaged, or was edited.
    """
    found = read_json(path, remedy)
    if "sha256" in found or not unsigned:
        if found.pop("sha256", None) != digest(found):
            raise UserError(f"{path}: damaged (it is not as it was written, its checksum does not fit); {remedy}")
    return found


def digest(value: dict[str, Any]) -> str:
    """Return the hex SHA-256 of an object as it is read back from JSON."""
    as_read = json.loads(json.dumps(value))
    return hashlib.sha256(json.dumps(as_read, sort_keys=True).encode()).hexdigest()


def sha256(path: Path) -> str:
    """Return the hex SHA-256 of a file."""
    size_of_file(path)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def pickle_in(data: bytes) -> str | None:
    """Return what to say of a pickle, or of a zip archive as `torch.save` makes; None if `data` is neither."""
    starts = {b"\x80": "a Python pickle", b"PK": "a zip archive (as torch.save makes)"}
    kind = next((kind for start, kind in starts.items() if data.startswith(start)), None)
    return f"got {kind}, which is not opened since it can run any code" if kind else None
