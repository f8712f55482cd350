"""Trees of image files: which images there are, their pixels, and files that are none."""

import os

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Subset

from dp.data import image_tree, imagenet
from dp.data.image_tree import ImageTree, batches, few_apart, list_images, open_image
from dp.data.imagenet import class_list, folders_of, open_set
from dp.utils.errors import UserError
from tests.dp.image_files import bad_files, save, truncate

CMYK = {(0, 0, 0, 0): (255, 255, 255), (255, 0, 0, 0): (0, 255, 255), (0, 255, 255, 0): (255, 0, 0)}


def one_line(error: BaseException) -> str:
    text = str(error)
    assert "\n" not in text and "Traceback" not in text
    return text


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
    assert listing.passed_over == {"hidden": 2, ".db": 1, ".txt": 1, ".part": 1, "without extension": 1}


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
    listdir = os.listdir
    monkeypatch.setattr(image_tree.os, "listdir", lambda folder: read.append(folder) or listdir(folder))
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


def test_grey_of_16_bits_keeps_its_shades_and_of_32_bits_is_refused(tmp_path):
    shades = np.arange(0, 65536, 256, dtype=np.uint16)[None]
    for name in ("a.png", "a.tif"):
        Image.fromarray(shades).save(tmp_path / name)
        assert np.asarray(open_image(tmp_path / name))[0, :, 0].tolist() == list(range(256))
    (tmp_path / "a.pgm").write_bytes(b"P5 256 1 65535\n" + shades.astype(">u2").tobytes())
    assert np.asarray(open_image(tmp_path / "a.pgm"))[0, :, 0].tolist() == list(range(256))
    Image.fromarray(shades.astype(np.float32)).save(tmp_path / "f.tif")
    with pytest.raises(UserError, match="a grey image of 32 bits"):
        open_image(tmp_path / "f.tif")


def test_what_would_run_a_program_wait_or_fill_the_memory_is_refused(tmp_path):
    (tmp_path / "eps.png").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n")
    os.mkfifo(tmp_path / "pipe.png")
    header = save(tmp_path / "large.bmp", format="BMP").read_bytes()
    size = np.array([60_000, 60_000], "<u4").tobytes()
    (tmp_path / "large.bmp").write_bytes(header[:18] + size + header[26:])
    for name, why in (
        ("eps.png", "not an image"),
        ("pipe.png", "not a regular file"),
        ("large.bmp", "60000 x 60000|exc"),
    ):
        with pytest.raises(UserError, match=f"{name}: .*{why}") as error:
            open_image(tmp_path / name)
        one_line(error.value)


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


def test_what_is_no_whole_image_is_named(tmp_path):
    for path, why in bad_files(tmp_path / "x").items():
        with pytest.raises(UserError) as error:
            open_image(path)
        assert one_line(error.value).startswith(f"{path}: {why}")


@pytest.mark.parametrize("workers", [0, 1, 4])
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


@pytest.mark.parametrize(
    ("found", "expected", "said"),
    [
        ("abcde", "abced", ("..., d, e", "..., e, d")),
        ("abcd", "bacd", ("a, b, c, ...", "b, a, c, ...")),
        ("abcd", "abcdefgh", ("..., no more", "..., e, f, g, ...")),
        ("abcd", "ab", ("a, b, c, ...", "a, b")),
    ],
)
def test_lists_of_names_are_shown_from_where_they_differ(found, expected, said):
    assert few_apart(list(found), list(expected)) == said
