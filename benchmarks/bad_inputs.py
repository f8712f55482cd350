"""Bad inputs, damaged and hostile files, over every command and public function: one line each, or no harm.

Command   python benchmarks/bad_inputs.py --each 75          (of each kind; some names: those kinds alone)
Time      about 20 minutes on one core
Expected  no row of "wrong"

Each input is drawn at random, and used in a process of its own that has the libraries loaded. What becomes of it:

    refused  a command ends with exit code 2 and one line, a function raises a `ValueError` of one line
    taken    it works: the value has a meaning, or the damage was repaired or is in nothing that the command reads;
             then what the command writes is what it writes without the damage
    wrong    anything else: a traceback, another exit code, more than 5 seconds of processor time or 1 GB of memory for
             a refusal, an input file opened as a pickle, other files than without the damage
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import random
import re
import resource
import shutil
import signal
import string
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
if sys.path[0] == str(ROOT / "benchmarks"):  # run as a file, this module would hide the package of the same name
    sys.path[0] = str(ROOT)

# ruff: noqa: E402 (the path comes first)
import numpy as np
import torch
from PIL import Image

import dp
import theory
from benchmarks.kills import RUN, content, differing, few_images, made_small
from dp.__main__ import COMMANDS
from dp.__main__ import main as dp_command
from dp.data.fashion_mnist import CLASSES
from dp.utils.command_line import run_command
from dp.utils.files import write_record
from theory.__main__ import main as theory_command

SECONDS, MEMORY, PATIENCE = 5.0, 1e9, 120  # of a refusal: processor time, bytes; of anything: seconds by the clock


@dataclass(frozen=True)
class Input:
    """One bad input.

    Attributes:
        name: what is wrong, for people.
        use: uses it, in the folder to work in.
        command: whether it is a command, which ends with an exit code; else a function.
        harm: damages a file first.
        compare: whether what is written, if it is taken, must be what is written without the damage.
    """

    name: str
    use: Callable[[Path], object]
    command: bool = True
    harm: Callable[[Path], object] | None = None
    compare: bool = False


@dataclass(frozen=True)
class Seen:
    """Hold what became of an input: exit code, words on standard error, processor time, memory above the start."""

    code: int
    said: str
    seconds: float
    memory: float


# ---- values

NUMBERS = ["", "ten", "nan", "-inf", "1e999", "-99999999999999999999", "1,5", "½", "0x10", "--"]
WORDS = ["", "/nowhere/at/all", "{}", "\x01", "a" * 500, "../" * 40, "null", "-1", "\udc80", "*"]
VALUES: list[Any] = [None, -1, 0.5, float("nan"), float("inf"), -float("inf"), "x", "", [], {}, object(), 10**30, 1e300]
VALUES += [True, np.array([np.nan, 1.0]), np.zeros((0, 3)), torch.zeros(0), torch.full((2, 3), torch.nan), [1, "x"]]
VALUES += [1j, b"bytes", int, [[1, 2], [3]], (), Path("/nowhere"), lambda: None]
JSON: list[Any] = [None, -1, 0.5, 10**30, 1e308, "x", "", [], {}, True, "a" * 100_000, [[1], "x"], {"a": {"b": []}}]


# ---- command lines

GIVEN = {  # what each command is given before the option that is wrong
    "run": ["{work}/new", "--dry-run"],
    "generate": ["{work}/new", "--count", "2", "--steps", "2"],
    "prune": ["{work}/run/pool", "{work}/new", "--guided-by", "{work}/run", "--keep", "5"],
    "evaluate": ["{work}/run"],
    "grid": ["{work}/run", "--omegas", "0", "--learners", "1", "--judged", "5"],
    "pool": ["show", "{work}/run/pool"],
    "data": ["check", "{work}/nowhere"],
    "plan": [],
    "submit": ["--dry-run", "--", "run", "{work}/new"],
    "watch": ["{work}/nowhere"],
    "fit-decoder": ["tiny", "{work}/new", "--images", "10", "--steps", "2", "--iterations", "2"],
    "model-card": ["{work}/nowhere"],
    "train-generator": ["{work}/new", "--data", "{work}/nowhere"],
}


def quiet(command: Callable[[list[str]], object], words: list[str]) -> None:
    """Run a command line as the shell does, without what it prints."""
    with redirect_stdout(StringIO()):
        run_command(lambda: command(words))  # type: ignore[arg-type,return-value]


def options_of(command: Callable[[list[str]], object], words: list[str]) -> list[tuple[str, bool]]:
    """Return the options that a command's help lists, and whether each is a number."""
    help_ = StringIO()
    try:
        with redirect_stdout(help_):
            command([*words, "--help"])
    except SystemExit:
        pass
    found = re.findall(r"(--[a-z][a-z0-9.-]+)[ =]+(\S*)", help_.getvalue())
    return sorted({(name, "INT" in kind or "FLOAT" in kind) for name, kind in found if name != "--help"})


