"""Are the real images all there, and readable? The command `dp data check`."""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import tyro
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from dp.errors import UserError
from dp.image_tree import few, layout_problem, list_images, reason, useful
from dp.imagenet import PUBLISHED_IMAGES, ClassSet, SetName, class_list, folder_of, folders_of

SHOWN = 20  # unreadable files; --json names all
MANY = 10_000  # files from which workers are worth their start


@dataclass(frozen=True)
class Finding:
    """What was found of one set.

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


def data_command(
    action: tyro.conf.Positional[Literal["check"]],
    root: tyro.conf.Positional[Path],
    classes: ClassSet = "imagenet100",
    v2: Path | None = None,
    sketch: Path | None = None,
    r: Path | None = None,
    a: Path | None = None,
    open: int | Literal["all"] = 1,
    workers: int = 4,
    json: bool = False,
) -> None:
    """Look after folders of real images: ImageNet's train and val, and the out-of-distribution sets that are named.

    Args:
        action: check that every class and image is there and that the opened files can be read; if not, exit code 2.
        root: holds train/WNID/*.JPEG and val/WNID/*.JPEG.
        classes: the classes to look for.
        v2: ImageNet-V2, matched frequency: folders 0 .. 999.
        sketch: ImageNet-Sketch: wnid folders.
        r: ImageNet-R: wnid folders.
        a: ImageNet-A: wnid folders.
        open: files to open in each class, the last ones by name; "all" opens every file.
        workers: processes that open files.
        json: print all that was found as JSON.
    """
    if isinstance(open, int) and open < 0:
        raise UserError(f"open: got {open}, expected 0 or more, or all")
    if workers < 0:
        raise UserError(f"workers: got {workers}, expected 0 or more")
    roots: dict[SetName, Path | None] = {"train": root, "val": root, "v2": v2, "sketch": sketch, "r": r, "a": a}
    for folder in roots.values():
        if folder is not None and not folder.is_dir():
            raise UserError(f"{folder}: no such folder; name the folder that holds the images")
    findings = [look(name, path, classes, open, workers) for name, path in roots.items() if path is not None]
    problems = [line for finding in findings for line in finding.problems()]
    if json:
        print(_as_json(classes, findings, problems))
    else:
        print(table(findings))
        unreadable = [f"{file}: {why}" for finding in findings for file, why in finding.unreadable.items()]
        rest = [f"and {len(unreadable) - SHOWN:,} more; --json names all"] if len(unreadable) > SHOWN else []
        print("\n".join([*unreadable[:SHOWN], *rest, *problems] or ["all there, and every opened file can be read"]))
    if problems:
        raise UserError(f"data: {len(problems)} problems, named above; restore the files from the sets' archives")


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


class Opening(Dataset[str]):
    """Item i says what is wrong with file i; empty if it is a whole image."""

    def __init__(self, files: Sequence[str]):
        self.files = np.array([os.fsencode(file) for file in files], "S")  # shared by forked workers

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> str:
        """What is wrong with a file."""
        try:
            with Image.open(os.fsdecode(self.files[index])) as image:
                image.draft(None, (1, 1))  # JPEG: every byte is read, but only an eighth of each side is made
                image.load()
        except Exception as error:  # a decoder raises many kinds for a damaged file; all mean the same here
            return reason(error)
        return ""


def unreadable_among(files: Sequence[str], title: str, workers: int = 4) -> dict[str, str]:
    """File -> what is wrong with it, for those that are no whole images; with a progress bar."""
    if not files:
        return {}
    workers = useful(workers) if len(files) >= MANY else 0
    loader = DataLoader(Opening(files), batch_size=64, num_workers=workers, collate_fn=list)
    faults: list[str] = []
    with tqdm(total=len(files), unit="file", desc=title, leave=False) as bar:
        for batch in loader:
            faults += batch
            bar.update(len(batch))
    return {file: fault for file, fault in zip(files, faults, strict=True) if fault}


def table(findings: Sequence[Finding]) -> str:
    """A line a set."""
    rows = [("set", "classes", "of", "images", "of", "opened", "unreadable", "folder")]
    for each in findings:
        expected = "-" if each.images_expected is None else f"{each.images_expected:,}"
        classes = (f"{each.classes_found:,}", f"{each.classes_expected:,}")
        opened = (f"{each.opened:,}", f"{len(each.unreadable):,}")
        rows.append((each.name, *classes, f"{each.images:,}", expected, *opened, each.folder))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for name, *numbers, folder in rows:
        cells = [number.rjust(width) for number, width in zip(numbers, widths[1:-1], strict=True)]
        lines.append("  ".join([name.ljust(widths[0]), *cells, folder]))
    return "\n".join([*lines, "(images of: the published number; -: none was published for these classes)"])


def _as_json(classes: ClassSet, findings: Sequence[Finding], problems: Sequence[str]) -> str:
    found = {"classes": classes, "sets": [asdict(each) for each in findings], "problems": list(problems)}
    return json.dumps(found, indent=1)
