"""What the documentation shows runs as it stands: its Python, and every command."""

import io
import json
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from contextlib import chdir, redirect_stdout
from functools import partial
from itertools import pairwise, product
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tyro
from PIL import Image
from torch.distributed.run import get_args_parser

from dp.__main__ import main as dp
from dp.data.imagenet import folders_of
from dp.utils.errors import UserError
from experiments import commands as experiments
from experiments.verdicts import as_json, verdicts
from paper_figures import commands as paper_figures
from paper_figures.report.readme import README, RESULTS, filled, results
from tests.dp.small import small_pipeline
from theory import KeepEasy, KeepHard, best_isotropic, isotropic_error

ROOT = Path(__file__).parent.parent
PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    *(str(path.relative_to(ROOT)) for path in sorted((ROOT / "docs").glob("*.md"))),
]
PROGRAMS = r"(?:make|git|cd|pip|hf|torchrun|srun|dp|\.venv/bin/dp|(?:\.venv/bin/)?python)\b"
SHELL = ("", "bash", "sh")  # what is behind the marks of a code block that holds commands

# Every command is run as it is shown, or smaller, but for these:
# They need the network, or are the shell's own: not run.
ELSEWHERE = ("git clone", "cd ", "pip install", "hf download")
# They take minutes to hours, or are the tests themselves: `make -n`. What they call is run here or in other tests.
LONG_TARGETS = ("figures", "reproduce", "check", "test", "test-oldest", "docs", "notebooks", "theory", "lint")
# Half an hour, minutes that write the repository's own files anew, a download, minutes with 2 GB of memory: `--help`.
HELP_ONLY = (
    "dp train-generator",
    "dp model-card",
    "dp.data.fashion_mnist",
    "experiments.studies.fonts_generator",
    "benchmarks.theory",
    "benchmarks.theory_agreement",
)
# They take minutes, in processes of their own: imported.
IMPORTED = ("docs/failures.py", "benchmarks/guided_memory.py", "benchmarks/rehearsal.py")
# Further: `experiments run` and `check` compute for hours: all but the computing, and one result in earnest below.
# `paper_figures` draws for minutes: all but the drawing. torchrun, srun and `dp submit`
# need a cluster: their options are parsed, and a run that they start is a dry one. pytest's file is there.


def blocks(page: str) -> tuple[list[tuple[str, str]], str]:
    """The code blocks between marks, (language, text) each, and the rest of a page."""
    found: list[tuple[str, str]] = []
    rest: list[str] = []
    language, lines = None, rest
    for line in (ROOT / page).read_text().splitlines():
        if not line.startswith("```"):
            lines.append(line)
        elif language is None:
            language, lines = line[3:].strip(), []
        else:
            found.append((language, "\n".join(lines)))
            language, lines = None, rest
    assert language is None, f"{page}: a code block has no end"
    return found, "\n".join(rest)


def shown(page: str) -> list[str]:
    """The commands of a page: of its code blocks, marked or indented, and those in backquotes."""
    fenced, prose = blocks(page)
    text = "\n".join(block for language, block in fenced if language in SHELL)
    text += "\n" + "\n".join(re.findall(r"^    (.*)", prose, re.MULTILINE))
    lines = text.replace("\\\n", " ").splitlines()
    found = [line.split("  #")[0].strip() for line in lines if re.match(PROGRAMS, line)]
    inline = [" ".join(each.split()) for each in re.findall(r"`([^`]+)`", prose)]
    return found + [one for each in inline if re.match(PROGRAMS + " ", each) for one in alternatives(each)]


def alternatives(command: str) -> list[str]:
    """ "draw a | b" is two commands."""
    first, *others = command.split(" | ")
    return [first, *(f"{first.rsplit(' ', 1)[0]} {other}" for other in others)]


def plain(command: str) -> str:
    """The same command without the folder of the interpreter."""
    return re.sub(r"^dp\b", "python -m dp", command.removeprefix(".venv/bin/"))


COMMANDS = list(dict.fromkeys(plain(command) for page in PAGES for command in shown(page)))


