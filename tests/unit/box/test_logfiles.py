"""The lines of a box are kept, whole and bounded, whatever happens to the disk, the terminal or a process."""

import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from framegate.box.launching import Commands
from framegate.box.logfiles import BoxLog, RotatedFile, log_files, tail
from framegate.box.supervisor import ChildSpec, Supervisor
from framegate.kernel.errors import ConfigurationError
from framegate.observability.logs import configure_logs
from tests.support.box import until
from tests.support.logs import logs_restored


def line(n: int) -> str:
    return json.dumps({"event": f"event {n}", "level": "info"})


def kept(data: Path) -> list[dict[str, Any]]:
    return [json.loads(one) for file in log_files(data) for one in file.read_text("utf-8").splitlines()]


def test_the_newest_lines_are_kept_whole_and_in_order_within_the_bound(tmp_path: Path) -> None:
    file = RotatedFile(tmp_path, files=3, file_bytes=200)
    for n in range(100):
        file.write(line(n).encode())
    file.close()
    files = log_files(tmp_path)
    assert [one.name for one in files] == ["box.2.jsonl", "box.1.jsonl", "box.jsonl"]
    assert sum(one.stat().st_size for one in files) <= 3 * 200
    assert all(one.stat().st_mode & 0o077 == 0 for one in files)
    numbers = [int(found["event"].split()[1]) for found in kept(tmp_path)]
    assert numbers == list(range(numbers[0], 100))
    assert len(numbers) >= 10


def test_a_start_goes_on_in_the_same_file_and_after_a_torn_line_in_a_new_one(tmp_path: Path) -> None:
    first = RotatedFile(tmp_path)
    first.write(b'{"event": "one"}')
    first.close()
    [path] = log_files(tmp_path)
    with path.open("ab") as torn:
        torn.write(b'{"event": "to')  # the host died here
    second = RotatedFile(tmp_path)
    second.write(b'{"event": "two"}')
    second.close()
    assert path.read_text().splitlines() == ['{"event": "one"}', '{"event": "to', '{"event": "two"}']


def test_a_full_disk_loses_lines_and_says_how_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, write = RotatedFile(tmp_path), os.write
    full = threading.Event()

    def writes(descriptor: int, data: bytes) -> int:
        if full.is_set():
            raise OSError(28, "No space left on device")
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", writes)
    assert file.write(b"{}") == 0
    full.set()
    assert [file.write(b"{}") for _ in range(3)] == [0, 0, 0]
    full.clear()
    assert [file.write(b"{}"), file.write(b"{}")] == [3, 0]


def test_a_rotation_that_finds_no_room_destroys_nothing_and_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = RotatedFile(tmp_path, files=3, file_bytes=200)
    for n in range(30):
        file.write(line(n).encode())
    before, opened = kept(tmp_path), os.open

    def refused(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "open", refused)
    for _ in range(20):
        file.write(line(30).encode())
    assert kept(tmp_path)[: len(before)] == before
    monkeypatch.setattr(os, "open", opened)
    assert file.write(line(31).encode()) >= 10
    assert kept(tmp_path)[-1] == json.loads(line(31))


def test_a_line_of_which_a_part_had_room_spoils_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, write = RotatedFile(tmp_path), os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:5]))
    assert file.write(line(1).encode()) == 0
    monkeypatch.setattr(os, "write", write)
    assert file.write(line(2).encode()) == 1
    assert log_files(tmp_path)[0].read_text().splitlines()[1:] == [line(2)]


def test_a_place_that_cannot_be_written_is_told_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file")
    with pytest.raises(ConfigurationError, match="cannot write logs in"):
        RotatedFile(tmp_path)


CHILD = f"""
import sys, time
print({line(1)!r}, file=sys.stderr, flush=True)
print("no line of ours", flush=True)
sys.stderr.write("torn by its end")
sys.stderr.flush()
time.sleep(600)
"""


def test_what_processes_of_a_box_write_is_kept_and_shown_whatever_it_is(tmp_path: Path) -> None:
    shown: list[str] = []
    with logs_restored(), BoxLog(tmp_path, shown.append) as logs:
        configure_logs(json=True, worker="box/supervisor", write=logs.write)
        command = Commands((sys.executable, "-c"))
        supervisor = Supervisor([ChildSpec("x", (CHILD,), dict(os.environ))], command, logs.follow, lambda: None)
        stop = threading.Event()
        thread = threading.Thread(target=supervisor.run, args=(stop,))
        thread.start()
        until(lambda: any("no line of ours" in one for one in shown), what="a line of the child")
        stop.set()
        thread.join(30)
    found = kept(tmp_path)
    assert [one["event"] for one in found if "action" not in one] == ["event 1"]
    said = [one for one in found if one.get("action") == "child_said"]
    assert [(one["child"], one["detail"]) for one in said] == [("x", "no line of ours"), ("x", "torn by its end")]
    assert [one["event"] for one in found] == [json.loads(one)["event"] for one in shown]
    assert "torn by its end" in tail(tmp_path)


def test_a_terminal_that_stands_still_holds_nobody_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("framegate.box.logfiles._MOST_UNSHOWN", 3)
    goes_on = threading.Event()
    with BoxLog(tmp_path, lambda _: goes_on.wait(20)) as logs:
        for n in range(100):
            logs.write(line(n))
        assert len(kept(tmp_path)) == 100
        goes_on.set()
