"""Logs of a run that is stopped and goes on, and the time that it says is left."""

import csv
import json
import sys
from types import SimpleNamespace

import pytest

from dp.cli.run import run
from dp.config import PracticeConfig
from dp.practice import loop
from dp.runs import progress
from dp.runs.progress import Progress
from dp.utils.errors import Stopped

CONFIG = PracticeConfig(
    n_initial=20, n_per_round=10, rounds=1, iterations=40, validate_every=5, inference_steps=2, branch_sizes=(20,)
)


class Server:
    """Stand for Weights & Biases: what was logged, by run, and the last value of each name."""

    def __init__(self):
        self.logged, self.summary, self.given = [], {}, {}

    def init(self, **given):
        self.given = given
        return self

    def log(self, values):
        self.logged.append(values)
        self.summary |= values

    def finish(self):
        pass

    def Image(self, sheet):  # noqa: N802
        return sheet.shape


@pytest.fixture
def server(monkeypatch):
    found = Server()
    monkeypatch.setitem(sys.modules, "wandb", found)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: SimpleNamespace())
    return found


@pytest.mark.parametrize("branch", [None, 20])
def test_a_run_that_goes_on_writes_no_row_twice(branch, server, tmp_path, monkeypatch):
    """Stopped in the run, or in its branch, when the run itself has no validation to come."""
    validate = loop.validate

    def stopped(config, state, signal):
        if (state.iteration, state.branch) == (30, branch):  # the last checkpoint is older
            raise Stopped(15)
        return validate(config, state, signal)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "validate", stopped)
        with pytest.raises(Stopped):
            run(tmp_path / "run", CONFIG, log=("csv", "wandb"))
    run(tmp_path / "run", CONFIG, log=("csv", "wandb"))
    log = [json.loads(line)["iteration"] for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    rows = {path.stem: [int(row["iteration"]) for row in csv.DictReader(path.open())] for path in csvs(tmp_path)}
    additions = json.loads((tmp_path / "run" / "result.json").read_text())["additions"]
    assert rows["run"] == log == list(range(5, 45, 5)) and len(rows["additions"]) == len(additions) == 1
    assert rows["branch-20"] == log
    for series, iterations in rows.items():
        sent = [each[f"{series}/iteration"] for each in server.logged if f"{series}/iteration" in each]
        assert sent == iterations, series
    assert server.given["config"]["config"]["n_initial"] == 20 and server.given["resume"] == "allow"
    assert sum("images/round-0001" in each for each in server.logged) == 1


def csvs(folder):
    return (folder / "run" / "csv").glob("*.csv")


def test_the_time_left_is_that_of_the_work_to_come(tmp_path, monkeypatch):
    """Iterations of one second, plain images of two, guided ones of three; half of the iterations were done before."""
    now = 0.0
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: now, time=lambda: now))
    config = PracticeConfig(n_initial=100, n_per_round=10, rounds=2, iterations=400, validate_every=50)
    shown = Progress(tmp_path, config)
    shown.images(0, 60, 100)  # 60 were there
    assert shown.seconds_left() is None
    now += 40.0
    shown.images(0, 80, 100)
    assert shown.seconds_left() == (40.0, True)  # iterations and guided images have not been timed
    now += 40.0
    shown.images(0, 100, 100)
    state = SimpleNamespace(iteration=200, branch=None, additions=[], log=[], pool=range(100))
    now += 1000.0  # loading
    shown.goes_on(state)
    for state.iteration in range(201, 301):
        now += 1.0
        shown.iteration(state)
    assert shown.seconds_left() == (100.0, True)
    shown.images(1, 0, 10)
    now += 30.0
    shown.images(1, 10, 10)
    assert shown.seconds_left() == (100.0 + 30.0, False)
    found = json.loads((tmp_path / "progress.json").read_text())
    assert found["iterations"] == 300 and found["images_per_second"]["guided"] == pytest.approx(1 / 3)
    shown.close()
