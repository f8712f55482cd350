"""Deliberate Practice on the command line.

    python -m dp run FOLDER                                # a run; the same command goes on where it stopped
    python -m dp run FOLDER --rounds 5 --guidance.omega 0.2 --dry-run
    python -m dp generate POOL --count 1000                # plain images
    python -m dp generate POOL --count 1000 --guided-by FOLDER --omega 0.3
    python -m dp prune POOL OUT --guided-by FOLDER --keep 250
    python -m dp evaluate FOLDER                           # a run's learners on real images
    python -m dp grid FOLDER --omegas 0 0.1 0.2            # what a run's learners make of the same seeds
    python -m dp pool show FOLDER/pool                     # or check, repair, export
    python -m dp plan --profile imagenet100                # what the paper's rows cost in images, operations, GPU-hours
    python -m dp submit --nodes 4 -- run FOLDER ...        # on a SLURM cluster, again until it is finished
    python -m dp data check IMAGENET                       # real images: all there, and readable?
    python -m dp train-generator FOLDER                    # the repository's own generator, from real images

`dp` is the same as `python -m dp`. `dp COMMAND --help` lists a command's settings. A mistake ends with one line and
exit code 2, Ctrl-C with 130.
"""

import difflib
import importlib.util
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
import tyro
from tqdm import tqdm

from dp import processes
from dp.checks import check_crop
from dp.config import PracticeConfig, config_from
from dp.data import CLASSES, image_folder, test_images
from dp.data_check import data_command
from dp.disk import Need, check_room, free, pool_need, run_needs, size
from dp.errors import UserError, run_command
from dp.evaluate import logits_of
from dp.grid import grid
from dp.guidance import GuidanceConfig
from dp.imagenet import OutOfDistribution, RealSet, measured, roots_of
from dp.learner import whole
from dp.objectives import entropy
from dp.paper_rows import ROWS, SIDE, key
from dp.plan_command import plan_command
from dp.pool import export as pool_export
from dp.pool.folder import PoolFolder
from dp.pool.repair import check
from dp.pool.shards import Encoding, Layout
from dp.practice import filter_of, practise
from dp.precision import Compute
from dp.provenance import provenance
from dp.prune import SCORES, hardest
from dp.randomness import IMAGES, seed_for
from dp.round_images import classes_of
from dp.run_folder import RunFolder, checkpoint_file, learner_of, read_settings, repair_pool, state_of
from dp.source import Source, source_from
from dp.state import State
from dp.submit import submit
from dp.train_generator import train as train_generator

Folder = tyro.conf.Positional[Path]


@dataclass(frozen=True)
class Storage:
    """How a run keeps its images."""

    memory: bool = True  # train on a pool that is held in memory; else on one that is read from disk as it goes
    encoding: Encoding = "PNG"  # of the images kept: PNG (lossless), JPEG or WEBP


