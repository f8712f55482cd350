"""Files that are either whole or absent."""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any


@contextlib.contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` to write to; renamed to `path` when the block ends without an error.

    A reader, or a process started after a crash, sees the old file or the new one, never a part.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write an object as JSON, atomically: a line a key, and a line an element where the value is a list of objects."""

    def text(item: Any) -> str:
        if isinstance(item, list) and item and isinstance(item[0], dict):
            return "[\n  " + ",\n  ".join(json.dumps(each, allow_nan=False) for each in item) + "\n ]"
        return json.dumps(item, allow_nan=False)

    lines = [f" {json.dumps(key)}: {text(item)}" for key, item in value.items()]
    with atomic(path) as partial:
        partial.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def sha256(path: Path) -> str:
    """Hex SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def pickle_in(data: bytes) -> str | None:
    """What to say of a file that is a pickle, or a zip archive as `torch.save` makes; None if it is neither."""
    starts = {b"\x80": "a Python pickle", b"PK": "a zip archive (as torch.save makes)"}
    kind = next((kind for start, kind in starts.items() if data.startswith(start)), None)
    return f"got {kind}, which is not opened since it can run any code" if kind else None
