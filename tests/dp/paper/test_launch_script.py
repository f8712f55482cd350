"""The commands that the planner lists: a shell runs them, and `dp run` takes them."""

import json
import shutil
import subprocess
from types import SimpleNamespace

import pytest

from dp.__main__ import main
from dp.cli.plan import plan_command
from dp.paper.launch_script import folder_name, is_run
from dp.paper.plan import rows_of
from dp.paper.row import key
from dp.paper.rows import FIGURES, ROWS

TABLES = [("imagenet100", "table", n) for n in (1, 2, 3, 4)] + [("imagenet1k", "table", n) for n in (1, 5)]
EXHIBITS = TABLES + [(task, "figure", n) for task, figures in FIGURES.items() for n in figures]
OOD = {1: {"v2", "sketch", "r", "a"}, 4: {"sketch", "r"}, 5: {"sketch", "r"}}  # sets that a table reports
# Takes the place of torchrun: prints its arguments, each ended by a NUL, each command by a newline.
TORCHRUN = 'torchrun() { printf "%s\\0" "$@"; echo; }\n'


def listed(capsys, exhibit, **settings) -> str:
    profile, kind, number = exhibit
    plan_command(profile, **{kind: number}, commands=True, **settings)
    return capsys.readouterr().out


def commands(script: str, folder) -> list[list[str]]:
    """What a shell makes of the script: the arguments of torchrun of every command."""
    variables = {"RUNS": folder / "all runs", "IMAGENET": folder, "PIPELINES": folder / "pipelines", "HOST": "node1"}
    variables |= {f"IMAGENET_{name.upper()}": folder / name for name in ("v2", "sketch", "r", "a")}
    environment = {name: str(value) for name, value in variables.items()}
    done = subprocess.run(["sh", "-eu"], input=TORCHRUN + script, env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and not done.stderr
    return [line.removesuffix("\0").split("\0") for line in done.stdout.splitlines()]


def test_every_row_is_listed_somewhere():
    assert {key(row) for profile, kind, number in EXHIBITS for row in rows_of(profile, **{kind: number})} == {
        key(row) for row in ROWS
    }


@pytest.mark.parametrize("exhibit", EXHIBITS, ids=lambda each: "-".join(map(str, each)))
def test_every_listed_command_is_one_that_dp_run_takes(exhibit, capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=10**15))  # a cluster's disk
    profile, kind, number = exhibit
    places = ["v2", "sketch", "r", "a", *(f"pipelines/{row.generator.split('/')[-1]}" for row in ROWS if row.generator)]
    for name in places:
        (tmp_path / name).mkdir(parents=True, exist_ok=True)
    script, rows = listed(capsys, exhibit), rows_of(profile, **{kind: number})
    runs = [row for row in rows if is_run(row)]
    found = commands(script, tmp_path)
    assert len(found) == len(runs) > 0
    for row, arguments in zip(runs, found, strict=True):
        at = arguments.index("-m")
        assert arguments[at : at + 3] == ["-m", "dp", "run"]
        main([*arguments[at + 2 :], "--dry-run"])
        text = capsys.readouterr().out
        settings = json.loads(text[: text.rindex("}") + 1])
        assert settings["row"] == key(row) and settings["config"]["n_initial"] == row.config.n_initial
        assert (settings["source"]["class_list"], settings["source"]["real"]) == (profile, row.method == "real")
        assert settings["ood"].keys() == OOD.get(row.table, set())
        assert f"\n{tmp_path / 'all runs' / folder_name(row)} is new: " in text
    assert not (tmp_path / "all runs").exists()


@pytest.mark.parametrize("exhibit", [("imagenet100", "table", 1), ("imagenet100", "table", 4)], ids=str)
def test_every_row_says_what_it_costs_or_why_it_does_not(exhibit, capsys):
    profile, kind, number = exhibit
    blocks = listed(capsys, exhibit).split("\n\n")[1:-1]
    rows = rows_of(profile, **{kind: number})
    for row, block in zip(rows, blocks, strict=True):
        assert block.startswith(f"# {key(row)}\n") and f"published: {row.published.real_val:.2f} %" in block
        assert ("torchrun" in block) == is_run(row)
        assert ("published by others, not run" in block) == row.by_others
        assert ("GPU-h" in block) != row.by_others
        if row.branch_of:
            run = next(each for each in rows if row.final_size in each.config.branch_sizes)
            assert f"a branch, comes with {key(run)}: " in block


def test_a_number_of_gpus_changes_how_processes_start(capsys, tmp_path):
    exhibit = ("imagenet100", "table", 2)
    (first, *_) = commands(listed(capsys, exhibit, gpus=16), tmp_path)
    assert first[:4] == ["--nnodes", "2", "--nproc-per-node", "8"] and "node1:29500" in first
    (first, *_) = commands(listed(capsys, exhibit, gpus=4), tmp_path)
    assert first[:3] == ["--standalone", "--nproc-per-node", "4"]


def test_folders_tell_runs_apart():
    assert len({folder_name(row) for row in ROWS}) == len(ROWS)
    assert all(name and "/" not in name and " " not in name for name in map(folder_name, ROWS))