def run(
    folder: Folder,
    config: Annotated[PracticeConfig, tyro.conf.arg(name="")] = PracticeConfig(),
    source: Annotated[Source, tyro.conf.arg(name="")] = Source(),
    validation: Path | None = None,
    test: Path | None = None,
    imagenet: Path | None = None,
    ood: OutOfDistribution = OutOfDistribution(),
    row: str = "",
    storage: Storage = Storage(),
    compute: Annotated[Compute, tyro.conf.arg(name="")] = Compute(),
    tensorboard: bool = False,
    dry_run: bool = False,
) -> None:
    """Practise: train a classifier on images that the generator makes to challenge it.

    Started by torchrun or SLURM, the processes share the run; the same command goes on with any number of them.

    Args:
        folder: everything of the run goes here; the same command goes on where it stopped.
        config: settings of the loop.
        source: the generator.
        validation: real images in one subfolder a class, for plateau detection; by default Fashion-MNIST's.
        test: held-out real images, for the final evaluation.
        imagenet: instead of validation and test, the folder that holds ImageNet's val and train.
        ood: folders of ImageNet's out-of-distribution sets, for the final evaluation; see `dp evaluate`.
        row: a row of the paper's tables, as `dp plan` names them ("4/static 130k"); gives the settings of the loop, but
            for the seed, the generator and the classes.
        storage: of the images.
        compute: what makes training faster; the same command may go on with another choice.
        tensorboard: write the log for TensorBoard as well, to FOLDER/tensorboard.
        dry_run: say what would be done, and do nothing.
    """
    if row:
        config, source = of_row(row, config, source)
    source.check_real(config, validation, test, imagenet, ood)
    settings = {
        "config": asdict(config),
        "source": asdict(source) | ({"pipeline": _absolute(source.pipeline)} if source.pipeline else {}),
        "storage": asdict(storage),
        "row": row,
        **{
            name: path and str(path.resolve())
            for name, path in (("validation", validation), ("test", test), ("imagenet", imagenet))
        },
        "ood": {name: str(path.resolve()) for name, path in roots_of(None, ood).items()},
    }
    result = folder / "result.json"
    names, encoding, in_memory = source.names(), storage.encoding, storage.memory

    def needs(shape: tuple[int, int, int]) -> list[Need]:
        layout = Layout(names, shape, encoding=encoding)
        return [] if result.exists() else run_needs(folder, config, layout, in_memory)

    if dry_run:
        final = config.n_initial + config.rounds * config.n_per_round
        state = "is finished" if result.exists() else "goes on" if folder.exists() else "is new"
        print(json.dumps(settings, indent=1))
        print(f"{folder} {state}: {config.n_initial} images growing to {final}, {config.iterations} iterations")
        planned = source.planned_shape()
        print_needs(needs(planned) if planned else None)
        return
    if tensorboard and importlib.util.find_spec("tensorboard") is None:
        raise UserError("tensorboard: not installed; pip install tensorboard, or run without it")
    source.check_folders(test, imagenet, ood)
    processes.join()
    processes.parts_of(config.parts)
    compute.check()
    generator = source.origin(config, imagenet)
    shape = source.image_shape(generator)
    check_crop(config, shape)
    real, held_out = source.real_sets(shape, validation, test, imagenet)
    shifted = source.imagenet_sets(shape[1], None, ood)
    check_room(needs(shape))
    with RunFolder.open(folder, settings, config, names, shape, encoding=encoding, in_memory=in_memory) as store:
        if not result.exists():
            total, mute = config.iterations * (1 + len(config.branch_sizes)), processes.rank() > 0
            with tqdm(total=total, unit="it", desc="practising", disable=mute) as bar:
                report = Progress(bar, config, folder / "tensorboard" if tensorboard and not mute else None)
                outcomes, last = practise(
                    config, generator, real, held_out, store=store, progress=report, compute=compute
                )
            store.finish(
                {
                    "outcomes": [each.numbers() | {"ood": measured(each.learner, shifted)} for each in outcomes],
                    **({} if held_out else {"note": "no test: the learner was trained on ImageNet's training split"}),
                    "additions": last.additions,
                    "settings": settings,
                    "made_by": provenance() | {"processes": processes.world()} | asdict(compute),
                }
            )
    if processes.rank() == 0:
        print(result.read_text())
    processes.leave()


def print_needs(needs: Sequence[Need] | None) -> None:
    """Say what will be written; UserError if there is too little room."""
    for need in needs or []:
        print(f"to be written to {need}, {size(free(need))} free")
    if needs is None:
        print("to be written: not known before the pipeline is fetched")
    check_room(needs or [])


