"""ImageNet's classes, trees of image files, and the check of them; on small trees of real files made here."""

import json
import multiprocessing
import os
import pickle
import shutil
import socket
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import tyro
from PIL import Image
from timm.data import ImageNetInfo
from torch import nn
from torch.utils.data import Subset

from dp import data_check, evaluate, image_tree, imagenet, processes
from dp.data import ImageSet
from dp.errors import UserError, run_command
from dp.evaluate import accuracy, right
from dp.image_tree import ImageTree, batches, list_images, open_image
from dp.imagenet import class_list, folders_of, measured, open_set

CMYK = {(0, 0, 0, 0): (255, 255, 255), (255, 0, 0, 0): (0, 255, 255), (0, 255, 255, 0): (255, 0, 0)}


def save(path: Path, colour=(200, 30, 60), mode="RGB", size=(40, 30), format="JPEG") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    quality = {"quality": 95} if format == "JPEG" else {}
    Image.new(mode, size, colour).save(path, format, **quality)
    return path


def truncate(path: Path) -> Path:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(path, "JPEG")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """train and val of ImageNet-100, one small image a class, and folders that are not of it."""
    root = tmp_path_factory.mktemp("whole")
    one = save(root / "one.jpg", size=(8, 8)).read_bytes()
    for split in ("train", "val"):
        for wnid in [*class_list("imagenet100").wnids, "n01440764"]:  # a tench is not among the 100
            folder = root / split / wnid
            folder.mkdir(parents=True)
            (folder / f"{wnid}_1.JPEG").write_bytes(one)
    return root


@pytest.fixture
def tree(whole, tmp_path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "imagenet"))


def one_line(error: BaseException) -> str:
    text = str(error)
    assert "\n" not in text and "Traceback" not in text
    return text


# Classes


def test_imagenet_1k_is_timms_list_in_sorted_order():
    classes, info = class_list("imagenet1k"), ImageNetInfo("imagenet-1k")
    assert len(classes) == 1000
    assert [info.index_to_label_name(label) for label in range(1000)] == list(classes.wnids) == sorted(classes.wnids)
    assert classes.prompts[0] == "tench" and classes.prompts[2] == "great white shark"
    assert all(name and "," not in name for name in classes.prompts)
    assert 1000 - len(set(classes.prompts)) == 2  # crane and maillot, as the docstring says


def test_imagenet_100_is_100_distinct_classes_of_imagenet_1k():
    listed = [line for line in imagenet.IMAGENET_100.read_text().splitlines() if not line.startswith("#")]
    assert len(listed) == len(set(listed)) == 100
    assert set(listed) < set(class_list("imagenet1k").wnids)
    assert (listed[0], listed[-1]) == ("n02869837", "n02090622")
    classes = class_list("imagenet100")
    assert list(classes.wnids) == sorted(listed)
    assert len(set(classes.prompts)) == 100
    assert classes.prompts[classes.wnids.index("n02869837")] == "bonnet"


def test_an_unknown_class_list_or_set_is_named():
    with pytest.raises(UserError, match="classes: got 'imagenet10', expected imagenet100 or imagenet1k"):
        class_list("imagenet10")
    with pytest.raises(UserError, match="set: got 'c', expected one of train, val"):
        folders_of("c", "imagenet1k")


@pytest.mark.parametrize("name", ["r", "a"])
def test_r_and_a_have_200_classes(name):
    folders = folders_of(name, "imagenet1k")
    wnids = class_list("imagenet1k").wnids
    assert len(folders) == 200 and all(wnids[label] == folder for label, folder in folders.items())
    assert list(folders) == sorted(folders)
    package = Path(sys.modules["timm.data"].__file__).parent
    indices = (package / "_info" / f"imagenet_{name}_indices.txt").read_text().split()
    assert list(folders) == [int(index) for index in indices]  # timm's own mask of the logits
    of_100 = folders_of(name, "imagenet100")
    assert 0 < len(of_100) < 100
    assert all(class_list("imagenet100").wnids[label] == folder for label, folder in of_100.items())
    assert set(of_100.values()) == set(folders.values()) & set(class_list("imagenet100").wnids)


