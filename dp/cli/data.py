"""Check the class folders of ImageNet and of other sets, and show what was found."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import tyro
from pydantic import Field

from dp.data.imagenet import ClassSet, SetName
from dp.data.integrity import Finding, look
from dp.utils.errors import UserError
from dp.utils.validation import CountOrZero, checked

SHOWN = 20  # unreadable files; --json names all


@checked
def data_command(
    action: tyro.conf.Positional[Literal["check"]],
    root: tyro.conf.Positional[Path],
    classes: ClassSet = "imagenet100",
    v2: Path | None = None,
    sketch: Path | None = None,
    r: Path | None = None,
    a: Path | None = None,
    open: CountOrZero | Literal["all"] = 1,
    workers: Annotated[int, Field(ge=0, le=1000)] = 4,
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