def of_row(name: str, config: PracticeConfig, source: Source) -> tuple[PracticeConfig, Source]:
    """The settings of a row of the paper's tables; seed and whatever the row does not say are those given.

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
    own = replace(found.config, seed=config.seed)
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


def _absolute(pipeline: str) -> str:
    return str(Path(pipeline).resolve()) if Path(pipeline).exists() else pipeline


class Progress:
    """Shows and logs a run after every validation."""

    def __init__(self, bar: tqdm, config: PracticeConfig, tensorboard: Path | None):
        self.bar = bar
        self.config = config
        self.writer: Any = None
        if tensorboard is not None:
            from torch.utils.tensorboard import SummaryWriter  # an optional dependency

            self.writer = SummaryWriter(tensorboard)

    def __call__(self, state: State) -> None:
        done = self.config.branch_sizes.index(state.branch) + 1 if state.branch else 0
        self.bar.update(done * self.config.iterations + state.iteration - self.bar.n)
        shown = {name: value for name, value in state.log[-1].items() if name not in ("iteration", "pool_size")}
        self.bar.set_postfix(images=len(state.pool), **shown)
        for name, value in state.log[-1].items() if self.writer else ():
            self.writer.add_scalar(f"{state.branch or 'run'}/{name}", value, state.iteration)


def generate(
    pool: Folder,
    count: int = 100,
    seed: int = 0,
    omega: float = 0.0,
    guided_by: Path | None = None,
    guidance_scale: float = 3.0,
    steps: int = 10,
    source: Annotated[Source, tyro.conf.arg(name="")] = Source(),
    encoding: Encoding = "PNG",
) -> None:
    """Generate images of all classes in turn into a pool; the same command goes on where it stopped.

    Started by torchrun or SLURM, the processes share the images.

    Args:
        pool: a new pool folder; `dp pool export` makes pictures of it.
        count: images.
        seed: another seed, other images.
        omega: guidance strength; needs guided_by.
        guided_by: a run whose learner guides, and judges, the images.
        guidance_scale: classifier-free guidance, 1 + lambda_cfg.
        steps: DDIM steps.
        source: the generator.
        encoding: of the images kept.
    """
    if count < 1:
        raise UserError(f"count: got {count}, expected 1 or more images")
    processes.join()
    config = PracticeConfig(seed=seed, rounds=0, guidance_scale=guidance_scale, inference_steps=steps)
    guidance = GuidanceConfig(omega=omega)
    if omega > 0 and guided_by is None:
        raise UserError(f"guided_by: none given with omega {omega}; name a run whose learner guides")
    generator = source.generator(config)
    learner = learner_of(guided_by) if guided_by else None
    names, shape = source.names(), source.image_shape(generator)
    check_room([pool_need(pool, [count], Layout(names, shape, encoding=encoding))])
    if processes.rank() == 0:
        folder = PoolFolder.create(pool, names, shape, exist_ok=True, encoding=encoding)
    processes.wait()
    if processes.rank() > 0:
        folder = PoolFolder.open(pool, writable=True, rank=processes.rank())
    with folder:
        missing = folder.shards_missing(0, count, processes.rank(), processes.world())
        for slots in tqdm(missing, "shards", disable=len(missing) < 2 or processes.rank() > 0):
            labels = torch.tensor(slots) % classes_of(generator)
            seeds = [seed_for(seed, IMAGES, 0, slot) for slot in slots]
            progress = "images" if processes.rank() == 0 else None
            folder.write(0, slots.start, generator.generate(labels, seeds, learner, guidance, progress=progress))
        processes.wait()
        if processes.rank() == 0:
            folder.commit(0, count)
    if processes.rank() == 0:
        pool_command("show", pool)
    processes.leave()


def prune(
    pool: Folder, out: Folder, guided_by: Path, keep: int, score: Literal["entropy", "margin"] = "entropy"
) -> None:
    """Keep the images of a pool that a run's learner finds hardest, as many of each class, in a new pool.

    Args:
        pool: the candidates.
        out: a new pool folder.
        guided_by: the run whose learner scores them.
        keep: images to keep.
        score: entropy of the learner, or how near its two likeliest classes are.
    """
    candidates = PoolFolder.open(pool)
    samples = candidates.read()
    if not 1 <= keep <= len(samples):
        raise UserError(f"keep: got {keep}, expected 1 .. {len(samples)}, the images of {pool}")
    logits = logits_of(learner_of(guided_by), samples.images)
    rows = hardest(SCORES[score](logits), samples.labels, keep, len(candidates.layout.classes))
    correct = (logits.argmax(1) == samples.labels).to(torch.int8)
    kept = replace(samples, entropy=entropy(logits), correct=correct, rounds=torch.zeros_like(samples.rounds))[rows]
    with PoolFolder.create(out, candidates.layout.classes, candidates.layout.image_shape, exist_ok=True) as folder:
        for slots in folder.shards_missing(0, len(kept)):
            folder.write(0, slots.start, kept[slots.start : slots.stop])
        folder.commit(0, len(kept))
    pool_command("show", out)


def evaluate(
    folder: Folder,
    images: Path | None = None,
    imagenet: Path | None = None,
    ood: OutOfDistribution = OutOfDistribution(),
) -> None:
    """Accuracy of a run's learners on real images, as JSON: of each set the number of images and the percentage right.

    Evaluated are the run as it was kept last and its finished branches. Started by torchrun or SLURM, the processes
    share the images. ImageNet-R and -A have images of 200 of ImageNet's classes: only the logits of these are compared
    (of an ImageNet-100 learner: of those among its classes), as the sets' authors do. A learner is never tested on the
    images that it was trained on; its accuracy on them is null.

    Args:
        folder: the run.
        images: real images in one subfolder a class; if no set is named, Fashion-MNIST's held-out test images.
        imagenet: the folder that holds ImageNet's val (on which decisions may have been made) and train (held out).
        ood: folders of ImageNet's out-of-distribution sets.
    """
    layout, settings = PoolFolder.open(folder / "pool").layout, read_settings(folder)
    source, config, shape = source_from(settings["source"]), config_from(settings["config"]), layout.image_shape
    if source.class_list == "own" and roots_of(imagenet, ood):
        raise UserError(f"imagenet, ood: {folder} has other classes; name images in one subfolder a class: --images")
    sets = source.imagenet_sets(shape[1], imagenet, ood)
    if images:
        sets.append(RealSet("images", image_folder(images, layout.classes, shape)))
    elif not sets and layout.classes == CLASSES:
        sets.append(RealSet("test", test_images()))
    elif not sets:
        raise UserError("images: none given; name real images: --images, --imagenet or --ood.v2, .sketch, .r, .a")
    seen = {"train"} if source.real else set()
    fair = [each for each in sets if each.name not in seen]
    processes.join()
    outcomes = []
    for branch in [*(each for each in config.branch_sizes if checkpoint_file(folder, each).exists()), None]:
        state = state_of(folder, branch)
        if branch is None or state.iteration == config.iterations:
            learner = whole(config, state.ema.module)
            pool_size = branch or config.n_initial + len(state.additions) * config.n_per_round
            found = {each.name: None for each in sets} | measured(learner, fair)
            outcomes.append({"pool_size": pool_size, "iteration": state.iteration, "sets": found})
    if processes.rank() == 0:
        print(json.dumps({"run": str(folder), "outcomes": outcomes}, indent=1))
    processes.leave()


def pool_command(
    action: tyro.conf.Positional[Literal["show", "check", "repair", "export"]],
    folder: Folder,
    out: Path | None = None,
    format: Literal["imagefolder", "datasets"] = "imagefolder",
) -> None:
    """Look after a pool of images.

    Args:
        action: show numbers of each round, check every file's checksum, make damaged shards of a run again (with the
            learners that guided them), or export the images.
        folder: the pool.
        out: where an export goes; absent or empty.
        format: of an export: pictures in one subfolder a class, or a folder for Hugging Face datasets.
    """
    if action == "repair":
        run_settings = read_settings(folder.parent)
        config = config_from(run_settings["config"])
        imagenet = run_settings["imagenet"]
        generator = source_from(run_settings["source"]).origin(config, imagenet and Path(imagenet))
        made = repair_pool(folder.parent, config, generator, filter_of(config, generator))
        print("\n".join(f"made again: {name}" for name in made) or "nothing to repair")
        return
    pool = PoolFolder.open(folder)
    if action == "check":
        problems = check(pool)
        if problems:
            print("\n".join(str(problem) for problem in problems))
            raise UserError(
                f"{folder}: {len(problems)} problems, see above; python -m dp pool repair {folder} mends them"
            )
        print(f"{folder}: {len(pool)} images in {len(pool.rounds)} rounds, all whole")
    elif action == "export":
        if out is None:
            raise UserError("out: none given; say where the images are to go: --out FOLDER")
        export = {"imagefolder": pool_export.export_imagefolder, "datasets": pool_export.export_datasets}[format]
        export(pool, out)
        print(f"{len(pool)} images in {out}")
    else:
        print("round  images  entropy  correct  zero steps      bytes")
        for row in pool_export.summary(pool):
            hard = f"{row.entropy:7.3f}" if row.entropy is not None else "      -"
            right = f"{row.correct:7.1%}" if row.correct is not None else "      -"
            print(f"{row.round:5d} {row.images:7d}  {hard}  {right}  {row.zero_steps:10d} {row.bytes:10d}")


COMMANDS: dict[str, Callable[..., Any]] = {
    "run": run,
    "generate": generate,
    "prune": prune,
    "evaluate": evaluate,
    "grid": grid,
    "pool": pool_command,
    "data": data_command,
    "plan": plan_command,
    "submit": submit,
    "train-generator": train_generator,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line (by default the process's) and do what it says."""
    tyro.extras.subcommand_cli_from_dict(COMMANDS, prog="dp", description=__doc__, args=arguments)


def entry() -> None:
    """The console script `dp`."""
    run_command(main)


if __name__ == "__main__":
    entry()
