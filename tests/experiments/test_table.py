"""The results table says of every run what its configuration and its outcomes say."""

import csv
import io
from dataclasses import asdict, replace

import pytest

from dp.config import PracticeConfig, plain
from experiments import commands as command_line
from experiments.analysis.table import curve, rows, table
from experiments.data.shift_sets import SHIFTS
from experiments.engine import results
from experiments.engine.results import Job

GROWING = PracticeConfig(n_initial=100, n_per_round=50, rounds=2, branch_sizes=(150,))
LATE = plain(GROWING)
STATIC = replace(LATE, rounds=0, n_per_round=0, n_initial=200, branch_sizes=())
CONFIGS = {
    "DP-100-seed0": asdict(GROWING),
    "omega0-100-seed0": asdict(LATE),
    "prune-tuned-200-seed0": asdict(replace(LATE, over_sampling=4.0)),
    "static-200-seed0": asdict(STATIC),
    "real-200-seed0": asdict(STATIC) | {"source": "real"},
    "reference-200-seed50": asdict(STATIC) | {"source": "real"},
}


@pytest.fixture(autouse=True)
def recorded(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "folder", lambda profile: tmp_path)
    monkeypatch.setattr("experiments.analysis.table.folder", lambda profile: tmp_path)
    for name, config in CONFIGS.items():
        record("comparison-convnet" if "tuned" in name else "scaling-equal-convnet", name, config)
    results.record("p", Job("theory", "figure3", {"figure": "figure3"}, dict), {"rows": []}, 1.0)


def record(study: str, name: str, config: dict) -> None:
    n, added, count = config["n_initial"], config["n_per_round"], config["rounds"]
    sizes = [n + (k + 1) * added for k in range(count)]
    triggers = ("patience", "schedule")
    additions = [
        {"iteration": 10 * size, "pool_size": size, "trigger": triggers[k], "candidates": added}
        for k, size in enumerate(sizes)
    ]
    shifts = {each: 40.0 for kind in SHIFTS.values() for each in kind}
    ends = [*((size, 900) for size in config["branch_sizes"]), (n + count * added, None)]
    outcomes = [
        {"pool_size": size, "branched_at": at, "validation_accuracy": 80.5, "test_accuracy": 80.0 + size / 100}
        | {"test_predictions": "01", "shift_accuracy": shifts | {"outline": 30.0}}
        for size, at in ends
    ]
    hardness = {"misclassified": [3, 7], "error": [[100, 60], [50, 100], [40, 30]]} if count else None
    result = {"outcomes": outcomes, "additions": additions, "hardness": hardness}
    results.record("p", Job(study, name, config, dict), result, 1.0)


def test_a_row_per_outcome_with_its_method():
    found = rows("p", "scaling-equal-convnet")
    assert [(row["method"], row["images"], row["branch_iteration"]) for row in found] == [
        ("DP", 150, 900),
        ("DP", 200, None),
        ("omega = 0", 150, 900),
        ("omega = 0", 200, None),
        ("real", 200, None),
        ("reference", 200, None),
        ("static", 200, None),
    ]
    assert {(row["setting"], row["learner"]) for row in found} == {("equal", "convnet")}
    pruned = rows("p", "comparison-convnet", setting="tuned")
    assert [(row["method"], row["variant"], row["seed"]) for row in pruned] == [("prune", "tuned-200", 0)] * 2


def test_a_branch_has_the_additions_before_it():
    branch, run = rows("p", "scaling-equal-convnet", method="DP")
    assert (branch["rounds"], branch["by_patience"], branch["generated"]) == (1, 1, 150)
    assert (run["rounds"], run["by_patience"], run["generated"], run["planned"]) == (2, 1, 200, 2)
    assert run["first_addition"] == 1500 and run["outline"] == 30 and run["geometric"] == 40
    # Of images of the second addition: what the learner before it got wrong.
    assert (run["error_before"], run["misclassified"]) == (60, 7)
    [real] = rows("p", "scaling-equal-convnet", method="real")
    assert (real["guidance_scale"], real["generated"], real["error_before"]) == (None, 0, None)


def test_a_curve_keeps_the_full_run_of_a_size():
    found = rows("p", "scaling-equal-convnet")
    assert curve(found, "DP") == {150: [81.5], 200: [82.0]}
    assert curve(found, "DP", branches=True) == {150: [81.5]} and curve(found, "DP", branches=False) == {200: [82.0]}
    full = [row | {"images": 200} for row in found]
    assert curve(full, "DP") == {200: [82.0]}


def test_the_table_is_printed(capsys):
    command_line.print_table()
    printed = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert len(printed) == len(table("p")) == 9 and "test_predictions" not in printed[0]
    assert {row["test_accuracy"] for row in printed if row["method"] == "static"} == {"82.0"}
