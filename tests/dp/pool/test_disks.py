"""Disks that are full, read-only or slow: nothing is lost."""

import errno
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from dp.pool.folder import PoolFolder
from dp.pool.repair import check
from dp.utils.errors import UserError
from tests.dp.full_disk import limited
from tests.dp.pool.example import CLASSES, SHAPE, SIZE, made, rounds, same


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
            with pytest.raises(UserError, match=r"new: cannot be written: Permission denied"):
                PoolFolder.create(folder / "new", CLASSES, SHAPE)

        unprivileged(act)
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o755)


@pytest.mark.parametrize("open_it", [PoolFolder.create, lambda folder, *_: PoolFolder.open(folder, writable=True)])
def test_a_file_system_without_locks_is_told_from_a_full_one(folder, tmp_path, monkeypatch, open_it):
    def unknown(*_: object) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr("fcntl.flock", unknown)
    place = tmp_path / "new" if open_it == PoolFolder.create else folder
    with pytest.raises(UserError, match=r"\.lock: the file system has no locks \(Function not .*mount it with flock"):
        open_it(place, CLASSES, SHAPE)


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("round-0002/00000.parquet", (1000, 10**6)),
        ("round-0002/slots.json", (10**6, 50)),
        ("manifest.json", (10**6, 500)),
    ],
)
def test_a_full_disk_loses_nothing(folder, name, sizes):
    """With room again, the same steps succeed."""

    def add(write: int, commit: int) -> None:
        with limited(write):
            for slots in pool.shards_missing(2, 4):
                pool.write(2, slots.start, made(2, slots))
        with limited(commit):
            pool.commit(2, 4)

    with PoolFolder.open(folder, writable=True) as pool:
        with pytest.raises(UserError, match=f"^{folder / name}: cannot be written: File too large; .* make room"):
            add(*sizes)
        assert pool.rounds == [10, 3] and same(pool.read(), rounds(0, 2))
        assert list(folder.rglob("*.partial")) == []
        add(10**6, 10**6)
        assert pool.rounds == [10, 3, 4] and check(pool) == []


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
    names = ["manifest.json", "README.md", "round-0000/00000.parquet", "round-0000/slots.json", "manifest.json"]
    assert [steps[i][1] for i in renamed] == [folder / name for name in names]
    for i in renamed:
        target = steps[i][1]
        assert steps[i - 1] == ("fsync", target.with_name(f".{target.name}.{os.getpid()}.partial"))
        assert steps[i + 1] == ("fsync", target.parent)
    assert ("fsync", folder) in steps[renamed[1] + 2 : renamed[2]]  # the new folder of the round
    assert ("fsync", folder) in steps[renamed[3] : renamed[4]]  # and again, should a killed run have made it