def test_v2_folders_are_labels_of_imagenet_1k():
    assert folders_of("v2", "imagenet1k") == {label: str(label) for label in range(1000)}
    wnids = class_list("imagenet1k").wnids
    for label, folder in folders_of("v2", "imagenet100").items():
        assert wnids[int(folder)] == class_list("imagenet100").wnids[label]


# Trees


def test_the_100_classes_are_numbered_in_sorted_order_whatever_else_is_there(whole):
    real = open_set("val", whole, "imagenet100", size=4, resize=8)
    assert len(real.data) == 100 and real.allowed == tuple(range(100))
    for index in (0, 1, 50, 99):
        image, label = real.data[index]
        assert real.data.path(index).parent.name == sorted(class_list("imagenet100").wnids)[label]
        assert image.shape == (3, 4, 4) and image.dtype == torch.uint8
        assert type(label) is int and label == index
    assert "held-out test" in imagenet.__doc__ and open_set("train", whole, "imagenet100").data.root == whole / "train"


def test_the_view_of_1000_classes_needs_1000_folders(whole):
    with pytest.raises(UserError) as error:
        open_set("val", whole, "imagenet1k")
    assert "899 without images: n01443537" in one_line(error.value)
    assert "1000 class folders" in str(error.value)


def test_v2_is_read_by_number_not_by_rank(tmp_path):
    for label, folder in folders_of("v2", "imagenet100").items():
        save(tmp_path / folder / "a.jpeg", (label, 0, 0), size=(8, 8))
    data = open_set("v2", tmp_path, "imagenet100", 8, 8).data
    for index in (0, 30, 99):
        image, label = data[index]
        assert abs(int(image[0, 4, 4]) - label) <= 3


def test_only_images_count(tmp_path):
    for name in ("b.JPEG", "a.jpg", "c.webp", "d.PNG"):
        (tmp_path / "x").mkdir(exist_ok=True)
        (tmp_path / "x" / name).touch()
    for stray in (".DS_Store", "._a.jpg", "Thumbs.db", "README.txt", "a.jpg.part"):
        (tmp_path / "x" / stray).touch()
    (tmp_path / "x" / "nested").mkdir()
    (tmp_path / "x" / "nested" / "e.jpg").touch()
    (tmp_path / "empty").mkdir()
    (tmp_path / "y").mkdir()
    (tmp_path / "y" / "f.jpg").touch()
    (tmp_path / "file").touch()
    listing = list_images(tmp_path, ["y", "none", "x", "empty", "file"])
    assert listing.counts.tolist() == [1, -1, 4, 0, -1]
    assert listing.of(0).tolist() == [b"f.jpg"]
    assert listing.of(2).tolist() == [b"a.jpg", b"b.JPEG", b"c.webp", b"d.PNG"]
    assert listing.of(1).tolist() == listing.of(3).tolist() == []


def test_a_large_listing_is_kept_until_a_folder_changes(tmp_path, monkeypatch):
    monkeypatch.setattr(image_tree, "CACHE_FROM", 2)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    root = tmp_path / "images"
    save(root / "x" / "a.jpg"), save(root / "x" / "ü.jpg")

    def age(folder):
        os.utime(folder, ns=(folder.stat().st_atime_ns, folder.stat().st_mtime_ns - 10**10))

    list_images(root, ["x"])
    assert not (tmp_path / "cache").exists()  # it has just changed
    age(root / "x")
    first = list_images(root, ["x"])
    assert len(list((tmp_path / "cache").rglob("*.npz"))) == 1

    read = []
    names = image_tree._names
    monkeypatch.setattr(image_tree, "_names", lambda folder: read.append(folder) or names(folder))
    again = list_images(root, ["x"])
    assert not read and again.files.tolist() == first.files.tolist() == [b"a.jpg", "ü.jpg".encode()]
    assert ImageTree(root, {7: "x"}, 8, 8).path(1) == root / "x" / "ü.jpg"
    list_images(root, ["x"], cached=False)
    assert len(read) == 1
    save(root / "x" / "c.jpg")
    assert len(list_images(root, ["x"]).files) == 3
    for kept in (tmp_path / "cache").rglob("*.npz"):
        kept.write_bytes(b"damaged")
    assert len(list_images(root, ["x"]).files) == 3


