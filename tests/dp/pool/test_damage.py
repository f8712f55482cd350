"""Damage to any file of a pool is found, and repaired from the seeds."""

import hashlib
import io
import json
import pickle
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from dp.pool.export import export_imagefolder, summary
from dp.pool.folder import PoolFolder
from dp.pool.repair import check, repair
from dp.pool.shards import Layout, encode, records
from dp.samples import Samples
from dp.utils.errors import UserError
from tests.dp.pool.example import SHARDS, cut, files, made, made_again, rounds, same


def flip(path: Path, place: int, bit: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1 << bit
    path.write_bytes(data)


def test_a_flipped_bit_anywhere_is_found_and_repaired(folder, original):
    rng = np.random.default_rng(0)
    with PoolFolder.open(folder, writable=True) as pool:
        for _ in range(60):
            name = SHARDS[rng.integers(len(SHARDS))]
            flip(folder / name, rng.integers((folder / name).stat().st_size), rng.integers(8))
            assert [problem.file for problem in check(pool)] == [name]
            with pytest.raises(UserError, match=f"{name}: damaged: .*; restore it from a copy, or make the pool anew"):
                pool.read()
            assert repair(pool, made_again) == [name]
            assert (folder / name).read_bytes() == (original / name).read_bytes()


def delete(path: Path) -> None:
    path.unlink()


def lengthen(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


def empty_out(path: Path) -> None:
    path.write_bytes(b"")


def swap(path: Path) -> None:
    """Another file of the pool in its place."""
    other = path.parent.parent / ("round-0000/slots.json" if path.suffix == ".parquet" else "manifest.json")
    path.write_bytes(other.read_bytes())


@pytest.mark.parametrize("name", [*SHARDS, "round-0000/slots.json", "round-0001/slots.json"])
@pytest.mark.parametrize(
    ("harm", "what"),
    [
        (delete, "missing"),
        (cut, r"damaged: got \d+ bytes, expected \d+"),
        (lengthen, r"damaged: got \d+ bytes, expected \d+"),
        (empty_out, r"damaged: got 0 bytes, expected \d+"),
        (swap, "damaged: "),
        (lambda path: flip(path, 10, 0), r"damaged: its SHA-256 is not the manifest's [0-9a-f]{12}…"),
    ],
)
def test_harm_to_any_file_is_found_and_repaired(folder, original, name, harm, what):
    harm(folder / name)
    with PoolFolder.open(folder, writable=True) as pool:
        problems = check(pool)
        assert [problem.file for problem in problems] == [name]
        assert re.search(what, problems[0].what)
        if "slots" in name:
            assert same(pool.read(), rounds(0, 2))  # the lists of seeds are needed for repairs only
        else:
            with pytest.raises(UserError, match=f"{name}: {what}"):
                pool.read()
        assert repair(pool, made_again) == [name] and check(pool) == []
    assert files(folder) == files(original)


def test_harm_to_everything_but_the_seeds_is_repaired(folder, original):
    for name in SHARDS:
        delete(folder / name)
    with PoolFolder.open(folder, writable=True) as pool:
        assert repair(pool, made_again) == SHARDS
    assert files(folder) == files(original)


def test_a_repair_that_gives_other_images_is_refused(folder):
    def other(round_: int, slots: range, labels: torch.Tensor, seeds: list[int]) -> Samples:
        samples = made(round_, slots)
        return replace(samples, images=samples.images ^ 1) if slots.start == 4 else samples

    delete(folder / SHARDS[0])
    flip(folder / SHARDS[1], 50, 3)
    damaged = (folder / SHARDS[1]).read_bytes()
    with PoolFolder.open(folder, writable=True) as pool:
        with pytest.raises(
            UserError, match=f"{SHARDS[1]}: the images generated again differ .*; left as it was: repair on"
        ):
            repair(pool, other)
        assert (folder / SHARDS[1]).read_bytes() == damaged
        assert [problem.file for problem in check(pool)] == [SHARDS[1]]  # the one before was made again
        manifest = folder / "manifest.json"
        manifest.write_text(manifest.read_text().replace("pyarrow ", "pyarrow 9"))
        with pytest.raises(UserError, match=r"the file was written by pyarrow 9.*: repair with those versions"):
            repair(pool, other)


def test_seeds_that_are_lost_twice_are_not_made_up(folder):
    delete(folder / "round-0000/slots.json")
    delete(folder / SHARDS[2])
    with PoolFolder.open(folder, writable=True) as pool:
        with pytest.raises(
            UserError, match=r"slots.json: damaged, and so is round-0000/00002.parquet: the seeds of its"
        ):
            repair(pool, made_again)


def test_files_nobody_lists_are_named(folder):
    (folder / "notes.txt").write_text("hello")
    (folder / "round-0000/00003.parquet").write_bytes(b"")
    (folder / "round-0002").mkdir()
    (folder / "round-0002/00000.parquet").write_bytes(b"")
    assert [str(problem) for problem in check(PoolFolder.open(folder))] == [
        "notes.txt: not a file of this pool; remove it",
        "round-0000/00003.parquet: not a file of this pool; remove it",
        "round-0002/00000.parquet: part of a round that is not finished; the run that makes it goes on from it",
    ]


def test_seeds_that_occur_twice_are_found(empty):
    for round_ in (0, 1):
        samples = made(round_, range(4))
        samples.seeds[:] = torch.tensor([[1, 2, 3, 4], [5, 2, 6, 6]][round_])
        empty.write(round_, 0, samples)
        empty.commit(round_, 4)
    assert [problem.what for problem in check(empty)] == [
        "seed 2 occurs twice: round 0 slot 1 and round 1 slot 1",
        "seed 6 occurs twice: round 1 slot 2 and round 1 slot 3",
    ]


def relist(folder: Path, name: str) -> None:
    """Make the manifest vouch for a file as it is."""
    data = (folder / name).read_bytes()
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    for each in (*manifest["slots"], *manifest["shards"]):
        if each["file"] == name:
            each.update(sha256=hashlib.sha256(data).hexdigest(), size=len(data))
    path.write_text(json.dumps(manifest))


AWAY, TEXT = {"bytes": None, "path": "/etc/passwd"}, {"bytes": b"no image", "path": None}


def changed(layout: Layout, column: str, values: list) -> bytes:
    """The first shard with other values in a column."""
    table = records(encode(made(0, range(4)), 0, layout), "shard", layout)
    place, field = table.schema.get_field_index(column), table.schema.field(column)
    sink = pa.BufferOutputStream()
    pq.write_table(table.set_column(place, field, pa.array(values, field.type)), sink)
    return sink.getvalue().to_pybytes()


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (lambda layout: encode(made(0, range(3)), 0, layout), "expected slots 0 .. 3 of round 0"),
        (lambda layout: encode(made(0, range(4)), 4, layout), "expected slots 0 .. 3 of round 0"),
        (lambda layout: encode(made(0, range(4, 8)), 0, layout), "its labels and seeds are not those its round lists"),
        (lambda layout: changed(layout, "round", [-1, 0, 0, 0]), "expected slots 0 .. 3 of round 0"),
        (lambda layout: changed(layout, "index", [0, 1, 1, 3]), "expected slots 0 .. 3 of round 0"),
        (lambda layout: changed(layout, "image", [None] * 4), "column image: got rows without an image of their own"),
        (lambda layout: changed(layout, "image", [AWAY] * 4), "column image: got rows without an image of their own"),
        (lambda layout: changed(layout, "image", [TEXT] * 4), "column image: got what is no image"),
        (lambda _: b"PAR1 but no more", "not a readable Parquet file"),
    ],
)
def test_a_manifest_that_vouches_for_the_wrong_shard_is_found_out(folder, data, what):
    pool = PoolFolder.open(folder)
    (folder / SHARDS[0]).write_bytes(data(pool.layout))
    relist(folder, SHARDS[0])
    (problem,) = check(pool)
    assert problem.file == SHARDS[0] and problem.what.startswith(what)
    if "round lists" not in what:  # reading and exporting do not look at the lists of seeds
        for act in (pool.read, lambda: export_imagefolder(pool, folder / "out")):
            with pytest.raises(UserError, match=f"{SHARDS[0]}: {what}"):
                act()
        assert not (folder / "out").exists()


