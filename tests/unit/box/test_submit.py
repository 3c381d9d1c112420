import io
import threading
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from framegate.box.client import RefusedUpload
from framegate.box.submit import Submitter
from framegate.kernel.errors import DependencyUnavailable


class FakeApi:
    """Answers as it is told; keeps what it was sent."""

    def __init__(self) -> None:
        self.away = False
        self.refuse = False
        self.sent: list[tuple[bytes, str | None, dict[str, str]]] = []

    def submit(self, data: bytes, suffix: str, idempotency_key: str | None = None, **parameters: str) -> dict[str, Any]:
        if self.away:
            raise DependencyUnavailable("away")
        if self.refuse:
            raise RefusedUpload("422")
        self.sent.append((data, idempotency_key, parameters))
        return {"id": f"image-{len(self.sent)}"}


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


def submitter(api: Any, spool: Path) -> Submitter:
    return Submitter(api, spool, "dock-1", "live", Console(file=io.StringIO()))


def stopped() -> threading.Event:
    event = threading.Event()
    event.set()
    return event


def write(folder: Path, name: str, data: bytes = b"x") -> Path:
    file = folder / name
    file.write_bytes(data)
    import os

    os.utime(file, (1, 1))  # long finished
    return file


def test_images_of_a_folder_are_sent_once_in_order_and_nothing_else(api: FakeApi, tmp_path: Path) -> None:
    for name in ("b.jpg", "a.JPEG", "c.png", "d.txt"):
        write(tmp_path, name, name.encode())
    assert submitter(api, tmp_path / "spool").run([tmp_path], follow=False, stop=threading.Event()) == 0
    assert [data for data, _, _ in api.sent] == [b"a.JPEG", b"b.jpg", b"c.png"]
    assert api.sent[0][2] == {"camera": "dock-1", "lane": "live"}


def test_what_cannot_be_sent_waits_in_the_spool_and_goes_first_the_next_time(api: FakeApi, tmp_path: Path) -> None:
    file, spool = write(tmp_path, "a.jpg", b"first"), tmp_path / "spool"
    api.away = True
    first = submitter(api, spool)
    first._send_or_spool(file)
    file.write_bytes(b"second")
    api.away = False
    assert submitter(api, spool).run([file], follow=False, stop=threading.Event()) == 0
    assert [data for data, _, _ in api.sent] == [b"first", b"second"]
    assert list(spool.iterdir()) == []


def test_the_same_file_carries_the_same_key_from_the_spool_and_directly(api: FakeApi, tmp_path: Path) -> None:
    file, spool = write(tmp_path, "a.jpg"), tmp_path / "spool"
    api.away = True
    submitter(api, spool)._send_or_spool(file)
    api.away = False
    submitter(api, spool).run([file], follow=False, stop=threading.Event())
    assert len(api.sent) == 2
    assert api.sent[0][1] == api.sent[1][1]


def test_a_refusal_is_final_and_told_by_the_exit_code(api: FakeApi, tmp_path: Path) -> None:
    api.refuse = True
    assert submitter(api, tmp_path / "spool").run([write(tmp_path, "a.jpg")], follow=False, stop=threading.Event()) == 1
    assert not (tmp_path / "spool").exists()


def test_stopping_leaves_the_spool_and_says_so_by_the_exit_code(api: FakeApi, tmp_path: Path) -> None:
    api.away = True
    sender = submitter(api, tmp_path / "spool")
    sender._send_or_spool(write(tmp_path, "a.jpg"))
    assert sender.run([], follow=False, stop=stopped()) == 1
    assert len(list((tmp_path / "spool").glob("*.jpg"))) == 1


def test_a_file_that_cannot_be_read_is_told_and_the_others_are_sent(
    api: FakeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.jpg", "b.jpg"):
        write(tmp_path, name, name.encode())
    read = Path.read_bytes

    def refuse(file: Path) -> bytes:
        if file.name == "a.jpg":
            raise PermissionError(13, "Permission denied")
        return read(file)

    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert submitter(api, tmp_path / "spool").run([tmp_path], follow=False, stop=threading.Event()) == 1
    assert [data for data, _, _ in api.sent] == [b"b.jpg"]


def test_a_file_that_is_gone_by_the_time_it_is_spooled_is_spooled_all_the_same(api: FakeApi, tmp_path: Path) -> None:
    file, spool = write(tmp_path, "a.jpg", b"first"), tmp_path / "spool"
    answer = api.submit

    def rotate(*arguments: Any, **more: Any) -> dict[str, Any]:
        file.unlink(missing_ok=True)
        return answer(*arguments, **more)

    api.submit = rotate  # type: ignore[method-assign]
    api.away = True
    submitter(api, spool)._send_or_spool(file)
    api.away = False
    assert submitter(api, spool).run([], follow=False, stop=threading.Event()) == 0
    assert [data for data, _, _ in api.sent] == [b"first"]


def test_a_full_disk_stops_the_spooling_of_a_file_and_not_the_sending_of_the_next(
    api: FakeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(tmp_path, "a.jpg")
    blocked = tmp_path / "spool"
    blocked.write_text("in the way")
    api.away = True
    sender = submitter(api, blocked)
    assert sender.run([file], follow=False, stop=threading.Event()) == 1
    api.away = False
    assert sender.run([file], follow=False, stop=threading.Event()) == 0
    assert [data for data, _, _ in api.sent] == [b"x"]


def test_a_spooled_image_whose_note_is_lost_does_not_hold_up_the_others(api: FakeApi, tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    api.away = True
    for name in ("a.jpg", "b.jpg"):
        submitter(api, spool)._send_or_spool(write(tmp_path, name, name.encode()))
    api.away = False
    broken = min(spool.glob("*.json"))
    broken.unlink()
    assert submitter(api, spool).run([], follow=False, stop=threading.Event()) == 1
    assert len(api.sent) == 1
    assert [f.name for f in spool.iterdir()] == [f"{broken.stem}.jpg.broken"]


def test_stopping_ends_the_emptying_of_the_spool(api: FakeApi, tmp_path: Path) -> None:
    spool, stop = tmp_path / "spool", threading.Event()
    api.away = True
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        submitter(api, spool)._send_or_spool(write(tmp_path, name, name.encode()))
    api.away = False
    answer = api.submit

    def stopping(*arguments: Any, **more: Any) -> dict[str, Any]:
        stop.set()
        return answer(*arguments, **more)

    api.submit = stopping  # type: ignore[method-assign]
    assert submitter(api, spool).run([], follow=False, stop=stop) == 1
    assert len(api.sent) == 1


def test_the_same_picture_of_two_cameras_is_two_images(api: FakeApi, tmp_path: Path) -> None:
    file = write(tmp_path, "a.jpg")
    for camera, lane in (("dock-1", "live"), ("dock-2", "live"), ("dock-1", "bulk")):
        Submitter(api, tmp_path / "spool", camera, lane, Console(file=io.StringIO()))._send_or_spool(file)  # type: ignore[arg-type]
    assert len({key for _, key, _ in api.sent}) == 3


def test_a_name_that_is_not_unicode_is_sent_like_any_other(api: FakeApi, tmp_path: Path) -> None:
    import os

    folder, spool = tmp_path / "images", tmp_path / "spool"
    folder.mkdir()
    write(folder, os.fsdecode(b"caf\xe9[red].jpg"))
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    sender = Submitter(api, spool, "dock-1", "live", Console(file=terminal))  # type: ignore[arg-type]
    api.away = True
    sender._send_or_spool(next(folder.iterdir()))
    api.away = False
    assert sender.run([], follow=False, stop=threading.Event()) == 0
    assert len(api.sent) == 1
