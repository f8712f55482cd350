"""Real images in a folder with one subfolder per class, read file by file: they may be too many for memory.

Laid out as for torchvision's `ImageFolder`, with three differences. The *name* of its folder tells the class of an
image, never the rank among the folders that happen to be there, so a folder too many or too few shifts no label. Images
stand right in the class folder: folders inside it, also links to folders above, are not followed. And hidden files are
passed over: archives made on a Mac hold `._NAME.JPEG` beside `NAME.JPEG`, which is no image. What is passed over is
counted.
"""

import contextlib
import hashlib
import os
import stat
import sys
import time
import warnings
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor
from torch.utils.data import Dataset, default_collate
from torchvision.transforms import InterpolationMode, v2

from dp.utils.cache import cache_home
from dp.utils.errors import UserError, in_a_line
from dp.utils.files import atomic
from dp.utils.threads import useful

EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".pgm")
# Pillow knows more, and runs other programs for some (Ghostscript for EPS).
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "PPM")
HIDDEN_FOLDERS = ("@eaDir", "__MACOSX")  # of a Synology's and a Mac's own, beside those that begin with a dot
LARGEST = 89_478_485  # pixels of an image, Pillow's own limit: 256 MiB in RGB
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning, module="PIL")  # refused here, in a line
CACHE_FROM = 100_000  # images; fewer are listed in no time
ABSENT = -1


@dataclass(frozen=True)
class Listing:
    """The image files of some folders.

    Attributes:
        files: bytes [N], names without their folder, sorted within each one. An array, not a list of strings, which
            takes several times the memory.
        counts: int64 [K], images in each folder; -1 where there is no such folder.
        passed_over: kind -> how many there are of other files and folders: an extension, "hidden" or "without
            extension".
    """

    files: np.ndarray
    counts: np.ndarray
    passed_over: dict[str, int]

    def of(self, folder: int) -> np.ndarray:
        """File names, bytes [n], in the folder of this position."""
        ends = self.counts.clip(min=0).cumsum()
        return self.files[ends[folder] - max(self.counts[folder], 0) : ends[folder]]


def list_images(root: Path, folders: Sequence[str], cached: bool = True) -> Listing:
    """List the image files (by their extensions, hidden files left out) right in root/folder, for each of the folders.

    A look at every folder, none at a file. A large listing is kept in the user's cache and is good for as long as no
    folder's modification time changes, which the file system sets when a file comes, goes or is renamed.

    Args:
        root: holds the folders.
        folders: their names; one that is missing counts -1.
        cached: take the kept listing; False reads the folders anew (and keeps that).
    """
    changed = np.array([_changed(root / name) for name in folders])  # int64 [K], nanoseconds
    cache = _cache_file(root, folders)
    kept = _read_cache(cache) if cached else None
    if kept is not None and np.array_equal(kept[0], changed):
        return kept[1]
    passed_over: Counter[str] = Counter()
    names = []
    for name, when in zip(folders, changed, strict=True):
        # Names only, where scandir would also make an object of each.
        kinds = {each: kind_of(each) for each in sorted(os.listdir(root / name))} if when != ABSENT else {}
        names.append([os.fsencode(each) for each, kind in kinds.items() if kind is None])
        passed_over.update(kind for kind in kinds.values() if kind is not None)
    counts = [len(each) if when != ABSENT else ABSENT for each, when in zip(names, changed, strict=True)]
    listing = Listing(np.array([name for each in names for name in each], "S"), np.array(counts), dict(passed_over))
    # A folder that changed just now may change again within one tick of the file system's clock, unseen.
    settled = changed.max(initial=0) < time.time_ns() - 2e9
    if len(listing.files) >= CACHE_FROM and settled:
        with contextlib.suppress(OSError, UserError), atomic(cache) as partial, partial.open("wb") as file:
            words, numbers = list(passed_over), list(passed_over.values())
            np.savez(file, changed=changed, files=listing.files, counts=counts, kinds=words, numbers=numbers)
    return listing


def kind_of(name: str) -> str | None:
    """Return what a file of that name is passed over as; None for an image."""
    if name.startswith(".") or name in HIDDEN_FOLDERS:
        return "hidden"
    extension = os.path.splitext(name)[1].lower()
    return None if extension in EXTENSIONS else extension or "without extension"


def subfolders(root: Path) -> list[str]:
    """Return the names of the folders in a folder, sorted; hidden ones are left out.

    Raises:
        OSError: there is no such folder.
    """
    with os.scandir(root) as entries:
        return sorted(entry.name for entry in entries if kind_of(entry.name) != "hidden" and entry.is_dir())


def _changed(folder: Path) -> int:
    try:
        return folder.stat().st_mtime_ns if folder.is_dir() else ABSENT
    except OSError:
        return ABSENT


