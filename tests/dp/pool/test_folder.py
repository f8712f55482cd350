"""The pool on disk: what goes in comes out, damage is found and repaired, and what is wrong is said in one line."""

import csv
import hashlib
import io
import json
import os
import pickle
import re
import resource
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dp.errors import UserError
from dp.pool.export import export_datasets, export_imagefolder, summary
from dp.pool.folder import PoolFolder
from dp.pool.repair import check, repair
from dp.pool.shards import encode
from dp.samples import Samples, concatenate

CLASSES, SHAPE, SIZE = ("boot", "bag, large"), (1, 6, 5), 4
COUNTS = (10, 3)
SHARDS = [
    "round-0000/00000.parquet",
    "round-0000/00001.parquet",
    "round-0000/00002.parquet",
    "round-0001/00000.parquet",
]


def made(round_: int, slots: range) -> Samples:
    n, rng = len(slots), torch.Generator().manual_seed(1000 * round_ + slots.start)
    unknown = torch.full((n,), torch.nan)
    return Samples(
        images=torch.randint(256, (n, *SHAPE), generator=rng).byte(),
        labels=torch.tensor(list(slots)) % 2,
        seeds=torch.tensor([10**18 + 1000 * round_ + 7 * slot for slot in slots]),
        rounds=torch.full((n,), round_),
        omega=torch.full((n,), 0.3 * round_),
        entropy_before=torch.rand(n, generator=rng) if round_ else unknown,
        entropy=torch.rand(n, generator=rng) if round_ else unknown,
        correct=torch.ones(n, dtype=torch.int8) if round_ else torch.full((n,), -1, dtype=torch.int8),
        zero_steps=torch.arange(n),
    )


def made_again(round_: int, slots: range, labels: torch.Tensor, seeds: list[int]) -> Samples:
    """What `repair` asks for; it must know the labels and the seeds."""
    samples = made(round_, slots)
    assert samples.labels.tolist() == labels.tolist() and samples.seeds.tolist() == seeds
    return samples


def rounds(first: int, last: int) -> Samples:
    layout = [(r, range(a, min(a + SIZE, COUNTS[r]))) for r in range(first, last) for a in range(0, COUNTS[r], SIZE)]
    return concatenate([made(r, slots) for r, slots in layout])


def same(a: Samples, b: Samples) -> bool:
    pairs = [(getattr(a, f.name), getattr(b, f.name)) for f in fields(Samples)]
    return all(x.dtype == y.dtype and np.array_equal(x, y, equal_nan=x.is_floating_point()) for x, y in pairs)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("pool") / "original"
    with PoolFolder.create(folder, CLASSES, SHAPE, SIZE) as pool:
        for round_, count in enumerate(COUNTS):
            for slots in pool.shards_missing(round_, count):
                pool.write(round_, slots.start, made(round_, slots))
            pool.commit(round_, count)
    return folder


@pytest.fixture
def folder(original, tmp_path) -> Path:
    """A pool of two rounds to do harm to."""
    return Path(shutil.copytree(original, tmp_path / "pool"))


@pytest.fixture
def empty(tmp_path) -> Iterator[PoolFolder]:
    """A pool without rounds, open for writing."""
    with PoolFolder.create(tmp_path / "empty", CLASSES, SHAPE, SIZE) as pool:
        yield pool


# Reading and writing


def test_what_goes_in_comes_out(original):
    pool = PoolFolder.open(original)
    assert pool.rounds == [10, 3] and len(pool) == 13 and pool.layout.classes == CLASSES
    assert same(pool.read(), rounds(0, 2))
    assert same(pool.read(1), rounds(0, 1)) and same(pool.read_round(1), rounds(1, 2))
    assert len(pool.read(0)) == 0 and pool.read(0).images.shape == (0, *SHAPE)
    assert check(pool) == []


