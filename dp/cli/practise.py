"""Do what `dp run` asks for."""

import contextlib
import difflib
import json
from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from dp.config import PracticeConfig, config_from, idle
from dp.data.imagenet import OutOfDistribution, roots_of
from dp.learner.evaluate import measured
from dp.paper.row import SIDE, key
from dp.paper.rows import ROWS
from dp.pool.shards import Layout
from dp.practice.checks import check_crop
from dp.practice.compute import Compute
from dp.practice.gradients import my_parts
from dp.practice.loop import run_practice
from dp.practice.schedule import check_schedule
from dp.runs.disk_space import check_room, free, run_need, size
from dp.runs.folder import RunFolder
from dp.runs.inputs import OWN_DECODERS, Source, source_from
from dp.runs.logs import Logged, check_installed, open_logs
from dp.runs.memory_room import check_memory, pool_memory
from dp.runs.paths import result_file
from dp.runs.progress import Progress
from dp.runs.result import REMEDY, read_result
from dp.runs.settings import LogKind, Storage
from dp.utils import distributed as processes
from dp.utils.errors import UserError, in_a_line
from dp.utils.folders import has_settings
from dp.utils.provenance import provenance
from dp.utils.validation import brief, settings_from


def practise(
    folder: Path,
    config: PracticeConfig,
    source: Source,
    validation: Path | None,
    test: Path | None,
    imagenet: Path | None,
    ood: OutOfDistribution,
    row: str,
    storage: Storage,
    compute: Compute,
    log: Sequence[LogKind],
    dry_run: bool,
    settings_file: Path | None = None,
) -> None:
    """Practise, with the arguments of `dp.cli.run.run`."""
    if settings_file is not None:
        given = (config, source, validation, test, imagenet, ood, row, storage)
        if given != (PracticeConfig(), Source(), None, None, None, OutOfDistribution(), "", Storage()):
            raise UserError(f"config: got {settings_file} beside settings of the run; change them in the file")
        return practise(folder, **settings_in(settings_file), compute=compute, log=log, dry_run=dry_run)
    if row:
        config, source = of_row(row, config, source)
    else:
        check_idle(config)
    if config.decoder not in OWN_DECODERS:
        config = replace(config, decoder=place(config.decoder))
    check_schedule(config)
    source.check_real(config, validation, test, imagenet, ood)
    settings = {
        "config": asdict(config),
        "source": source_settings(source),
        "storage": asdict(storage),
        "row": row,
        **{
            name: path and str(path.resolve())
            for name, path in (("validation", validation), ("test", test), ("imagenet", imagenet))
        },
        "ood": {name: str(path.resolve()) for name, path in roots_of(None, ood).items()},
    }
    result = result_file(folder)
    names, encoding, in_memory = source.names(), storage.encoding, storage.memory

    def check(shape: tuple[int, int, int], say: bool = False) -> None:
        """Raise UserError if there is too little room for what will be written."""
        if not result.exists():
            need = run_need(folder, config, Layout(names, shape, encoding=encoding))
            if say:
                print(f"to be written to {need}, {size(free(need))} free")
                if in_memory:  # of this machine nothing is said: another one may run this
                    print(f"memory: about {size(pool_memory(config.final_size, shape))} a process for the images")
            check_room(need)
            if in_memory and not say:
                check_memory(config.final_size, shape)

    if dry_run:
        has_settings(folder, settings, "run")  # else the run would be refused
        state = "is finished" if result.exists() else "goes on" if folder.exists() else "is new"
        print(json.dumps(settings, indent=1))
        growth = f"{config.n_initial} images growing to {config.final_size}"
        print(f"{folder} {state}: {growth}, {config.iterations} iterations")
        planned = source.planned_shape()
        if planned:
            check(planned, say=True)
        else:
            print("to be written: not known before the pipeline is fetched")
        check_places(source, [validation, test, imagenet, *roots_of(None, ood).values()])
        return
    check_installed(log)
    source.check_folders(test, imagenet, ood)
    processes.join()
    my_parts(config, compute.ordered)  # whether the processes can share a batch
    compute.check()
    generator = source.origin(config, imagenet)
    compute.prepare_generator(generator)
    shape = source.image_shape(generator)
    check_crop(config, shape)
    real, held_out = source.real_sets(shape, validation, test, imagenet)
    shifted = source.imagenet_sets(shape[1], None, ood)
    check(shape)
    batch = getattr(generator, "batch_size", 1)
    with RunFolder.open(
        folder,
        settings,
        config,
        names,
        shape,
        encoding=encoding,
        in_memory=in_memory,
        batch=batch,
        guided_batch=lambda: getattr(generator, "guided_batch", batch),  # known when one has been tried
    ) as store:
        if not result.exists():
            with contextlib.ExitStack() as stack:
                if processes.rank() == 0:
                    store.progress = Progress(folder, config)
                    stack.callback(store.progress.close)
                report = Logged(open_logs(log if processes.rank() == 0 else (), folder, settings), config.n_initial)
                stack.callback(report.close)
                outcomes, last = run_practice(
                    config, generator, real, held_out, store=store, progress=report, compute=compute
                )
            store.finish(
                {
                    "outcomes": [each.numbers() | {"ood": measured(each.learner, shifted)} for each in outcomes],
                    **({} if held_out else {"note": "no test: the learner was trained on ImageNet's training split"}),
                    "additions": last.additions,
                    "settings": settings,
                    "made_by": provenance()
                    | {"processes": processes.world(), "sampler": getattr(generator, "sampler", None)}
                    | batches_of(generator)
                    | asdict(compute),
                }
            )
    if processes.rank() == 0:
        print(in_words(result))
    processes.leave()