def _cache_file(root: Path, folders: Sequence[str]) -> Path:
    key = hashlib.sha256("\0".join([str(root.resolve()), *folders]).encode("utf-8", "surrogateescape")).hexdigest()
    return cache_home() / "listings" / f"{key[:32]}.npz"


def _read_cache(path: Path) -> tuple[np.ndarray, Listing] | None:
    try:
        with np.load(path, allow_pickle=False) as file:
            passed_over = dict(zip(file["kinds"].tolist(), file["numbers"].tolist(), strict=True))
            listing = Listing(file["files"], file["counts"], passed_over)
            assert len(listing.files) == listing.counts.clip(min=0).sum()
            return file["changed"], listing
    except Exception:  # absent or damaged, of which numpy and zipfile raise many kinds: the folders are read instead
        return None


def layout_problem(root: Path, folders: Sequence[str]) -> str | None:
    """Say in a few words why none of these class folders may be in root; return None if root holds one of them."""
    try:
        found, images = subfolders(root), sum(kind_of(name) is None for name in os.listdir(root))
    except OSError:
        return "no such folder"
    if not set(folders).isdisjoint(found):
        return None
    if images and not found:
        return f"{images:,} images in the folder itself, none in class folders"
    return f"got the subfolders {few(found) or 'none'}"


def open_image(path: Path) -> Image.Image:
    """Return the image in a file, in RGB, whatever its extension claims.

    Grey is repeated in the three channels; of 16 bits the upper 8 are taken; CMYK (Adobe's inverted kind, as in
    ImageNet) becomes the colours it stands for; transparency is dropped. EXIF orientation is not applied, nor do
    torchvision and timm, by whose numbers others' are compared.

    Raises:
        UserError: no image of `FORMATS`, not a whole one, one of more than `LARGEST` pixels, or of 32 bits.
    """
    try:
        with opened(path) as image:
            return in_rgb(image)
    except Exception as error:  # a decoder raises many kinds for a damaged file; all mean the same here
        raise UserError(f"{path}: {reason(error)}; expected a whole image, restore the file") from None