@pytest.mark.parametrize(
    "text", [b"{}", b"[]", b"[" * 10_000, b'{"labels": [0], "seeds": [0]}', b'{"labels": "0", "seeds": null}']
)
def test_a_manifest_that_vouches_for_no_list_of_seeds_is_found_out(folder, text):
    (folder / "round-0001/slots.json").write_bytes(text)
    relist(folder, "round-0001/slots.json")
    (problem,) = check(PoolFolder.open(folder))
    assert problem.file == "round-0001/slots.json" and problem.what.startswith("not a list of labels and seeds")
    with PoolFolder.open(folder, writable=True) as pool, pytest.raises(UserError, match="not a list of labels and see"):
        repair(pool, made_again)


class Malice:
    """Runs when unpickled."""

    def __init__(self, marker: Path):
        self.marker = marker

    def __reduce__(self):
        return (Path.touch, (self.marker,))


def pickled(marker: Path) -> bytes:
    return pickle.dumps(Malice(marker))


def saved_by_torch(marker: Path) -> bytes:
    buffer = io.BytesIO()
    torch.save(Malice(marker), buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("make", [pickled, saved_by_torch])
def test_a_pickle_in_a_file_s_place_is_never_opened(folder, original, tmp_path, make):
    marker, data = tmp_path / "ran", make(tmp_path / "ran")
    refused = (
        r"got a (Python pickle|zip archive \(as torch.save makes\)), which is not opened since it can run any code"
    )
    for name in (SHARDS[1], "round-0001/slots.json", "round-0002/00000.parquet"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(data)
    with PoolFolder.open(folder, writable=True) as pool:
        for act in (pool.read, lambda: pool.read_round(0), lambda: summary(pool), lambda: pool.shards_missing(2, 4)):
            with pytest.raises(UserError, match=f"parquet: {refused}"):
                act()
        with pytest.raises(UserError, match=f"round-0002/00000.parquet: {refused}.*find out who put it there"):
            pool.commit(2, 4)
        assert (folder / "round-0002/00000.parquet").read_bytes() == data
        problems = [problem.what for problem in check(pool)]
        assert len(problems) == 3 and sum("which is not opened" in what for what in problems) == 2
        (folder / "round-0002/00000.parquet").unlink()
        (folder / "round-0002").rmdir()
        assert repair(pool, made_again) == ["round-0001/slots.json", SHARDS[1]]
    assert not marker.exists() and files(folder) == files(original)
