"""The real images: Fashion-MNIST, padded to 32 x 32.

    python -m dp.data.fashion_mnist                      # find or fetch the training images, say where they are
    python -m dp.data.fashion_mnist --folder FOLDER      # take them from a folder of your own
    python -m dp.data.fashion_mnist --make-bundle        # make dp/assets/fashion-mnist-eval.npz again

Three disjoint sets, and what each may be used for:
  validation  5,000 images of the original training set, 500 a class: plateau detection and tuning. In the repository.
  test        the original 10,000 test images: the final evaluation, once a run. In the repository.
  train       the other 55,000: the generator's and the real-data baseline's. Found or fetched, checked by checksum.
"""

import gzip
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import torch

from dp.data.image_set import ImageSet
from dp.utils.cache import cache_home
from dp.utils.command_line import run_command
from dp.utils.errors import UserError, in_a_line
from dp.utils.files import atomic

CLASSES = ("t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
IMAGE_SIZE = 32
ASSETS = Path(__file__).parents[1] / "assets"
BUNDLE = ASSETS / "fashion-mnist-eval.npz"
SYSTEM_FOLDER = Path("/usr/share/datasets/fashion-mnist")  # Debian's package dataset-fashion-mnist
FOLDER_VARIABLE = "DP_FASHION_MNIST"

# SHA-256 of the *decompressed* files: distributors compress them anew, the content is one.
IDX_SHA256 = {
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}
BUNDLE_SHA256 = (
    "c78a0baa930998fb5f781cf4fc6d2ca889f642287b2a7334428639ad2d30c66b"  # of the arrays' bytes, in the order below
)
BUNDLE_ARRAYS = ("validation_images", "validation_labels", "validation_index", "test_images", "test_labels")


def validation_images() -> ImageSet:
    """The 5,000 validation images: plateau detection and tuning.

    Example:
        >>> from dp import validation_images
        >>> validation_images()
        ImageSet(5000 images [1, 32, 32])
    """
    bundle = _bundle()
    return _image_set(bundle["validation_images"], bundle["validation_labels"])


def test_images() -> ImageSet:
    """The 10,000 test images, for the final evaluation only.

    Example:
        >>> from dp import test_images
        >>> test_images()
        ImageSet(10000 images [1, 32, 32])
    """
    bundle = _bundle()
    return _image_set(bundle["test_images"], bundle["test_labels"])


def train_images(folder: Path | None = None) -> ImageSet:
    """The 55,000 training images that are not in the validation set.

    Looked for in `folder` (or the folder named by $DP_FASHION_MNIST), Debian's system folder and the cache; else
    Debian's package is fetched and unpacked into the cache (no root), else torchvision downloads there.

    Raises:
        UserError: a named folder lacks the files, a checksum is wrong, or nothing could be fetched.
    """
    images, labels = (_idx(find_train_folder(folder) / name) for name in list(IDX_SHA256)[:2])
    rest = np.ones(len(labels), bool)
    rest[_bundle()["validation_index"]] = False
    return _image_set(images[rest], labels[rest])


def find_train_folder(folder: Path | None = None) -> Path:
    """The folder that holds the training files; see `train_images`."""
    if folder is None and FOLDER_VARIABLE in os.environ:
        folder = Path(os.environ[FOLDER_VARIABLE])
    if folder is not None:
        if not _has_train_files(folder):
            raise UserError(
                f"{folder}: expected train-images-idx3-ubyte and train-labels-idx1-ubyte (or .gz) here, found neither "
                "or only one; name the folder that holds Fashion-MNIST's training files"
            )
        return folder
    cached = cache_home() / "fashion-mnist"
    for candidate in (SYSTEM_FOLDER, cached):
        if _has_train_files(candidate):
            return candidate
    for fetch in (_fetch_debian, _fetch_torchvision):
        print(f"fetching Fashion-MNIST's training images into {cached} ({fetch.__doc__})", file=sys.stderr)
        try:
            fetch(cached)
        except (OSError, RuntimeError, subprocess.SubprocessError) as error:
            print(f"  not to be had: {in_a_line(error)}", file=sys.stderr)
        else:
            return cached
    raise UserError(
        "Fashion-MNIST's 55,000 training images: found in no folder and could not be fetched; install Debian's package "
        f"dataset-fashion-mnist, or set ${FOLDER_VARIABLE} to a folder with train-images-idx3-ubyte.gz and "
        "train-labels-idx1-ubyte.gz"
    )


def _has_train_files(folder: Path) -> bool:
    return all((folder / n).is_file() or (folder / f"{n}.gz").is_file() for n in list(IDX_SHA256)[:2])


def _fetch_debian(folder: Path) -> None:
    """Debian's package dataset-fashion-mnist, 31 MB"""
    if not shutil.which("apt-get") or not shutil.which("dpkg"):
        raise RuntimeError("this is not a Debian machine")
    with tempfile.TemporaryDirectory() as work:
        command = ["apt-get", "download", "dataset-fashion-mnist"]
        subprocess.run(command, cwd=work, check=True, capture_output=True, timeout=600)
        package = next(Path(work).glob("*.deb"))
        subprocess.run(["dpkg", "-x", package.name, "."], cwd=work, check=True, capture_output=True, timeout=60)
        for name in IDX_SHA256:
            with atomic(folder / f"{name}.gz") as partial:
                shutil.copyfile(Path(work) / SYSTEM_FOLDER.relative_to("/") / f"{name}.gz", partial)


def _fetch_torchvision(folder: Path) -> None:
    """torchvision's download, 31 MB"""
    from torchvision.datasets import FashionMNIST

    with tempfile.TemporaryDirectory() as work:
        FashionMNIST(work, download=True)
        for name in IDX_SHA256:
            with atomic(folder / f"{name}.gz") as partial:
                shutil.copyfile(Path(work) / "FashionMNIST" / "raw" / f"{name}.gz", partial)


def _idx(path: Path) -> np.ndarray:
    """An IDX file (plain or .gz), checked against its known SHA-256: uint8 [N] or [N, 28, 28]."""
    try:
        raw = path.read_bytes() if path.is_file() else gzip.decompress(path.with_name(f"{path.name}.gz").read_bytes())
    except (gzip.BadGzipFile, EOFError) as error:
        raise UserError(f"{path}.gz: not a whole gzip file ({error}); remove it and fetch it again") from None
    found = hashlib.sha256(raw).hexdigest()
    if found != IDX_SHA256[path.name]:
        raise UserError(
            f"{path}: SHA-256 of the content is {found[:12]}..., expected {IDX_SHA256[path.name][:12]}...; "
            "remove the file and fetch it again"
        )
    axes = raw[3]  # IDX: two zero bytes, type (8 = uint8), number of axes, then big-endian sizes
    shape = np.frombuffer(raw, ">i4", axes, offset=4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * axes).reshape(shape)


def _image_set(images: np.ndarray, labels: np.ndarray) -> ImageSet:
    margin = (IMAGE_SIZE - images.shape[-1]) // 2
    padded = np.pad(images, ((0, 0), (margin, margin), (margin, margin)))  # [N, 32, 32]
    return ImageSet(torch.from_numpy(padded)[:, None], torch.from_numpy(labels.astype(np.int64)))


@cache
def _bundle() -> dict[str, np.ndarray]:
    if not BUNDLE.is_file():
        raise UserError(f"{BUNDLE}: missing; it is part of the repository, restore it with git checkout")
    try:
        with np.load(BUNDLE, allow_pickle=False) as file:
            arrays = {name: file[name] for name in BUNDLE_ARRAYS}
    except Exception as error:  # numpy and zipfile raise many kinds for a damaged file; all mean the same here
        raise UserError(f"{BUNDLE}: damaged ({error}); restore it with git checkout") from None
    if _arrays_sha256(arrays) != BUNDLE_SHA256:
        raise UserError(f"{BUNDLE}: checksum is wrong; restore it with git checkout")
    return arrays


def _arrays_sha256(arrays: dict[str, np.ndarray]) -> str:
    return hashlib.sha256(b"".join(arrays[name].tobytes() for name in BUNDLE_ARRAYS)).hexdigest()


def write_bundle(folder: Path | None = None) -> str:
    """Make the validation and test file of the repository from the original files; returns its checksum."""
    folder = find_train_folder(folder)
    train_images, train_labels, test_images, test_labels = (_idx(folder / name) for name in IDX_SHA256)
    rng = np.random.default_rng(2502_15588)
    index = np.sort(
        np.concatenate([rng.choice(np.flatnonzero(train_labels == c), 500, replace=False) for c in range(10)])
    )
    arrays = {
        "validation_images": train_images[index],
        "validation_labels": train_labels[index],
        "validation_index": index,
        "test_images": test_images,
        "test_labels": test_labels,
    }
    with atomic(BUNDLE) as partial, partial.open("wb") as file:
        np.savez_compressed(file, **arrays)
    return _arrays_sha256(arrays)


def main(folder: Path | None = None, make_bundle: bool = False) -> None:
    """Find, fetch and check the real images."""
    found = find_train_folder(folder)
    if make_bundle:
        print(f"{BUNDLE}: {write_bundle(folder)}")
        return
    print(f"train       {len(train_images(folder)):6,} images, from {found}")
    print(f"validation  {len(validation_images()):6,} images, from {BUNDLE}")
    print(f"test        {len(test_images()):6,} images, from {BUNDLE}")


if __name__ == "__main__":
    import tyro

    run_command(lambda: tyro.cli(main))
