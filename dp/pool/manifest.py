"""The manifest of a pool folder: what is in the pool, and by which checksum each file is known.

A round is in the pool when the manifest lists it, not before.
"""

import hashlib
import re
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from dp.pool.paths import MANIFEST, inside, shard_name, slots_name
from dp.pool.shards import Layout
from dp.utils.errors import UserError
from dp.utils.files import pickle_in, read_json, write_json

FORMAT = "deliberate-practice pool"
VERSION = 1


@dataclass(frozen=True)
class Listed:
    """A file of the pool: name in the folder, round, number of images that it holds or describes, checksum, size."""

    file: str
    round: int
    rows: int
    sha256: str
    size: int  # bytes

    @classmethod
    def of(cls, file: str, round_: int, rows: int, data: bytes) -> "Listed":
        """Make the entry of a file with the content `data`."""
        return cls(file, round_, rows, hashlib.sha256(data).hexdigest(), len(data))

    def slots(self, shard_size: int) -> range:
        """Return the slots of a shard within its round."""
        first = int(Path(self.file).stem) * shard_size
        return range(first, first + self.rows)

    def wrong(self, data: bytes | None) -> str | None:
        """Say what is wrong with a file's content (None: there is no file); None if it is the one listed."""
        if data is None:
            return "missing"
        if hashlib.sha256(data).hexdigest() == self.sha256 and len(data) == self.size:
            return None
        if pickle_in(data):
            return pickle_in(data)
        if len(data) != self.size:
            return f"damaged: got {len(data)} bytes, expected {self.size}"
        return f"damaged: its SHA-256 is not the manifest's {self.sha256[:12]}…"


@dataclass(frozen=True)
class Manifest:
    """The content of a pool.

    Attributes:
        layout: classes, image shape, shard size.
        slots: one file per round: the label and the seed of each slot.
        writers: versions of the software that wrote each round.
        shards: the images, by round and slot.
    """

    layout: Layout
    slots: tuple[Listed, ...] = ()
    writers: tuple[str, ...] = ()
    shards: tuple[Listed, ...] = ()

    @property
    def rounds(self) -> list[int]:
        """Count the images of each round."""
        return [each.rows for each in self.slots]

    def of_round(self, round_: int) -> list[Listed]:
        """Return the shards of a round."""
        return [shard for shard in self.shards if shard.round == round_]

    def plus(self, slots: Listed, writer: str, shards: list[Listed]) -> "Manifest":
        """Return this manifest with one more round."""
        return replace(
            self,
            slots=(*self.slots, slots),
            writers=(*self.writers, writer),
            shards=(*self.shards, *shards),
        )


def save(folder: Path, manifest: Manifest) -> None:
    """Replace the folder's manifest, atomically and durably."""
    write_json(
        inside(folder, MANIFEST),
        {
            "format": FORMAT,
            "version": VERSION,
            **asdict(manifest.layout),
            "slots": [asdict(each) for each in manifest.slots],
            "writers": list(manifest.writers),
            "shards": [asdict(each) for each in manifest.shards],
        },
    )


def load(folder: Path) -> Manifest:
    """Read the folder's manifest and check every field.

    Raises:
        UserError: no pool, a newer one, or a damaged manifest.
    """
    path = inside(folder, MANIFEST)
    try:
        found = read_json(path, "restore it from a copy")
    except FileNotFoundError:
        raise UserError(f"{folder}: no pool: it has no {MANIFEST}; give the folder of a pool") from None
    if found.get("format") != FORMAT:
        raise UserError(f'{path}: not the manifest of a pool: expected "format": "{FORMAT}"; give the folder of a pool')
    version = found.get("version")
    if type(version) is not int or version < 1:
        raise UserError(f"{path}: version: got {version!r}, expected {VERSION}; restore it from a copy")
    if version > VERSION:
        raise UserError(
            f"{path}: version: got {version}, written by a newer release; this one reads up to {VERSION}: "
            "update deliberate-practice"
        )
    try:
        return _parse(found)
    except UserError as error:
        raise UserError(f"{path}: {error}; restore it from a copy") from None


def _parse(found: dict[str, Any]) -> Manifest:
    layout = Layout(
        tuple(_expect(found, "classes", list)),
        tuple(_expect(found, "image_shape", list)),  # Layout checks its length
        _expect(found, "shard_size", int),
        _expect(found, "encoding", str),
    )
    slots = [_listed(each, f"slots[{i}]") for i, each in enumerate(_expect(found, "slots", list))]
    shards = [_listed(each, f"shards[{i}]") for i, each in enumerate(_expect(found, "shards", list))]
    writers = _expect(found, "writers", list)
    if len(writers) != len(slots) or not all(isinstance(each, str) for each in writers):
        raise UserError(f"writers: got {len(writers)} entries, expected one text for each of {len(slots)} rounds")
    counts = [-(-each.rows // layout.shard_size) for each in slots]
    if sum(counts) != len(shards):  # before so many are listed
        raise UserError(f"shards: got {len(shards)} entries, expected {sum(counts)}")
    # Names, rounds and rows follow from the rounds' sizes; any other name could lead anywhere on the disk.
    expected = [(slots_name(r), r, each.rows) for r, each in enumerate(slots)]
    _compare("slots", slots, expected)
    _compare(
        "shards",
        shards,
        [
            (shard_name(r, k), r, len(part))
            for r, each in enumerate(slots)
            for k, part in enumerate(layout.shards(each.rows))
        ],
    )
    return Manifest(layout, tuple(slots), tuple(writers), tuple(shards))


def _compare(field: str, listed: list[Listed], expected: list[tuple[str, int, int]]) -> None:
    for i, (each, (file, round_, rows)) in enumerate(zip(listed, expected, strict=True)):
        for name, got, right in (("file", each.file, file), ("round", each.round, round_), ("rows", each.rows, rows)):
            if got != right:
                raise UserError(f"{field}[{i}].{name}: got {got!r}, expected {right!r}")


def _listed(found: Any, where: str) -> Listed:
    if not isinstance(found, dict):
        raise UserError(f"{where}: got {found!r:.40}, expected an object")
    listed = Listed(
        *(_expect(found, name, kind, where + ".") for name, kind in _LISTED.items()),
    )
    if listed.rows < 1 or listed.size < 1:
        raise UserError(f"{where}: got {listed.rows} rows in {listed.size} bytes, expected 1 or more")
    if not re.fullmatch("[0-9a-f]{64}", listed.sha256):
        raise UserError(f"{where}.sha256: got {listed.sha256!r:.70}, expected 64 hexadecimal digits")
    return listed


_LISTED: dict[str, type] = {"file": str, "round": int, "rows": int, "sha256": str, "size": int}


def _expect(found: dict[str, Any], name: str, kind: type, where: str = "") -> Any:
    """Return the value of a field; UserError unless it is of the kind."""
    value = found.get(name)
    if type(value) is not kind:  # not isinstance: true is no integer here
        kinds = {str: "a text", int: "a whole number", list: "a list"}
        raise UserError(f"{where}{name}: got {value!r:.40}, expected {kinds[kind]}")
    return value