def test_there_are_commands_of_every_kind():
    assert len(COMMANDS) > 40
    assert {language for page in PAGES for language, _ in blocks(page)[0]} <= {*SHELL, "python"}
    for start in (
        "make figures",
        "python -m dp run RUN --n-initial",
        "python -m dp run RUN --row ...",
        "torchrun",
        "srun",
        "python -m dp submit",
        "python -m dp fit-decoder",  # its block is behind one of Python
        "python -m theory sweep",
    ):
        assert any(command.startswith(start) for command in COMMANDS), start


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    """A folder with a small run in it, by the command that the pages show."""
    folder = tmp_path_factory.mktemp("docs")
    in_folder(folder, smaller(next(each for each in COMMANDS if RUN in each)))
    return folder


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A copy of the repository with the recorded results of the theory alone, to run in earnest what writes in it."""
    folder = tmp_path_factory.mktemp("checkout")
    left_out = shutil.ignore_patterns("__pycache__", "cpu")
    for name in ("benchmarks", "docs", "dp", "experiments", "paper_figures", "theory"):
        shutil.copytree(ROOT / name, folder / name, ignore=left_out)
    recorded = "experiments/results/cpu/theory"
    shutil.copytree(ROOT / recorded, folder / recorded)
    shutil.copy(ROOT / "Makefile", folder)
    return folder


RUN = " run RUN --n-initial 500 --n-per-round 100 --rounds 8 --iterations 1500"


def smaller(command: str) -> str:
    """The same with fewer images, iterations and replicates; of a benchmark, what is recorded."""
    command = command.replace(
        RUN, " run RUN --n-initial 40 --n-per-round 20 --rounds 1 --iterations 20 --validate-every 10"
    )
    command = re.sub(r" > \S+$", "", command)
    command += " --out page.html" * (command.endswith(" watch RUN"))  # which else is served until Ctrl-C
    command += " --omegas 0 0.4 --classes 1" * (command.endswith(" grid RUN"))
    command = command.replace("--images 200 --iterations 100", "--images 20 --iterations 5")
    return command + " --recorded" * ("benchmarks/" in command and "--recorded" not in command)


def in_folder(folder: Path, command: str) -> str:
    """What a command that is run there prints; in this process, as importing everything takes its time."""
    words = shlex.split(command)[1:]
    run = partial(runpy.run_path, str(ROOT / words[0]))
    if words[0] == "-m":
        run, words = partial(runpy.run_module, words[1], alter_sys=True), words[1:]
    said = io.StringIO()
    with chdir(folder), redirect_stdout(said), pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", words)
        try:
            run(run_name="__main__")
        except SystemExit as ended:
            assert not ended.code, ended.code
    files_are_there(folder, words)
    return said.getvalue()


def in_copy(folder: Path, command: str) -> str:
    """What a command prints in a copy of the repository, by the copy's code."""
    words = shlex.split(command)[1:]
    environment = os.environ | {"PYTHONPATH": str(folder)}
    done = subprocess.run([sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    files_are_there(folder, words)
    return done.stdout


def files_are_there(folder: Path, words: list[str]) -> None:
    for option, name in pairwise(words):
        assert option not in ("--csv", "--plot", "--out") or (folder / name).exists(), name


@pytest.mark.filterwarnings("ignore:.*found in sys.modules:RuntimeWarning")  # runpy: a module that is loaded already
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_works(command, request, tmp_path, monkeypatch, capsys):
    words = shlex.split(command)
    module = words[2] if words[1] == "-m" else words[1]
    if command.startswith(ELSEWHERE):
        return
    if words[0] == "make":
        make(words[1:], request.getfixturevalue("checkout"))
    elif "torchrun" in words or "submit" in words or "--row" in words:
        on_a_cluster(words, tmp_path, monkeypatch, capsys)
    elif (program := " ".join(words[2:4])) in HELP_ONLY or (program := module) in HELP_ONLY:
        assert "usage: " in in_folder(tmp_path, f"python -m {program} --help")
    elif module in IMPORTED:
        assert callable(runpy.run_path(str(ROOT / module))["main"])
    elif module == "pytest":
        assert (ROOT / words[3]).exists()
    elif module == "experiments" and words[3] in ("run", "check"):
        without_computing(words[3], words[4:], monkeypatch)
    elif module == "paper_figures":
        without_drawing(words[3:], monkeypatch)
    elif "PRACTICE" in words:
        on_own_pictures(words[3:], tmp_path, capsys)
    elif "ROOT" in words:
        root = str(tree(tmp_path))
        with pytest.raises(UserError, match="2 problems"):  # one image a class is too few, in both splits
            dp([word.replace("ROOT", root) for word in words[3:]])
    elif module.startswith("benchmarks/"):
        assert in_folder(tmp_path, smaller(command))
    else:
        in_folder(request.getfixturevalue("run_folder") if "RUN" in command else tmp_path, smaller(command))


def make(words: list[str], checkout: Path) -> None:
    """A target in earnest, with this interpreter, or what it would do."""
    installed = ["-o", ".venv/installed", f"PY={sys.executable}"]
    dry = ["-n"] * (words[0] in LONG_TARGETS)
    done = subprocess.run(["make", *installed, *dry, *words], cwd=checkout, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and done.stdout, done.stderr[-2000:]


def without_computing(name: str, arguments: list[str], monkeypatch) -> None:
    """`experiments run` or `check`: arguments and results are looked up, none is computed."""
    asked = []
    monkeypatch.setattr(experiments, "run_jobs", lambda profile, jobs, workers: asked.extend(jobs) or 0)
    monkeypatch.setattr("experiments.engine.check.check", lambda profile, jobs, *_: asked.extend(jobs) or {"all": []})
    with pytest.raises(SystemExit) as ended:
        tyro.cli(getattr(experiments, name), args=arguments)
        sys.exit(0)  # `check` has its own
    assert ended.value.code == 0 and asked


@pytest.mark.slow
def test_a_result_is_computed_and_comes_out_the_same_again(checkout):
    words = "theory/figure3 --profile smoke"
    assert "0 recorded results used, 1 computed" in in_copy(checkout, f"python -m experiments run {words}")
    assert "1 of 1 recorded results came out the same" in in_copy(checkout, f"python -m experiments check {words}")


def without_drawing(arguments: list[str], monkeypatch) -> None:
    """`paper_figures`: arguments are parsed, and the report and the README would be written."""
    written, drawn = [], []
    monkeypatch.setattr(paper_figures, "make_all", lambda modules, profile: drawn.extend(modules) or [])
    monkeypatch.setattr(paper_figures.cluster_runs, "read", lambda folder: written.append(folder))
    monkeypatch.setattr(paper_figures.report, "write", lambda *_: None)
    monkeypatch.setattr(paper_figures, "update_readme", lambda: written.append("README"))
    tyro.cli(paper_figures.main, args=arguments)
    assert len(drawn) > 5 and (len(drawn) < 25) == ("--theory" in arguments)
    expected = {"--readme": ["README"], "--runs": [Path("FOLDER")]}
    assert written == [each for option, made in expected.items() if option in arguments for each in made]


def on_a_cluster(words: list[str], folder: Path, monkeypatch, capsys) -> None:
    """All options are parsed, and a run is a dry one that finds the folders it names."""
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=10**15))
    (folder / "pipelines" / "stable-diffusion-v1-5").mkdir(parents=True)
    places = {"RUN": folder / "run", "ROOT": tree(folder / "imagenet"), "PIPELINES": folder / "pipelines"}
    places |= {name: of_classes(folder / name, name.lower()) for name in ("V2", "SKETCH", "R", "A")}
    known = re.compile(rf"\$?\b({'|'.join(places)})\b")
    at = words.index("...") if "..." in words else None  # stands for the row and its images
    words = words if at is None else [*words[:at], "4/DP 64k + 18 x 32k", "--imagenet", "ROOT", *words[at + 1 :]]
    words = [known.sub(lambda found: str(places[found[1]]), each) for each in words]
    if "torchrun" in words:
        arguments = get_args_parser().parse_args(words[words.index("torchrun") + 1 :]).training_script_args
    elif "submit" in words:
        arguments = submitted(words[words.index("submit") :], monkeypatch)
    else:
        arguments = words[words.index("dp") + 1 :]
    if arguments[0] == "run":
        dp([*arguments, "--dry-run"])
        assert f"{folder / 'run'} is new" in capsys.readouterr().out
    else:
        with pytest.raises(UserError, match=f"^{folder / 'run'}: no run here"):
            dp(arguments)


def on_own_pictures(arguments: list[str], folder: Path, capsys) -> None:
    """A run with a generator of one's own pictures is a dry one; `evaluate` and `grid` have no run to look at."""
    pipe = small_pipeline()
    pipe.register_to_config(id2label=dict(enumerate("abcdefghij")))
    pipe.save_pretrained(folder / "GENERATOR")
    for part, name in product(("validation", "test"), "abcdefghij"):
        (folder / "PICTURES" / part / name).mkdir(parents=True)
        Image.new("L", (8, 8)).save(folder / "PICTURES" / part / name / "0.png")
    places = re.compile(r"\b(PRACTICE|GENERATOR|PICTURES)\b")
    arguments = [places.sub(lambda found: str(folder / found[1]), each) for each in arguments]
    if arguments[0] == "run":
        dp([*arguments, "--dry-run"])
        assert f"{folder / 'PRACTICE'} is new" in capsys.readouterr().out
    else:
        with pytest.raises(UserError, match=f"^{folder / 'PRACTICE'}"):
            dp(arguments)


def submitted(words: list[str], monkeypatch) -> list[str]:
    """The command that `dp submit` would hand to a cluster; there is none."""
    tried = []

    def nowhere(*_, **__):
        raise RuntimeError("no cluster")

    monkeypatch.setattr("dp.cli.submit._try", lambda command, gpus: tried.extend(command))
    monkeypatch.setattr("submitit.AutoExecutor", nowhere)
    with pytest.raises(UserError, match="no cluster; submit from a machine of the cluster"):
        dp(words)
    return tried


def tree(folder: Path) -> Path:
    """An image of each class of ImageNet-100, in train and val."""
    for split in ("train", "val"):
        of_classes(folder / split, split)
    return folder


def of_classes(folder: Path, name: str) -> Path:
    """An image of each class of ImageNet-100 that a set has."""
    for each in folders_of(name, "imagenet100").values():
        (folder / each).mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(folder / each / "0.JPEG")
    return folder


@pytest.mark.parametrize("page", PAGES)
def test_links_and_pictures_are_there(page):
    for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", (ROOT / page).read_text()):
        assert link.startswith("http") or (ROOT / page).parent.joinpath(link).exists(), link


# Fewer images and iterations; 5,000 images instead of 60,000 in the end.
SMALLER = {
    "n_initial=200, n_per_round=100, rounds=3, iterations=400": "n_initial=20, n_per_round=10, rounds=3, iterations=40",
    "n_initial=200, n_per_round=50, rounds=2, iterations=200": "n_initial=20, n_per_round=10, rounds=2, iterations=40",
    "validation_images(), test_images": "validation_images(), validation_images",
}


@pytest.mark.parametrize("page", [page for page in PAGES if "python" in dict(blocks(page)[0])])
def test_the_code_of_a_page_runs(page, tmp_path, monkeypatch):
    """Its blocks one after the other, in an empty folder, in small; but for those that say that they need weights."""
    monkeypatch.chdir(tmp_path)
    runnable = [text for language, text in blocks(page)[0] if language == "python" and not text.startswith("# needs")]
    assert runnable
    names: dict[str, object] = {}
    for block in runnable:
        for size, smaller in SMALLER.items():
            block = block.replace(size, smaller)
        exec(compile(block, page, "exec"), names)


@pytest.mark.parametrize("page", [*PAGES, *(str(path.relative_to(ROOT)) for path in ROOT.glob("notebooks/*.py"))])
def test_pages_and_notebooks_import_from_the_front_doors(page):
    found = re.findall(r"^(?:from|import) (?:dp|theory)\..*", (ROOT / page).read_text(), re.MULTILINE)
    # A sampling loop of one's own and an objective of its kind need what `guide` is made of.
    assert [line for line in found if page != "docs/guidance.md" or not line.startswith("from dp.guidance.")] == []


def test_the_page_of_failures_has_the_numbers_that_were_measured():
    page = " ".join((ROOT / "docs/failures.md").read_text().split())
    found = json.loads((ROOT / "docs/failures/numbers.json").read_text())
    for name, look, unit in (("recognised", "{:.0%}", "%"), ("entropy", "{:.2f}", " nats")):
        *others, last = [look.format(each[name]).rstrip("%") for each in found["artefacts"]]
        assert f"{', '.join(others)} and {last}{unit}" in page
    for each in found["patience"].values():
        many = {0: "none"}.get(each["additions"], f"{each['additions']} additions")
        assert f"{many}, {each['validation_accuracy']:.1f}%" in page


def test_the_page_of_theory_has_the_numbers_that_are_computed():
    page = (ROOT / "docs/theory.md").read_text()
    hard, easy = (
        isotropic_error(rule.keeping(0.5), d=500, n=1e9, ridge=ridge, alignment=0.9).test_error.min()
        for rule, ridge in ((KeepHard, [0.0]), (KeepEasy, np.geomspace(1e-9, 10, 300)))
    )
    tuned = [
        1 - float(best_isotropic(d=512, n=1024, budget="selected", alignment=rho, fractions=[1 / ratio]).test_error)
        for rho, ratio in ((1.0, 1.0), (1.0, 200.0), (0.9, 200.0), (0.6, 200.0))
    ]
    for value in (hard, easy, *tuned):
        assert f"{value:.3f}" in page


def test_the_readme_and_the_page_of_results_have_what_is_recorded():
    claims = as_json(verdicts("cpu"))
    assert README.read_text() == filled(README.read_text(), claims), "run python -m paper_figures --readme"
    assert RESULTS.read_text() == results(claims), "run python -m paper_figures --readme"


def test_the_readme_is_read_in_two_screens():
    assert len(README.read_text().split()) <= 1100
