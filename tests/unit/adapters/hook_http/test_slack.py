import dataclasses
import json

import pytest

from framegate.adapters.hook_http.slack import slack_body
from framegate.ports.hooks import HookMessage

MESSAGE = HookMessage("msg_1", "incident.opened", b"{}", "Torn cartons", "At dock-3", "https://box/i/1", "critical")


def test_people_see_what_happened_and_can_follow_it() -> None:
    (shown,) = slack_body(MESSAGE)["attachments"]
    assert (shown["title"], shown["text"], shown["title_link"]) == ("Torn cartons", "At dock-3", "https://box/i/1")
    assert shown["fallback"] == "Torn cartons"
    assert shown["color"] == "#c62828"


def test_without_a_link_there_is_none() -> None:
    (shown,) = slack_body(dataclasses.replace(MESSAGE, link=None))["attachments"]
    assert "title_link" not in shown


def test_a_severity_that_has_no_colour_is_grey() -> None:
    (shown,) = slack_body(dataclasses.replace(MESSAGE, severity="odd"))["attachments"]
    assert shown["color"] == "#757575"


@pytest.mark.parametrize("text", ["<!channel>", "<https://evil.example|click>", "<@U123>", "a & b"])
def test_no_text_becomes_a_mention_or_a_link(text: str) -> None:
    (shown,) = slack_body(dataclasses.replace(MESSAGE, title=text, text=text))["attachments"]
    for part in (shown["title"], shown["text"], shown["fallback"]):
        assert "<" not in part
        assert part.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&") == text


def test_long_texts_are_cut_before_they_are_escaped() -> None:
    (shown,) = slack_body(dataclasses.replace(MESSAGE, title="&" * 500, text="<" * 50_000))["attachments"]
    assert shown["title"] == "&amp;" * 149 + "…"
    assert shown["text"] == "&lt;" * 2_999 + "…"
    assert len(json.dumps(shown)) < 20_000
