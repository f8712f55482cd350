"""Tensors in a safetensors file that carries its checksum: written atomically, read without executing anything."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from dp.utils.errors import UserError
from dp.utils.files import atomic, pickle_in, size_of_file

# The checksum stands in the file's metadata, among the progress; it is that of the whole file with zeros in its place.
# (A metadata entry of its own would come before or behind the other one by chance: the library does not sort them.)
ZEROS = "0" * 64
CHECKSUM = re.compile(rb'\\"sha256\\": \\"([0-9a-f]{64})\\"')
LARGEST_HEADER = 100_000_000  # bytes, as safetensors allows
CHUNK = 1 << 24  # bytes read at once

Parts = dict[str, dict[str, Tensor]]


def write_tensors(path: Path, tensors: dict[str, Tensor], progress: dict[str, Any] | None = None) -> None:
    """Write a safetensors file with its checksum and `progress` (JSON values), atomically.

    No two of the tensors may share memory (see `snapshot`).

    Raises:
        UserError: the disk is full or cannot be written to.
    """
    metadata = {"progress": json.dumps((progress or {}) | {"sha256": ZEROS})}
    # Not `save_file`, which leaves a temporary file of its own when it is killed.
    content = memoryview(save(tensors, metadata))
    first, last = _place(content[: 8 + int.from_bytes(content[:8], "little")])
    with atomic(path) as partial, partial.open("wb") as file:
        for piece in (content[:first], hashlib.sha256(content).hexdigest().encode(), content[last:]):
            file.write(piece)


def snapshot(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return a copy of the tensors, in the memory of the CPU."""
    return {key: value.detach().to("cpu", copy=True).contiguous() for key, value in tensors.items()}


def _place(header: bytes | memoryview) -> tuple[int, int]:
    """Return where the checksum begins and ends; (0, 0): there is none."""
    found = CHECKSUM.search(header)
    return found.span(1) if found else (0, 0)


def read_tensors(path: Path, parts: tuple[str, ...]) -> tuple[Parts, dict[str, Any]]:
    """Return what `write_tensors` wrote: part -> key -> tensor, of tensors named "part/key"; and `progress`.

    A file without a checksum, as older versions wrote, is read too.

    Raises:
        UserError: the file is damaged, or has other parts.
    """
    found: Parts = {part: {} for part in parts}
    try:
        signed = _check_sum(path)
        with safe_open(path, "pt") as file:
            for name in file.keys():
                part, key = name.split("/", 1)
                found[part][key] = file.get_tensor(name)
            progress = json.loads((file.metadata() or {}).get("progress", "{}"))
        if not isinstance(progress, dict) or (progress.pop("sha256", None) is not None) != signed:
            raise ValueError("its progress is not as it was written")
        return found, progress
    except UserError:  # no file at all: a folder, a pipe
        raise
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}; expected a file that can be read") from None
    except (SafetensorError, KeyError, ValueError, RuntimeError, RecursionError) as error:
        raise UserError(_refused(path, error)) from None


def _check_sum(path: Path) -> bool:
    """Return whether a file has a checksum; ValueError if it does not fit."""
    size_of_file(path)
    with path.open("rb") as file:
        size = file.read(8)
        header = size + file.read(min(int.from_bytes(size, "little"), LARGEST_HEADER))
        first, last = _place(header)
        if not last:
            return False
        checksum = hashlib.sha256(header[:first] + ZEROS.encode() + header[last:])
        while chunk := file.read(CHUNK):
            checksum.update(chunk)
    if checksum.hexdigest() != header[first:last].decode():
        raise ValueError("its checksum does not fit: it was cut short, or a bit has flipped")
    return True


def save_state(
    path: Path, modules: dict[str, torch.nn.Module], optimizer: torch.optim.Optimizer, **progress: Any
) -> None:
    """Write the modules' and the optimizer's tensors, and `progress` (JSON values) beside them."""
    write_tensors(path, snapshot(state_tensors(modules, optimizer)), progress)


def state_tensors(modules: dict[str, torch.nn.Module], optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the modules' and the optimizer's tensors by the names that they have in a file."""
    tensors = {f"{name}/{key}": value for name, module in modules.items() for key, value in module.state_dict().items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{index}/{key}": torch.as_tensor(value) for key, value in state.items()}
    return tensors


def load_state(path: Path, modules: dict[str, torch.nn.Module], optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Read a file of `save_state` into the same modules and optimizer; return `progress`.

    Raises:
        UserError: the file is damaged or belongs to another model.
    """
    parts, progress = read_tensors(path, (*modules, "optimizer"))
    load_modules(path, modules, parts)
    try:
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in parts["optimizer"].items():
            index, key = name.split("/")
            state.setdefault(int(index), {})[key] = value
        optimizer.load_state_dict(optimizer.state_dict() | {"state": state})
    except (KeyError, ValueError, RuntimeError) as error:
        raise UserError(_refused(path, error)) from None
    return progress


def load_modules(path: Path, modules: dict[str, torch.nn.Module], parts: Parts) -> None:
    """Put the tensors of a file's parts into modules.

    Raises:
        UserError: they are another model's.
    """
    try:
        for name, module in modules.items():
            module.load_state_dict(parts[name])
    except RuntimeError as error:
        raise UserError(_refused(path, error)) from None


def _refused(path: Path, error: Exception) -> str:
    with path.open("rb") as file:
        reason = pickle_in(file.read(2)) or (str(error).splitlines() or [type(error).__name__])[0]
    return f"{path}: damaged, or of another configuration ({reason}); restore it from a copy, or start in a new folder"