def test_a_flat_folder_is_recognised(tmp_path):
    save(tmp_path / "val" / "ILSVRC2012_val_00000001.JPEG")
    with pytest.raises(UserError) as error:
        open_set("val", tmp_path, "imagenet100")
    assert f"{tmp_path}/val: 1 images in the folder itself, none in class folders; expected" in one_line(error.value)


def test_a_folder_too_high_or_too_low_is_named(whole):
    with pytest.raises(UserError, match="got the subfolders train, val; expected images in each of 100 class folders"):
        open_set("sketch", whole, "imagenet100")
    with pytest.raises(UserError, match="no such folder; expected"):
        open_set("val", whole / "val", "imagenet100")


@pytest.mark.parametrize(("size", "resize"), [(0, 8), (9, 8), (-1, -1)])
def test_sizes_are_checked(whole, size, resize):
    with pytest.raises(UserError, match=f"size, resize: got {size} and {resize}"):
        open_set("val", whole, "imagenet100", size, resize)


# Pixels


def test_the_centre_of_the_resized_image_is_taken(tmp_path):
    """A 60 x 120 image with a white 28 x 28 square in the middle; halved and cut to 20, the square is at 3 .. 17."""
    pixels = np.zeros((60, 120, 3), np.uint8)
    pixels[16:44, 46:74] = 255
    for name, layout in {"wide": pixels, "tall": pixels.swapaxes(0, 1)}.items():
        (tmp_path / name).mkdir()
        Image.fromarray(np.ascontiguousarray(layout)).save(tmp_path / name / "a.png")
    expected = torch.zeros(20, 20)
    expected[3:17, 3:17] = 255
    for image, _ in ImageTree(tmp_path, {0: "wide", 1: "tall"}, size=20, resize=30):
        assert (image[0] - expected).abs().max() < 40  # the edges ring a little
        assert torch.equal(image[0] > 127, expected > 127)
    even = ImageTree(tmp_path, {0: "wide", 1: "tall"}, size=20, resize=60)
    for image, _ in even:
        assert (image == 255).all()  # inside the square
    uncut = ImageTree(tmp_path, {0: "wide", 1: "tall"}, size=60, resize=60)
    for image, _ in uncut:  # no resampling: pixel for pixel the middle of the file
        assert torch.equal(image, torch.from_numpy(pixels[:, 30:90]).permute(2, 0, 1))


def test_the_same_file_gives_the_same_pixels(whole):
    data = open_set("val", whole, "imagenet100", 5, 7).data
    again = open_set("val", whole, "imagenet100", 5, 7).data
    assert torch.equal(data[3][0], again[3][0])


def test_grey_is_repeated(tmp_path):
    image = open_image(save(tmp_path / "a.JPEG", 77, "L"))
    assert image.mode == "RGB"
    assert np.ptp(np.asarray(image)[..., :], axis=2).max() == 0 and abs(int(np.asarray(image)[0, 0, 0]) - 77) <= 1


@pytest.mark.parametrize("ink", CMYK)
def test_cmyk_becomes_the_colours_it_stands_for(tmp_path, ink):
    path = save(tmp_path / "a.JPEG", ink, "CMYK")
    assert Image.open(path).mode == "CMYK"
    assert np.abs(np.asarray(open_image(path)).astype(int) - CMYK[ink]).max() <= 4


def test_a_png_named_jpeg_is_read(tmp_path):
    path = save(tmp_path / "a.JPEG", (1, 2, 3), format="PNG")
    assert open_image(path).getpixel((5, 5)) == (1, 2, 3)
    transparent = save(tmp_path / "b.JPEG", (1, 2, 3, 128), "RGBA", format="PNG")
    assert open_image(transparent).getpixel((5, 5)) == (1, 2, 3)


