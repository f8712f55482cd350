"""Real images that are too many for memory: a folder of one subfolder a class, read file by file.

Laid out as for torchvision's `ImageFolder`, with two differences. A class is told by its folder's *name*, never by its
rank among the folders that happen to be there, so a folder too many or too few shifts no label. And hidden files are
passed over: archives made on a Mac hold `._NAME.JPEG` beside `NAME.JPEG`, which is no image.
"""

import contextlib
import hashlib
import os
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor
from torch.utils.data import Dataset, default_collate
from torchvision.datasets.folder import IMG_EXTENSIONS
from torchvision.transforms import InterpolationMode, v2

from dp.utils.errors import UserError
from dp.utils.files import atomic

CACHE_FROM = 100_000  # images; fewer are listed in no time
ABSENT = -1


@dataclass(frozen=True)
class Listing:
    """The image files of some folders.

    Attributes:
        files: bytes [N], names without their folder, sorted within each one. An array, not a list of strings, which
            takes several times the memory.
        counts: int64 [K], images in each folder; -1 where there is no such folder.
    """

    files: np.ndarray
    counts: np.ndarray

    def of(self, folder: int) -> np.ndarray:
        """File names, bytes [n], in the folder of this position."""
        ends = self.counts.clip(min=0).cumsum()
        return self.files[ends[folder] - max(self.counts[folder], 0) : ends[folder]]


def list_images(root: Path, folders: Sequence[str], cached: bool = True) -> Listing:
    """The image files (torchvision's extensions, hidden files left out) right in root/folder, for each of the folders.

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
    names = [_names(root / name) if when != ABSENT else [] for name, when in zip(folders, changed, strict=True)]
    counts = [len(each) if when != ABSENT else ABSENT for each, when in zip(names, changed, strict=True)]
    listing = Listing(np.array([name for each in names for name in each], "S"), np.array(counts))
    # A folder that changed just now may change again within one tick of the file system's clock, unseen.
    settled = changed.max(initial=0) < time.time_ns() - 2e9
    if len(listing.files) >= CACHE_FROM and settled:
        with contextlib.suppress(OSError), atomic(cache) as partial, partial.open("wb") as file:
            np.savez(file, changed=changed, files=listing.files, counts=listing.counts)
    return listing


def _changed(folder: Path) -> int:
    try:
        return folder.stat().st_mtime_ns if folder.is_dir() else ABSENT
    except OSError:
        return ABSENT


def _names(folder: Path) -> list[bytes]:
    names = sorted(os.listdir(folder))  # names only, where scandir would also make an object of each
    return [os.fsencode(name) for name in names if name.lower().endswith(IMG_EXTENSIONS) and name[0] != "."]


def _cache_file(root: Path, folders: Sequence[str]) -> Path:
    key = hashlib.sha256("\0".join([str(root.resolve()), *folders]).encode("utf-8", "surrogateescape")).hexdigest()
    home = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    return home / "deliberate-practice" / "listings" / f"{key[:32]}.npz"


def _read_cache(path: Path) -> tuple[np.ndarray, Listing] | None:
    try:
        with np.load(path, allow_pickle=False) as file:
            return file["changed"], Listing(file["files"], file["counts"])
    except Exception:  # absent or damaged, of which numpy and zipfile raise many kinds: the folders are read instead
        return None


def layout_problem(root: Path, folders: Sequence[str]) -> str | None:
    """Why none of these class folders may be in root, in a few words; None if root holds one of them."""
    try:
        with os.scandir(root) as entries:
            found = sorted((entry.name, entry.is_dir()) for entry in entries if entry.name[0] != ".")
    except OSError:
        return "no such folder"
    subfolders = [name for name, is_folder in found if is_folder]
    if not set(folders).isdisjoint(subfolders):
        return None
    images = sum(name.lower().endswith(IMG_EXTENSIONS) for name, is_folder in found if not is_folder)
    if images and not subfolders:
        return f"{images:,} images in the folder itself, none in class folders"
    return f"got the subfolders {', '.join(subfolders[:3]) or 'none'}{'...' * (len(subfolders) > 3)}"


def open_image(path: Path) -> Image.Image:
    """The image in a file, in RGB, whatever its extension claims.

    Grey is repeated in the three channels; CMYK (Adobe's inverted kind, as in ImageNet) becomes the colours it stands
    for; transparency is dropped. EXIF orientation is not applied, nor do torchvision and timm, by whose numbers others'
    are compared.

    Raises:
        UserError: no image, or not a whole one.
    """
    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except Exception as error:  # a decoder raises many kinds for a damaged file; all mean the same here
        raise UserError(f"{path}: {reason(error)}; expected a whole image, restore the file") from None


def reason(error: Exception) -> str:
    """What is wrong with an image file, by Pillow's exception; one line without the file's name."""
    if isinstance(error, UnidentifiedImageError):
        return "not an image"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return (str(error) or type(error).__name__).splitlines()[0]


class ImageTree(Dataset[tuple[Tensor, int]]):
    """Labelled images in root/FOLDER/*: item i is (uint8 [3, size, size], 0 .. 255, its label).

    Always the same pixels: the shorter side is resized to `resize` (bicubic, antialiased), then the centre is taken.
    Sorted by folder in the order given, then by file name.

    Attributes:
        root: holds the folders.
        folders: label -> name of the folder.
        files: bytes [N], the file names.
        labels: int64 [N].
    """

    def __init__(self, root: Path, folders: Mapping[int, str], size: int = 224, resize: int = 256):
        """List the files.

        Args:
            root: holds the folders.
            folders: label -> name of the folder.
            size: pixels of a side.
            resize: pixels of the shorter side before the centre is taken, size or more.

        Raises:
            UserError: sizes out of range, or a class without images.
        """
        if not 1 <= size <= resize:
            raise UserError(f"size, resize: got {size} and {resize}, expected 1 <= size <= resize")
        self.root = root
        self.folders = dict(folders)
        names = list(self.folders.values())
        listing = list_images(root, names)
        without = [name for name, count in zip(names, listing.counts, strict=True) if count < 1]
        if without:
            found = layout_problem(root, names) or f"{len(without)} without images: {few(without)}"
            raise UserError(f"{root}: {found}; expected images in each of {len(names)} class folders, {few(names)}")
        self.files = listing.files
        self.labels = torch.from_numpy(np.repeat(list(self.folders), listing.counts))
        self.transform = v2.Compose(
            [v2.Resize(resize, InterpolationMode.BICUBIC), v2.CenterCrop(size), v2.PILToTensor()]
        )

    def __len__(self) -> int:
        return len(self.files)

    def path(self, index: int) -> Path:
        """The file of an item."""
        return self.root / self.folders[int(self.labels[index])] / os.fsdecode(self.files[index])

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """(uint8 [3, size, size], label).

        Raises:
            UserError: the file is no image, or not a whole one; the line names it.
        """
        return self.transform(open_image(self.path(index))), int(self.labels[index])


def few(names: Sequence[str], count: int = 3) -> str:
    """The first few of some names, for a message."""
    return ", ".join(names[:count]) + (", ..." if len(names) > count else "")


def useful(workers: int) -> int:
    """Return how many threads to start: no more than there are cores for this process, and at least one."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(workers, cores))


class Items(Protocol):
    """An `ImageTree`, or a `torch.utils.data.Subset` of one."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> tuple[Tensor, int]: ...


def batches(data: Items, batch_size: int = 256, workers: int = 4) -> Iterator[tuple[Tensor, Tensor]]:
    """Read all items in order, a batch ahead, by threads: (uint8 [B, 3, size, size], int64 [B]).

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