def test_a_round_counts_only_when_it_is_committed(empty):
    empty.write(0, 0, made(0, range(4)))
    assert empty.rounds == [] and len(PoolFolder.open(empty.folder).read()) == 0
    assert empty.shards_missing(0, 6) == [range(4, 6)]
    empty.write(0, 4, made(0, range(4, 6)))
    empty.commit(0, 6)
    empty.commit(0, 6)  # again: nothing happens
    assert empty.rounds == [6] and empty.shards_missing(0, 6) == []


def test_ranks_share_the_shards(empty):
    parts = [empty.shards_missing(0, 27, rank, 3) for rank in range(3)]
    assert [[slots.start for slots in part] for part in parts] == [[0, 12, 24], [4, 16], [8, 20]]
    assert parts[0][-1] == range(24, 27)


def test_create_opens_a_pool_of_the_same_kind_if_asked(folder):
    with PoolFolder.create(folder, list(CLASSES), SHAPE, SIZE, exist_ok=True) as pool:
        assert pool.rounds == [10, 3]
    with pytest.raises(UserError, match="there is a pool already; open it"):
        PoolFolder.create(folder, CLASSES, SHAPE, SIZE)
    for arguments, message in (
        ((("a", "b"), SHAPE, SIZE), r"classes: the pool there has \('boot', 'bag, large'\), expected \('a', 'b'\)"),
        ((CLASSES, (3, 6, 5), SIZE), r"image_shape: the pool there has \(1, 6, 5\), expected \(3, 6, 5\)"),
        ((CLASSES, SHAPE, 5), "shard_size: the pool there has 4, expected 5"),
    ):
        with pytest.raises(UserError, match=message):
            PoolFolder.create(folder, *arguments, exist_ok=True)
    PoolFolder.open(folder, writable=True).close()  # none of them has kept the lock


def test_only_an_empty_folder_becomes_a_pool(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(UserError, match=r'got a folder with "thesis.tex" in it, expected an empty or a new one'):
        PoolFolder.create(tmp_path, CLASSES, SHAPE)
    assert os.listdir(tmp_path) == ["thesis.tex"]
    with pytest.raises(UserError, match=r"thesis.tex/.lock: cannot be locked: Not a directory"):
        PoolFolder.create(tmp_path / "thesis.tex", CLASSES, SHAPE)


def of_round(samples: Samples, round_: int) -> Samples:
    return replace(samples, rounds=torch.full_like(samples.rounds, round_))


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda p: p.write(0, 0, made(0, range(5))), "slots: got 5 images from slot 0 on, expected 1 .. 4 from a mult"),
        (lambda p: p.write(0, 0, made(0, range(0))), "slots: got 0 images"),
        (lambda p: p.write(0, 2, made(0, range(2, 4))), "slots: got 2 images from slot 2 on"),
        (lambda p: p.write(1, 0, made(1, range(4))), "round: got 1, expected 0, the next one"),
        (lambda p: p.write(-1, 0, made(0, range(4))), "round: got -1, expected 0"),
        (lambda p: p.write(0, 0, of_round(made(0, range(4)), 3)), r"rounds: got \[3\], expected 0 only"),
        (lambda p: p.write(0, 0, replace(made(0, range(4)), labels=torch.full((4,), 2))), "labels: got 2 .. 2"),
        (
            lambda p: p.write(0, 0, replace(made(0, range(4)), images=torch.ones(4, 1, 6, 5))),
            "images: got torch.float32",
        ),
        (lambda p: p.commit(0, 0), "count: got 0, expected 1 or more images of round 0"),
        (lambda p: p.commit(1, 4), "round: got 1, expected 0 .. 0; rounds are added in order"),
        (lambda p: p.commit(0, 4), "00000.parquet: missing or damaged; write slots 0 .. 3 of round 0 before"),
        (lambda p: p.shards_missing(2, 4), "round: got 2, expected 0 .. 0"),
        (lambda p: p.read_round(0), "asked for round 0, but it has 0 rounds"),
        (lambda p: p.read(1), "asked for 1 rounds, expected 0 .. 0"),
        (lambda p: PoolFolder.open(p.folder).write(0, 0, made(0, range(4))), "open for reading only"),
        (lambda p: PoolFolder.open(p.folder).commit(0, 4), "open for reading only"),
        (lambda p: PoolFolder.open(p.folder).shards_missing(0, 4), "open for reading only"),
        (lambda p: repair(PoolFolder.open(p.folder), made_again), "open for reading only"),
    ],
)
def test_a_wrong_step_is_refused_and_leaves_nothing(empty, act, message):
    before = files(empty.folder)
    with pytest.raises(UserError, match=message):
        act(empty)
    assert files(empty.folder) == before