def command_line(rng: random.Random) -> Input:
    """Draw an option of a command of dp and a value that it cannot have, or words that are no command."""
    name = rng.choice(list(GIVEN))
    options = options_of(dp_command, [name])
    option, number = rng.choice(options) if options else ("--none", False)
    value = rng.choice(NUMBERS if number else WORDS)
    words = [name, *GIVEN[name], option, value]
    if name == "submit":
        words = [name, option, value, *GIVEN[name]]
    if rng.random() < 0.15:
        words = ["".join(rng.choices(string.printable, k=rng.randint(0, 9))) for _ in range(rng.randint(1, 3))]
    if rng.random() < 0.1 and len(words) > 1:  # `dp` alone says how it is used
        del words[rng.randrange(len(words))]

    def use(work: Path) -> None:
        quiet(dp_command, [word.replace("{work}", str(work)) for word in words])

    return Input(f"dp {' '.join(words)[:150]!r}", use)


def theory_line(rng: random.Random) -> Input:
    """Draw an option of the command line of the theory and a value that it cannot have."""
    name = rng.choice(["error", "simulate", "sweep"])
    option, _ = rng.choice(options_of(theory_command, [name]))
    words = [name, "--d", "20", "--n", "50", option, rng.choice(NUMBERS + WORDS)]
    return Input(
        f"theory {' '.join(words)[:150]!r}", lambda work: quiet(lambda given: sys.exit(theory_command(given)), words)
    )


# ---- files of a run

USES = [
    ["run", "{work}/run", *RUN],
    ["evaluate", "{work}/run"],
    ["grid", "{work}/run", "--omegas", "0", "0.2", "--learners", "1", "--judged", "5"],
    ["generate", "{work}/new", "--guided-by", "{work}/run", "--omega", "0.3", "--count", "2", "--steps", "2"],
    ["prune", "{work}/run/pool", "{work}/new", "--guided-by", "{work}/run", "--keep", "5"],
    ["pool", "check", "{work}/run/pool"],
    ["pool", "show", "{work}/run/pool"],
    ["pool", "export", "{work}/run/pool", "--out", "{work}/new"],
    ["pool", "repair", "{work}/run/pool"],
]


class Mark:
    """A pickle that leaves a mark where it is opened."""

    def __init__(self, folder: Path):
        """Name the folder of the mark."""
        self.folder = folder

    def __reduce__(self) -> Any:
        return (open, (str(self.folder / "opened"), "w"))


def flip(path: Path, rng: random.Random) -> None:
    """Flip one bit."""
    data = bytearray(path.read_bytes())
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    path.write_bytes(data)


def cut(path: Path, rng: random.Random) -> None:
    """Cut the file short."""
    path.write_bytes(path.read_bytes()[: rng.randrange(path.stat().st_size)])


def noise(path: Path, rng: random.Random) -> None:
    """Put random bytes in its place."""
    path.write_bytes(rng.randbytes(rng.choice([0, 1, 50, 5000])))


def nested(path: Path, rng: random.Random) -> None:
    """Put brackets in its place, too many to parse."""
    path.write_text(rng.choice(["[", '{"a":']) * 100_000)


def pickled(path: Path, rng: random.Random) -> None:
    """Put a pickle in its place, which leaves a mark where it is opened."""
    path.write_bytes(pickle.dumps(Mark(path.parent)))


