"""The names that `import dp` hands out: fast, complete, and the same to a type checker."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from diffusers import DiffusionPipeline

import dp
import dp.schedulers
import theory
from dp.utils.command_line import run_command

ROOT = Path(__file__).parents[2]


def test_importing_dp_needs_no_library():
    command = [sys.executable, "-X", "importtime", "-m", "dp.utils.errors"]  # imports dp, and does nothing more
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    imported = {line.split("|")[-1].strip().split(".")[0] for line in done.stderr.splitlines()}
    assert "dp" in imported and not imported & {"torch", "numpy", "diffusers", "tyro", "PIL"}


def test_every_name_is_there_and_has_its_line_on_the_page():
    for name in dp.__all__:
        assert getattr(dp, name) is not None and (name in dp.__doc__ or name == "__version__")
    assert dir(dp) == dp.__all__
    with pytest.raises(AttributeError, match="module 'dp' has no attribute 'Genrator'"):
        getattr(dp, "Genrator")  # noqa: B009


def test_a_type_checker_sees_the_same_names():
    tree = ast.parse(Path(dp.__file__).read_text())
    checked = next(node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    seen = {
        alias.name: node.module
        for node in ast.walk(checked)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == dp._MODULES and sorted([*seen, "__version__"]) == dp.__all__


def test_there_is_one_version():
    cited = re.search(r"^version: (\S+)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)
    told = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert cited and told and {cited[1], told[1], theory.__version__} == {dp.__version__}
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dynamic"] == ["version"]


def test_a_mistake_is_a_value_error():
    with pytest.raises(ValueError, match="rounds"):
        dp.PracticeConfig(rounds=-1)


def test_a_missing_library_is_told_in_a_line(capsys):
    def needs_torch():
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    with pytest.raises(SystemExit) as ended:
        run_command(needs_torch)
    line = capsys.readouterr().err
    assert ended.value.code == 2 and line.startswith("error: torch: not installed; ") and line.count("\n") == 1


def test_a_missing_module_of_our_own_is_a_fault():
    def fault():
        raise ModuleNotFoundError("No module named 'dp.typo'", name="dp.typo")

    with pytest.raises(ModuleNotFoundError):
        run_command(fault)


def test_a_pipeline_saved_under_the_schedulers_old_name_loads(tmp_path):
    pipe = dp.bundled_pipeline()
    pipe.scheduler = dp.EntropyGuidedDDIMScheduler.from_config(pipe.scheduler.config)
    pipe.save_pretrained(tmp_path)
    index = tmp_path / "model_index.json"
    text = index.read_text()
    index.write_text(re.sub(r'"[\w.]*"(,\s*"EntropyGuidedDDIMScheduler")', r'"dp.schedulers"\1', text))
    assert '"dp.schedulers"' in index.read_text()
    loaded = type(pipe).from_pretrained(tmp_path)
    assert isinstance(loaded, DiffusionPipeline) and isinstance(loaded.scheduler, dp.EntropyGuidedDDIMScheduler)