def test_a_round_of_another_size_is_refused(folder):
    with PoolFolder.open(folder, writable=True) as pool:
        for act in (lambda: pool.shards_missing(1, 5), lambda: pool.commit(1, 5)):
            with pytest.raises(UserError, match="round 1 has 3 images, this run asks for 5"):
                act()
        with pytest.raises(UserError, match="round: got 1, expected 2, the next one"):
            pool.write(1, 0, made(1, range(3)))
    with pytest.raises(UserError, match="open for reading only"):
        pool.commit(2, 1)  # closed


# The manifest


def edit(change: Callable[[dict], object]) -> Callable[[bytes], bytes]:
    def apply(data: bytes) -> bytes:
        value = json.loads(data)
        change(value)
        return json.dumps(value).encode()

    return apply


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data[: len(data) // 2], "damaged, not JSON"),
        (lambda _: b"", "damaged, not JSON"),
        (lambda _: b"\xff\xfe", "damaged, not JSON"),
        (lambda _: b"[" * 100_000, "damaged, not JSON"),
        (lambda _: b"[]", "not the manifest of a pool"),
        (lambda _: b"{}", "not the manifest of a pool"),
        (edit(lambda m: m.update(format="npz")), "not the manifest of a pool"),
        (edit(lambda m: m.update(version=2)), "version: got 2, written by a newer release; .* update"),
        (edit(lambda m: m.update(version="1")), "version: got '1', expected 1"),
        (edit(lambda m: m.pop("version")), "version: got None"),
        (edit(lambda m: m.update(version=True)), "version: got True"),
        (edit(lambda m: m.pop("classes")), "classes: got None, expected a list"),
        (edit(lambda m: m.update(classes=["a", "../b"])), r"classes: got the name '\.\./b'"),
        (edit(lambda m: m.update(image_shape=[4, 6, 5])), r"image_shape: got \(4, 6, 5\)"),
        (edit(lambda m: m.update(image_shape="large")), "image_shape: got 'large', expected a list"),
        (edit(lambda m: m.update(shard_size=0)), "shard_size: got 0"),
        (edit(lambda m: m.update(shard_size=4.0)), "shard_size: got 4.0, expected a whole number"),
        (edit(lambda m: m.update(shard_size=5)), r"shards\[0\].rows: got 4, expected 5"),
        (edit(lambda m: m["shards"].pop()), "shards: got 3 entries, expected 4"),
        (edit(lambda m: m["shards"].append(m["shards"][-1])), "shards: got 5 entries, expected 4"),
        (edit(lambda m: m["shards"].reverse()), r"shards\[0\].file: got 'round-0001/00000.parquet'"),
        (edit(lambda m: m["shards"].insert(0, 7)), r"shards\[0\]: got 7, expected an object"),
        (edit(lambda m: m["shards"][1].pop("sha256")), r"shards\[1\].sha256: got None, expected a text"),
        (edit(lambda m: m["shards"][1].update(sha256="F" * 64)), r"shards\[1\].sha256: got 'FFF"),
        (edit(lambda m: m["shards"][1].update(rows=-1)), r"shards\[1\]: got -1 rows"),
        (edit(lambda m: m["shards"][1].update(rows=3)), r"shards\[1\].rows: got 3, expected 4"),
        (edit(lambda m: m["shards"][1].update(round=1)), r"shards\[1\].round: got 1, expected 0"),
        (edit(lambda m: m["shards"][1].update(size="big")), r"shards\[1\].size: got 'big', expected a whole number"),
        (
            edit(lambda m: m["shards"][1].update(file="../../etc/passwd")),
            r"shards\[1\].file: got '../../etc/passwd', expected 'round-0000/00001.parquet'",
        ),
        (edit(lambda m: m["shards"][1].update(file="/etc/passwd")), r"shards\[1\].file: got '/etc/passwd'"),
        (edit(lambda m: m["slots"][0].update(file="../slots.json")), r"slots\[0\].file: got '../slots.json'"),
        (edit(lambda m: m["slots"].pop()), "writers: got 2 entries, expected one text for each of 1 rounds"),
        (edit(lambda m: m.update(writers=[1, 2])), "writers: got 2 entries"),
        (lambda _: pickle.dumps({"version": 1}), "damaged, not JSON"),
    ],
)
@pytest.mark.parametrize("writable", [False, True])
def test_a_wrong_manifest_is_named_and_the_folder_left_alone(folder, change, message, writable):
    path = folder / "manifest.json"
    path.write_bytes(change(path.read_bytes()))
    before = files(folder)
    with pytest.raises(UserError, match=f"^{path}: .*{message}") as caught:
        PoolFolder.open(folder, writable)
    assert "\n" not in str(caught.value) and files(folder) == before


