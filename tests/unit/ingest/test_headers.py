import pytest
from starlette.datastructures import Headers

from framegate.ingest.headers import UploadHeader, read_header
from framegate.web.problems import Problem

LIMIT = 1000


def header(**fields: str) -> UploadHeader:
    return read_header(Headers({name.replace("_", "-"): value for name, value in fields.items()}), LIMIT)


def slug(**fields: str) -> str:
    with pytest.raises(Problem) as caught:
        header(**fields)
    return caught.value.slug


TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_the_trace_of_the_camera_is_taken() -> None:
    assert header(content_type="image/png", traceparent=TRACE).trace == TRACE
    assert header(content_type="image/png").trace == ""


@pytest.mark.parametrize(
    "text",
    ["", "x", TRACE.upper(), TRACE[:-1], f"{TRACE}-x", TRACE.replace("4bf92f3577b34da6a3ce929d0e0e4736", "0" * 32)],
)
def test_a_malformed_trace_is_ignored_and_not_refused(text: str) -> None:
    assert header(content_type="image/png", traceparent=text).trace == ""


@pytest.mark.parametrize("content_type", ["image/jpeg", "IMAGE/JPEG; charset=binary", "image/png"])
def test_the_media_type_is_taken_without_its_parameters(content_type: str) -> None:
    assert header(content_type=content_type).declared == content_type.lower().partition(";")[0]


@pytest.mark.parametrize(
    "content_type", ["", "image/gif", "application/octet-stream", "text/html", "image", "image/jpg"]
)
def test_row_14_a_missing_or_other_media_type_is_refused(content_type: str) -> None:
    assert slug(content_type=content_type) == "unsupported-media-type"


def test_row_14_no_content_type_at_all_is_refused() -> None:
    assert slug() == "unsupported-media-type"


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "zstd", "identity, gzip", "x"])
def test_row_13_a_compressed_body_is_refused(encoding: str) -> None:
    assert slug(content_type="image/jpeg", content_encoding=encoding) == "unsupported-encoding"


def test_row_8_an_honest_length_over_the_limit_is_refused_before_anything_is_read() -> None:
    assert slug(content_type="image/jpeg", content_length=str(LIMIT + 1)) == "payload-too-large"
    assert header(content_type="image/jpeg", content_length=str(LIMIT)).announced_bytes == LIMIT


def test_a_form_may_be_longer_than_its_image_by_its_fields() -> None:
    form = "multipart/form-data; boundary=b"
    assert header(content_type=form, content_length=str(LIMIT + 60_000)).boundary == b"b"
    assert slug(content_type=form, content_length=str(LIMIT + 200_000)) == "payload-too-large"


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [("multipart/form-data; boundary=abc", b"abc"), ('multipart/form-data;charset=utf-8;boundary="a b"', b"a b")],
)
def test_the_boundary_is_found(content_type: str, boundary: bytes) -> None:
    assert header(content_type=content_type).boundary == boundary


@pytest.mark.parametrize("rest", ["", "; boundary=", '; boundary=""', "; boundary=" + "x" * 71])
def test_a_form_without_a_usable_boundary_is_refused(rest: str) -> None:
    assert slug(content_type=f"multipart/form-data{rest}") == "malformed-request"
