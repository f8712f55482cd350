"""The pool on disk: what goes in comes out, and what is wrong is said in one line."""

import json
import os
import pickle
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from dp.pool.folder import PoolFolder
from dp.pool.repair import check, repair
from dp.samples import Samples
from dp.utils.errors import UserError
from tests.dp.pool.example import CLASSES, SHAPE, SHARDS, SIZE, files, made, made_again, rounds, same


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
    with pytest.raises(
        UserError, match=r'not a folder of this pool and not empty \("thesis.tex" is in it\); give a new one'
    ):
        PoolFolder.create(tmp_path, CLASSES, SHAPE)
    assert os.listdir(tmp_path) == ["thesis.tex"]
    with pytest.raises(UserError, match=r"thesis.tex: a file, expected a new or an empty folder"):
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
        (lambda _: b"[" * 100_000, r"damaged \(nested too deeply\)"),
        (lambda _: b"[]", r"damaged \(got '\[\]', expected an object\)"),
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
        (edit(lambda m: m.update(shard_size=5)), "shards: got 4 entries, expected 3"),
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
            lambda: pool.write(2, 0, made(2, range(4))),
            lambda: pool.shards_missing(2, 4),
        ):
            with pytest.raises(UserError, match=r"a link to .*, expected a file inside the pool folder"):
                act()
        found = [each.what for each in check(pool) if each.file == SHARDS[0] or each.file.startswith("round-0001/")]
        assert len(found) == 3 and all(each.startswith("a link to ") for each in found)
    assert not (tmp_path / "00000.parquet").exists()
    link = tmp_path / "link"
    link.symlink_to(folder)  # the folder itself may be reached by a link
    assert PoolFolder.open(link).rounds == [10, 3]