def folder(path: Path, rng: random.Random) -> None:
    """Put a folder in its place."""
    path.unlink()
    path.mkdir()


def fifo(path: Path, rng: random.Random) -> None:
    """Put a pipe in its place, which nobody writes to."""
    path.unlink()
    os.mkfifo(path)


def link(path: Path, rng: random.Random) -> None:
    """Put a link in its place: to itself, to nothing, to what never ends."""
    path.unlink()
    path.symlink_to(rng.choice([path.name, "nothing", "/dev/zero", "/dev/full"]))


def gone(path: Path, rng: random.Random) -> None:
    """Delete the file."""
    path.unlink()


HARMS: list[Callable[[Path, random.Random], None]] = [flip, flip, cut, noise, pickled, folder, fifo, link, gone]


def edited(value: Any, rng: random.Random) -> Any:
    """Return JSON with one value of another kind, or without one, or with one more."""
    if isinstance(value, dict) and value and rng.random() < 0.8:
        name = rng.choice(list(value))
        match rng.randrange(5):
            case 0:
                return {each: value[each] for each in value if each != name}
            case 1:
                return value | {"another": rng.choice(JSON)}
        return value | {name: edited(value[name], rng)}
    if isinstance(value, list) and value and rng.random() < 0.7:
        at = rng.randrange(len(value))
        return [*value[:at], edited(value[at], rng), *value[at + 1 :]]
    return rng.choice(JSON)


def of_run(work: Path, rng: random.Random, endings: tuple[str, ...]) -> Path:
    """Choose a file of the run."""
    return rng.choice(sorted(p for p in (work / "run").rglob("*") if p.is_file() and p.suffix in endings))


def used(rng: random.Random) -> tuple[str, Callable[[Path], object]]:
    """Choose a command that reads a run or its pool."""
    words = rng.choice(USES)

    def use(work: Path) -> None:
        quiet(dp_command, [word.replace("{work}", str(work)) for word in words])

    return " ".join(words[:2]).replace("{work}/", ""), use


def damaged_json(rng: random.Random) -> Input:
    """Draw a JSON file of a run, how it is damaged, and what reads it."""
    seed, harm, (name, use) = rng.random(), rng.choice([*HARMS, nested]), used(rng)
    return Input(
        f"{name}, JSON: {harm.__name__}, {seed}",
        use,
        harm=lambda work: harm(of_run(work, random.Random(seed), (".json",)), random.Random(seed)),
        compare=True,
    )


def edited_json(rng: random.Random) -> Input:
    """Draw a JSON file of a run, a value of it that another program has written, checksum included, and a reader."""
    seed, (name, use) = rng.random(), used(rng)

    def harm(work: Path) -> None:
        own = random.Random(seed)
        path = of_run(work, own, (".json",))
        values = json.loads(path.read_text())
        signed = isinstance(values, dict) and values.pop("sha256", None)
        values = edited(values, own)
        if signed and isinstance(values, dict):
            write_record(path, values)
        else:
            path.write_text(json.dumps(values))

    return Input(f"{name}, JSON edited, {seed}", use, harm=harm)


def damaged_binary(rng: random.Random) -> Input:
    """Draw a shard, checkpoint or learner of a run, how it is damaged, and what reads it."""
    seed, harm, (name, use) = rng.random(), rng.choice(HARMS), used(rng)
    endings = (".parquet", ".safetensors")
    return Input(
        f"{name}, binary: {harm.__name__}, {seed}",
        use,
        harm=lambda work: harm(of_run(work, random.Random(seed), endings), random.Random(seed)),
        compare=True,
    )


# ---- results of the studies


