"""Whatever form a secret has, and wherever it stands, it is not written."""

import time
from datetime import UTC, datetime
from typing import Any

import pytest

from framegate.kernel.apikey import new_key
from framegate.kernel.hooksecrets import secret_of
from framegate.kernel.ids import new_image_id
from framegate.kernel.links import image_link
from framegate.kernel.people import new_token
from framegate.observability import redaction
from framegate.observability.redaction import LONGEST, REDACTED, clean, clean_text, is_secret, keep_secret

NOW = datetime(2026, 3, 1, tzinfo=UTC)
PEPPER = b"0123456789abcdef"
KEY, KEY_ID, KEY_SECRET = new_key()
SIGNING = secret_of(PEPPER, new_image_id(), 1)
TOKEN = new_token()
LINK, _ = image_link("https://box.example", PEPPER, new_image_id(), NOW)
# Put together here, so that scanners of secrets do not take them for real ones.
SLACK = "https://hooks.slack.com/" + "services/T00000000/B00000000/" + "x" * 24
AWS_ID = "AKIA" + "IOSFODNN7EXAMPLE"
AWS_SECRET = "wJalrXUtnFEMI/K7MDENG/" + "bPxRfiCYEXAMPLEKEY"
PEM = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0\n-----END PRIVATE KEY-----"

SECRETS = {
    "an API key": (KEY, KEY_SECRET),
    "a cut API key": (KEY[:40], KEY[25:40]),
    "a URL's password": ("postgresql://framegate:hunter%40two@db:5432/x?sslmode=require", "hunter%40two"),
    "a URL's user": ("could not reach https://s3cr3ttoken@git.example/x", "s3cr3ttoken"),
    "a connection string": ("host=db user=framegate password=hunter22 dbname=x", "hunter22"),
    "a quoted password": ("password='hunter two' dbname=x", "hunter two"),
    "a JSON document": ('{"name": "anna", "password": "correct \\" horse battery"}', "horse"),
    "a form": ("name=anna&password=correct+horse&csrf=abcdefgh", "correct+horse"),
    "a signing secret": (f"signed with {SIGNING}", SIGNING[8:]),
    "a Slack URL": (f"POST {SLACK} 404", "x" * 24),
    "a Mattermost URL": ("https://chat.example/hooks/8fj3kq9w7ybs5n", "8fj3kq9w7ybs5n"),
    "a bearer": (f"Bearer {TOKEN}", TOKEN),
    "a bearer that begins as a word does": ("Bearer n-g18axwbI5Z6jlw", "g18axwbI5Z6jlw"),
    "a bearer of two words": ("Bearer secret.words.of-ours, please", "words.of-ours"),
    "basic": ("Basic YW5uYTpodW50ZXIy", "YW5uYTpodW50ZXIy"),
    "a header": (f"Authorization: whatever {TOKEN}\r\nHost: box", TOKEN),
    "ASGI headers": (f"[(b'host', b'box'), (b'cookie', b'framegate={TOKEN}')]", TOKEN),
    "a cookie": (f"__Host-framegate={TOKEN}; Path=/", TOKEN),
    "an invitation": (f"https://box.example/invite/{TOKEN}", TOKEN),
    "a signed link": (LINK, LINK.split("signature=")[1]),
    "an AWS key id": (f"credentials of {AWS_ID} refused", AWS_ID),
    "an AWS secret": (f"aws_secret_access_key = {AWS_SECRET}", AWS_SECRET),
    "a presigned URL": ("https://b.s3.amazonaws.com/k?X-Amz-Credential=AKIDX&X-Amz-Signature=abc123def456", "abc123def456"),
    "a security token": ("X-Amz-Security-Token=IQoJb3JpZ2luX2VjEXAMPLE", "IQoJb3JpZ2luX2VjEXAMPLE"),
    "a private key": (PEM, "MIIEvQIBADANBgkqhkiG9w0"),
    "a JWT": ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl", "eyJzdWIiOiIxMjM0In0"),
}  # fmt: skip


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_taken_out_by_its_form(name: str) -> None:
    text, secret = SECRETS[name]
    assert secret in text
    for around in (text, f"it was: {text}", f"{text}\nand more", {"deep": [{"er": (text,)}]}, text.encode()):
        cleaned = str(clean(around))
        assert secret not in cleaned
        assert REDACTED in cleaned


def test_what_helps_to_find_it_stays() -> None:
    assert clean_text(f"{KEY} of dock-3") == f"fg_live_{KEY_ID}_{REDACTED} of dock-3"
    assert clean_text("postgresql://u:pppppp@db:5432/x failed") == f"postgresql://{REDACTED}@db:5432/x failed"
    assert clean_text(f"POST {SLACK} 404") == f"POST https://hooks.slack.com/services/{REDACTED} 404"


@pytest.mark.parametrize(
    "text",
    [
        'connection to server at "db" (10.0.0.1), port 5432 failed: FATAL: password authentication failed for user "framegate"',
        "Key (image_id)=(0198f2d4-0000-7000-8000-000000000000) already exists",
        "https://alerts.example.com/framegate answered 503",
        "the token is not one of ours, basic settings apply, bearer of news",
        "https://user.example.com/a@b",
        "originals/main/0198f2d4.jpg",
        "",
    ],
)
def test_what_is_no_secret_stays_as_it_is(text: str) -> None:
    assert clean_text(text) == text


def test_fields_are_secret_by_their_name() -> None:
    names = [
        "key",
        "api_key",
        "password",
        "Authorization",
        "database_url",
        "hook_secret",
        "csrf",
        "set-cookie",
        "token",
    ]
    assert [name for name in names if not is_secret(name)] == []
    others = ["key_id", "keys", "blob_key", "idempotency_key", "model", "trace_id", "secretary", "monkey"]
    assert [name for name in others if is_secret(name)] == []
    assert clean({"a": {"password": {"x": 1}}}) == {"a": {"password": REDACTED}}


def test_what_a_process_knows_to_be_secret_needs_no_form(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "_kept", set())
    monkeypatch.setattr(redaction, "_known", None)
    keep_secret("correct horse", None, "short")
    keep_secret("another (one)")
    assert clean_text("correct horse, another (one), short") == f"{REDACTED}, {REDACTED}, short"


def test_a_long_value_is_cut_in_its_middle_and_says_so() -> None:
    cut = clean_text("begin " + "x" * 100_000 + " end")
    assert len(cut) < LONGEST + 100
    assert cut.startswith("begin ")
    assert cut.endswith(" end")
    assert "100010 characters in all" in cut
    assert len(clean(list(range(1000)))) == 101


def test_values_become_what_json_has() -> None:
    kept: list[Any] = [None, True, 1, 1.5, "x"]
    assert clean(kept) == kept
    assert clean([float("nan"), new_image_id(), b"\xff"])[0] == "nan"
    assert clean(b"\xff") == "\\xff"
    assert isinstance(clean({1: {2: {3: {4: {5: {6: {7: 8}}}}}}}), dict)


@pytest.mark.parametrize(
    "piece",
    [
        "a",
        "://",
        "password=",
        "password='",
        'token="\\',
        "cookie: ",
        "eyJ",
        "fg_live_",
        "-----BEGIN ",
        "http://a/",
        "'",
        " ",
    ],
)
def test_nothing_foreign_makes_it_slow(piece: str) -> None:
    text = piece * (70_000 // len(piece))
    started = time.process_time()
    clean_text(text)
    assert time.process_time() - started < 1
