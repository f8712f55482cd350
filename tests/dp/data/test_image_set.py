"""Folders of pictures of one's own, read into memory by the same rule as trees of ImageNet."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import ClassLabel, Dataset, DatasetDict, Features
from datasets import Image as Picture
from PIL import Image

from dp.data.image_set import image_dataset, image_folder
from dp.data.image_tree import ImageTree
from dp.utils.errors import UserError

GREY = Image.new("L", (8, 8))


@pytest.fixture
def pictures(tmp_path) -> Path:
    """Two pictures of each of two classes, of one colour each: 10, 20 and 30, 40."""
    for name, colours in {"cat": (10, 20), "dog": (30, 40)}.items():
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for colour in colours:
            Image.new("RGB", (12, 8), (colour,) * 3).save(tmp_path / "pictures" / name / f"{colour}.png")
    return tmp_path / "pictures"


def test_labels_follow_the_names_given(pictures):
    found = image_folder(pictures, ("dog", "cat"), (1, 6, 6))
    assert found.images.shape == (4, 1, 6, 6) and found.images.dtype == torch.uint8
    assert found.labels.tolist() == [0, 0, 1, 1] and found.images[:, 0, 0, 0].tolist() == [30, 40, 10, 20]


def test_a_folder_alone_is_enough(pictures):
    found = image_folder(str(pictures))
    assert found.images.shape == (4, 3, 8, 12) and found.images[:, 0, 0, 0].tolist() == [10, 20, 30, 40]


def test_both_readers_pass_over_the_same_and_say_so(pictures, capsys):
    plain = image_folder(pictures)
    capsys.readouterr()
    for stray in (".DS_Store", "cat/._10.png", "cat/notes.txt", "dog/a.gif", "dog/b.gif"):
        (pictures / stray).write_bytes(b"no picture")
    for folder in (".ipynb_checkpoints", "@eaDir", "__MACOSX", "cat/.ipynb_checkpoints"):
        shutil.copytree(pictures / "dog", pictures / folder)
    os.symlink(".", pictures / "cat" / "loop")
    assert torch.equal(image_folder(pictures).images, plain.images)
    said = capsys.readouterr().err
    assert said.startswith(f"{pictures}: passed over 6 files: 2 .gif, 2 hidden, 1 .txt, 1 without extension (images")
    tree = ImageTree(pictures, {0: "cat", 1: "dog"}, (8, 12), 12)
    assert len(tree) == len(plain) and capsys.readouterr().err == said


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda p: (p / "bird").mkdir(), "got the subfolders bird, cat, dog, expected one per class: cat, dog"),
        (lambda p: shutil.rmtree(p / "cat"), "got the subfolders dog, expected one per class: cat, dog"),
        (lambda p: [each.unlink() for each in (p / "cat").iterdir()], "1 without images: cat"),
        (lambda p: (p / "cat" / "10.png").write_text("no picture"), "10.png: not an image"),
    ],
)
def test_what_is_wrong_with_a_folder_is_named(pictures, harm, message):
    harm(pictures)
    with pytest.raises(UserError, match=message):
        image_folder(pictures, ("cat", "dog"))


def test_two_classes_or_more_are_needed_each_named_once(pictures):
    for read in (image_folder, lambda folder, names: image_dataset(dataset_of(folder, ["cat", "dog"]), names)):
        with pytest.raises(UserError, match="classes: got cat more than once, expected each once"):
            read(pictures, ("cat", "dog", "cat"))
    shutil.rmtree(pictures / "dog")
    for names in (None, ["cat"]):
        with pytest.raises(UserError, match="got the subfolders cat, expected one per class: two or more"):
            image_folder(pictures, names)


@pytest.mark.parametrize("size", [(64, 16), (32, 8), (128, 64), (100, 16), (64, 20)])
def test_a_picture_is_resized_just_so_much_that_it_covers_the_shape(tmp_path, size):
    picture = Image.effect_noise(size, 60).convert("RGB")
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        picture.save(tmp_path / name / "1.png")
    scale = max(64 / size[0], 16 / size[1])
    covering = picture.resize((int(size[0] * scale), int(size[1] * scale)), Image.Resampling.BICUBIC)
    left, top = (covering.width - 64) // 2, (covering.height - 16) // 2
    expected = torch.from_numpy(np.array(covering.crop((left, top, left + 64, top + 16)))).permute(2, 0, 1)
    for found in (
        image_folder(tmp_path, None, (3, 16, 64)),
        image_dataset(dataset_of(tmp_path, ["cat", "dog"]), None, (3, 16, 64)),
    ):
        assert (found.images == expected).all()
    square = image_folder(tmp_path, None, (3, 16, 16)).images[0]  # as the shorter side resized to 16
    assert torch.equal(square, ImageTree(tmp_path, {0: "cat"}, 16, 16)[0][0])


def dataset_of(pictures: Path, names: list[str]) -> Dataset:
    """The same pictures as a data set of Hugging Face."""
    features = Features(photo=Picture(), kind=ClassLabel(names=names))
    files = sorted(pictures.rglob("*.*"))
    labels = [names.index(file.parent.name) for file in files]
    return Dataset.from_dict({"photo": [str(file) for file in files], "kind": labels}, features)


def test_a_data_set_gives_what_its_pictures_in_folders_give(pictures, tmp_path):
    folder = image_folder(pictures, ("cat", "dog"), (3, 16, 16))
    dataset = dataset_of(pictures, ["dog", "cat"])
    dataset.save_to_disk(str(tmp_path / "saved"))
    for found in (
        image_dataset(dataset, ("cat", "dog"), (3, 16, 16)),
        image_folder(tmp_path / "saved", ("cat", "dog"), (3, 16, 16)),
    ):
        order = found.labels.argsort(stable=True)
        assert torch.equal(found.labels[order], folder.labels) and torch.equal(found.images[order], folder.images)
    with pytest.raises(UserError, match=r"dataset: got the classes dog, cat, expected cat, bird"):
        image_dataset(dataset, ("cat", "bird"))
    with pytest.raises(UserError, match="dataset: got 0 columns of ClassLabel among photo, expected one"):
        image_dataset(dataset.remove_columns("kind"))
    (tmp_path / "saved" / "state.json").write_text("{}")
    with pytest.raises(UserError, match=r"saved: .*; restore it from a copy"):
        image_folder(tmp_path / "saved", ("cat", "dog"))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            {"kind": [0, -1, None]},
            r"got 2 of 3 rows without a class \(None or -1 in kind\), expected one in each; leave",
        ),
        ({"photo": [GREY, None, None]}, "got no picture in row 1, expected one in each; leave out"),
        ({"photo": [None] * 3}, "got no picture in row 0"),
        ({"photo": [Image.new("F", (8, 8))] * 3}, "row 0: a grey image of 32 bits, .*; expected 8 or 16 bits"),
        ({"photo": [Image.new("I", (8, 8))] * 3}, "row 0: a grey image of 32 bits"),
    ],
)
def test_what_is_wrong_with_a_row_of_a_data_set_is_named(rows, message):
    features = Features(photo=Picture(), kind=ClassLabel(names=["cat", "dog"]))
    dataset = Dataset.from_dict({"photo": [GREY] * 3, "kind": [0, 1, 0]} | rows, features)
    with pytest.raises(UserError, match=f"dataset: {message}"):
        image_dataset(dataset)


def test_a_data_set_of_several_splits_is_told(pictures):
    dataset = dataset_of(pictures, ["cat", "dog"])
    with pytest.raises(UserError, match=r"dataset: got the splits train, test, expected one of them"):
        image_dataset(DatasetDict(train=dataset, test=dataset))