def recorded_result(rng: random.Random) -> Input:
    """Draw a recorded result, how it is damaged or what another program wrote into it, and read it with the others."""
    seed, harm = rng.random(), rng.choice([*HARMS, nested, None, None, None])

    def prepare(work: Path) -> None:
        own = random.Random(seed)
        path = own.choice(sorted((work / "results").rglob("*.json")))
        if harm:
            harm(path, own)
        else:
            values = json.loads(path.read_text())
            del values["sha256"]
            values = edited(values, own)
            write_record(path, values if isinstance(values, dict) else {})

    def use(work: Path) -> None:
        from experiments.analysis import table
        from experiments.engine import results

        results.folder = table.folder = lambda profile: work / "results"  # type: ignore[assignment]
        with redirect_stdout(StringIO()):
            run_command(lambda: table.table("cpu"))  # type: ignore[arg-type,return-value]

    name = harm.__name__ if harm else "edited"
    return Input(f"results: {name}, {seed}", use, harm=prepare)


def saved_model(rng: random.Random) -> Input:
    """Draw a file of a pipeline that `save_pretrained` wrote, how it is damaged or edited, and make images with it."""
    seed, harm = rng.random(), rng.choice([*HARMS, nested, None, None, None, None])

    def prepare(work: Path) -> None:
        own = random.Random(seed)
        shutil.copytree(ROOT / "dp/assets/generator", work / "pipeline")
        kinds = (".json",) if harm is None else (".json", ".safetensors")
        path = own.choice(sorted(p for p in (work / "pipeline").rglob("*") if p.suffix in kinds))
        if harm:
            harm(path, own)
        else:
            path.write_text(json.dumps(edited(json.loads(path.read_text()), own)))

    def use(work: Path) -> None:
        words = ["generate", str(work / "new"), "--pipeline", str(work / "pipeline"), "--count", "2", "--steps", "2"]
        quiet(dp_command, [*words, "--classes", *map(str, range(10))])

    return Input(f"pipeline: {harm.__name__ if harm else 'edited'}, {seed}", use, harm=prepare)


# ---- pictures


def oversized(path: Path, rng: random.Random) -> None:
    """Write a picture whose header promises more pixels than memory has."""
    Image.new("L", (1, 1)).save(path, "PNG")
    data = bytearray(path.read_bytes())
    data[16:24] = (rng.choice([60_000, 2**31 - 1]).to_bytes(4, "big")) * 2
    path.write_bytes(data)


def another_format(path: Path, rng: random.Random) -> None:
    """Write a picture of another format or mode under the same name."""
    mode, form = rng.choice(
        [
            ("RGB", "EPS"),
            ("L", "GIF"),
            ("RGB", "TIFF"),
            ("CMYK", "JPEG"),
            ("I;16", "PNG"),
            ("P", "PNG"),
            ("RGBA", "WEBP"),
        ]
    )
    Image.new(mode, (rng.choice([1, 32, 33, 500]), rng.choice([1, 32, 700]))).save(path, form)


def beside(path: Path, rng: random.Random) -> None:
    """Put something foreign beside it."""
    name = rng.choice([b".hidden.png", b"._1.png", b"Thumbs.db", b"\xff\xfe.png", b"notes.txt", b"x.avif", b"__MACOSX"])
    with open(os.path.join(os.fsencode(path.parent), name), "wb") as file:
        file.write(b"something else")


def looped(path: Path, rng: random.Random) -> None:
    """Link a folder into itself."""
    (path.parent / "loop").symlink_to(path.parent)


def another_class(path: Path, rng: random.Random) -> None:
    """Rename or empty a class, or add one."""
    match rng.randrange(4):
        case 0:
            path.parent.rename(path.parent.with_name(rng.choice(["other", "ä", path.parent.name.lower() + " "])))
        case 1:
            path.unlink()
        case 2:
            shutil.copytree(path.parent, path.parent.with_name("one more"))
        case 3:
            shutil.rmtree(path.parent)
            path.parent.write_text("a file in a folder's place")


PICTURES = [*HARMS, oversized, another_format, another_format, beside, looped, another_class]


