"""The command line, the exhibits' rows, and independence of everything but numpy and scipy."""

import importlib
import inspect
import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from theory import figures
from theory.__main__ import EXHIBITS, main
from theory.printed import VERSIONS

SMALL = {
    "3": dict(log2_selected=(6, 8), replicates=3),
    "5c": dict(ratios=(1, 4), replicates=3),
    "7": dict(pools=(1000,), ridges=(1e-2,), replicates=3),
    "errata": dict(pools=(500,), replicates=5),
    "covariance": dict(d=60, pools=(100, 200), replicates=2),
    "adaptive": dict(d=40, n_selected=160, rounds=3, replicates=3, ridges=(1e-3,)),
    "phase": dict(points=6, replicates=2),
    "exponent": dict(d=40, isotropic_d=200, decays=(1.0,), rounds=2, replicates=2),
}


@pytest.mark.parametrize("name", SMALL)
def test_rows_are_flat_strict_json_and_deterministic(name):
    numbers, _ = EXHIBITS[name]
    rows, again = numbers(**SMALL[name]), numbers(**SMALL[name])
    assert rows == again
    text = json.dumps(rows, allow_nan=False)
    assert json.loads(text) == rows
    assert all(isinstance(value, str | float | int) for row in rows for value in row.values())
    assert all(p.kind is p.KEYWORD_ONLY for p in inspect.signature(numbers).parameters.values())


@pytest.mark.parametrize("name", ["3", "5c", "7", "covariance"])
def test_simulated_points_lie_on_the_exact_curves(name):
    rows = EXHIBITS[name][0](**SMALL[name] | ({"replicates": 20}))
    value = "test_accuracy" if "test_accuracy" in rows[0] else "test_error"
    axis = {"3": "n_selected", "5c": "oversampling_ratio", "7": "kept_fraction", "covariance": "n_pool"}[name]
    same = [k for k in ("rho", "ridge", "n_pool", "kept_fraction") if k != axis and not (name in "35c" and k != "rho")]
    same += ["kept_fraction"] if name == "3" else ["ridge"] if name == "5c" else []
    checked = 0
    for point in (row for row in rows if row["series"] == "simulation"):
        curve = [row for row in rows if row["series"] == "exact" and all(row[k] == point[k] for k in same)]
        nearest = min(curve, key=lambda row: abs(row[axis] - point[axis]))
        assert abs(nearest[value] - point[value]) < max(6 * point["standard_error"], 0.02)
        checked += 1
    assert checked >= 4


@pytest.mark.parametrize("name", SMALL)
def test_rows_can_be_drawn(name):
    pytest.importorskip("matplotlib").use("Agg")
    numbers, module = EXHIBITS[name]
    figure = importlib.import_module(f"paper_figures.{module}").draw(numbers(**SMALL[name]))
    panels = [axis for axis in figure.axes if axis.axison and axis.get_label() != "<colorbar>"]
    assert panels and all(axis.get_xlabel() for axis in panels)
    importlib.import_module("matplotlib.pyplot").close(figure)


def test_errata_rows_tell_the_forms_apart():
    rows = figures.errata(pools=(4000,), kept_fractions=(0.3, 1.0), replicates=60)
    deviations = {name: [row["deviation"] for row in rows if row["series"] == name] for name in VERSIONS}
    worst = {name: max(abs(x) for x in found if x != "undefined") for name, found in deviations.items()}
    assert worst["proved"] < 0.003 and "undefined" not in deviations["proved"]
    assert worst["arXiv v1"] > 0.3 and worst["Gaussian margin"] > 0.05
    assert worst["ICML 2025"] > 0.02 or "undefined" in deviations["ICML 2025"]


@pytest.mark.parametrize("name", ["exponent", "phase"])
def test_answer_is_words_from_the_rows(name):
    settings = SMALL[name] if name == "phase" else SMALL[name] | {"rounds": 3}
    text = figures.answer(EXHIBITS[name][0](**settings))
    assert len(text) > 200 and "nan" not in text


def test_issue_example_prints_one_object(capsys):
    arguments = "error --d 350 --n 1000 --ridge 0.01 --alignment 0.9 --rule keep-hard --threshold 0.7 --json"
    assert main(arguments.split()) == 0
    row = json.loads(capsys.readouterr().out)
    assert row["d"] == 350 and row["n"] == 1000
    assert row["kept_fraction"] == pytest.approx(0.516073, abs=1e-6)
    assert row["test_error"] == pytest.approx(0.185405, abs=1e-6)


@pytest.mark.parametrize(
    "arguments",
    [
        "error --d 350 --n 1000 --rule keep-easy --kept-fraction 0.4",
        "error --d 350 --n 1000 --rule keep-all",
        "error --d 350 --n 350 --rule keep-all --json",
        "error --d 350 --n 1000 --rule tempered --omega -1 --kept-fraction 0.4",
        "error --d 50 --n 100 --decay 1 --rule keep-hard --threshold 1",
        "simulate --d 50 --n 100 --rule keep-hard --threshold 1 --replicates 1 --json",
        "simulate --d 50 --n 100 --method dense",
        "simulate --d 50 --n 100 --decay 1 --generator-alignment 0.8",
        "sweep --d 50 --n 100,200,400 --tune-ridge",
        "sweep --d 50 --n 100 --policy 0.5 --budget selected --json",
        "sweep --d 500 --n 1000,2000,4000 --policy adaptive --rounds 3",
    ],
)
def test_commands_run(arguments, capsys):
    assert main(arguments.split()) == 0
    out = capsys.readouterr().out
    assert "test_error" in out and "nan" not in out.lower()