def batches_of(origin: Any) -> dict[str, int]:
    """Return how many images were made at once, plain and guided; nothing of real ones."""
    names = {"generation_batch": "batch_size", "guided_batch": "guided_batch"}
    return {name: getattr(origin, each) for name, each in names.items() if hasattr(origin, each)}


def settings_in(file: Path) -> dict[str, Any]:
    """Return the arguments of `run` in a file that holds what --dry-run printed.

    Raises:
        UserError: there is no such file, it holds something else, or a setting is unknown, missing or out of range.
    """
    try:
        if file.stat().st_size > 10**6:
            raise ValueError("more than a megabyte")
        values, _ = json.JSONDecoder().raw_decode(file.read_text())  # what is said in words follows
        places = {name: values.pop(name) for name in ("validation", "test", "imagenet")}
        found = {name: values.pop(name) for name in ("config", "source", "storage", "row", "ood")}
        if values:
            raise ValueError(f"{next(iter(values))}: unknown")
        return {
            "config": config_from(found["config"]),
            "source": source_from(found["source"]),
            "storage": settings_from(Storage, found["storage"]),
            "row": found["row"],
            "ood": OutOfDistribution(**{name: Path(path) for name, path in found["ood"].items()}),
            **{name: Path(path) if path else None for name, path in places.items()},
        }
    except KeyError as error:
        raise UserError(f"{file}: {error.args[0]}: missing; expected what dp run FOLDER --dry-run prints") from None
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        reason = in_a_line(error)
        raise UserError(f"{file}: {reason}; expected what dp run FOLDER --dry-run prints") from None


def in_words(result: Path) -> str:
    """Tell what a finished run came to: its additions, its outcomes, and where the rest is; UserError if damaged."""
    try:
        return _in_words(result, read_result(result))
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise UserError(f"{result}: damaged ({error}); {REMEDY}") from None


def _in_words(result: Path, found: dict[str, Any]) -> str:
    additions = found["additions"]
    asked = sum(each["trigger"] == "patience" for each in additions)
    grown = f"; additions: {len(additions)}, {asked} of them asked for by patience" if additions else ""
    lines = [f"{result.parent} is finished{grown}"]
    rounds = found["settings"]["config"]["rounds"]
    if len(additions) < rounds:
        lines.append(f"short of its final size: patience asked for {len(additions)} of {rounds} additions")
    for each in found["outcomes"]:
        named = {"validation": each["validation_accuracy"], "test": each["test_accuracy"]}
        named |= {name: measured["accuracy"] for name, measured in each["ood"].items()}
        accuracies = ", ".join(f"{name} {value:.2f}%" for name, value in named.items() if value is not None)
        lines.append(f"{each['pool_size']:,} images: {accuracies}")
    note = [found["note"]] if "note" in found else []
    return "\n".join([*lines, *note, f"settings, additions and what made it: {result}"])


def of_row(name: str, config: PracticeConfig, source: Source) -> tuple[PracticeConfig, Source]:
    """Return the settings of a row of the paper's tables; seed, decoder and what the row does not say are those given.

    Raises:
        UserError: there is no such row, or a setting was given that it says otherwise.
    """
    rows = {key(each): each for each in ROWS}
    if name not in rows:
        near = ", ".join(f'"{each}"' for each in difflib.get_close_matches(name, rows, 3, 0.3))
        raise UserError(f'row: got "{name}", expected a row of the paper\'s tables, such as {near or "4/static 130k"}')
    found = rows[name]
    if found.by_others:
        raise UserError(f'row: "{name}" is not a run of the loop ({found.note}); take another one')
    if found.branch_of is not None:
        raise UserError(f'row: "{name}" is a branch of the run that ends with {found.branch_of:,} images; start that')
    side, real = source.side or SIDE, found.method == "real"
    own = replace(found.config, seed=config.seed, decoder=config.decoder)
    made = replace(source, pipeline=source.pipeline or found.generator, class_list=found.task, side=side, real=real)
    unsaid = PracticeConfig()
    compared = ((config, unsaid, own), (config.guidance, unsaid.guidance, own.guidance), (source, Source(), made))
    for given, default, says in compared:
        for each in fields(says):
            value = getattr(given, each.name)
            if value not in (getattr(default, each.name), getattr(says, each.name)) and each.name != "guidance":
                raise UserError(
                    f"{each.name}: got {value} with row {name}, which has {getattr(says, each.name)}; leave one of the "
                    "two out"
                )
    return own, made


def check_idle(config: PracticeConfig) -> None:
    """Raise UserError if a setting was given that does nothing beside the others."""
    for name, why in idle(config).items():
        raise UserError(
            f"{name}: got {brief(getattr(config, name))}, which does nothing with {why}; leave it out, or change that"
        )


def source_settings(source: Source) -> dict[str, Any]:
    """Return a source as JSON values, the same wherever the command is given.

    Newer settings are left out where they are not set, so that runs from before there were any go on.
    """
    places = {name: place(where) for name in ("pipeline", "prompts") if (where := getattr(source, name))}
    newer = ("prompts", "guided_batch")
    return {name: value for name, value in (asdict(source) | places).items() if value or name not in newer}


def place(where: str) -> str:
    """Return the absolute path of a folder that is there, and anything else, such as an id of the Hub, as it is."""
    return str(Path(where).resolve()) if Path(where).exists() else where


def check_places(source: Source, folders: Sequence[Path | None]) -> None:
    """UserError if a folder that was named is not there; what should be in it is looked at when the run starts."""
    pipeline = Path(source.pipeline)
    is_id = len(pipeline.parts) <= 2 and not pipeline.is_absolute()  # of the Hub: "owner/name"
    for folder in [*folders, None if is_id else pipeline]:
        if folder is not None and not folder.is_dir():
            raise UserError(f"{folder}: no such folder; give one that is there, as the machines that run this see it")