def pictures(rng: random.Random) -> Input:
    """Draw a folder of pictures with something wrong, and what reads it."""
    seed, harm, reader = rng.random(), rng.choice(PICTURES), rng.choice(READERS)

    def prepare(work: Path) -> None:
        for name in CLASSES:
            (work / "pictures" / name).mkdir(parents=True)
            for number in range(1, 16):  # as many as training a generator asks for
                Image.new("L", (32, 32), number).save(work / "pictures" / name / f"{number}.png")
        own = random.Random(seed)
        harm(work / "pictures" / own.choice(CLASSES) / "1.png", own)

    def use(work: Path) -> None:
        if reader == "image_folder":
            dp.image_folder(work / "pictures", CLASSES, (1, 32, 32))
        elif reader == "evaluate":
            quiet(dp_command, ["evaluate", str(work / "run"), "--images", str(work / "pictures")])
        else:
            quiet(dp_command, ["train-generator", str(work / "new"), "--images", str(work / "pictures"), *FEW])

    return Input(f"{reader}, pictures: {harm.__name__}, {seed}", use, command=reader != "image_folder", harm=prepare)


READERS = ["evaluate", "image_folder", "image_folder", "image_folder", "train-generator"]  # the last takes longest
FEW = "--vae-iterations 1 --unet-iterations 1 --oracle-iterations 1".split()


# ---- functions


def functions_of_dp(work: Path) -> list[tuple[Callable[..., Any], dict[str, Any]]]:
    """Return public functions of dp with arguments that work; without formulas of tensors (entropy, guided_eps)."""
    pipe, oracle = dp.bundled_pipeline(), dp.bundled_oracle()
    images, labels = torch.zeros(2, 1, 32, 32), torch.tensor([0, 1])
    generator = dp.Generator(pipe, 1.5, 2)
    rough = dp.GuidanceConfig(0.3)
    return [
        (dp.guide, dict(pipe=pipe, classifier=oracle, omega=0.3, interval=(0.0, 0.4), every=1, gradient="x0")),
        (dp.guide, dict(pipe=pipe, classifier=oracle, decoder=None, objective=None, relative=True)),
        (dp.entropy_guidance, dict(pipe=pipe, learner=oracle, omega=0.3, interval=(0.0, 0.4), every=1)),
        (
            dp.Generator,
            dict(pipe=pipe, guidance_scale=1.5, steps=2, batch_size=2, classes=None, template="{}", side=32),
        ),
        (generator.generate, dict(labels=labels, seeds=[0, 1], learner=oracle, guidance=rough)),
        (dp.GuidanceConfig, dict(omega=0.3, interval=(0.0, 0.4), every=1, gradient="x0", objective="entropy")),
        (dp.PracticeConfig, dict(n_initial=10, rounds=1, lr=0.1, learner="convnet", guidance=rough, branch_sizes=())),
        (dp.Preprocess, dict(size=28, mean=(0.5,), std=(0.5,))),
        (dp.Entropy, dict(learner=oracle)),
        (dp.Margin, dict(learner=oracle)),
        (dp.Entropy(oracle), dict(images=images)),
        (dp.build_learner, dict(name="convnet", num_classes=10, in_chans=1, size=28)),
        (dp.bundled_decoder, dict(name="tiny")),
        (dp.bundled_pipeline, dict(folder=ROOT / "dp/assets/generator")),
        (dp.load_pipeline, dict(where=str(ROOT / "dp/assets/generator"))),
        (dp.ImageSet, dict(images=torch.zeros(2, 1, 8, 8, dtype=torch.uint8), labels=labels)),
        (dp.image_folder, dict(folder=work / "pictures", classes=list(CLASSES), image_shape=(1, 32, 32))),
        (dp.PoolFolder.open, dict(folder=work / "run/pool", writable=False)),
        (dp.PoolFolder.create, dict(folder=work / "new", classes=list(CLASSES), image_shape=(1, 32, 32))),
        (dp.export_imagefolder, dict(pool=work / "run/pool", out=work / "new")),
        (dp.HuggingFaceClassifier, dict(model=oracle)),
    ]


