"""The command line, and independence of everything but numpy and scipy."""

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import theory
from theory.__main__ import main


def test_an_error_prints_one_object(capsys):
    arguments = "error --d 350 --n 1000 --ridge 0.01 --alignment 0.9 --rule keep-hard --threshold 0.7 --json"
    assert main(arguments.split()) == 0
    row = json.loads(capsys.readouterr().out)
    assert row["d"] == 350 and row["n"] == 1000
    assert row["kept_fraction"] == pytest.approx(0.516073, abs=1e-6)
    assert row["test_error"] == pytest.approx(0.185405, abs=1e-6)


def test_an_error_of_either_loss_with_noise_and_agreement_prints_one_object(capsys):
    arguments = "--d 260 --n 2000 --ridge 0.003 --alignment 0.7 --rule keep-hard --threshold 0.9 --label-noise 0.15"
    for loss, expected in (("squared", 0.220857), ("logistic", 0.195582)):
        assert main(f"error {arguments} --agreeing --json --loss {loss}".split()) == 0
        row = json.loads(capsys.readouterr().out)
        assert row["test_error"] == pytest.approx(expected, abs=1e-6)
        assert main(f"simulate {arguments} --agreeing --json --loss {loss} --replicates 8".split()) == 0
        run = json.loads(capsys.readouterr().out)
        assert abs(run["test_error"] - row["test_error"]) < 4 * run["standard_error"] + 0.002
        assert run["kept_fraction"] == pytest.approx(row["kept_fraction"], abs=0.02)


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
        "simulate --d 30 --n 100 --loss logistic --ridge 0.01 --label-noise 0.1 --agreeing --replicates 2",
        "sweep --d 50 --n 100,200 --policy 0.5 --loss logistic --ridge 0.01 --label-noise 0.1 --agreeing",
        "simulate --d 50 --n 100 --decay 1 --generator-alignment 0.8",
        "error --d 50 --n 100 --ridge 0.01 --real 30 --generator-alignment 0.7",
        "simulate --d 30 --n 100 --ridge 0.01 --real 30 --decay 1 --test-decay 0.5 --loss logistic --replicates 2",
        "sweep --d 50 --n 100,200,400 --tune-ridge",
        "sweep --d 50 --n 100 --policy 0.5 --budget selected --json",
        "sweep --d 500 --n 1000,2000,4000 --policy adaptive --rounds 3",
    ],
)
def test_commands_run(arguments, capsys):
    assert main(arguments.split()) == 0
    out = capsys.readouterr().out
    assert "test_error" in out and "nan" not in out.lower()


def test_a_sweep_is_drawn(capsys, tmp_path):
    pytest.importorskip("matplotlib")
    for name, policy in (("one.png", "0.5"), ("rounds.pdf", "adaptive --rounds 2")):
        assert main(f"sweep --d 500 --n 1000,2000,4000 --policy {policy} --plot {tmp_path / name} --json".split()) == 0
        assert (tmp_path / name).stat().st_size > 3000 and json.loads(capsys.readouterr().out)
    assert main(f"sweep --d 50 --n 100 --policy 0.5 --plot {tmp_path / 'a.nothing'}".split()) == 2
    assert capsys.readouterr().err.startswith("theory: plot: found 'a.nothing', expected the name of a picture.")


def test_without_matplotlib_a_plot_is_refused_in_a_line(capsys, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert main(f"sweep --d 50 --n 100 --policy 0.5 --plot {tmp_path / 'a.png'}".split()) == 2
    assert capsys.readouterr().err == (
        "theory: plot: found no matplotlib, expected it installed. Run pip install matplotlib.\n"
    )


def test_error_says_how_far_the_limit_is(capsys):
    assert main("error --d 350 --n 100000 --alignment 0.9 --rule keep-hard --kept-fraction 0.01 --json".split()) == 0
    assert json.loads(capsys.readouterr().out)["finite_size"] > 1


def test_sweep_counts_the_pool_unless_the_rounds_are_adaptive(capsys):
    for policy, budget in (("best", "pool"), ("adaptive", "selected")):
        assert main(f"sweep --d 50 --n 100,200 --policy {policy} --json".split()) == 0
        assert {row["budget"] for row in json.loads(capsys.readouterr().out)} == {budget}


@pytest.mark.parametrize(
    ("named", "arguments"),
    [
        ("n", "error --d 350 --n 0"),
        ("n: found inf", "sweep --d 50 --n inf,500 --json"),
        ("real", "error --d 350 --n 1000 --real 0"),
        ("ridge", "error --d 350 --n 10 --ridge -1"),
        ("ridge", "error --d 350 --n 10 --ridge nan"),
        ("alignment", "error --d 350 --n 10 --alignment 1.2"),
        ("threshold", "error --d 350 --n 10 --rule keep-hard"),
        ("threshold", "error --d 350 --n 10 --rule keep-hard --threshold 0"),
        ("threshold", "error --d 350 --n 10 --rule keep-all --threshold 1"),
        ("kept fraction", "error --d 350 --n 10 --rule keep-easy --kept-fraction 0"),
        ("replicates", "simulate --d 350 --n 10 --replicates 0"),
        ("omega", "error --d 350 --n 10 --rule tempered --omega -2"),
        ("seed", "simulate --d 9 --n 10 --seed -1"),
        ("rounds", "sweep --d 9 --n 30 --policy adaptive --rounds 0"),
        ("n, policy", "sweep --d 350 --n ten"),
        ("method", "simulate --d 9 --n 10 --decay 1 --method banded"),
        ("method", "simulate --d 9 --n 10 --loss logistic --method banded"),
        ("label_noise", "error --d 9 --n 10 --label-noise 0.6"),
        ("agreeing", "sweep --d 9 --n 30 --policy adaptive --agreeing"),
        ("loss", "sweep --d 9 --n 30 --policy adaptive --loss logistic"),
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


@pytest.mark.parametrize("arguments", ["", "error --d x --n 3", "figure 3", "error --d 3 --n 3 --rule best"])
def test_bad_usage_is_one_line_and_code_2(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments.split())
    assert caught.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_interrupt_is_one_line_and_code_130(monkeypatch, capsys):
    def interrupted(*_, **settings):
        raise KeyboardInterrupt

    monkeypatch.setattr("theory.__main__.isotropic_error", interrupted)
    assert main("error --d 9 --n 10".split()) == 130
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("command", ["-m experiments.studies.theory_numbers", "-m theory error --d 3 --n 9"])
def test_needs_numpy_and_scipy_only(command, tmp_path):
    """With torch, matplotlib and tqdm made unimportable."""
    blocker = "import sys\nfor name in ('torch', 'matplotlib', 'tqdm'):\n    sys.modules[name] = None\n"
    (tmp_path / "sitecustomize.py").write_text(blocker)
    root = Path(theory.__file__).parents[1]
    environment = {"PYTHONPATH": f"{tmp_path}:{root}", "PATH": "/usr/bin:/bin", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *shlex.split(command)], capture_output=True, text=True, env=environment, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
