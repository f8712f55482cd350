"""The command line as a user has it."""

import base64
import csv
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dp.__main__ import ALSO, COMMANDS, main
from dp.cli.run import HEADINGS
from dp.data.fashion_mnist import CLASSES
from dp.data.fashion_mnist import test_images as real_images
from dp.pool.folder import PoolFolder
from dp.utils.errors import UserError

SHORT = "--n-initial 20 --n-per-round 10 --rounds 1 --iterations 20 --validate-every 10 --inference-steps 4".split()


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    main(["run", str(folder), *SHORT])
    return folder


@pytest.mark.parametrize("command", [[], *[[name] for name in COMMANDS]])
def test_help_says_what_there_is(capsys, command):
    with pytest.raises(SystemExit) as ended:
        main([*command, "--help"])
    text = capsys.readouterr().out
    assert ended.value.code == 0
    assert "guidance.omega" in text if command == ["run"] else "usage: dp" in text


def test_a_command_that_there_is_not_is_named(capsys):
    with pytest.raises(UserError, match=r"command: got \"rnu\", expected run, generate, .*completion; dp --help"):
        main(["rnu", "folder"])
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == 2 and "dp run FOLDER" in capsys.readouterr().out


def test_help_waits_for_no_library():
    """Help, and handing a run to a cluster, have no use for what makes images."""
    for words, absent in (
        (["run", "--help"], {"torch", "numpy"}),
        (["run", "X", "--omga", "3"], {"torch", "numpy"}),
        (["submit", "--help"], {"diffusers", "timm", "torchvision"}),
    ):
        command = [sys.executable, "-X", "importtime", "-m", "dp", *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        imported = {line.split("|")[-1].strip() for line in done.stderr.splitlines()}
        assert "dp.utils.errors" in imported and not absent & imported


def test_the_help_of_a_run_begins_with_what_one_needs_first(capsys):
    with pytest.raises(SystemExit):
        main(["run", "--help"])
    text = capsys.readouterr().out
    first, options = text.split("Started by torchrun")
    shown = [line.partition(" ")[0] for line in first.splitlines()]
    needed = [name for name in shown if name.startswith("--")]
    assert len(needed) == 10 and shown[shown.index(needed[0]) :][:10] == needed  # no gaps between them
    for name in needed:
        assert ALSO["run"].get(name, name) in options, name
    for option, heading in HEADINGS.items():
        assert f"\n\n {heading}\n  {option} " in options or f"\n\n {heading}\n  {option}," in options, heading


def test_a_shell_completes_every_command_and_setting(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["completion", "bash"])
    printed = capsys.readouterr().out
    assert not ended.value.code and "complete -F" in printed
    for word in (*COMMANDS, "--n-initial", "--omegas"):
        assert f"'{word}'" in printed or f'"{word}"' in printed, word


def test_names_are_the_same_in_every_command(capsys, tmp_path):
    main(["run", str(tmp_path / "run"), *SHORT[:-2], "--omega", "0.7", "--steps=3", "--dry-run"])
    config = json.loads(capsys.readouterr().out.rpartition("}")[0] + "}")["config"]
    assert config["guidance"]["omega"] == 0.7 and config["inference_steps"] == 3


def test_a_dry_run_changes_nothing(capsys, tmp_path):
    main(["run", str(tmp_path / "run"), *SHORT, "--dry-run"])
    assert "is new: 20 images growing to 30, 20 iterations" in capsys.readouterr().out
    assert not (tmp_path / "run").exists()


def test_what_a_dry_run_prints_is_taken_back(capsys, tmp_path):
    words = [*SHORT, "--guidance.omega", "0.5", "--storage.encoding", "WEBP", "--branch-sizes", "20", "--dry-run"]
    main(["run", str(tmp_path / "run"), *words])
    printed = capsys.readouterr().out
    (tmp_path / "settings.json").write_text(printed)
    main(["run", str(tmp_path / "run"), "--config", str(tmp_path / "settings.json"), "--dry-run"])
    assert capsys.readouterr().out == printed
    row = ["--row", "4/static 130k", "--imagenet", str(tmp_path), "--dry-run"]
    main(["run", str(tmp_path / "row"), *row])
    (tmp_path / "row.json").write_text(capsys.readouterr().out)
    main(["run", str(tmp_path / "row"), "--config", str(tmp_path / "row.json"), "--dry-run"])
    assert capsys.readouterr().out == (tmp_path / "row.json").read_text()
    for text, message in (
        ("{", "settings.json: "),
        ("[]", "settings.json: "),
        ("[" * 100_000, "settings.json: "),
        (printed.replace('"lr": 0.002', '"lr": 0'), "settings.json: lr: got 0"),
        (printed.replace('"row"', '"rows"'), "settings.json: row: missing"),
    ):
        (tmp_path / "settings.json").write_text(text)
        with pytest.raises(UserError, match=message):
            main(["run", str(tmp_path / "run"), "--config", str(tmp_path / "settings.json"), "--dry-run"])
    with pytest.raises(UserError, match="beside settings of the run"):
        main(["run", str(tmp_path / "run"), "--config", str(tmp_path / "settings.json"), "--lr", "0.1"])


def test_a_finished_run_says_what_it_came_to(capsys, run):
    written = (run / "result.json").read_text()
    main(["run", str(run), *SHORT])
    said, recorded = capsys.readouterr().out, json.loads(written)
    (outcome,) = recorded["outcomes"]
    by_patience = sum(each["trigger"] == "patience" for each in recorded["additions"])
    assert recorded["made_by"]["sampler"] == "DDIMScheduler"
    assert f"{run} is finished; additions: 1, {by_patience} of them asked for by patience" in said
    assert f"30 images: validation {outcome['validation_accuracy']:.2f}%, test {outcome['test_accuracy']:.2f}%" in said
    assert str(run / "result.json") in said and (run / "result.json").read_text() == written


def test_a_grid_shows_the_same_seeds_through_the_eyes_of_the_runs_learners(run, tmp_path):
    folder = tmp_path / "two"
    main(["run", str(folder), *SHORT, "--rounds", "2", "--iterations", "60"])
    main(["grid", str(folder), "--omegas", "0", "0.4", "--classes", "8", "3", "--learners", "2", "--per-class", "2"])
    found = json.loads((folder / "grid.json").read_text())
    iterations = [each["iteration"] for each in json.loads((folder / "result.json").read_text())["additions"]]
    cells: dict[tuple, list] = {}
    for each in found["guided"]:
        cells.setdefault((each["iteration"], each["omega"]), []).append(each)
    assert {key[0] for key in cells} == set(iterations) and len(cells) == 4
    assert all([each["label"] for each in cell] == [8, 8, 3, 3] for cell in cells.values())
    first, last = iterations
    pictures = {key: [each["png"] for each in cell] for key, cell in cells.items()}
    assert pictures[first, 0.0] == pictures[last, 0.0]  # nobody guides plain images
    assert pictures[first, 0.4] != pictures[first, 0.0]
    entropies = {key: sum(each["entropy"] for each in cell) for key, cell in cells.items()}
    assert entropies[last, 0.4] > entropies[last, 0.0]
    steps = [each for each in found["intermediate"] if each["omega"] == 0 and each["label"] == 8]
    finished = decoded(pictures[last, 0.0][0])
    distances = [(decoded(each["png"]) - finished).abs().mean().item() for each in steps]
    assert len(steps) == 4 and distances == sorted(distances, reverse=True) and distances[-1] < 3 < distances[0]
    error = found["hardness"]["error"]
    assert [error[k][k] for k in range(2) if found["hardness"]["misclassified"][k]] != []
    assert all(error[k][k] == 100 for k in range(2) if found["hardness"]["misclassified"][k])
    page = (folder / "grid.html").read_text()
    assert page.count("<figure ") == 4 and page.count("<img ") == 4 * 4 + 3  # grids; a layer for each round
    assert all(png in page for png in pictures[last, 0.4])


def decoded(png: str) -> torch.Tensor:
    return torch.from_numpy(np.array(Image.open(io.BytesIO(base64.b64decode(png))))).float()


def test_a_grid_that_cannot_be_drawn_is_told(run, tmp_path):
    for words, message in (
        (["--classes", "10"], "classes: got 10, expected labels in 0 .. 9"),
        (["--learners", "0"], "learners: got 0"),
        (["--omegas"], r"omegas: got \(\), expected at least 1 item"),
        (["--omegas", "-1"], "omegas.0: got -1"),
    ):
        with pytest.raises(UserError, match=message):
            main(["grid", str(run), *words])
    main(["run", str(tmp_path / "static"), *SHORT, "--rounds", "0", "--n-per-round", "0"])
    with pytest.raises(UserError, match="no additions"):
        main(["grid", str(tmp_path / "static")])


def test_evaluate_gives_the_recorded_accuracy(capsys, run, tmp_path):
    main(["evaluate", str(run)])
    (found,) = json.loads(capsys.readouterr().out)["outcomes"]
    recorded = json.loads((run / "result.json").read_text())["outcomes"][-1]["test_accuracy"]
    assert found == {"pool_size": 30, "iteration": 20, "sets": {"test": {"images": 10_000, "accuracy": recorded}}}
    real = real_images()
    for i, (image, label) in enumerate(zip(real.images[:200], real.labels[:200].tolist(), strict=True)):
        (tmp_path / CLASSES[label]).mkdir(exist_ok=True)
        Image.fromarray(image[0].numpy()).save(tmp_path / CLASSES[label] / f"{i}.png")
    main(["evaluate", str(run), "--images", str(tmp_path)])
    assert json.loads(capsys.readouterr().out)["outcomes"][0]["sets"]["images"]["images"] == 200


def test_generate_prune_and_export(capsys, run, tmp_path):
    generate = ["--count", "40", "--steps", "4"]
    main(["generate", str(tmp_path / "plain"), *generate])
    main(["generate", str(tmp_path / "guided"), *generate, "--guided-by", str(run), "--omega", "0.5"])
    plain, guided = (PoolFolder.open(tmp_path / name).read() for name in ("plain", "guided"))
    assert torch.equal(plain.seeds, guided.seeds) and not torch.equal(plain.images, guided.images)
    assert plain.entropy.isnan().all() and guided.entropy.isfinite().all()
    as_the_run = json.loads((run / "settings.json").read_text())["config"]["guidance"] | {"omega": 0.5}
    assert json.loads((tmp_path / "guided" / "settings.json").read_text())["guidance"] == as_the_run

    main(["prune", str(tmp_path / "guided"), str(tmp_path / "hard"), "--guided-by", str(run), "--keep", "20"])
    hard = PoolFolder.open(tmp_path / "hard").read()
    assert hard.labels.bincount().tolist() == [2] * 10 and hard.entropy.mean() > guided.entropy.mean()
    assert set(hard.seeds.tolist()) < set(guided.seeds.tolist())

    main(["pool", "export", str(tmp_path / "hard"), "--out", str(tmp_path / "pictures")])
    assert len(list((tmp_path / "pictures").rglob("*.png"))) == 20
    capsys.readouterr()
    main(["pool", "show", str(tmp_path / "hard")])
    assert capsys.readouterr().out.splitlines()[1].split()[:2] == ["0", "20"]


def test_generate_goes_on_where_it_stopped(tmp_path, monkeypatch):
    """What is made stays, and the whole is what one go would have made."""
    create, write = PoolFolder.create, PoolFolder.write
    monkeypatch.setattr(PoolFolder, "create", lambda *words, **more: create(*words, **more, shard_size=8))

    def interrupted(self, *shard):
        write(self, *shard)
        raise KeyboardInterrupt

    def generate(name: str) -> None:
        main(["generate", str(tmp_path / name), "--count", "20", "--steps", "4"])

    def shards(name: str) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in sorted((tmp_path / name).rglob("*.parquet"))}

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(PoolFolder, "write", interrupted)
        generate("pool")
    (first,) = (tmp_path / "pool").rglob("*.parquet")
    made = first.stat().st_mtime_ns
    for name in ("pool", "pool", "whole"):
        generate(name)
    assert first.stat().st_mtime_ns == made and len(shards("pool")) == 3
    assert shards("pool") == shards("whole") and len(PoolFolder.open(tmp_path / "pool")) == 20
    main(["pool", "check", str(tmp_path / "pool")])