def bad_files(folder: Path) -> dict[Path, str]:
    folder.mkdir(exist_ok=True)
    text, empty, directory = folder / "text.JPEG", folder / "empty.JPEG", folder / "folder.JPEG"
    text.write_text("<html>404 Not Found</html>")
    empty.touch()
    directory.mkdir()
    return {
        truncate(folder / "cut.JPEG"): "image file is truncated",
        text: "not an image",
        empty: "not an image",
        directory: "Is a directory",
        folder / "absent.JPEG": "No such file",
    }


def test_what_is_no_whole_image_is_named(tmp_path):
    for path, why in bad_files(tmp_path / "x").items():
        with pytest.raises(UserError) as error:
            open_image(path)
        assert one_line(error.value).startswith(f"{path}: {why}")


@pytest.mark.parametrize("workers", [0, 1])
def test_a_worker_names_the_file_in_one_line(tmp_path, workers):
    save(tmp_path / "x" / "a.JPEG")
    cut = truncate(tmp_path / "x" / "b.JPEG")
    with pytest.raises(UserError) as error:
        list(batches(ImageTree(tmp_path, {0: "x"}, 8, 8), 2, workers))
    assert one_line(error.value).startswith(f"{cut}: image file is truncated")


def test_batches_come_in_order(whole):
    data = open_set("val", whole, "imagenet100", 4, 8).data
    parts = list(batches(data, 64, 1))
    assert [len(images) for images, _ in parts] == [64, 36]
    assert torch.cat([labels for _, labels in parts]).tolist() == list(range(100))
    assert parts[0][0].dtype == torch.uint8 and parts[0][0].shape == (64, 3, 4, 4)
    ((_, labels),) = batches(Subset(data, range(1, 100, 40)), 64, 0)
    assert labels.tolist() == [1, 41, 81]


def test_the_data_set_can_be_sent_to_a_worker(whole):
    data = open_set("val", whole, "imagenet100", 4, 8).data
    assert torch.equal(pickle.loads(pickle.dumps(data))[5][0], data[5][0])


# Accuracy


def test_accuracy_among_the_sets_classes_differs():
    logits = torch.tensor([[0.0, 1.0, 2.0, 9.0], [3.0, 1.0, 2.0, 0.0], [0.0, 1.0, 5.0, 0.0]])
    labels = torch.tensor([2, 0, 0])
    assert right(logits, labels).tolist() == [False, True, False]
    assert right(logits, labels, (0, 2)).tolist() == [True, True, False]
    assert right(logits, labels, (1, 3)).tolist() == [False] * 3  # their labels cannot be given


class Reddest(nn.Module):
    """Answers 3 for anything, but would next answer by how red an image is: 0 if it is, else 1."""

    def forward(self, images):
        red = images[:, 0].mean((1, 2))
        return torch.stack([red, -red, torch.zeros_like(red), torch.full_like(red, 9)], 1)


@pytest.fixture
def colours(tmp_path) -> ImageTree:
    """Of four images `Reddest` would be right about three."""
    save(tmp_path / "x" / "a.JPEG", (255, 0, 0)), save(tmp_path / "x" / "b.JPEG", (250, 0, 0))
    save(tmp_path / "y" / "a.JPEG", (0, 0, 255)), save(tmp_path / "y" / "b.JPEG", (255, 255, 255))
    return ImageTree(tmp_path, {0: "x", 1: "y"}, 8, 8)


def test_accuracy_of_a_learner(colours):
    assert accuracy(Reddest(), colours, (0, 1)) == 75
    assert accuracy(Reddest(), colours) == accuracy(Reddest(), colours, (0, 1, 2, 3)) == 0
    in_memory = ImageSet(torch.stack([image for image, _ in colours]), colours.labels)
    assert accuracy(Reddest(), in_memory, (0, 1)) == 75


