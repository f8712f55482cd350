"""The states that a run has kept: checkpoints, the learners that guided additions, and its images made again."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NotRequired

import torch
from pydantic import ConfigDict
from torch import nn
from typing_extensions import TypedDict  # pydantic needs this one before Python 3.12

from dp.config import PracticeConfig, config_from
from dp.data.image_tree import few_apart
from dp.learner.evaluate import device_of
from dp.learner.models import on_full_images
from dp.pool.folder import PoolFolder
from dp.pool.in_memory import Pool
from dp.pool.repair import repair
from dp.practice.additions import classes_of, image_maker
from dp.practice.interfaces import ImageGenerator
from dp.practice.state import State, start
from dp.runs.paths import checkpoint_file, learner_file
from dp.samples import Samples
from dp.selection.filters import Filter
from dp.utils.checkpoint import load_modules, load_state, read_tensors
from dp.utils.errors import UserError
from dp.utils.folders import FORMAT, setting_of
from dp.utils.validation import partial_settings


class Addition(TypedDict):
    """The part of an addition's record that readers need; more is kept (see `dp.practice.loop.add_images`)."""

    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]
    iteration: int
    pool_size: int


class KeptPatience(TypedDict):
    """The fields of `dp.practice.patience.Patience`; best is None for minus infinity."""

    __pydantic_config__ = ConfigDict(extra="forbid")  # type: ignore[misc]
    initial: int
    incremental: bool
    best: float | None
    waited: int
    signal: NotRequired[str]


@dataclass(frozen=True)
class Progress:
    """The part of a checkpoint that is no tensor, as JSON values; see `dp.practice.state.State`."""

    format: int
    iteration: int
    pending: str | None
    branch: int | None
    losses: list[float]
    patience: KeptPatience
    log: list[dict[str, int | float | str | None]]
    additions: list[Addition]


def read_checkpoint(path: Path, state: State) -> None:
    """Put a checkpoint into a fresh state of the same configuration, all but the pool.

    Raises:
        UserError: it is damaged, of another configuration or of a newer version.
    """
    found = load_state(path, {"learner": state.learner, "ema": state.ema}, state.optimizer)
    if found.get("format") != FORMAT:
        raise UserError(
            f"{path}: format {found.get('format')}, this version reads {FORMAT}; use the version that wrote it"
        )
    try:
        partial_settings(Progress, found)  # checks them; they are kept as they were found
    except UserError as error:
        raise UserError(f"{path}: {error}; restore it from a copy, or start in a new folder") from None
    state.iteration, state.pending, state.branch = (found[name] for name in ("iteration", "pending", "branch"))
    state.losses = [torch.tensor(loss, device=device_of(state.learner)) for loss in found["losses"]]
    state.log, state.additions = found["log"], found["additions"]
    for name, value in found["patience"].items():
        setattr(state.patience, name, float("-inf") if name == "best" and value is None else value)


def load_learner(folder: Path, round_: int, state: State) -> None:
    """Put the weights that guided a round into a state.

    Raises:
        UserError: they are missing, damaged or another model's.
    """
    path = learner_file(folder, round_)
    if not path.exists():
        raise UserError(
            f"{path}: missing; without the learner that guided round {round_} its images cannot be made again"
        )
    modules = {"learner": state.learner, "ema": state.ema}
    parts, _ = read_tensors(path, tuple(modules))
    load_modules(path, modules, parts)


def config_of(folder: Path) -> PracticeConfig:
    """Return the settings of the loop that a run was started with.

    Raises:
        UserError: they are missing, damaged or of another version; names the file.
    """
    return setting_of(folder, "config", config_from)


def learner_of(folder: Path) -> nn.Module:
    """Return the averaged weights of a run as they were kept last, for whole images; in eval mode."""
    return on_full_images(config_of(folder), state_of(folder).ema.module)


def expect_classes(folder: Path, classes: tuple[str, ...], of: str) -> None:
    """Raise UserError unless a run's learner knows these classes, in this order; `of` says what has them."""
    known = PoolFolder.open(folder / "pool").layout.classes
    if known != classes:
        got, expected = few_apart(known, classes)
        raise UserError(f"guided_by: {folder} has the classes {got}, {of} {expected}; name another run")


def state_of(folder: Path, branch: int | None = None) -> State:
    """Return a run, or one of its branches, as it was kept last; without images."""
    config = config_of(folder)
    pool = PoolFolder.open(folder / "pool")
    state = start(config, Pool(pool.read(0)), len(pool.layout.classes))
    path = checkpoint_file(folder, branch)
    if not path.exists():
        raise UserError(f"{folder}: no checkpoint yet; let the run go on for a while first")
    read_checkpoint(path, state)
    return state


def repair_pool(folder: Path, config: PracticeConfig, generator: ImageGenerator, keep: Filter | None) -> list[str]:
    """Make the damaged shards of a run's pool again, with the learners that guided them; return the files made."""

    def make(round_: int, slots: range, _labels: Any, _seeds: Any) -> Samples:
        if round_ == 0:
            return image_maker(config, generator, 0)(slots)
        state = start(config, Pool(pool.read(0)), classes_of(generator))
        load_learner(folder, round_, state)
        errors = None
        if config.class_shares == "errors":
            errors = torch.tensor(state_of(folder).additions[round_ - 1]["errors_by_class"])
        return image_maker(config, generator, round_, state, keep, errors=errors)(slots)

    with PoolFolder.open(folder / "pool", writable=True) as pool:
        return repair(pool, make)