@pytest.mark.parametrize("writable", [False, True])
def test_a_folder_that_is_no_pool_is_named(tmp_path, writable):
    for path in (tmp_path, tmp_path / "absent"):
        with pytest.raises(UserError, match=f"^{path}: no pool: it has no manifest.json"):
            PoolFolder.open(path, writable)
    assert os.listdir(tmp_path) == []


def test_links_out_of_the_folder_are_not_followed(folder, tmp_path):
    outside = tmp_path / "outside"
    (folder / "round-0001").rename(outside)
    (folder / "round-0001").symlink_to(outside)
    shard = folder / SHARDS[0]
    shard.rename(tmp_path / "shard")
    shard.symlink_to(tmp_path / "shard")
    (folder / "round-0002").symlink_to(tmp_path)
    with PoolFolder.open(folder, writable=True) as pool:
        for act in (
            lambda: pool.read_round(0),
            lambda: pool.read_round(1),
            lambda: check(pool),
            lambda: pool.write(2, 0, made(2, range(4))),
            lambda: pool.shards_missing(2, 4),
        ):
            with pytest.raises(UserError, match=r"a link to .*, expected a file inside the pool folder"):
                act()
    assert not (tmp_path / "00000.parquet").exists()
    link = tmp_path / "link"
    link.symlink_to(folder)  # the folder itself may be reached by a link
    assert PoolFolder.open(link).rounds == [10, 3]


# Disks


def unprivileged(act: Callable[[], object]) -> None:
    """Run as a user whom permissions bind."""
    if os.geteuid():
        act()
        return
    os.seteuid(65534)
    try:
        act()
    finally:
        os.seteuid(0)


def test_a_folder_without_write_permission_is_read_but_not_written(original):
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(shutil.copytree(original, Path(parent) / "pool"))
        for path in folder.rglob("*"):
            path.chmod(0o555 if path.is_dir() else 0o444)
        folder.chmod(0o555)
        Path(parent).chmod(0o755)

        def act() -> None:
            assert len(PoolFolder.open(folder).read()) == 13
            with pytest.raises(UserError, match=r"\.lock: cannot be locked: Permission denied; give the run a folder"):
                PoolFolder.open(folder, writable=True)
            with pytest.raises(UserError, match=r"new/.lock: cannot be written: Permission denied"):
                PoolFolder.create(folder / "new", CLASSES, SHAPE)

        unprivileged(act)
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o755)


