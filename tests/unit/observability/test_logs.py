"""The whole way of a line: ours, a library's, a warning's; as JSON and for people."""

import json
import logging
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

from framegate.kernel.apikey import new_key
from framegate.observability.fields import FIELD_NAMES
from framegate.observability.logs import bound, configure_logs, get_log
from tests.support.logs import logs_restored

KEY, _, SECRET = new_key()


@pytest.fixture
def lines() -> Iterator[list[str]]:
    with logs_restored():
        yield []


def only(lines: list[str]) -> dict[str, Any]:
    [line] = lines
    found: dict[str, Any] = json.loads(line)
    assert set(found) <= FIELD_NAMES
    return found


def test_a_line_says_when_how_grave_who_and_what(lines: list[str]) -> None:
    configure_logs(json=True, worker="box/api", write=lines.append)
    get_log(stage="ingest").info("ready", action="ready", port=1)
    found = only(lines)
    assert list(found) == ["timestamp", "level", "action", "event", "stage", "port", "worker"]
    assert found["timestamp"].endswith("Z")
    assert (found["worker"], found["stage"], found["level"]) == ("box/api", "ingest", "info")


def test_what_was_made_at_import_follows_what_is_configured_later(lines: list[str]) -> None:
    early = get_log(component="web")
    early.info("nobody hears this", action="ready")
    configure_logs(json=True, level="WARNING", write=lines.append)
    early.info("nor this", action="ready")
    early.warning("this", action="ready")
    assert only(lines)["component"] == "web"


def test_what_a_request_binds_is_on_its_lines_and_on_no_other(lines: list[str]) -> None:
    configure_logs(json=True, write=lines.append)
    with bound(request_id="r1"):
        get_log().info("inside", action="ready")
    get_log().info("outside", action="ready")
    assert [json.loads(line).get("request_id") for line in lines] == ["r1", None]


@pytest.mark.parametrize("as_json", [True, False])
def test_no_way_leads_a_secret_into_a_line(lines: list[str], as_json: bool) -> None:
    configure_logs(json=as_json, colours=False, write=lines.append)
    log = get_log(component=f"x {KEY}")
    try:
        raise ValueError(f"no such key: {KEY}") from KeyError(KEY)
    except ValueError as error:
        log.exception("failed", action="ready", error=str(error), detail=[{"x": (KEY,)}], token=SECRET)
    logging.getLogger("uvicorn.error").error("with %s", KEY, exc_info=ValueError(KEY))
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)
        warnings.warn(f"careful with {KEY}", stacklevel=1)
    text = "\n".join(lines)
    assert len(lines) == 3
    assert SECRET not in text
    assert text.count("fg_live_") >= 6
    assert "Traceback" in text


@pytest.mark.parametrize(("own", "told"), [(35, "warning"), (41, "error")])
def test_a_level_of_a_library_s_own_is_told_as_the_next_lower_of_ours(lines: list[str], own: int, told: str) -> None:
    configure_logs(json=True, write=lines.append)
    logging.getLogger("openvino").log(own, "notice")
    assert only(lines)["level"] == told


def test_libraries_are_heard_when_they_warn_and_never_with_what_they_debug(lines: list[str]) -> None:
    configure_logs(json=True, level="DEBUG", write=lines.append)
    library = logging.getLogger("botocore.endpoint")
    library.setLevel(logging.NOTSET)
    library.debug("the whole request")
    library.info("found credentials")
    [ours] = [handler for handler in logging.getLogger().handlers if "framegate" in type(handler).__module__]
    wrong = {"name": library.name, "levelno": logging.CRITICAL, "msg": "%d", "args": ("not a number",)}
    ours.emit(logging.makeLogRecord(wrong))
    said = [(found["level"], found["event"], found["component"]) for found in map(json.loads, lines)]
    assert said == [("info", "found credentials", "botocore.endpoint"), ("error", "%d", "botocore.endpoint")]
    assert {json.loads(line)["action"] for line in lines} == {"library_said"}


@pytest.mark.parametrize("as_json", [True, False])
def test_a_line_is_one_line(lines: list[str], as_json: bool) -> None:
    configure_logs(json=as_json, colours=False, write=lines.append)
    get_log().error("failed", action="ready", error='x\n{"level": "info", "event": "forged"}\r\n\u2028\x1b[2J')
    assert [len(line.splitlines()) for line in lines] == [1]


def test_standard_error_that_cannot_be_written_stops_nobody(lines: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def isatty(self) -> bool:
            return False

        def write(self, _: str) -> int:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(sys, "stderr", Full())
    configure_logs()
    get_log().error("failed", action="ready")
