import base64
import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from framegate.kernel.hooksecrets import secret_of, secrets_of
from framegate.kernel.webhooks import TOLERANCE_S, SignatureRefused, sign, verify
from tests.support.pictures import shared_data
from tests.support.receivers import new_secret

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NOW = 1_614_265_330
BODY = b'{"test": 2432232314}'
HEADERS = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": str(NOW),
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}


@pytest.fixture
def vectors() -> dict[str, Any]:
    read: dict[str, Any] = json.loads(shared_data("events", "standard_webhooks_vectors.json").read_text("utf-8"))
    return read


def headers(**changes: str) -> dict[str, str]:
    return {**HEADERS, **{name.replace("_", "-"): value for name, value in changes.items()}}


def test_the_published_vectors_are_reproduced(vectors: dict[str, Any]) -> None:
    assert vectors["tolerance_seconds"] == TOLERANCE_S
    for vector in vectors["vectors"]:
        body, now = vector["payload"].encode(), int(vector["webhook-timestamp"])
        assert sign([vector["secret"]], vector["webhook-id"], now, body) == vector["webhook-signature"]
        verify([vector["secret"]], vector, body, now)
        forged = {**vector, "webhook-signature": vectors["must_fail_signature"]}
        with pytest.raises(SignatureRefused):
            verify([vector["secret"]], forged, body, now)
        others = " ".join([*vectors["multi_signature_example_prefixes"], vector["webhook-signature"]])
        verify([vector["secret"]], {**vector, "webhook-signature": others}, body, now)


def test_the_secret_of_an_endpoint_has_32_bytes_and_follows_from_pepper_endpoint_and_generation() -> None:
    endpoint, other = UUID(int=1), UUID(int=2)
    known = secret_of(b"pepper", endpoint, 1)
    assert known.startswith("whsec_")
    assert len(base64.b64decode(known.removeprefix("whsec_"), validate=True)) == 32
    assert secret_of(b"pepper", endpoint, 1) == known
    others = {secret_of(b"pepper", endpoint, 2), secret_of(b"pepper", other, 1), secret_of(b"salt", endpoint, 1)}
    assert len(others | {known}) == 4


def test_both_secrets_sign_for_a_day_after_a_rotation_and_then_the_newest_alone() -> None:
    rotated = datetime(2026, 5, 1, tzinfo=UTC)
    newest, before = secret_of(b"pepper", UUID(int=1), 2), secret_of(b"pepper", UUID(int=1), 1)

    def signing(after: timedelta) -> tuple[str, ...]:
        return secrets_of(b"pepper", UUID(int=1), 2, rotated, rotated + after)

    assert signing(timedelta(hours=24) - timedelta(microseconds=1)) == (newest, before)
    assert signing(timedelta(hours=24)) == (newest,)


def test_what_we_sign_passes_the_reference_verifier() -> None:
    secret, now = new_secret(), int(time.time())
    signed = headers(webhook_timestamp=str(now), webhook_signature=sign([secret], HEADERS["webhook-id"], now, BODY))
    assert Webhook(secret).verify(BODY, signed) == json.loads(BODY)


def test_while_a_secret_is_exchanged_receivers_with_either_are_served() -> None:
    new, old = new_secret(), new_secret()
    signed = headers(webhook_signature=sign([new, old], HEADERS["webhook-id"], NOW, BODY))
    assert len(signed["webhook-signature"].split(" ")) == 2
    for secret in (new, old):
        verify([secret], signed, BODY, NOW)
    with pytest.raises(SignatureRefused):
        verify([new_secret()], signed, BODY, NOW)


def test_the_prefix_of_a_secret_may_be_missing() -> None:
    verify([SECRET.removeprefix("whsec_")], HEADERS, BODY, NOW)


@pytest.mark.parametrize("name", list(HEADERS))
def test_a_request_without_one_of_the_headers_is_refused(name: str) -> None:
    for given_headers in (HEADERS | {name: ""}, {k: v for k, v in HEADERS.items() if k != name}):
        with pytest.raises(SignatureRefused, match=name):
            verify([SECRET], given_headers, BODY, NOW)


@pytest.mark.parametrize("timestamp", ["now", "1e9", "-5", "١٢٣", "16142653300.0", " "])
def test_a_timestamp_that_is_no_number_is_refused(timestamp: str) -> None:
    with pytest.raises(SignatureRefused, match="webhook-timestamp"):
        verify([SECRET], headers(webhook_timestamp=timestamp), BODY, NOW)


@pytest.mark.parametrize(("away_s", "fits"), [(-301, False), (-300, True), (0, True), (300, True), (301, False)])
def test_a_timestamp_holds_for_five_minutes_around_now(away_s: int, fits: bool) -> None:
    if fits:
        verify([SECRET], HEADERS, BODY, NOW + away_s)
        return
    with pytest.raises(SignatureRefused, match="300 s"):
        verify([SECRET], HEADERS, BODY, NOW + away_s)


@pytest.mark.parametrize(
    ("changed", "body"),
    [({"webhook_id": "msg_2"}, BODY), ({"webhook_timestamp": str(NOW + 1)}, BODY), ({}, BODY + b" ")],
    ids=["id", "timestamp", "body"],
)
def test_id_timestamp_and_body_are_all_signed(changed: dict[str, str], body: bytes) -> None:
    with pytest.raises(SignatureRefused):
        verify([SECRET], headers(**changed), body, NOW)


def test_signatures_of_other_schemes_prove_nothing() -> None:
    other = HEADERS["webhook-signature"].replace("v1,", "v2,")
    with pytest.raises(SignatureRefused):
        verify([SECRET], headers(webhook_signature=other), BODY, NOW)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_not base64!", "whsec_ö"])
def test_what_is_no_secret_signs_nothing_and_is_not_shown(secret: str) -> None:
    with pytest.raises(ValueError, match="not a webhook secret") as refused:
        sign([secret], "msg_1", NOW, BODY)
    assert "base64!" not in str(refused.value)


@given(st.text(max_size=100))
def test_no_signature_header_makes_verifying_fail_otherwise(text: str) -> None:
    with pytest.raises(SignatureRefused):
        verify([SECRET], headers(webhook_signature=text), BODY, NOW)
