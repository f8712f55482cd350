"""The check of a tree of image files against what was published."""

import json
import shutil
from pathlib import Path

import pytest
import tyro

from dp.cli import data as data_check
from dp.data import imagenet
from dp.data.imagenet import class_list, folders_of
from dp.utils.command_line import run_command
from tests.dp.image_files import bad_files, save, truncate


def checked(capsys, *arguments) -> tuple[int, str, str]:
    """Exit code, stdout and stderr (without the progress bar) of the command."""
    capsys.readouterr()
    try:
        run_command(lambda: tyro.cli(data_check.data_command, args=["check", *map(str, arguments)]))
        code = 0
    except SystemExit as ended:
        code = ended.code
    found = capsys.readouterr()
    return code, found.out, found.err.rsplit("\r", 1)[-1].strip()


@pytest.fixture
def published(monkeypatch):
    monkeypatch.setitem(imagenet.PUBLISHED_IMAGES, "imagenet100", {"train": 100, "val": 100})


def test_a_whole_tree_passes(whole, published, capsys):
    code, out, err = checked(capsys, whole, "--open", "all")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[1].split() == ["train", "100", "100", "100", "100", "100", "0", str(whole / "train")]
    assert lines[-1] == "all there, and every opened file can be read"


def test_the_published_numbers(whole, capsys):
    assert imagenet.PUBLISHED_IMAGES["imagenet1k"] == {
        "train": 1281167,
        "val": 50000,
        "v2": 10000,
        "sketch": 50889,
        "r": 30000,
        "a": 7500,
    }
    code, out, err = checked(capsys, whole)
    assert code == 2
    assert "train: 100 images found, 126,689 were published\nval: 100 images found, 5,000 were published\n" in out
    assert err == "error: data: 2 problems, named above; restore the files from the sets' archives"


def test_problems_are_named_one_line_a_kind(tree, published, capsys):
    wnids = class_list("imagenet100").wnids
    shutil.rmtree(tree / "train" / wnids[0])
    (tree / "train" / wnids[1] / f"{wnids[1]}_1.JPEG").unlink()
    (tree / "train" / wnids[1] / ".DS_Store").touch()
    cut = truncate(tree / "train" / wnids[2] / "z.JPEG")
    save(tree / "train" / wnids[3] / "grey.JPEG", 9, "L"), save(tree / "train" / wnids[3] / "z.JPEG", (9,) * 4, "CMYK")
    save(tree / "train" / "n99999999" / "a.JPEG")
    code, out, err = checked(capsys, tree)
    prompts = class_list("imagenet100").prompts
    assert code == 2 and err.startswith("error: data: 4 problems")
    lines = out.splitlines()
    assert lines[1].split()[:7] == ["train", "98", "100", "101", "100", "98", "1"]
    assert lines[-5].startswith(f"{cut}: image file is truncated")
    assert lines[-4:] == [
        f"train: 1 class folders missing: {wnids[0]} ({prompts[0]})",
        f"train: 1 class folders without images: {wnids[1]} ({prompts[1]})",
        "train: 101 images found, 100 were published",
        "train: 1 of 98 opened files cannot be read",
    ]


def test_every_file_is_opened_on_demand(tree, published, capsys):
    wnid = class_list("imagenet100").wnids[5]
    (tree / "val" / wnid / f"{wnid}_1.JPEG").unlink()
    for path in bad_files(tree / "val" / wnid):
        if path.is_dir():
            path.rmdir()
    save(tree / "val" / wnid / "z.JPEG")
    assert checked(capsys, tree, "--open", "1")[1].count("cannot be read") == 0
    code, out, _ = checked(capsys, tree, "--open", "all", "--workers", "1", "--json")
    found = json.loads(out)
    assert code == 2 and found["classes"] == "imagenet100"
    val = found["sets"][1]
    assert (val["name"], val["images"], val["opened"], val["images_expected"]) == ("val", 103, 103, 100)
    assert {Path(file).name: why.split(" (")[0] for file, why in val["unreadable"].items()} == {
        "cut.JPEG": "image file is truncated",
        "empty.JPEG": "not an image",
        "text.JPEG": "not an image",
    }
    assert found["problems"] == [
        "val: 103 images found, 100 were published",
        "val: 3 of 103 opened files cannot be read",
    ]


def test_many_unreadable_files_are_cut_short(tree, published, capsys, monkeypatch):
    monkeypatch.setattr(data_check, "SHOWN", 2)
    for wnid in class_list("imagenet100").wnids[:5]:
        (tree / "val" / wnid / f"{wnid}_1.JPEG").write_bytes(b"no")
    _, out, _ = checked(capsys, tree)
    assert out.count("not an image") == 2 and "and 3 more; --json names all" in out


def test_other_sets_are_checked_when_named(whole, published, capsys):
    for name, count in {"r": "19", "a": "15"}.items():
        assert len(folders_of(name, "imagenet100")) == int(count)
        out = checked(capsys, whole, f"--{name}", whole / "val")[1]
        assert out.splitlines()[3].split()[:5] == [name, count, count, count, "-"]
    code, out, _ = checked(capsys, whole, "--v2", whole / "val", "--sketch", whole)
    assert code == 2
    assert f"v2: {whole}/val: got the subfolders n01440764, n01" in out
    assert f"sketch: {whole}: got the subfolders train, val; expected 100 class folders" in out


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["absent"], "error: absent: no such folder; name the folder that holds the images"),
        ([".", "--a", "absent"], "error: absent: no such folder"),
        ([".", "--open", "-1"], "error: open: got -1, expected a number greater than or equal to 0 or 'all'"),
        ([".", "--workers", "-1"], "error: workers: got -1"),
    ],
)
def test_mistakes_are_one_line(arguments, line, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code, _, err = checked(capsys, *arguments)
    assert code == 2 and err.startswith(line) and len(err.splitlines()) == 1