def test_error_says_how_far_the_limit_is(capsys):
    assert main("error --d 350 --n 100000 --alignment 0.9 --rule keep-hard --kept-fraction 0.01 --json".split()) == 0
    assert json.loads(capsys.readouterr().out)["finite_size"] > 1


def test_sweep_counts_the_pool_unless_the_rounds_are_adaptive(capsys):
    for policy, budget in (("best", "pool"), ("adaptive", "selected")):
        assert main(f"sweep --d 50 --n 100,200 --policy {policy} --json".split()) == 0
        assert {row["budget"] for row in json.loads(capsys.readouterr().out)} == {budget}


def test_the_spread_of_one_replicate_is_undefined(monkeypatch, capsys):
    def one_point(**settings):
        return figures.figure3(**SMALL["3"] | settings)

    monkeypatch.setitem(EXHIBITS, "3", (one_point, "figure3"))
    assert main("figure 3 --replicates 1 --json".split()) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["standard_error"] for row in rows if row["series"] == "simulation"} == {"undefined"}


def test_a_plot_of_unknown_kind_is_refused_before_it_is_computed(monkeypatch, capsys):
    pytest.importorskip("matplotlib")
    monkeypatch.setitem(EXHIBITS, "3", (None, "figure3"))
    assert main("figure 3 --plot x.foo".split()) == 2
    message = capsys.readouterr().err
    assert message.startswith("theory: plot: found 'x.foo'") and message.count("\n") == 1


def test_figure_is_written_as_csv(tmp_path, capsys):
    path = tmp_path / "rows.csv"
    assert main(["figure", "3", "--replicates", "2", "--csv", str(path)]) == 0
    assert path.read_text().startswith("series,n_pool,n_selected,test_accuracy")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("named", "arguments"),
    [
        ("n", "error --d 350 --n 0"),
        ("ridge", "error --d 350 --n 10 --ridge -1"),
        ("ridge", "error --d 350 --n 10 --ridge nan"),
        ("alignment", "error --d 350 --n 10 --alignment 1.2"),
        ("threshold", "error --d 350 --n 10 --rule keep-hard"),
        ("threshold", "error --d 350 --n 10 --rule keep-hard --threshold 0"),
        ("threshold", "error --d 350 --n 10 --rule keep-all --threshold 1"),
        ("kept fraction", "error --d 350 --n 10 --rule keep-easy --kept-fraction 0"),
        ("replicates", "simulate --d 350 --n 10 --replicates 0"),
        ("omega", "error --d 350 --n 10 --rule tempered --omega -2"),
        ("seed", "figure 3 --seed -1"),
        ("rounds", "sweep --d 9 --n 30 --policy adaptive --rounds 0"),
        ("n, policy", "sweep --d 350 --n ten"),
        ("method", "simulate --d 9 --n 10 --decay 1 --method banded"),
        ("ridge: found 0, where", "simulate --d 100 --n 400 --decay 20"),
        ("teacher", "simulate --d 9 --n 10 --teacher flat"),
        ("kept-fraction", "error --d 9 --n 10 --kept-fraction 0.5"),
        ("omega", "error --d 9 --n 10 --rule keep-hard --threshold 1 --omega 1"),
        ("level", "error --d 9 --n 10 --rule keep-easy --threshold 1 --level 1"),
        ("threshold", "error --d 9 --n 10 --rule tempered --threshold 1"),
        ("ridge", "sweep --d 9 --n 30 --policy adaptive --ridge 0.5"),
        ("alignment", "sweep --d 9 --n 30 --policy adaptive --alignment 1"),
        ("budget", "sweep --d 9 --n 30 --policy adaptive --budget pool"),
        ("ridge", "sweep --d 9 --n 30 --tune-ridge --ridge 0"),
        ("rounds", "sweep --d 9 --n 30 --rounds 2"),
        ("[Errno", "error --d 3 --n 9 --csv /no/such/folder/file.csv"),
    ],
)
def test_bad_input_is_one_line_and_code_2(named, arguments, capsys):
    assert main(arguments.split()) == 2
    message = capsys.readouterr().err
    assert message.startswith(f"theory: {named}") and message.count("\n") == 1


@pytest.mark.parametrize("arguments", ["", "error --d x --n 3", "figure 99", "error --d 3 --n 3 --rule best"])
def test_bad_usage_is_one_line_and_code_2(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments.split())
    assert caught.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_interrupt_is_one_line_and_code_130(monkeypatch, capsys):
    def interrupted(**settings):
        raise KeyboardInterrupt

    monkeypatch.setitem(EXHIBITS, "3", (interrupted, "figure3"))
    assert main(["figure", "3"]) == 130
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("command", ["-c 'import theory.figures'", "-m theory error --d 3 --n 9"])
def test_needs_numpy_and_scipy_only(command, tmp_path):
    """With torch, matplotlib and tqdm made unimportable."""
    blocker = "import sys\nfor name in ('torch', 'matplotlib', 'tqdm'):\n    sys.modules[name] = None\n"
    (tmp_path / "sitecustomize.py").write_text(blocker)
    root = Path(figures.__file__).parents[1]
    environment = {"PYTHONPATH": f"{tmp_path}:{root}", "PATH": "/usr/bin:/bin", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *shlex.split(command)], capture_output=True, text=True, env=environment, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
