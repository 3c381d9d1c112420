import io
import json
from pathlib import Path
from typing import Any

import pytest

from framegate.box.loglines import follow, lines_about, moment_of, newest, read_exported

IMAGE, OTHER = "0198f2d4-0000-7000-8000-000000000001", "0198f2d4-0000-7000-8000-000000000002"


def line(event: str, **fields: Any) -> str:
    return json.dumps({"timestamp": "2026-03-01T12:00:00Z", "level": "info", "event": event, **fields})


PLAIN = line("x", action="ready", image=IMAGE)
EXPORTED = {
    "as it is": PLAIN,
    "docker compose": f"api-1  | {PLAIN}",
    "kubectl with timestamps": f"2026-03-01T12:00:00.1Z stdout F {PLAIN}",
    "aws logs tail": f"2026-03-01T12:00:00.1+00:00 framegate/gate/7f {PLAIN}",
    "CloudWatch": json.dumps({"timestamp": 1772366400000, "message": PLAIN}),
    "CloudWatch Insights": json.dumps({"@timestamp": "2026", "@message": PLAIN}),
    "logcli": json.dumps({"labels": {"app": "gate"}, "line": PLAIN, "timestamp": "2026"}),
    "docker": json.dumps({"log": PLAIN + "\n", "stream": "stderr"}),
    "journalctl": json.dumps({"MESSAGE": PLAIN, "_PID": "1"}),
}


@pytest.mark.parametrize("how", EXPORTED)
def test_a_line_is_read_as_platforms_export_it(how: str) -> None:
    assert read_exported(EXPORTED[how]) == json.loads(PLAIN)


@pytest.mark.parametrize("text", ["", "GET / 200", "{", "{}", "[1]", '{"message": 1}', '{"event": "x"}', "{" * 100_000])
def test_what_is_no_line_is_none(text: str) -> None:
    assert read_exported(text) is None


def test_the_lines_about_an_image_name_it_or_its_request_or_its_trace() -> None:
    lines = [
        line("the request before it was known", request_id="r1"),
        line("another request", request_id="r2"),
        line("of it", image=IMAGE, request_id="r1", trace_id="t1"),
        line("of its trace", trace_id="t1"),
        line("of another image of its trace", trace_id="t1", image=OTHER),
        line("of several", images=[OTHER, IMAGE]),
        line("in a path", path=f"/v1/images/{IMAGE}"),
        "no line that names " + IMAGE,
    ]
    files = [io.BytesIO("\n".join(some).encode()) for some in (lines[:2], lines[2:])]
    assert [event["event"] for event in lines_about(files, IMAGE)] == [
        "the request before it was known", "of it", "of its trace", "of several", "in a path",
    ]  # fmt: skip


def test_the_newest_lines_come_from_as_many_files_as_they_need(tmp_path: Path) -> None:
    files = [tmp_path / "old", tmp_path / "new"]
    files[0].write_text("\n".join(line(f"{n}") for n in range(5)))
    files[1].write_text("\n".join([line("5"), "no line", line("6", level="error")]))
    assert [event["event"] for event in newest(files, 4, lambda _: True)] == ["3", "4", "5", "6"]
    assert [event["event"] for event in newest(files, 4, lambda event: event["level"] == "error")] == ["6"]


def test_following_goes_on_after_a_rotation_and_waits_for_the_end_of_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("framegate.box.loglines._POLL_S", 0)
    file = tmp_path / "box.jsonl"
    file.write_text(line("before") + "\n")

    def append(text: str) -> None:
        with file.open("a") as opened:
            opened.write(text)

    def rotate() -> None:
        file.rename(tmp_path / "box.1.jsonl")
        file.write_text(line("two") + "\n")

    steps = iter(
        [lambda: append(line("one")[:20]), lambda: append(line("one")[20:] + "\n"), rotate, *[lambda: None] * 3]
    )

    def ended() -> bool:
        """Asked before each look at the file: what is written meanwhile."""
        step = next(steps, None)
        if step is not None:
            step()
        return step is None

    assert [event["event"] for event in follow(file, lambda _: True, ended)] == ["one", "two"]


def test_a_line_without_a_time_comes_first() -> None:
    assert moment_of({}) < moment_of({"timestamp": "2026-03-01T12:00:00"}) == moment_of(json.loads(PLAIN))