def in_rgb(image: Image.Image) -> Image.Image:
    """Return an image in RGB, of 16 bits the upper 8.

    Raises:
        ValueError: it is grey of 32 bits.
    """
    _check_bits(image)
    if image.mode.startswith("I"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    return image.convert("RGB")


def _check_bits(image: Image.Image) -> None:
    """Raise ValueError for grey of 32 bits, of which nobody knows black and white.

    Mode "I" is that of a .pgm of 16 bits too, which Pillow scales to 0 .. 65535.
    """
    if image.mode == "F" or (image.mode == "I" and image.format != "PPM"):
        raise ValueError("a grey image of 32 bits, of which black and white are not known")


def cut(sides: tuple[int, int], resize: int | None, channels: int) -> v2.Compose:
    """Return what makes an image in RGB uint8 [channels, *sides].

    The shorter side is resized to `resize` (None: the image, just so much that it covers `sides`), the centre taken.
    """
    grey = [v2.Grayscale()] if channels == 1 else []
    resized = _Cover(*sides) if resize is None else v2.Resize(resize, InterpolationMode.BICUBIC)
    return v2.Compose([*grey, resized, v2.CenterCrop(sides), v2.PILToTensor()])


@dataclass(frozen=True)
class _Cover:
    """Resize an image, its proportions kept, to the smallest that covers height x width."""

    height: int
    width: int

    def __call__(self, image: Image.Image) -> Image.Image:
        if self.height * image.width >= self.width * image.height:
            sides = [self.height, self.height * image.width // image.height]
        else:
            sides = [self.width * image.height // image.width, self.width]
        return v2.functional.resize(image, sides, InterpolationMode.BICUBIC)


def opened(path: Path) -> Image.Image:
    """Open an image file without reading its pixels.

    Raises:
        OSError, ValueError: it is none of `FORMATS`, no regular file, of more than `LARGEST` pixels, or grey of 32
            bits. Other kinds come from a damaged file.
    """
    if stat.S_ISFIFO(path.stat().st_mode) or path.is_char_device():
        raise ValueError("not a regular file")  # it would be waited for
    image = Image.open(path, formats=FORMATS)
    if image.width * image.height > LARGEST:
        raise ValueError(f"{image.width} x {image.height} pixels, more than {LARGEST:,}")
    _check_bits(image)
    return image


def reason(error: Exception) -> str:
    """Say what is wrong with an image file, by Pillow's exception; one line without the file's name."""
    if isinstance(error, UnidentifiedImageError):
        return "not an image"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return in_a_line(error)


class ImageTree(Dataset[tuple[Tensor, int]]):
    """Labelled images in root/FOLDER/*: item i is (uint8 [channels, height, width], 0 .. 255, its label).

    Always the same pixels: the shorter side is resized to `resize` (bicubic, antialiased), then the centre is taken.
    Sorted by folder in the order given, then by file name.

    Attributes:
        root: holds the folders.
        folders: label -> name of the folder.
        files: bytes [N], the file names.
        labels: int64 [N].
    """

    def __init__(
        self,
        root: Path,
        folders: Mapping[int, str],
        size: int | tuple[int, int] = 224,
        resize: int | None = 256,
        channels: Literal[1, 3] = 3,
    ):
        """List the files, and say on stderr how many were passed over.

        Args:
            root: holds the folders.
            folders: label -> name of the folder.
            size: pixels of a side, or (height, width).
            resize: pixels of the shorter side before the centre is taken, size or more; None: just so many that the
                image covers the size.
            channels: 3 for colour, 1 for grey.

        Raises:
            UserError: sizes out of range, or a class without images.
        """
        sides = (size, size) if isinstance(size, int) else size
        if not 1 <= min(sides) <= max(sides) <= (max(sides) if resize is None else resize):
            raise UserError(f"size, resize: got {size} and {resize}, expected 1 <= size <= resize")
        self.root = root
        self.folders = dict(folders)
        names = list(self.folders.values())
        listing = list_images(root, names)
        without = [name for name, count in zip(names, listing.counts, strict=True) if count < 1]
        if without:
            found = layout_problem(root, names) or f"{len(without)} without images: {few(without)}"
            raise UserError(f"{root}: {found}; expected images in each of {len(names)} class folders, {few(names)}")
        if listing.passed_over:
            print(f"{root}: passed over {in_words(listing.passed_over)}", file=sys.stderr)
        self.files = listing.files
        self.labels = torch.from_numpy(np.repeat(list(self.folders), listing.counts))
        self.transform = cut(sides, resize, channels)

    def __len__(self) -> int:
        return len(self.files)

    def path(self, index: int) -> Path:
        """Return the file of an item."""
        return self.root / self.folders[int(self.labels[index])] / os.fsdecode(self.files[index])

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Read an item: (uint8 [channels, height, width], label).

        Raises:
            UserError: the file is no image, or not a whole one; the line names it.
        """
        return self.transform(open_image(self.path(index))), int(self.labels[index])


def in_words(passed_over: Mapping[str, int]) -> str:
    """Return what was passed over for a message: "3 files: 2 .gif, 1 hidden (images end in .jpg, ...)"."""
    kinds = ", ".join(
        f"{count:,} {kind}" for kind, count in sorted(passed_over.items(), key=lambda each: (-each[1], each[0]))[:5]
    )
    return f"{sum(passed_over.values()):,} files: {kinds} (images end in {', '.join(EXTENSIONS)})"


def few(names: Sequence[str], count: int = 3) -> str:
    """Return the first few of some names, for a message."""
    return ", ".join(names[:count]) + (", ..." if len(names) > count else "")


def few_apart(found: Sequence[str], expected: Sequence[str], count: int = 3) -> tuple[str, str]:
    """Return the first few of two lists of names, for a message; from where they differ, if they begin the same."""
    pairs = enumerate(zip(found, expected, strict=False))
    first = next((i for i, (one, other) in pairs if one != other), min(len(found), len(expected)))
    if first < count:
        return few(found, count), few(expected, count)
    got, wanted = (few(each[first:], count) or "no more" for each in (found, expected))
    return f"..., {got}", f"..., {wanted}"


class ImageData(Protocol):
    """Stand for images that are too many for memory: an `ImageTree`, or any data set with a length."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> tuple[Tensor, int]:
        """Read an image uint8 [C, H, W] and its label."""


def batches(data: ImageData, batch_size: int = 256, workers: int = 4) -> Iterator[tuple[Tensor, Tensor]]:
    """Read all items in order, a batch ahead, by threads: (uint8 [B, channels, height, width], int64 [B]).

    Threads and not a `DataLoader`'s processes: Pillow decodes and resizes without Python's lock, and where processes do
    not start as copies of this one (macOS, Windows, Linux from Python 3.14 on) they would take seconds to start.

    Args:
        data: the items.
        batch_size: items in a batch; the last one may have fewer.
        workers: threads; no more than there are cores are started.

    Raises:
        UserError: a file that is no whole image; the line names it.
    """
    pool = ThreadPoolExecutor(useful(workers))
    waiting: deque[list[Future[tuple[Tensor, int]]]] = deque()
    try:
        for first in range(0, len(data), batch_size):
            rows = range(first, min(first + batch_size, len(data)))
            waiting.append([pool.submit(data.__getitem__, row) for row in rows])
            if len(waiting) > 1:
                yield default_collate([item.result() for item in waiting.popleft()])
        while waiting:
            yield default_collate([item.result() for item in waiting.popleft()])
    finally:
        pool.shutdown(cancel_futures=True)
