"""Are the real images all there, and readable? The command `dp data check`."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tqdm import tqdm

from dp.data.image_tree import few, layout_problem, list_images, opened, reason
from dp.data.imagenet import PUBLISHED_IMAGES, ClassSet, SetName, class_list, folder_of, folders_of
from dp.utils.threads import useful


@dataclass(frozen=True)
class Finding:
    """One set's classes, images and faults, as they were found.

    Attributes:
        name: the set.
        folder: holds its class folders.
        classes_expected, classes_found: folders of the learner's classes, and those that have images.
        missing, empty: class folders that are not there, and those without an image.
        images, images_expected: files in the learner's classes; the published number, None if there is none.
        opened: files opened.
        unreadable: file -> what is wrong with it.
        layout: what is there instead when no class folder is.
    """

    name: SetName
    folder: str
    classes_expected: int
    classes_found: int
    missing: list[str]
    empty: list[str]
    images: int
    images_expected: int | None
    opened: int
    unreadable: dict[str, str]
    layout: str | None

    def problems(self) -> list[str]:
        """One line a kind of problem; none if all is well."""
        if self.layout:
            return [f"{self.name}: {self.folder}: {self.layout}; expected {self.classes_expected:,} class folders"]
        lines = []
        if self.missing:
            lines.append(f"{self.name}: {len(self.missing):,} class folders missing: {few(self.missing, 5)}")
        if self.empty:
            lines.append(f"{self.name}: {len(self.empty):,} class folders without images: {few(self.empty, 5)}")
        if self.images_expected not in (None, self.images):
            lines.append(f"{self.name}: {self.images:,} images found, {self.images_expected:,} were published")
        if self.unreadable:
            lines.append(f"{self.name}: {len(self.unreadable):,} of {self.opened:,} opened files cannot be read")
        return lines


def look(name: SetName, root: Path, classes: ClassSet, open: int | Literal["all"] = 1, workers: int = 4) -> Finding:
    """Look for one set; arguments as of `data_command`."""
    folder, folders = folder_of(name, root), folders_of(name, classes)
    names = list(folders.values())
    listing = list_images(folder, names, cached=False)
    prompts = class_list(classes).prompts
    titles = [f"{each} ({prompts[label]})" for label, each in folders.items()]
    files: list[str] = []
    for position, each in enumerate(names):
        own = listing.of(position)
        # The last ones: a copy that broke off has left its last file short.
        chosen = own if open == "all" else own[max(len(own) - open, 0) :]
        files += [f"{folder}/{each}/{os.fsdecode(file)}" for file in chosen]
    return Finding(
        name,
        str(folder),
        classes_expected=len(names),
        classes_found=int((listing.counts > 0).sum()),
        missing=[title for title, count in zip(titles, listing.counts, strict=True) if count < 0],
        empty=[title for title, count in zip(titles, listing.counts, strict=True) if count == 0],
        images=len(listing.files),
        images_expected=PUBLISHED_IMAGES[classes].get(name),
        opened=len(files),
        unreadable=unreadable_among(files, name, workers),
        layout=layout_problem(folder, names),
    )


def fault_of(file: str) -> str:
    """Return what is wrong with an image file; empty if it is a whole image."""
    try:
        with opened(Path(file)) as image:
            image.draft(None, (1, 1))  # JPEG: every byte is read, but only an eighth of each side is made
            image.load()
    except Exception as error:  # a decoder raises many kinds for a damaged file; all mean the same here
        return reason(error)
    return ""


def unreadable_among(files: Sequence[str], title: str, workers: int = 4) -> dict[str, str]:
    """Return what is wrong with each file that is no whole image, by file; with a progress bar."""
    faults: list[str] = []
    with (
        ThreadPoolExecutor(useful(workers)) as pool,
        tqdm(total=len(files), unit="file", desc=title, leave=False) as bar,
    ):
        for first in range(0, len(files), 1000):  # not all at once: a pool makes an object for each file that waits
            faults += pool.map(fault_of, files[first : first + 1000])
            bar.update(len(faults) - bar.n)
    return {file: fault for file, fault in zip(files, faults, strict=True) if fault}
