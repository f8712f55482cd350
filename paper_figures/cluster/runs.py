"""Finished runs of the paper's rows, as `dp run --row` leaves them in folders beside each other."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from dp.config import config_from
from dp.paper.row import SIDE, Published, Row, key
from dp.paper.rows import ROWS
from dp.runs.result import read_result
from dp.utils.errors import UserError

OUT_OF_DISTRIBUTION = {"v2": "in_v2", "sketch": "in_sketch", "r": "in_r", "a": "in_a"}  # as `dp run` names them


@dataclass(frozen=True)
class Measured:
    """The end of a run, or of a branch of one.

    Attributes:
        row: what was run.
        seed: with which seed.
        folder: name of the run's folder.
        images: trained on in the end; fewer than the row has if patience did not ask for all additions.
        accuracies: measured, as those published.
        not_as_row: what of the generator was given otherwise than the row says; "" = nothing.
    """

    row: Row
    seed: int
    folder: str
    images: int
    accuracies: Published
    not_as_row: str


@dataclass(frozen=True)
class Runs:
    """The finished runs in a folder, and in words what of the folder is left out."""

    folder: Path
    measured: tuple[Measured, ...]
    left_out: tuple[str, ...]

    def of(self, row: Row) -> list[Measured]:
        """Return what was measured of a row, one per seed."""
        return [each for each in self.measured if each.row == row]


def read(folder: Path) -> Runs:
    """Read the finished runs of the paper's rows in the subfolders of a folder.

    Raises:
        UserError: there are none, or a result.json is not what `dp run` writes.
    """
    if (folder / "result.json").exists():
        raise UserError(f"runs: {folder} is a run itself; give the folder that it is in")
    measured: list[Measured] = []
    left_out = [
        f"{path.parent} (not finished)"
        for path in sorted(folder.glob("*/settings.json"))
        if not (path.parent / "result.json").exists()
    ]
    for path in sorted(folder.glob("*/result.json")):
        found, why = _of_run(path)
        measured += found
        left_out += [f"{path}: {each}" for each in why]
    if not measured:
        reason = "; ".join(left_out) or "no */result.json"
        raise UserError(f"runs: no finished run of a row of the paper in {folder} ({reason}); see docs/cluster.md")
    return Runs(folder, tuple(measured), tuple(left_out))


def _of_run(path: Path) -> tuple[list[Measured], list[str]]:
    """Return what a run and its branches have reached, and why what is left out is."""
    result = read_result(path)
    try:
        settings, outcomes = result["settings"], result["outcomes"]
        name, values, source = settings["row"], settings["config"], settings["source"]
        reached = [(each["pool_size"], each["branched_at"], _accuracies(each)) for each in outcomes]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        reason = f"{error} missing or unknown" if isinstance(error, KeyError) else error
        raise UserError(
            f"{path}: not the result of a run ({reason}); restore it from a copy, or move it away"
        ) from None
    row = next((row for row in ROWS if key(row) == name), None)
    if row is None:
        return [], ["not a run of a row of the paper" if not name else f'"{name}" is no row of the paper here']
    try:
        config = config_from(values)
    except (UserError, KeyError, TypeError) as error:
        return [], [str(error)]
    different = [each.name for each in fields(config) if getattr(config, each.name) != getattr(row.config, each.name)]
    unlike = [each for each in different if each not in ("seed", "decoder")]
    if unlike:
        return [], [f"not with the settings of {name} ({', '.join(unlike)})"]
    measured, left_out = [], []
    for size, branched_at, accuracies in reached:
        its = row if branched_at is None else _branch(row, size)
        if its is None:
            left_out.append(f"a branch of {size:,} images, which is no row of the paper")
            continue
        others = _not_as_row(row, config.decoder, source)
        measured.append(Measured(its, config.seed, path.parent.name, size, accuracies, others))
    return measured, left_out


def _branch(run: Row, size: int) -> Row | None:
    mine = (run.table, run.config.n_initial, run.config.n_per_round, run.final_size, size)
    return next(
        (
            row
            for row in ROWS
            if (row.table, row.config.n_initial, row.config.n_per_round, row.branch_of, row.final_size) == mine
        ),
        None,
    )


def _accuracies(outcome: dict[str, Any]) -> Published:
    """Return the accuracies of an outcome; raises TypeError for what is no accuracy in percent."""
    found = {"real_val": outcome["validation_accuracy"], "real_train": outcome["test_accuracy"]}
    found |= {OUT_OF_DISTRIBUTION[name]: each["accuracy"] for name, each in outcome.get("ood", {}).items()}
    for name, value in found.items():
        if value is not None and not (isinstance(value, int | float) and 0 <= value <= 100):
            raise TypeError(f"{name} {value}, expected percent")
    return Published(**found)


def _not_as_row(row: Row, decoder: str, source: dict[str, Any]) -> str:
    generator, wanted = Path(source.get("pipeline", "")).name, row.generator.rsplit("/", 1)[-1]
    side, template = source.get("side", SIDE), source.get("template", "{}")
    found = {
        f"generator {generator}": generator != wanted,
        f"guided through {decoder}": decoder != row.config.decoder,
        f"kept at {side} pixels": side != SIDE,
        f"prompts {template}": template != "{}",
    }
    return ", ".join(text for text, differs in found.items() if differs)