def test_a_pool_of_other_settings_is_refused_and_left_alone(run, tmp_path):
    plain, hard = str(tmp_path / "plain"), str(tmp_path / "hard")
    generate = ["generate", plain, "--count", "20", "--steps", "4"]
    prune = ["prune", plain, hard, "--guided-by", str(run), "--keep", "10"]
    for command in (generate, prune):
        main(command)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for command, message in (
        ([*generate, "--seed", "1"], "plain: another generated pool's folder .seed: 0 there, 1 asked for"),
        ([*generate, "--guided-by", str(run)], "guided_by: null there, "),
        ([*prune, "--score", "margin"], 'hard: another pruned pool.* .score: "entropy" there, "margin" asked for'),
        (["generate", str(run / "pool"), "--count", "30"], "not a folder of this generated pool and not empty"),
    ):
        with pytest.raises(UserError, match=message):
            main(command)
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}


def test_repair_is_advised_where_there_is_a_run_that_knows_how(run, tmp_path):
    main(["generate", str(tmp_path / "pool"), "--count", "10", "--steps", "4"])
    runs = Path(shutil.copytree(run, tmp_path / "run")) / "pool"
    for pool, advice in (
        (tmp_path / "pool", "restore it from a copy, or make the pool anew"),
        (runs, f"python -m dp pool repair {runs} makes it again"),
    ):
        (pool / "round-0000" / "00000.parquet").unlink()
        for action in ("check", "show"):
            with pytest.raises(UserError, match=advice):
                main(["pool", action, str(pool)])


