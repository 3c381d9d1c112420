from datetime import UTC, datetime

import pytest

from framegate.observability.rendering import line_of

EVENT = {
    "timestamp": datetime(2026, 3, 1, 12, 0, 0, 123456, UTC).isoformat(),
    "level": "warning",
    "action": "attempt_failed",
    "event": "an attempt failed",
    "worker": "box/inference-0",
    "stage": "inference",
    "image": "0198f2d4",
    "cause": "EngineFault: no answer",
}


def test_a_line_is_time_level_who_what_and_fields() -> None:
    line = line_of(EVENT, colours=False)
    at = datetime(2026, 3, 1, 12, tzinfo=UTC).astimezone().strftime("%H:%M:%S")
    assert line == (
        f"{at}.123 warning inference-0 an attempt failed                  "
        'action=attempt_failed image=0198f2d4 cause="EngineFault: no answer"'
    )
    assert line_of({**EVENT, "worker": "host/inference/7"}, colours=False).split()[2] == "inference"


def test_columns_are_aligned() -> None:
    lines = [line_of({**EVENT, "level": level, "worker": f"box/{who}"}, colours=False) for level, who in
             (("info", "api"), ("error", "preprocess"))]  # fmt: skip
    assert len({line.index("an attempt failed") for line in lines}) == 1


def test_colours_are_there_only_when_wanted() -> None:
    assert "\x1b" not in line_of(EVENT, colours=False)
    assert "\x1b[33mwarning" in line_of(EVENT, colours=True)


@pytest.mark.parametrize("control", ["\n", "\r", "\x1b[2J", "\x9b", "\u2028", "\u202e", "\0", "\ud800"])
@pytest.mark.parametrize("where", ["event", "cause", "worker", "level", "timestamp"])
def test_what_is_foreign_cannot_forge_a_line(where: str, control: str) -> None:
    line = line_of({**EVENT, where: f"x{control}12:00:00.000 error   api  forged"}, colours=False)
    assert len(line.splitlines()) == 1
    assert control[0] not in line


def test_a_traceback_stands_behind_a_margin() -> None:
    exception = "Traceback:\n  File x\nValueError: bad\n12:00:00.000 error forged\x1b[1A"
    head, *rest = line_of({**EVENT, "exception": exception}, colours=False).splitlines()
    assert "exception" not in head
    assert [line[:10] for line in rest] == ["        | "] * 4
    assert "\x1b" not in "".join(rest)


def test_values_can_be_told_apart() -> None:
    line = line_of(
        {**EVENT, "cause": 'a="b" c', "models": {"incumbent": "a@1"}, "stages": ["gate", "sweep"]}, colours=False
    )
    assert r'cause="a=\"b\" c"' in line
    assert "models={incumbent=a@1} stages=[gate, sweep]" in line
