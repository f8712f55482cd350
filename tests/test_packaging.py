"""The wheel and the source archive, in environments of their own and in folders that are not the repository."""

import os
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

import dp

ROOT = Path(__file__).parents[1]
LIBRARIES = Path(sysconfig.get_path("purelib"))
pytestmark = pytest.mark.slow


def run(*words: object, cwd: Path, code: int = 0) -> subprocess.CompletedProcess:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run([str(word) for word in words], cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == code, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A folder with the source archive, and the wheel that is built from it."""
    folder = tmp_path_factory.mktemp("built")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    return folder


@pytest.fixture(scope="module")
def wheel(built):
    (wheel,) = built.glob("*.whl")
    return wheel


def environment(folder: Path, wheel: Path) -> Path:
    """Make an environment with the wheel and without libraries; returns its folder of packages."""
    venv.create(folder, with_pip=False)
    install = ["install", "--no-deps", "--no-index", "--quiet", wheel]
    run(sys.executable, "-m", "pip", "--python", folder / "bin" / "python", *install, cwd=folder)
    (packages,) = folder.glob("lib/python*/site-packages")
    return packages


@pytest.fixture(scope="module")
def bare(wheel, tmp_path_factory):
    """The wheel with numpy and scipy, as after `pip install deliberate-practice`."""
    folder = tmp_path_factory.mktemp("bare")
    packages = environment(folder, wheel)
    for name in ("numpy", "numpy.libs", "scipy", "scipy.libs"):
        if (LIBRARIES / name).exists():
            (packages / name).symlink_to(LIBRARIES / name)
    return folder / "bin"


def test_the_wheel_has_the_two_libraries_and_the_weights_and_nothing_else(built, wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {name.split("/")[0] for name in names} == {"dp", "theory", f"deliberate_practice-{dp.__version__}.dist-info"}
    tracked = run("git", "ls-files", "dp", "theory", cwd=ROOT).stdout.split("\n")
    assert set(filter(None, tracked)) == {name for name in names if ".dist-info/" not in name}
    (source,) = built.glob("*.tar.gz")
    inside = {name.partition("/")[2] for name in tarfile.open(source).getnames()}
    assert {"pyproject.toml", "README.md", "LICENSE", "dp/assets/oracle.safetensors"} < inside
    assert not {name.split("/")[0] for name in inside} & {"experiments", "paper_figures", "build"}


def test_the_theory_needs_no_extra(bare, tmp_path):
    assert "test_error" in run(bare / "python", "-m", "theory", "error", "--d", "3", "--n", "9", cwd=tmp_path).stdout


@pytest.mark.parametrize(
    ("words", "where"), [(["dp", "run", "RUN"], None), (["experiments", "status"], ROOT), (["paper_figures"], ROOT)]
)
def test_what_needs_an_extra_says_so_in_a_line(bare, tmp_path, words, where):
    told = run(bare / "python", "-m", *words, cwd=where or tmp_path, code=2).stderr
    assert told.count("\n") == 1 and "not installed" in told and "pip install '.[dp,plots]'" in told


def test_experiments_are_not_installed(bare, tmp_path):
    assert "No module named experiments" in run(bare / "python", "-m", "experiments", cwd=tmp_path, code=1).stderr


def test_the_wheel_makes_images_by_its_own_weights(wheel, tmp_path):
    packages = environment(tmp_path / "environment", wheel)
    (packages / "libraries.pth").write_text(f"{LIBRARIES}\n")  # behind the wheel's own
    programs = tmp_path / "environment" / "bin"
    assert (
        f"Origin: {packages}/dp/" in run(programs / "python", "-m", "inspect", "--details", "dp", cwd=tmp_path).stdout
    )
    run(programs / "dp", "generate", "pool", "--count", "10", cwd=tmp_path)
    assert "10" in run(programs / "dp", "pool", "show", "pool", cwd=tmp_path).stdout