@pytest.mark.parametrize("name", ["round-0002/.00000.parquet", "round-0002/.slots.json", ".manifest.json"])
def test_a_full_disk_loses_nothing(folder, name):
    """The file goes to a device that is always full; with room again, the same steps succeed."""

    def add() -> None:
        for slots in pool.shards_missing(2, 4):
            pool.write(2, slots.start, made(2, slots))
        pool.commit(2, 4)

    with PoolFolder.open(folder, writable=True) as pool:
        partial = folder / f"{name}.{os.getpid()}.partial"
        partial.parent.mkdir(exist_ok=True)
        partial.symlink_to("/dev/full")
        target = folder / name.replace("/.", "/").removeprefix(".")
        with pytest.raises(UserError, match=f"^{target}: cannot be written: No space left on device"):
            add()
        assert pool.rounds == [10, 3] and same(pool.read(), rounds(0, 2))
        assert list(folder.rglob("*.partial")) == []
        add()
        assert pool.rounds == [10, 3, 4] and check(pool) == []


def test_a_file_size_limit_is_told_like_a_full_disk(empty):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(UserError, match=r"round-0000/00000.parquet: cannot be written: File too large"):
            empty.write(0, 0, made(0, range(4)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [path.name for path in empty.folder.rglob("*") if path.is_file()] == [".lock", "manifest.json"]


def test_every_file_reaches_the_disk_before_its_name_and_the_name_before_the_next_step(tmp_path, monkeypatch):
    steps: list[tuple[str, Path]] = []
    fsync, rename = os.fsync, os.replace

    def noted_fsync(handle: int) -> None:
        steps.append(("fsync", Path(os.readlink(f"/proc/self/fd/{handle}"))))
        fsync(handle)

    def noted_rename(source: Path, target: Path) -> None:
        steps.append(("rename", Path(target)))
        rename(source, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "replace", noted_rename)
    folder = (tmp_path / "pool").resolve()
    with PoolFolder.create(folder, CLASSES, SHAPE, SIZE) as pool:
        pool.write(0, 0, made(0, range(3)))
        pool.commit(0, 3)
    renamed = [i for i, (step, _) in enumerate(steps) if step == "rename"]
    names = ["manifest.json", "round-0000/00000.parquet", "round-0000/slots.json", "manifest.json"]
    assert [steps[i][1] for i in renamed] == [folder / name for name in names]
    for i in renamed:
        target = steps[i][1]
        assert steps[i - 1] == ("fsync", target.with_name(f".{target.name}.{os.getpid()}.partial"))
        assert steps[i + 1] == ("fsync", target.parent)
    assert ("fsync", folder) in steps[renamed[0] + 2 : renamed[1]]  # the new folder of the round
    assert ("fsync", folder) in steps[renamed[2] : renamed[3]]  # and again, should a killed run have made it


# Damage


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
            with pytest.raises(
                UserError, match=f"{name}: damaged: .*; python -m dp pool repair {folder} makes it again"
            ):
                pool.read()
            assert repair(pool, made_again) == [name]
            assert (folder / name).read_bytes() == (original / name).read_bytes()


def delete(path: Path) -> None:
    path.unlink()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


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


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (lambda layout: encode(made(0, range(3)), 0, layout), "got 3 rows, expected 4"),
        (lambda layout: encode(made(0, range(4, 8)), 0, layout), "its labels and seeds are not those its round lists"),
        (lambda _: b"PAR1 but no more", "not a readable Parquet file"),
    ],
)
def test_a_manifest_that_vouches_for_the_wrong_shard_is_found_out(folder, data, what):
    pool = PoolFolder.open(folder)
    (folder / SHARDS[0]).write_bytes(data(pool.layout))
    relist(folder, SHARDS[0])
    (problem,) = check(pool)
    assert problem.file == SHARDS[0] and problem.what.startswith(what)


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


