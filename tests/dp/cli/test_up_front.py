"""Mistakes that are found before anything is made, by the command in a process of its own: one line, exit code 2."""

import os
import shutil
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path
from typing import NamedTuple

import pytest
from PIL import Image

from dp.__main__ import main
from dp.data.imagenet import class_list
from dp.utils.command_line import run_command
from dp.utils.errors import UserError

CLASSES = [f"kind {i}" for i in range(10)]
SHORT = (
    "--n-initial 20 --n-per-round 10 --rounds 1 --iterations 20 --validate-every 10 --inference-steps 4 "
    "--guidance.interval 0 1"
).split()
FULL = "--n-per-round 1000000 --rounds 10000 --no-backstop".split()  # more than the disk holds


class Ended(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


def picture(path: Path, mode: str = "RGB") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.effect_noise((64, 64), 60).convert(mode).save(path, "JPEG")
    return path


def cut(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


@pytest.fixture
def files(tiny_pipe, tmp_path) -> Path:
    """A pipeline, real images and the same with a class folder missing, or with a file that broke off."""
    tiny_pipe.save_pretrained(tmp_path / "pipeline")
    for i, name in enumerate(CLASSES):
        picture(tmp_path / "real" / name / "1.jpg", ("RGB", "L", "CMYK")[i % 3])
    for name in ("missing", "broken"):
        shutil.copytree(tmp_path / "real", tmp_path / name)
    shutil.rmtree(tmp_path / "missing" / CLASSES[3])
    cut(tmp_path / "broken" / CLASSES[4] / "1.jpg")
    return tmp_path


def dp(*words: str) -> Ended:
    """What `dp` does in a process of its own, which is this one's copy: importing everything takes its time."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as errors:
        child = os.fork()
        if child == 0:
            os.dup2(out.fileno(), 1), os.dup2(errors.fileno(), 2)
            sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
            code = 0
            try:
                run_command(lambda: main(words))
            except SystemExit as end:
                code = int(end.code or 0)
            except BaseException:
                traceback.print_exc()
                code = 1
            sys.stdout.flush(), sys.stderr.flush()
            os._exit(code)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        out.seek(0), errors.seek(0)
        return Ended(code, out.read(), errors.read())


def refused(done: Ended) -> str:
    """The one line on stderr."""
    lines = done.stderr.strip().splitlines()
    assert done.returncode == 2 and len(lines) == 1 and lines[0].startswith("error: "), done.stderr
    return lines[0]


OWN = ["--pipeline", "{tmp}/pipeline", "--classes", *CLASSES]
MISTAKES = [
    (["run", *OWN, "--validation", "{tmp}/nowhere", "--test", "{tmp}/real"], "{tmp}/nowhere: got the subfolders none"),
    (["run", *OWN, "--validation", "{tmp}/real", "--test", "{tmp}/missing"], "{tmp}/missing: got the subfolders kind"),
    (
        ["run", *OWN, "--validation", "{tmp}/broken", "--test", "{tmp}/real"],
        "{tmp}/broken/kind 4/1.jpg: image file is truncated",
    ),
    (["generate", "--side", "64"], "side: got 64 without a pipeline"),
    (["run", *FULL], "{tmp}/made: about 9.0 TB (images 9.0 TB"),
]


@pytest.mark.parametrize(("words", "message"), MISTAKES)
def test_a_mistake_makes_nothing(files, words, message):
    command, *options = [word.format(tmp=files) for word in words]
    line = refused(dp(command, str(files / "made"), *options))
    assert message.format(tmp=files) in line, line
    assert not (files / "made").exists()


def test_a_pipeline_that_cannot_be_fetched_makes_nothing(tmp_path):
    # As without a network, but refused at once, and whatever this machine's own settings are.
    nowhere = {"HF_ENDPOINT": "http://127.0.0.1:9", "NO_PROXY": "127.0.0.1"}
    nowhere |= {"HF_HUB_OFFLINE": "0", "TRANSFORMERS_OFFLINE": "0"}
    words = ["generate", str(tmp_path / "made"), "--pipeline", "no/such", "--classes", "cat", "dog"]
    done = subprocess.run(
        [sys.executable, "-m", "dp", *words], env=os.environ | nowhere, capture_output=True, text=True
    )
    line = refused(Ended(done.returncode, done.stdout, done.stderr))
    assert "no/such is no folder, and could not be fetched from the Hugging Face Hub ([Errno 111] Connection" in line
    assert not (tmp_path / "made").exists()


def test_a_dry_run_says_what_will_be_written(capsys, tmp_path):
    with pytest.raises(UserError, match=r"9\.0 TB .* free; make room, name a folder elsewhere"):
        main(["run", str(tmp_path / "made"), *FULL, "--dry-run"])
    assert f"to be written to {tmp_path}/made: about 9.0 TB (images 9.0 TB, weights" in capsys.readouterr().out
    main(["run", str(tmp_path / "made"), *SHORT, "--storage.no-memory", "--dry-run"])
    told = capsys.readouterr().out.splitlines()[-1]
    assert told.startswith(f"to be written to {tmp_path}/made: about 1.4") and told.endswith(" free")
    main(["run", str(tmp_path / "made"), "--row", "4/static 130k", "--imagenet", str(tmp_path), "--dry-run"])
    assert "(images 17.9 GB, weights 2.7" in capsys.readouterr().out
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(("imagenet", "pipeline"), [("nowhere", "real"), ("real", "nowhere")])
def test_a_dry_run_says_which_folder_is_not_there(capsys, files, imagenet, pipeline):
    row = ["--row", "4/static 130k", "--imagenet", str(files / imagenet), "--pipeline", str(files / pipeline)]
    with pytest.raises(UserError, match=f"^{files}/nowhere: no such folder; give one that is there"):
        main(["run", str(files / "made"), *row, "--dry-run"])
    assert "(images 17.9 GB" in capsys.readouterr().out


def test_grey_and_cmyk_images_are_no_mistake(files):
    real = ["--validation", str(files / "real"), "--test", str(files / "real")]
    main(["run", str(files / "made"), *SHORT, *(word.format(tmp=files) for word in OWN), *real])
    assert (files / "made" / "result.json").exists()


@pytest.fixture
def imagenet(tmp_path) -> Path:
    one = picture(tmp_path / "one.jpg").read_bytes()
    for split in ("train", "val"):
        for wnid in class_list("imagenet100").wnids:
            (tmp_path / "imagenet" / split / wnid).mkdir(parents=True)
            (tmp_path / "imagenet" / split / wnid / "1.JPEG").write_bytes(one)
    return tmp_path / "imagenet"


def test_the_check_of_data_names_what_is_broken(imagenet):
    grey, cmyk, broken, missing, *_ = class_list("imagenet100").wnids
    picture(imagenet / "val" / grey / "2.JPEG", "L"), picture(imagenet / "val" / cmyk / "2.JPEG", "CMYK")
    path = cut(picture(imagenet / "val" / broken / "2.JPEG"))
    shutil.rmtree(imagenet / "train" / missing)
    done = dp("data", "check", str(imagenet))
    assert done.returncode == 2 and done.stderr.splitlines()[-1].startswith("error: data: 4 problems, named above")
    assert f"{path}: image file is truncated" in done.stdout and "val: 1 of 100 opened files" in done.stdout
    assert f"train: 1 class folders missing: {missing}" in done.stdout and "Traceback" not in done.stderr
    assert "nowhere: no such folder" in refused(dp("data", "check", str(imagenet / "nowhere")))


def test_a_held_out_class_that_is_missing_is_found_before_the_run(imagenet, stable_diffusion, tmp_path):
    """And a file that broke off when it is read: the run goes on when it has been restored."""
    stable_diffusion.save_pretrained(tmp_path / "pipeline")
    own = ["--pipeline", str(tmp_path / "pipeline"), "--class-list", "imagenet100", "--imagenet", str(imagenet)]
    words = ["run", str(tmp_path / "made"), *SHORT, *own, "--crop", "16", "--inference-steps", "2"]
    wnid = class_list("imagenet100").wnids[7]
    shutil.move(imagenet / "train" / wnid, tmp_path / wnid)
    assert f"{imagenet}/train: 1 without images: {wnid}" in refused(dp(*words))
    assert not (tmp_path / "made").exists()

    shutil.move(tmp_path / wnid, imagenet / "train" / wnid)
    path = imagenet / "val" / wnid / "1.JPEG"
    whole = path.read_bytes()
    cut(path)
    done = dp(*words)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith(f"error: {path}: image file is truncated")
    assert not list((tmp_path / "made").rglob("*.partial")) and not (tmp_path / "made" / "result.json").exists()
    path.write_bytes(whole)
    main(words)
    assert (tmp_path / "made" / "result.json").exists()