def test_r_is_judged_by_the_logits_of_its_own_classes(tmp_path):
    """A learner that likes a class that R has no images of is right on R, but not on Sketch, which has them all."""
    in_r = folders_of("r", "imagenet100")
    absent = next(label for label in range(100) if label not in in_r)
    redder, other = (list(in_r)[k] for k in (0, 1))
    for label, folder in folders_of("sketch", "imagenet100").items():
        for root in ("r", "sketch") if label in in_r else ("sketch",):
            save(tmp_path / root / folder / "a.jpg", (255, 0, 0) if label == redder else (0, 0, 0), size=(8, 8))

    class Likes(nn.Module):
        def forward(self, images):
            logits = torch.zeros(len(images), 100)
            logits[:, redder], logits[:, other], logits[:, absent] = images[:, 0].mean((1, 2)), 0.1, 9
            return logits

    found = measured(Likes(), [open_set(name, tmp_path / name, "imagenet100", 8, 8) for name in ("r", "sketch")])
    assert found["r"] == {"images": len(in_r), "accuracy": pytest.approx(100 * 2 / len(in_r))}
    assert found["sketch"] == {"images": 100, "accuracy": 1.0}  # the one class it always answers
    right_of_all = accuracy(Likes(), open_set("r", tmp_path / "r", "imagenet100", 8, 8).data)
    assert right_of_all == 0


class Comparing(nn.Module):
    """Answers 1 for what is redder than the mean of its batch: what it says depends on what it is asked with."""

    def forward(self, images):
        red = images[:, 0].mean((1, 2))
        return torch.stack([red.mean().expand(len(red)), red], 1)


def share(rank: int, world: int, port: int, real: ImageTree | ImageSet, folder: Path) -> None:
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(world)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    processes.join()
    (folder / f"{world}-{rank}").write_text(str(accuracy(Comparing(), real)))
    processes.leave()


@pytest.mark.parametrize("kind", ["files", "memory"])
def test_any_number_of_processes_finds_the_same_accuracy(tmp_path, monkeypatch, kind):
    """Three batches and a bit, so that shares are unequal."""
    monkeypatch.setattr(evaluate, "BATCH", 40)
    rng = np.random.default_rng(0)
    for k in range(130):
        save(tmp_path / "xy"[k % 2] / f"{k}.png", (int(rng.integers(256)), 0, 0), size=(4, 4), format="PNG")
    real = ImageTree(tmp_path, {0: "x", 1: "y"}, 4, 4)
    real = real if kind == "files" else ImageSet(torch.stack([image for image, _ in real]), real.labels)
    (tmp_path / "found").mkdir()
    for world in (2, 4):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        context = multiprocessing.get_context("fork")  # for the smaller batches
        started = [
            context.Process(target=share, args=(rank, world, port, real, tmp_path / "found")) for rank in range(world)
        ]
        for each in started:
            each.start()
        for each in started:
            each.join()
        assert [each.exitcode for each in started] == [0] * world
    found = {path.name: float(path.read_text()) for path in (tmp_path / "found").iterdir()}
    assert len(found) == 6 and set(found.values()) == {accuracy(Comparing(), real)}
    assert 0 < accuracy(Comparing(), real) < 100


# The check


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


def test_every_file_is_opened_on_demand(tree, published, capsys, monkeypatch):
    wnid = class_list("imagenet100").wnids[5]
    (tree / "val" / wnid / f"{wnid}_1.JPEG").unlink()
    for path in bad_files(tree / "val" / wnid):
        if path.is_dir():
            path.rmdir()
    save(tree / "val" / wnid / "z.JPEG")
    monkeypatch.setattr(data_check, "MANY", 1)
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
        ([".", "--open", "-1"], "error: open: got -1, expected 0 or more, or all"),
        ([".", "--workers", "-1"], "error: workers: got -1"),
    ],
)
def test_mistakes_are_one_line(arguments, line, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code, _, err = checked(capsys, *arguments)
    assert code == 2 and err.startswith(line) and len(err.splitlines()) == 1
