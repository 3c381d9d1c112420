import hashlib

import pytest

from framegate.ingest.multipart import FormReader
from framegate.web.problems import Problem

pytestmark = pytest.mark.anyio
IMAGE = bytes(range(256)) * 40


def part(disposition: str, value: bytes, *headers: str) -> bytes:
    lines = [f"Content-Disposition: form-data; {disposition}", *headers]
    return b"--b\r\n" + "\r\n".join(lines).encode() + b"\r\n\r\n" + value + b"\r\n"


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--b--\r\n"


PICTURE = part('name="image"; filename="a.jpg"', IMAGE, "Content-Type: image/jpeg")


async def read(body: bytes, step: int = 1 << 20, hash_content: bool = False) -> tuple[FormReader, bytes]:
    image = bytearray()

    async def write(data: bytes) -> None:
        image.extend(data)

    reader = FormReader(b"b", write, hash_content)
    for start in range(0, len(body), step):
        await reader.feed(body[start : start + step])
    reader.finish()
    return reader, bytes(image)


async def slug(body: bytes) -> str:
    with pytest.raises(Problem) as caught:
        await read(body)
    return caught.value.slug


@pytest.mark.parametrize("step", [1, 7, 1000, 1 << 20])
async def test_image_and_fields_arrive_however_the_body_is_cut(step: int) -> None:
    body = form(part('name="camera"', b"dock-3"), PICTURE, part('name="meta.note"', "grün".encode()))
    reader, image = await read(body, step)
    assert image == IMAGE
    assert reader.fields == [("camera", "dock-3"), ("meta.note", "grün")]
    assert reader.declared == "image/jpeg"


@pytest.mark.parametrize("headers", [(), ("Content-Type: application/octet-stream",)])
async def test_a_part_that_declares_no_image_type_is_judged_by_its_bytes_alone(headers: tuple[str, ...]) -> None:
    reader, _ = await read(form(part('name="image"', IMAGE, *headers)))
    assert reader.declared is None


async def test_the_digest_of_the_whole_body_is_kept_on_demand() -> None:
    reader, _ = await read(form(PICTURE), 100, hash_content=True)
    assert reader.content_sha256 is not None
    assert reader.content_sha256.digest() == hashlib.sha256(form(PICTURE)).digest()


@pytest.mark.parametrize(
    "body",
    [
        form(*[part(f'name="f{n}"', b"x") for n in range(20)], PICTURE),
        form(*[part(f'name="f{n}"', b"x") for n in range(10_000)]),
        form(b'--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n', PICTURE),
        form(b"--b\r\nX-A: b\r\n\r\nx\r\n", PICTURE),
        form(part('name=""', b"x"), PICTURE),
        form(b'--b\r\nContent-Disposition: attachment; name="image"\r\n\r\nx\r\n'),
        form(part('name="shipment"', b"x" * 70_000), PICTURE),
        form(part('name="image"', IMAGE, *[f"X-{n}: {'a' * 3000}" for n in range(30)])),
        form(PICTURE, PICTURE),
        form(part('name="camera"', b"c")),
        PICTURE,
        form(PICTURE)[:-4],
        b"",
        b"no boundary at all",
        b"--c\r\n" + form(PICTURE),
    ],
    ids=["21 parts", "10,000 parts", "a part without a name", "a part without a disposition", "an empty name",
         "not form-data", "a huge field", "huge part headers", "two images", "no image", "no end", "half an end",
         "nothing", "no form", "another boundary"],
)  # fmt: skip
async def test_row_18_a_form_that_is_none_is_refused(body: bytes) -> None:
    assert await slug(body) == "malformed-request"


async def test_a_second_file_under_another_name_is_an_unknown_parameter() -> None:
    body = form(part('name="thumbnail"; filename="t.jpg"', b"x"), PICTURE)
    assert await slug(body) == "unknown-parameter"


async def test_a_field_that_is_not_utf_8_is_refused() -> None:
    assert await slug(form(part('name="shipment"', b"\xff\xfe"), PICTURE)) == "invalid-parameter"
