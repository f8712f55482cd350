"""runs.load."""

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from dp.config import PracticeConfig, config_from
from dp.learner.evaluate import device_of
from dp.learner.models import on_full_images
from dp.pool.folder import PoolFolder
from dp.pool.in_memory import Pool
from dp.pool.repair import repair
from dp.practice.additions import classes_of, image_maker
from dp.practice.interfaces import ImageGenerator
from dp.practice.state import State, start
from dp.runs.paths import FORMAT, checkpoint_file, learner_file
from dp.runs.settings import read_settings
from dp.samples import Samples
from dp.selection.filters import Filter
from dp.utils.checkpoint import load_state
from dp.utils.errors import UserError
from dp.utils.files import pickle_in


def read_checkpoint(path: Path, state: State) -> None:
    """Put a checkpoint into a fresh state of the same configuration, all but the pool.

    Raises:
        UserError: it is damaged, of another configuration or of a newer version.
    """
    progress = load_state(path, {"learner": state.learner, "ema": state.ema}, state.optimizer)
    if progress.get("format") != FORMAT:
        raise UserError(
            f"{path}: format {progress.get('format')}, this version reads {FORMAT}; use the version that wrote it"
        )
    state.iteration, state.pending, state.branch = (progress[name] for name in ("iteration", "pending", "branch"))
    state.losses = [torch.tensor(loss, device=device_of(state.learner)) for loss in progress["losses"]]
    state.log, state.additions = progress["log"], progress["additions"]
    for name, value in progress["patience"].items():
        setattr(state.patience, name, float("-inf") if name == "best" and value is None else value)


def load_learner(folder: Path, round_: int, state: State) -> None:
    """Put the weights that guided a round into a state."""
    path = learner_file(folder, round_)
    if not path.exists():
        raise UserError(
            f"{path}: missing; without the learner that guided round {round_} its images cannot be made again"
        )
    parts: dict[str, dict[str, torch.Tensor]] = {"learner": {}, "ema": {}}
    try:
        with safe_open(path, "pt") as file:
            for name in file.keys():
                part, key = name.split("/", 1)
                parts[part][key] = file.get_tensor(name)
        state.learner.load_state_dict(parts["learner"])
        state.ema.load_state_dict(parts["ema"])
    except (SafetensorError, KeyError, ValueError, RuntimeError) as error:
        reason = pickle_in(path.read_bytes()) or str(error).splitlines()[0]
        raise UserError(f"{path}: not the learner of this run ({reason}); restore it from a copy") from None


def learner_of(folder: Path) -> nn.Module:
    """The averaged weights of a run as they were kept last, for whole images; in eval mode."""
    return on_full_images(config_from(read_settings(folder, "config")["config"]), state_of(folder).ema.module)


def state_of(folder: Path, branch: int | None = None) -> State:
    """A run, or one of its branches, as it was kept last; without images."""
    config = config_from(read_settings(folder, "config")["config"])
    pool = PoolFolder.open(folder / "pool")
    state = start(config, Pool(pool.read(0)), len(pool.layout.classes))
    path = checkpoint_file(folder, branch)
    if not path.exists():
        raise UserError(f"{folder}: no checkpoint yet; let the run go on for a while first")
    read_checkpoint(path, state)
    return state


def repair_pool(folder: Path, config: PracticeConfig, generator: ImageGenerator, keep: Filter | None) -> list[str]:
    """Make the damaged shards of a run's pool again, with the learners that guided them; returns the files made."""

    def make(round_: int, slots: range, _labels: Any, _seeds: Any) -> Samples:
        if round_ == 0:
            return image_maker(config, generator, 0)(slots)
        state = start(config, Pool(pool.read(0)), classes_of(generator))
        load_learner(folder, round_, state)
        return image_maker(config, generator, round_, state, keep)(slots)

    with PoolFolder.open(folder / "pool", writable=True) as pool:
        return repair(pool, make)