def test_a_run_that_ends_short_of_its_size_says_so(capsys, tmp_path):
    main(["run", str(tmp_path / "run"), *SHORT, "--no-backstop"])
    assert "short of its final size: patience asked for 0 of 1 additions" in capsys.readouterr().out


def test_a_log_whose_library_is_not_installed_is_told_before_anything_is_made(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match="log: wandb is not installed; pip install wandb"):
        main(["run", str(tmp_path / "run"), *SHORT, "--log", "csv", "wandb"])
    assert not (tmp_path / "run").exists()


def test_logs_that_are_not_named_are_told(tmp_path):
    with pytest.raises(UserError, match="log: got \\(\\), expected at least 1 item"):
        main(["run", str(tmp_path / "run"), *SHORT, "--log"])


def test_logs_have_the_run(tmp_path):
    main(["run", str(tmp_path / "run"), *SHORT, "--log", "csv", "tensorboard"])
    assert list((tmp_path / "run" / "tensorboard").iterdir())
    rows = list(csv.DictReader((tmp_path / "run" / "csv" / "run.csv").open()))
    logged = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [{name: float(value) for name, value in row.items()} for row in rows] == logged
    (addition,) = csv.DictReader((tmp_path / "run" / "csv" / "additions.csv").open())
    (recorded,) = json.loads((tmp_path / "run" / "result.json").read_text())["additions"]
    assert addition["trigger"] == recorded["trigger"] and addition["iteration"] == str(recorded["iteration"])
    pool, sheets = PoolFolder.open(tmp_path / "run" / "pool"), sorted((tmp_path / "run" / "csv").glob("*.png"))
    assert [sheet.stem for sheet in sheets] == ["round-0000", "round-0001"]
    added = np.concatenate([image[0] for image in pool.read_round(1).images.numpy()], 1)
    assert np.array_equal(np.array(Image.open(sheets[1]))[..., 0], added)
    progress = json.loads((tmp_path / "run" / "progress.json").read_text())
    assert progress["iterations"] == progress["of"] == 20 and progress["seconds_left"] == 0


