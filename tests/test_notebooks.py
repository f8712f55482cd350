"""The committed notebooks are their sources, executed; `make notebooks` executes them whole, here in small."""

import contextlib
import io
import runpy
import subprocess
import sys
from pathlib import Path

import jupytext
import nbformat
import pytest
import torch
from matplotlib import pyplot as plt

from dp.__main__ import main as dp
from dp.cli import train_generator
from experiments.engine.results import folder
from experiments.verdicts import verdicts

FOLDER = Path(__file__).parent.parent / "notebooks"


@pytest.mark.parametrize("source", sorted(FOLDER.glob("*.py")), ids=lambda path: path.stem)
def test_a_notebook_is_its_source_executed(source):
    notebook = nbformat.read(source.with_suffix(".ipynb"), as_version=4)
    cells = [(cell.cell_type, cell.source) for cell in notebook.cells]
    assert cells == [(cell.cell_type, cell.source) for cell in jupytext.read(source).cells]
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell.outputs]
    assert outputs and not [output for output in outputs if output.output_type == "error"]
    assert source.with_suffix(".ipynb").stat().st_size < 1_000_000


def test_the_results_notebook_shows_the_verdicts_there_are_now():
    notebook = nbformat.read(FOLDER / "05_results.ipynb", as_version=4)
    listed = next(cell for cell in notebook.cells if cell.cell_type == "code").outputs[0].text.splitlines()
    folders = sorted(path for path in folder("cpu").iterdir() if path.is_dir())
    assert [line.split() for line in listed if line] == [
        [each.name, str(len(list(each.glob("*.json")))), "results"] for each in folders
    ]
    printed = notebook.cells[-1].outputs[0].text.splitlines()
    assert {line[:5].strip(): line[5:25].strip() for line in printed} == {
        each.id: each.verdict for each in verdicts("cpu")
    }


SMALLER: dict[str, dict[str, str]] = {
    "01_theory": {},
    "02_guidance": {
        "(600": "(20",
        "(0.0, 0.1, 0.2, 0.3, 0.5, 0.8, 1.2)": "(0.0, 0.3)",
        "range(400)": "range(2)",
        "arange(40) % 10, list(range(5000, 5040))": "arange(10) % 10, list(range(5000, 5010))",
        "range(40)": "range(10)",
    },
    "03_practice": {
        "n_initial=300": "n_initial=20",
        "n_per_round=50": "n_per_round=20",
        "rounds=4": "rounds=2",
        "0, 0, 4, 4": "0, 0, 2, 2",
        "iterations=600": "iterations=40",
        "validate_every=30": "validate_every=4",
        "n_initial=500": "n_initial=60",
        "results = {}": "real = validation_images(); few = type(real)(real.images[:9], real.labels[:9]); results = {}",
        "validation_images(), test_images": "few, lambda: few",
    },
    "04_bring_your_own": {
        '("train", 60), ("validation", 20), ("test", 20)': '("train", 15), ("validation", 2), ("test", 2)',
        "--vae-iterations 250 --unet-iterations 400": "--vae-iterations 3 --unet-iterations 3",
        "--unet-batch 16 --oracle-iterations 30": "--unet-batch 8 --oracle-iterations 3",
        "--n-initial 90 --n-per-round 30": "--n-initial 9 --n-per-round 3",
        "--iterations 100 --validate-every 20": "--iterations 20 --validate-every 2",
        "range(60)": "range(2)",
    },
    "05_results": {},
}


RUN = subprocess.run


def here(command: list[str], cwd: Path, **settings: object) -> subprocess.CompletedProcess[str]:
    """Run a command of dp in this process, as importing everything takes its time; others (git) as they are."""
    if command[:3] != [sys.executable, "-m", "dp"]:
        return RUN(command, cwd=cwd, **settings)  # type: ignore[call-overload]
    with contextlib.chdir(cwd), contextlib.redirect_stdout(io.StringIO()) as said:
        dp(command[3:])
    return subprocess.CompletedProcess(command, 0, said.getvalue())


@pytest.mark.parametrize("name", SMALLER)
def test_the_code_of_a_notebook_runs(name, tmp_path, monkeypatch):
    """Run it in this process, as importing everything takes its time."""
    code = (FOLDER / f"{name}.py").read_text()
    for size, smaller in SMALLER[name].items():
        assert size in code
        code = code.replace(size, smaller)
    (tmp_path / "small.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(subprocess, "run", here)
    monkeypatch.setattr(train_generator, "CARD_IMAGES", 15)
    with plt.rc_context(), torch.random.fork_rng():
        runpy.run_path("small.py")
    plt.close("all")
