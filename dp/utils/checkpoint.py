"""Training state in one safetensors file: written atomically, read without executing anything."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from dp.utils.errors import UserError
from dp.utils.files import atomic, pickle_in


def save_state(
    path: Path, modules: dict[str, torch.nn.Module], optimizer: torch.optim.Optimizer, **progress: Any
) -> None:
    """Write the modules' and the optimizer's tensors, and `progress` (JSON values) beside them."""
    tensors = {f"{name}/{key}": value for name, module in modules.items() for key, value in module.state_dict().items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{index}/{key}": torch.as_tensor(value) for key, value in state.items()}
    write_tensors(path, tensors, {"progress": json.dumps(progress)})


def write_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str] | None = None) -> None:
    """Write a safetensors file, atomically."""
    content = save({key: value.detach().clone().contiguous() for key, value in tensors.items()}, metadata)
    with atomic(path) as partial:
        partial.write_bytes(content)  # `save_file` would leave a temporary file of its own when it is killed


def load_state(path: Path, modules: dict[str, torch.nn.Module], optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Read a file of `save_state` into the same modules and optimizer; returns `progress`.

    Raises:
        UserError: the file is damaged or belongs to another model.
    """
    parts: dict[str, dict[str, Tensor]] = {name: {} for name in [*modules, "optimizer"]}
    try:
        with safe_open(path, "pt") as file:
            progress = json.loads(file.metadata()["progress"])
            for name in file.keys():
                part, key = name.split("/", 1)
                parts[part][key] = file.get_tensor(name)
        for name, module in modules.items():
            module.load_state_dict(parts[name])
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = pickle_in(path.read_bytes()) or str(error).splitlines()[0]
        raise UserError(
            f"{path}: not a checkpoint of this configuration ({reason}); restore it from a copy, or start in a "
            "new folder"
        ) from None
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in parts["optimizer"].items():
        index, key = name.split("/")
        state.setdefault(int(index), {})[key] = value
    optimizer.load_state_dict(optimizer.state_dict() | {"state": state})
    return progress