def test_a_pipeline_classes_and_data_of_ones_own(tiny_pipe, tmp_path, capsys):
    tiny_pipe.save_pretrained(tmp_path / "pipeline")
    names = [f"kind {i}" for i in range(10)]
    for name in names:
        (tmp_path / "real" / name).mkdir(parents=True)
        Image.new("RGB", (40, 50), (len(name), 90, 30)).save(tmp_path / "real" / name / "1.jpg")
    own = ["--pipeline", tmp_path / "pipeline", "--validation", tmp_path / "real", "--test", tmp_path / "real"]
    main(["run", str(tmp_path / "run"), *SHORT, *map(str, own), "--classes", *names])
    assert list(PoolFolder.open(tmp_path / "run" / "pool").layout.classes) == names
    recorded = json.loads((tmp_path / "run" / "result.json").read_text())["outcomes"][-1]["test_accuracy"]
    capsys.readouterr()
    main(["evaluate", str(tmp_path / "run")])  # on the run's own test images
    (found,) = json.loads(capsys.readouterr().out)["outcomes"]
    assert found["sets"] == {"test": {"images": 10, "accuracy": recorded}}


@pytest.mark.slow
def test_a_stopped_command_says_so_and_goes_on(tmp_path):
    """A process of its own, stopped in the middle; longer than the others, so that there is a middle."""
    words = [*SHORT, "--iterations", "100", "--validate-every", "10"]
    command = [sys.executable, "-m", "dp", "run", str(tmp_path / "run"), *words]
    log = tmp_path / "run" / "log.jsonl"
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        while process.poll() is None and not (log.exists() and len(log.read_text().splitlines()) > 1):
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGINT)
        _, errors = process.communicate()
    assert process.returncode == 130
    assert errors.splitlines()[-1] == "stopped; the same command goes on from here" and "Traceback" not in errors
    assert (tmp_path / "run" / "checkpoint.safetensors").exists()
    main(["run", str(tmp_path / "run"), *words])
    main(["run", str(tmp_path / "whole"), *words])
    outcomes = [json.loads((tmp_path / name / "result.json").read_text())["outcomes"] for name in ("run", "whole")]
    assert outcomes[0] == outcomes[1]
