"""What buckets tell, in every wrapping."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framegate.kernel.bucket_events import NotAnEvent, ObjectCreated, Skipped, parse
from tests.support.pictures import shared_data


def record(key: str = "dock-3/a.jpg", name: str = "ObjectCreated:Put", **thing: Any) -> dict[str, Any]:
    return {
        "eventSource": "aws:s3",
        "eventName": name,
        "s3": {"bucket": {"name": "photos"}, "object": {"key": key, "size": 5, "eTag": "e", "sequencer": "S"} | thing},
    }


def s3(*records: Any) -> str:
    return json.dumps({"Records": list(records)})


def sns(message: str) -> str:
    return json.dumps({"Type": "Notification", "TopicArn": "arn", "Message": message})


def sqs(*bodies: str) -> str:
    return s3(*({"eventSource": "aws:sqs", "messageId": "m", "body": body} for body in bodies))


def bridge(key: str = "dock-3/a.jpg", kind: str = "Object Created") -> str:
    detail = {
        "bucket": {"name": "photos"},
        "object": {"key": key, "size": 5, "etag": "e", "version-id": "v", "sequencer": "S"},
    }
    return json.dumps({"version": "0", "source": "aws.s3", "detail-type": kind, "detail": detail})


PUT = ObjectCreated("photos", "dock-3/a.jpg", None, 5, "e", "S")


def reasons(text: str) -> list[str]:
    return [found.reason if isinstance(found, Skipped) else found.key for found in parse(text)]


@pytest.mark.parametrize(
    "text",
    [
        s3(record()),
        s3(record(name="s3:ObjectCreated:CompleteMultipartUpload") | {"eventSource": "minio:s3"}),
        sns(s3(record())),
        sqs(s3(record())),
        sqs(sns(s3(record()))),
        s3({"EventSource": "aws:sns", "Sns": {"Message": s3(record())}}),
    ],
)
def test_every_wrapping_holds_the_same_object(text: str) -> None:
    assert parse(text) == [PUT]


def test_eventbridge_names_the_version_and_does_not_encode_keys() -> None:
    assert parse(bridge("a+b %20.jpg")) == [ObjectCreated("photos", "a+b %20.jpg", "v", 5, "e", "S")]
    assert parse(sns(bridge())) == parse(sqs(bridge())) == parse(bridge())


def test_keys_in_records_are_encoded_as_in_a_form() -> None:
    assert reasons(s3(record("a+b%20c%2B%C3%BC.jpg"))) == ["a b c+ü.jpg"]


def test_the_null_version_is_none_and_an_etag_has_no_quotes() -> None:
    assert parse(s3(record(versionId="null", eTag='"e"'))) == [PUT]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "photos"}), "test-event"),
        (s3(record(name="ObjectRemoved:Delete")), "deleted"),
        (s3(record(name="s3:ObjectRemoved:DeleteMarkerCreated")), "deleted"),
        (s3(record(name="ObjectTagging:Put")), "no-creation"),
        (s3(record(name="ObjectCreatedNot:Put")), "no-creation"),
        (bridge(kind="Object Deleted"), "deleted"),
        (bridge(kind="Object Tags Added"), "no-creation"),
        (json.dumps({"detail-type": "EC2 Instance Terminate Successful", "detail": {}}), "unknown-record"),
        (s3(record("folder/")), "folder"),
        (s3(record("")), "bad-key"),
        (s3(record("%ff")), "bad-key"),
        (s3(record("a%00")), "bad-key"),
        (s3(record("\ud800")), "bad-key"),
        (s3(record("x" * 1025)), "bad-key"),
        (bridge("\ud800"), "bad-key"),
        (s3(record(key=7)), "bad-key"),
        (s3({"eventName": "ObjectCreated:Put", "s3": {"bucket": {}, "object": {"key": "a"}}}), "bad-bucket"),
        (s3({"eventSource": "aws:dynamodb"}), "unknown-record"),
        (s3("text"), "unknown-record"),
        (s3(None), "unknown-record"),
        (sqs("Message Body"), "not-an-event"),
        (json.dumps({"Type": "SubscriptionConfirmation", "TopicArn": "arn"}), "sns-subscription"),
    ],
)
def test_what_is_nothing_to_do_is_skipped_with_its_reason(text: str, reason: str) -> None:
    (found,) = parse(text)
    assert isinstance(found, Skipped)
    assert found.reason == reason
    assert found.what


def test_a_bad_record_does_not_hide_the_others() -> None:
    text = sqs("nonsense", s3({}, record()), sns("nonsense"), bridge())
    assert reasons(text) == ["not-an-event", "unknown-record", "dock-3/a.jpg", "not-an-event", "dock-3/a.jpg"]


@pytest.mark.parametrize("text", ["", "{", "null", "7", "[]", "{}", '{"Records": 7}', "[" * 100_000, '"x"', "1" * 5000])
def test_what_is_no_event_is_named_so(text: str) -> None:
    with pytest.raises(NotAnEvent):
        parse(text)


def test_wrapping_without_end_is_refused() -> None:
    text = s3(record())
    for _ in range(3):
        text = sns(text)
    assert parse(text) == [PUT]
    with pytest.raises(NotAnEvent, match="too often"):
        parse(sns(text))


def test_what_is_shown_of_a_record_cannot_write_to_a_terminal() -> None:
    (found,) = parse(s3(record("%1b[2J" + "x" * 500, name="ObjectRemoved:\x1b[2J")))
    assert isinstance(found, Skipped)
    assert found.what.isprintable()
    assert len(found.what) < 400


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("minio_put_png.json", ["Fortnite-Small.png"]),
        ("s3_put_aws_lambda_go.json", ["HappyFace.jpg"]),
        ("s3_put_encoded_key_aws_lambda_go.json", ["Happy Face.jpg"]),
        ("s3_test_event_data_prepper.json", ["test-event"]),
        ("sns_wrapped_s3_data_prepper.json", ["path/to/testlogs.log.gz"]),
        ("sqs_event_not_s3_aws_lambda_go.json", ["not-an-event"]),
    ],
)
def test_events_of_others_are_understood(file: str, expected: list[str]) -> None:
    assert reasons(shared_data("events", file).read_text()) == expected


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
_TRUE = [s3(record()), sns(s3(record())), sqs(s3(record()), bridge()), bridge()]


def damaged(text: str, node: Any, path: list[int]) -> Any:
    """`text` as JSON with one node replaced; `path` says which way to go down."""
    document = json.loads(text)
    place: Any = document
    parent, name = None, None
    for step in path:
        if isinstance(place, (dict, list)) and place:
            name = sorted(place)[step % len(place)] if isinstance(place, dict) else step % len(place)
            parent, place = place, place[name]
    if parent is None:
        return node
    parent[name] = node
    return document


@given(st.sampled_from(_TRUE), _JSON, st.lists(st.integers(0, 9), max_size=8))
def test_an_event_with_anything_in_place_of_a_part_raises_nothing_unnamed(
    text: str, node: Any, path: list[int]
) -> None:
    try:
        found = parse(json.dumps(damaged(text, node, path)))
    except NotAnEvent:
        return
    for one in found:
        if isinstance(one, ObjectCreated):
            one.key.encode()
            assert one.bucket
            assert one.key


@given(st.text() | _JSON.map(json.dumps))
def test_no_text_raises_anything_unnamed(text: str) -> None:
    try:
        parse(text)
    except NotAnEvent:
        return


@given(st.text(min_size=1, max_size=200).filter(lambda key: "\0" not in key and not key.endswith("/")))
def test_every_key_comes_back_from_its_encoding(key: str) -> None:
    from urllib.parse import quote_plus

    try:
        encoded = quote_plus(key)
    except UnicodeEncodeError:
        return
    assert reasons(s3(record(encoded))) == [key]
