"""What the documentation shows runs as it stands: its Python, and every command."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from dp.__main__ import main as dp
from dp.errors import UserError
from experiments.profiles import profile
from experiments.studies import jobs_of

ROOT = Path(__file__).parent.parent
PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    *(str(path.relative_to(ROOT)) for path in sorted((ROOT / "docs").glob("*.md"))),
]
WITH_PYTHON = ["README.md", "docs/method.md", "docs/guidance.md", "docs/extending.md"]
PROGRAMS = r"(?:make|git|cd|pip|hf|torchrun|srun|dp|\.venv/bin/dp|(?:\.venv/bin/)?python)\b"
# They need the network, a cluster, or nothing: a shell's own, and SLURM's.
ELSEWHERE = ("git clone", "cd ", "pip install", "hf download", "srun ")
# They make the repository's own files anew, or take long; that they exist is all that is tested here.
HELP_ONLY = ("dp.train_generator", "dp.model_card", "dp.data", "dp.fit_decoder", "benchmarks", "docs/failures.py")


def shown(page: str) -> list[str]:
    """The commands of a page: of its code blocks, fenced or indented, and those in backquotes."""
    text = (ROOT / page).read_text()
    blocks = re.findall(r"^```(?:bash|sh)?\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    prose = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    blocks += ["\n".join(re.findall(r"^    (.*)", prose, re.MULTILINE))]
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    found = [line.split("  #")[0].strip() for line in lines if re.match(PROGRAMS, line)]
    inline = [" ".join(each.split()) for each in re.findall(r"`([^`]+)`", prose)]
    return found + [each for each in inline if re.match(PROGRAMS + " ", each) and "..." not in each and "|" not in each]


COMMANDS = list(dict.fromkeys(command for page in PAGES for command in shown(page)))


def test_there_are_commands_of_every_kind():
    assert len(COMMANDS) > 40
    for start in ("make figures", ".venv/bin/dp run", "torchrun", "python -m theory", "python -m dp submit"):
        assert any(command.startswith(start) for command in COMMANDS), start


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    """A folder with a small run in it, by the command that the pages show."""
    folder = tmp_path_factory.mktemp("docs")
    in_folder(folder, smaller(next(each for each in COMMANDS if RUN in each)))
    return folder


RUN = " run RUN --n-initial 500 --n-per-round 100 --rounds 8 --iterations 1500"


def smaller(command: str) -> str:
    """The same run with fewer images and iterations."""
    return command.replace(
        RUN, " run RUN --n-initial 40 --n-per-round 20 --rounds 1 --iterations 20 --validate-every 10"
    )


def in_folder(folder: Path, command: str) -> str:
    """What a command that is run there, by this interpreter, prints."""
    words = shlex.split(re.sub(r"^\.venv/bin/", "", command))
    words = [sys.executable, "-m", "dp", *words[1:]] if words[0] == "dp" else [sys.executable, *words[1:]]
    done = subprocess.run(words, cwd=folder, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_works(command, run_folder, tmp_path, monkeypatch, capsys):
    words = shlex.split(re.sub(r"^\.venv/bin/", "", command))
    if command.startswith(ELSEWHERE):
        return
    if words[0] == "make":
        target = [word.replace("FOLDER", "x") for word in words[1:]]
        done = subprocess.run(["make", "-n", *target], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0 and done.stdout, done.stderr
    elif "torchrun" in words or "submit" in words:
        on_a_cluster(words, tmp_path, monkeypatch, capsys)
    elif any(f" {name}" in command or f"-m {name}" in command for name in HELP_ONLY):
        module = next(word for word in words if word.startswith(HELP_ONLY))
        path = ROOT / (module if module.endswith(".py") else module.replace(".", "/") + ".py")
        assert path.exists() or path.with_suffix("").is_dir()
    elif words[:3] == ["python", "-m", "pytest"]:
        assert (ROOT / words[3]).exists()
    elif words[:3] == ["python", "-m", "experiments"] and words[3] in ("run", "check"):
        assert jobs_of(profile("cpu"), tuple(words[4:]))
    elif words[:3] == ["python", "-m", "paper_figures"]:
        taken = in_folder(tmp_path, "python -m paper_figures --help")
        assert all(word in taken for word in words[3:] if word.startswith("--"))
    elif "ROOT" in words:
        root = str(tree(tmp_path))
        with pytest.raises(UserError, match="2 problems"):  # one image a class is too few, in both splits
            dp([word.replace("ROOT", root) for word in words[words.index("dp") + 1 :]])
    else:
        in_folder(run_folder if "RUN" in command else tmp_path, smaller(command).replace("FOLDER", "x"))


def on_a_cluster(words: list[str], folder: Path, monkeypatch, capsys) -> None:
    """What torchrun or submit starts is a command line that `dp` takes."""
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=10**15))
    arguments = words[words.index("--") + 1 :] if "submit" in words else words[words.index("dp") + 1 :]
    places = {"ROOT": folder, "RUN": folder / "run", "PIPELINES": "pipelines"}
    arguments = [re.sub(r"\$?\b(ROOT|RUN|PIPELINES)\b", lambda name: str(places[name[1]]), each) for each in arguments]
    if arguments[0] == "run":
        dp([*arguments, "--dry-run"])
        assert "run is new" in capsys.readouterr().out
    else:
        with pytest.raises(SystemExit) as ended:
            dp([arguments[0], "--help"])
        taken = capsys.readouterr().out
        assert ended.value.code == 0 and all(word in taken for word in arguments if word.startswith("--"))
    if "submit" in words:
        with pytest.raises(SystemExit):
            dp(["submit", "--help"])
        taken = capsys.readouterr().out
        own = words[words.index("submit") + 1 : words.index("--")]
        assert all(word in taken for word in own if word.startswith("--"))


def tree(folder: Path) -> Path:
    """An image of each class of ImageNet-100, in train and val."""
    from PIL import Image

    from dp.imagenet import class_list

    for split in ("train", "val"):
        for wnid in class_list("imagenet100").wnids:
            (folder / split / wnid).mkdir(parents=True)
            Image.new("RGB", (8, 8)).save(folder / split / wnid / "0.JPEG")
    return folder


@pytest.mark.parametrize("page", PAGES)
def test_links_and_pictures_are_there(page):
    for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", (ROOT / page).read_text()):
        assert link.startswith("http") or (ROOT / page).parent.joinpath(link).exists(), link


@pytest.mark.parametrize("page", WITH_PYTHON)
def test_the_code_of_a_page_runs(page, tmp_path, monkeypatch):
    """Its blocks one after the other, in an empty folder; but for those that say that they need weights."""
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    runnable = [block for block in blocks if not block.startswith("# needs")]
    assert runnable
    names: dict[str, object] = {}
    for block in runnable:
        exec(compile(block, page, "exec"), names)


def test_the_readme_has_the_results_that_are_recorded():
    from paper_figures.readme import README, filled

    assert README.read_text() == filled(README.read_text()), "run python -m paper_figures --readme"