def functions_of_theory(work: Path) -> list[tuple[Callable[..., Any], dict[str, Any]]]:
    """Return public functions of the theory with arguments that work."""
    hard = theory.KeepHard(0.5)
    eye, vector = np.eye(6), np.arange(1.0, 7)
    flat = dict(d=20, n=50, ridge=0.1, alignment=0.9, generator_alignment=0.9, label_noise=0.1)
    shaped = dict(n=50, ridge=0.1, covariance=eye, pruner=vector, generator=vector, truth=vector, label_noise=0.1)
    one = theory.Population(hard, 50, eye, vector, vector)
    rounds: dict[str, Any] = dict(rules=[hard, hard], d=10, pools=[20, 20], ridge=0.1, alignment=0.5, label_noise=0.1)
    few: dict[str, Any] = dict(replicates=2, seed=0)
    return [
        (theory.isotropic_error, dict(rule=hard, loss="squared", **flat)),
        (theory.general_error, dict(rule=hard, loss="squared", test_covariance=eye, **shaped)),
        (theory.banded, dict(rule=hard, **flat, **few)),
        (theory.dense, dict(rule=hard, loss="logistic", **flat, **few)),
        (theory.dense_general, dict(rule=hard, **shaped, **few)),
        (theory.mixture_error, dict(populations=[one, one], ridge=0.1, truth=vector, test_covariance=eye)),
        (theory.dense_mixture, dict(populations=[one, one], ridge=0.1, truth=vector, **few)),
        (theory.Population, dict(rule=hard, n=50, covariance=eye, pruner=vector, generator=vector, label_noise=0.1)),
        (theory.KeepHard, dict(threshold=0.5, agreeing=False)),
        (theory.KeepEasy, dict(threshold=0.5, agreeing=False)),
        (theory.KeepHard.keeping, dict(fraction=0.5)),
        (theory.Tempered, dict(omega=1.0, level=1.0, scale=1.0)),
        (theory.UserRule, dict(function=lambda margin: margin > 0)),
        (theory.practice_error, rounds),
        (theory.accumulated_rounds, rounds | few),
        (theory.fresh_rounds, rounds | few),
        (theory.printed_error, dict(rule=hard, version="v2", d=20, n=50, ridge=0.1, alignment=0.9)),
        (theory.power_law, dict(d=20, decay=1.0, teacher="flat", alignment=0.9, generator_alignment=0.9, seed=0)),
        (theory.local_exponents, dict(n=[1.0, 2, 4, 8, 16, 32], test_error=[0.5, 0.4, 0.3, 0.2, 0.15, 0.1], window=3)),
        (theory.best_isotropic, dict(d=20, n=50, budget="kept", fractions=(0.5, 1.0), ridges=(0.1,), alignment=0.9)),
        (theory.best_rounds, dict(d=20, n=50, rounds=2, fractions=(0.5, 1.0), ridges=(0.1,))),
    ]


def called(rng: random.Random, functions: Callable[[Path], list[tuple[Callable[..., Any], dict[str, Any]]]]) -> Input:
    """Draw a function and a value of one of its arguments that it can hardly mean."""
    place, which, value = rng.random(), rng.random(), rng.randrange(len(VALUES))

    def use(work: Path) -> None:
        found = functions(work)
        function, arguments = found[int(place * len(found))]
        argument = list(arguments)[int(which * len(arguments))]
        given = VALUES[value]
        print(
            f"{getattr(function, '__qualname__', type(function).__name__)}({argument}={given!r:.60})", file=sys.stderr
        )
        function(**arguments | {argument: given})

    return Input(f"call {place:.3f} {which:.3f} {value}", use, command=False)


def call_of_dp(rng: random.Random) -> Input:
    """Draw a call of a public function of dp."""
    return called(rng, functions_of_dp)


def call_of_theory(rng: random.Random) -> Input:
    """Draw a call of a public function of the theory."""
    return called(rng, functions_of_theory)


# ---- where a process runs

ENVIRONMENT = {
    "WORLD_SIZE": ["abc", "0", "-1", "2", "1e9"],
    "RANK": ["abc", "-1", "5"],
    "LOCAL_RANK": ["abc", "-1"],
    "MASTER_PORT": ["abc", "-1", "99999999"],
    "TMPDIR": ["/nowhere", "", "\udc80"],
    "HOME": ["", "/nowhere", "/dev/null"],
    "HF_HOME": ["/dev/null", ""],
    "SLURM_NTASKS": ["abc", "2"],
    "SLURM_PROCID": ["abc", "-1"],
    "OMP_NUM_THREADS": ["abc", "-1", "0"],
    "COLUMNS": ["abc", "-1", "0"],
    "PYTHONIOENCODING": ["ascii"],
    "MPLCONFIGDIR": ["/dev/null"],
    "CUDA_VISIBLE_DEVICES": ["abc", "-1", "77"],
}