# Exports


def test_numbers_of_each_round(original):
    first, second = summary(PoolFolder.open(original))
    assert (first.images, first.entropy, first.correct, first.zero_steps) == (10, None, None, 6 + 6 + 1)
    assert (second.images, second.correct, second.zero_steps) == (3, 1.0, 3)
    assert second.entropy == pytest.approx(made(1, range(3)).entropy.mean().item())
    assert first.bytes == sum((original / name).stat().st_size for name in SHARDS[:3])


def test_export_as_a_folder_of_images(original, tmp_path):
    out, samples = tmp_path / "images", rounds(0, 2)
    export_imagefolder(PoolFolder.open(original), out)
    with (out / "metadata.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 13 and len(list(out.rglob("*.png"))) == 13
    assert lines[11]["file_name"] == "bag, large/0001-0000001.png"
    for i, line in enumerate(lines):
        with Image.open(out / line["file_name"]) as image:
            assert np.array_equal(np.asarray(image), samples.images[i, 0])
        assert line["label"] == CLASSES[samples.labels[i]] == line["file_name"].split("/")[0]
        assert int(line["seed"]) == samples.seeds[i] and int(line["round"]) == samples.rounds[i]
        assert np.float32(line["entropy"] or "nan") == pytest.approx(samples.entropy[i].item(), nan_ok=True)


@pytest.mark.parametrize("export", [export_imagefolder, export_datasets])
def test_an_export_is_whole_or_absent(folder, tmp_path, export):
    out = tmp_path / "out"
    (tmp_path / ".out.partial").mkdir()  # of an export that was killed
    (tmp_path / ".out.partial/rest.png").write_bytes(b"")
    cut(folder / SHARDS[-1])
    with pytest.raises(UserError, match=f"{SHARDS[-1]}: damaged"):
        export(PoolFolder.open(folder), out)
    assert not out.exists() and not (tmp_path / ".out.partial").exists()
    with PoolFolder.open(folder, writable=True) as pool:
        repair(pool, made_again)
        export(pool, out)
        with pytest.raises(UserError, match="out: exists and is not an empty folder; give a new one"):
            export(pool, out)
    assert not any(path.name == "rest.png" for path in out.rglob("*"))
    with pytest.raises(UserError, match="cannot be written: Not a directory"):
        export(pool, out / "README.md" / "new" if export is export_datasets else out / "metadata.csv" / "new")


def test_datasets_opens_the_pool_and_both_exports(original, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    pool, samples, cache = PoolFolder.open(original), rounds(0, 2), str(tmp_path / "cache")
    export_datasets(pool, tmp_path / "set")
    export_imagefolder(pool, tmp_path / "images")
    shards = [str(original / name) for name in SHARDS]
    opened = {
        "shards": datasets.load_dataset("parquet", data_files=shards, split="train", cache_dir=cache),
        "export": datasets.load_dataset(str(tmp_path / "set"), split="train", cache_dir=cache),
        "images": datasets.load_dataset(str(tmp_path / "images"), split="train", cache_dir=cache),
    }
    for name, data in opened.items():
        assert len(data) == 13 and isinstance(data.features["image"], datasets.Image)
        if name != "images":
            assert data.features["label"].names == list(CLASSES)
            assert data["label"][:] == samples.labels.tolist()
            assert data["correct"][:] == [None] * 10 + [True] * 3
            assert data["entropy"][:10] == [None] * 10
            assert data.select_columns("round")[10] == {"round": 1}
        by_seed = {row["seed"]: row["image"] for row in data}
        for seed, image in zip(samples.seeds.tolist(), samples.images, strict=True):
            assert np.array_equal(np.asarray(by_seed[seed]), image[0])
