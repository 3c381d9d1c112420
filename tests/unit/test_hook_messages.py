import dataclasses

import pytest

from framegate.ports.hooks import Ending, Endpoint, HookKind, HookMessage, Reason, judge
from tests.support.receivers import new_secret

MESSAGE = HookMessage("msg_1", "incident.opened", b"{}", "title", "text", None, "critical")


@pytest.mark.parametrize("bad", ["", "1", "msg_", "msg_1\r\nx: y", "msg_1.2", "msg_ö", "msg_" + "1" * 121])
def test_an_id_that_could_be_more_than_an_id_is_refused(bad: str) -> None:
    with pytest.raises(ValueError, match="msg_1"):
        dataclasses.replace(MESSAGE, message_id=bad)


@pytest.mark.parametrize("bad", ["", "Incident", "a b", "a..b", ".a", "a\n"])
def test_a_type_has_words_and_dots(bad: str) -> None:
    with pytest.raises(ValueError, match=r"incident\.opened"):
        dataclasses.replace(MESSAGE, type=bad)


def test_a_payload_over_20_kb_is_refused_before_it_is_stored() -> None:
    dataclasses.replace(MESSAGE, payload=b'"' + b"x" * 19_998 + b'"')
    with pytest.raises(ValueError, match="20000 B: send a link"):
        dataclasses.replace(MESSAGE, payload=b'"' + b"x" * 19_999 + b'"')


@pytest.mark.parametrize("payload", [b"", b"{", b'"\xff"', b"\xef\xbb\xbf{}"])
def test_a_payload_that_is_not_json_is_refused(payload: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whatever json says
        dataclasses.replace(MESSAGE, payload=payload)


def test_webhooks_have_secrets_and_nothing_else_has() -> None:
    for kind, secrets in ((HookKind.WEBHOOK, ()), (HookKind.SLACK, (new_secret(),)), (HookKind.SNS, (new_secret(),))):
        with pytest.raises(ValueError, match="secret"):
            Endpoint("1", kind, "https://hooks.example.org", secrets)


def test_an_endpoint_in_a_log_shows_neither_target_nor_secret() -> None:
    secret = new_secret()
    shown = repr(Endpoint("e-1", HookKind.WEBHOOK, "https://hooks.example.org/T0/B0/token", (secret,)))
    assert "e-1" in shown
    assert "token" not in shown
    assert secret not in shown


@pytest.mark.parametrize(
    ("status", "meaning"),
    [
        (199, (Ending.RETRY, Reason.STATUS)),
        (200, (Ending.DELIVERED, Reason.DELIVERED)),
        (299, (Ending.DELIVERED, Reason.DELIVERED)),
        (300, (Ending.RETRY, Reason.REDIRECT)),
        (399, (Ending.RETRY, Reason.REDIRECT)),
        (400, (Ending.RETRY, Reason.STATUS)),
        (409, (Ending.RETRY, Reason.STATUS)),
        (410, (Ending.GONE, Reason.GONE)),
        (411, (Ending.RETRY, Reason.STATUS)),
        (599, (Ending.RETRY, Reason.STATUS)),
    ],
)
def test_every_status_has_one_meaning(status: int, meaning: tuple[Ending, Reason]) -> None:
    assert judge(status) == meaning