def environment(rng: random.Random) -> Input:
    """Draw environment variables that make no sense, a mask of permissions, a folder's name, and a command."""
    words = rng.choice([USES[1], USES[5], USES[6], ["run", "{work}/new", *RUN[:6], "--iterations", "24", "--dry-run"]])
    chosen = {name: rng.choice(ENVIRONMENT[name]) for name in rng.sample(list(ENVIRONMENT), rng.randint(1, 3))}

    mask, name, homeless = rng.choice(MASKS), rng.choice(NAMES), rng.random() < 0.3

    def use(work: Path) -> None:
        shutil.copytree(work / "run", work / name / "run")
        os.umask(mask)
        os.environ.update(chosen)
        if homeless:
            os.environ.pop("HOME", None)
        quiet(dp_command, [word.replace("{work}", str(work / name)) for word in words])

    return Input(f"{words[0]} {chosen} {mask:o} {name!r}", use)


MASKS = [0o000, 0o022, 0o077, 0o777]
NAMES = ["plain", "with a space", "\u00e4", "\udcff\udcfe", "-x", "{}", "%s"]

KINDS: dict[str, Callable[[random.Random], Input]] = {
    "command lines of dp": command_line,
    "command lines of the theory": theory_line,
    "damaged JSON files of a run": damaged_json,
    "JSON files edited, their checksum too": edited_json,
    "damaged shards, checkpoints, learners": damaged_binary,
    "results of the studies": recorded_result,
    "saved pipelines": saved_model,
    "pictures and their folders": pictures,
    "arguments of dp's functions": call_of_dp,
    "arguments of the theory's functions": call_of_theory,
    "environment variables, permissions, names": environment,
}


# ---- using them


def prepared() -> None:
    """Load the libraries, and let few images stand in for Fashion-MNIST's."""
    import experiments.analysis.table  # noqa: F401
    from dp.cli import train_generator

    made_small()
    train_generator.train_images = lambda data: few_images()
    for module, _ in COMMANDS.values():
        __import__(f"dp.{module}")


def used_in_a_process(each: Input, work: Path) -> Seen:
    """Use an input in a process of its own, forked from this one, and return what became of it."""
    said = work.parent / "said"
    child = os.fork()
    if not child:
        os.setsid()
        os.chdir(work)  # where a word that is taken for a file's name may do no harm
        with open(said, "w", errors="replace") as file:
            os.dup2(file.fileno(), 2)
            sys.stderr = os.fdopen(2, "w", errors="replace", buffering=1)
        sys.stdin = open(os.devnull)  # a question has no answer
        warnings.simplefilter("ignore")
        code = 99
        try:
            each.use(work)
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(bool(end.code))
        except ValueError as error:
            code = 2 if not each.command else 98
            print(f"error: {error}" if not each.command else f"Traceback: {error!r}", file=sys.stderr)
        except BaseException as error:
            print(f"Traceback: {type(error).__name__}: {error}", file=sys.stderr)
        sys.stderr.flush()
        os._exit(code)
    until = time.monotonic() + PATIENCE
    while True:
        found, status, used = os.wait4(child, os.WNOHANG)
        if found:
            break
        if time.monotonic() > until:
            os.killpg(child, signal.SIGKILL)
            until = float("inf")
        time.sleep(0.01)
    memory = used.ru_maxrss * 1024 - resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return Seen(
        os.waitstatus_to_exitcode(status), said.read_text(errors="replace"), used.ru_utime + used.ru_stime, memory
    )


