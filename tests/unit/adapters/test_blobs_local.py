"""Durability by the order of system calls, and what becomes of a disk that refuses."""

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from framegate.adapters.blobs_local import LocalBlobs
from framegate.kernel.errors import BlobMissing, DependencyUnavailable

Call = tuple[str, str]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "blobs"


@pytest.fixture
def blobs(root: Path) -> LocalBlobs:
    return LocalBlobs(root)


def record(monkeypatch: pytest.MonkeyPatch, root: Path) -> list[Call]:
    """Every mkdir, fsync and rename from here on, with paths relative to `root`; spool names become `spool/*`."""
    calls: list[Call] = []
    mkdir, fsync, rename = os.mkdir, os.fsync, os.rename

    def short(path: Any) -> str:
        relative = os.path.relpath(path, root)
        return "spool/*" if relative.startswith("spool/") else relative

    def record_mkdir(path: Any, *args: Any, **kwargs: Any) -> None:
        mkdir(path, *args, **kwargs)
        calls.append(("mkdir", short(path)))

    def record_fsync(descriptor: int) -> None:
        calls.append(("fsync", short(Path(f"/proc/self/fd/{descriptor}").readlink())))
        fsync(descriptor)

    def record_rename(source: Any, target: Any) -> None:
        calls.append(("rename", f"{short(source)} > {short(target)}"))
        rename(source, target)

    monkeypatch.setattr(os, "mkdir", record_mkdir)
    monkeypatch.setattr(os, "fsync", record_fsync)
    monkeypatch.setattr(os, "rename", record_rename)
    return calls


def fail(monkeypatch: pytest.MonkeyPatch, call: str, error: int, when: Callable[[], bool] = lambda: True) -> None:
    original = getattr(os, call)

    def refuse(*args: Any, **kwargs: Any) -> Any:
        if when():
            raise OSError(error, os.strerror(error))
        return original(*args, **kwargs)

    monkeypatch.setattr(os, call, refuse)