def verdict(each: Input, seen: Seen, written: dict[str, object], expected: dict[str, object] | None) -> str:
    """Return "refused", "taken", or what is wrong."""
    lines = [line for line in seen.said.strip().splitlines() if line.strip()]
    if "Traceback" in seen.said:
        return f"wrong: {lines[-1][:300]}"
    if seen.code not in (0, 2):
        return f"wrong: exit code {seen.code}: {seen.said[-200:]}"
    if any(name.endswith("opened") for name in written):
        return "wrong: a pickle was opened"
    if seen.code == 2:
        errors = [line for line in lines if line.startswith(("error: ", "theory: ", "python -m theory"))]
        if len(errors) != 1 or errors[0] != lines[-1] or len(errors[0]) > 1000:
            return f"wrong: not one line: {seen.said[-500:]!r}"
        if seen.seconds > SECONDS or seen.memory > MEMORY:
            return f"wrong: {seen.seconds:.1f} s, {seen.memory / 1e6:.0f} MB: {errors[0][:100]}"
        return "refused"
    if expected is not None:
        different = differing(written, expected)
        if different:
            return f"wrong: {different[0]} is another than without the damage"
    return "taken"


def count(name: str, n: int, seed: int, folder: Path, every: bool = False) -> tuple[Counter[str], list[str]]:
    """Use n inputs of a kind; return how many were refused, taken and wrong, and what was wrong with which.

    Args:
        name: one of `KINDS`.
        n: inputs.
        seed: of the draws.
        folder: with a run in given/run.
        every: whether to print each.
    """
    rng, counts, wrong = random.Random(f"{name} {seed}"), Counter[str](), []
    for _ in range(n):
        each = KINDS[name](rng)
        work = folder / "work"
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(folder / "given", work)
        before = content(work)
        if each.harm:
            each.harm(work)
        harmed = content(work)
        expected = None
        seen = used_in_a_process(each, work)
        after = content(work)
        if each.compare and seen.code == 0:
            written = {k: v for k, v in after.items() if k not in harmed or v != harmed[k]}
            shutil.rmtree(work)
            shutil.copytree(folder / "given", work)
            used_in_a_process(each, work)
            undamaged = content(work)
            expected = {k: undamaged.get(k) for k in written}
            expected |= {k: v for k, v in undamaged.items() if k not in before}
            after = written
        word = verdict(each, seen, after, expected)
        counts[word.partition(":")[0]] += 1
        if word.startswith("wrong"):
            wrong.append(f"{each.name}: {word} [{seen.said.splitlines()[0][:120] if seen.said else ''}]")
        if every:
            print(f"{each.name} | {word} | {seen.seconds:.1f} s | {seen.said.strip()[-200:]}", flush=True)
    return counts, wrong


def make_run(folder: Path) -> None:
    """Make what is read: a run in given/run, and copies of recorded results."""
    (folder / "given").mkdir()
    for study in ("length", "fonts-reference-convnet"):
        shutil.copytree(ROOT / "experiments/results/cpu" / study, folder / "given/results" / study)
    dp_command_of = ["run", str(folder / "given" / "run"), *RUN]
    seen = used_in_a_process(Input("run", lambda work: quiet(dp_command, dp_command_of)), folder / "given")
    assert seen.code == 0, seen.said


def main() -> None:
    """Use inputs of each kind and print a row for each kind."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="name", choices=[*KINDS, []], help=f"kinds: {'; '.join(KINDS)}")
    parser.add_argument("--each", type=int, default=75, help="inputs of each kind")
    parser.add_argument("--seed", type=int, default=0, help="other inputs")
    parser.add_argument("--every", action="store_true", help="print every input")
    options = parser.parse_args()
    prepared()
    warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads: none of them holds a lock by then
    failed = False
    print("| kind | inputs | refused in a line | taken | wrong |\n|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        make_run(Path(folder))
        for name in options.names or KINDS:
            counts, wrong = count(name, options.each, options.seed, Path(folder), options.every)
            row = [name, options.each, counts["refused"], counts["taken"], counts["wrong"]]
            print(f"| {' | '.join(map(str, row))} |", flush=True)
            for each in wrong:
                print(f"    {each}", flush=True)
            failed |= bool(wrong)
    sys.exit(failed)


if __name__ == "__main__":
    main()