def test_put_syncs_the_file_then_renames_it_then_syncs_the_directory(
    blobs: LocalBlobs, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs.put("originals/ab/first", b"x")
    calls = record(monkeypatch, root)
    blobs.put("originals/ab/second", b"x")
    assert calls == [
        ("fsync", "spool/*"),
        ("rename", "spool/* > originals/ab/second"),
        ("fsync", "originals/ab"),
    ]


def test_adopt_syncs_the_file_then_renames_it_then_syncs_the_directory(
    blobs: LocalBlobs, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs.put("originals/ab/first", b"x")
    upload = blobs.spool_dir() / "upload"
    upload.write_bytes(b"x")
    calls = record(monkeypatch, root)
    blobs.adopt("originals/ab/second", upload)
    assert calls == [
        ("fsync", "spool/*"),
        ("rename", "spool/* > originals/ab/second"),
        ("fsync", "originals/ab"),
    ]


def test_new_directories_are_synced_into_their_parents_before_the_file_moves_in(
    blobs: LocalBlobs, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = record(monkeypatch, root)
    blobs.put("originals/ab/cd/one", b"x")
    assert calls == [
        ("fsync", "spool/*"),
        ("mkdir", "originals"),
        ("fsync", "."),
        ("mkdir", "originals/ab"),
        ("fsync", "originals"),
        ("mkdir", "originals/ab/cd"),
        ("fsync", "originals/ab"),
        ("rename", "spool/* > originals/ab/cd/one"),
        ("fsync", "originals/ab/cd"),
    ]


def test_directories_made_by_somebody_who_may_not_have_synced_them_are_synced(
    blobs: LocalBlobs, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "originals" / "ab").mkdir(parents=True)
    calls = record(monkeypatch, root)
    blobs.put("originals/ab/one", b"x")
    before_move = calls[: calls.index(("rename", "spool/* > originals/ab/one"))]
    assert ("fsync", ".") in before_move
    assert ("fsync", "originals") in before_move


def test_a_repeated_put_is_synced_because_the_first_may_have_died_before_its_sync(
    blobs: LocalBlobs, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs.put("originals/one", b"x")
    calls = record(monkeypatch, root)
    blobs.put("originals/one", b"x")
    assert calls == [("fsync", "originals/one"), ("fsync", "originals")]


def test_what_is_not_durable_is_renamed_without_any_sync(
    blobs: LocalBlobs, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs.put("prepared/first", b"x", durable=False)
    calls = record(monkeypatch, root)
    blobs.put("prepared/second", b"x", durable=False)
    assert calls == [("rename", "spool/* > prepared/second")]


def test_what_is_not_durable_may_be_replaced_as_a_power_loss_may_have_torn_it(blobs: LocalBlobs) -> None:
    blobs.put("prepared/one", b"torn", durable=False)
    blobs.put("prepared/one", b"whole", durable=False)
    assert blobs.get("prepared/one") == b"whole"


def test_a_new_root_is_synced_into_its_parents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = record(monkeypatch, tmp_path)
    LocalBlobs(tmp_path / "new" / "blobs")
    assert {("fsync", "new/blobs"), ("fsync", "new"), ("fsync", ".")} <= set(calls)


def test_only_the_owner_may_read(blobs: LocalBlobs, root: Path) -> None:
    upload = blobs.spool_dir() / "upload"
    upload.write_bytes(b"x")
    upload.chmod(0o644)
    blobs.adopt("originals/ab/adopted", upload)
    blobs.put("originals/ab/put", b"x")
    blobs.put("prepared/ab/put", b"x", durable=False)
    modes = {path.relative_to(root): stat.S_IMODE(path.stat().st_mode) for path in [root, *root.rglob("*")]}
    assert {mode for path, mode in modes.items() if (root / path).is_dir()} == {0o700}
    assert {mode for path, mode in modes.items() if (root / path).is_file()} == {0o600}


@pytest.mark.parametrize(
    "key",
    [
        "", "/etc/passwd", "../outside", "a/../../outside", "a/..", "a//b", "a/", "/a", ".hidden", "a/.hidden", "a\\b", "a b",
        "a\n", "a\0b", "ä", "a/" + "x" * 300, "/".join("abcdefghijkl"), "spool/upload", "spool",
    ],
)  # fmt: skip
def test_a_key_that_is_no_safe_relative_path_is_refused(blobs: LocalBlobs, key: str, tmp_path: Path) -> None:
    upload = blobs.spool_dir() / "upload"
    upload.write_bytes(b"x")
    before = sorted(tmp_path.rglob("*"))
    for call in (
        lambda: blobs.put(key, b"x"),
        lambda: blobs.adopt(key, upload),
        lambda: blobs.get(key),
        lambda: blobs.exists(key),
        lambda: blobs.delete(key),
    ):
        with pytest.raises(ValueError, match="not a blob key"):
            call()
    assert sorted(tmp_path.rglob("*")) == before


def test_a_prefix_outside_is_not_swept(blobs: LocalBlobs, tmp_path: Path) -> None:
    (tmp_path / "outside").write_bytes(b"x")
    with pytest.raises(ValueError, match="prefix"):
        blobs.sweep("..", 0)
    assert (tmp_path / "outside").exists()


@pytest.mark.parametrize(
    ("error", "remedy"),
    [(errno.ENOSPC, "free space"), (errno.EIO, "kernel log"), (errno.EROFS, "read-only"), (errno.EDQUOT, "quota")],
)
@pytest.mark.parametrize("call", ["write", "fsync", "rename"])
def test_a_disk_that_refuses_is_an_unavailable_dependency_with_a_remedy(
    blobs: LocalBlobs, root: Path, monkeypatch: pytest.MonkeyPatch, call: str, error: int, remedy: str
) -> None:
    fail(monkeypatch, call, error)
    with pytest.raises(DependencyUnavailable, match=remedy):
        blobs.put("originals/one", b"x")
    assert list((root / "spool").iterdir()) == [], "a leftover takes space that is missing"
    monkeypatch.undo()
    assert not blobs.exists("originals/one")
    blobs.put("originals/one", b"x")
    assert blobs.get("originals/one") == b"x"


def test_a_put_that_writes_piecemeal_is_whole(blobs: LocalBlobs, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:1000]))
    data = os.urandom(10_500)
    blobs.put("originals/one", data)
    assert blobs.get("originals/one") == data


def test_an_upload_that_could_not_be_synced_is_never_adopted_later(
    blobs: LocalBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = blobs.spool_dir() / "upload"
    upload.write_bytes(b"x")
    fail(monkeypatch, "fsync", errno.EIO)
    with pytest.raises(DependencyUnavailable):
        blobs.adopt("originals/one", upload)
    monkeypatch.undo()
    with pytest.raises(BlobMissing):
        blobs.adopt("originals/one", upload)


def test_a_volume_that_is_not_mounted_is_unavailable_and_not_missing(blobs: LocalBlobs, root: Path) -> None:
    blobs.put("originals/one", b"x")
    root.rename(root.with_name("elsewhere"))
    root.mkdir()  # the empty mount point
    for call in (
        lambda: blobs.get("originals/one"),
        lambda: blobs.exists("originals/one"),
        lambda: blobs.put("originals/two", b"x"),
        lambda: blobs.sweep("originals", 0),
    ):
        with pytest.raises(DependencyUnavailable):
            call()
    assert list(root.iterdir()) == [], "something was written below the mount point"


def test_a_directory_that_somebody_deleted_is_made_again(blobs: LocalBlobs, root: Path) -> None:
    blobs.put("prepared/ab/one", b"x")
    (root / "prepared" / "ab" / "one").unlink()
    (root / "prepared" / "ab").rmdir()
    (root / "prepared").rmdir()
    blobs.put("prepared/ab/two", b"x")
    assert blobs.get("prepared/ab/two") == b"x"


def test_spool_leftovers_are_swept_when_old(blobs: LocalBlobs) -> None:
    for name, age in (("old", 100), ("young", 0)):
        file = blobs.spool_dir() / name
        file.write_bytes(b"x")
        moment = file.stat().st_mtime - age
        os.utime(file, (moment, moment))
    assert blobs.sweep("spool", 50) == 1
    assert [file.name for file in blobs.spool_dir().iterdir()] == ["young"]


def test_a_link_is_swept_as_itself_and_not_followed(blobs: LocalBlobs, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_bytes(b"x")
    os.utime(outside / "precious", (0, 0))
    (blobs.spool_dir() / "link").symlink_to(outside)
    blobs.sweep("spool", -10)
    assert (outside / "precious").exists()


def test_blobs_of_an_earlier_run_are_found(blobs: LocalBlobs, root: Path) -> None:
    blobs.put("originals/one", b"x")
    again = LocalBlobs(root)
    assert again.get("originals/one") == b"x"
    free = again.free_bytes()
    assert free is not None
    assert free > 0
