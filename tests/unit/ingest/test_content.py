"""Originals and previews."""

import asyncio
import hashlib
import io
import threading
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from framegate.adapters.memory import MemoryBlobs
from framegate.ingest.pictures import draw_boxes, render, upright
from framegate.ingest.previews import MOST_LARGE, MOST_SMALL, Previews, Size
from tests.support.pictures import jpeg, picture, png

from .fakes import HALL, OTHER_HALL, ApiBox, slug_of
from .test_reading import decide, get

pytestmark = pytest.mark.anyio


async def uploaded(box: ApiBox, data: bytes, content_type: str = "image/jpeg") -> str:
    async with box.client() as client:
        answer = await client.post("/v1/images?camera=c", content=data, headers={"Content-Type": content_type})
        return str(answer.json()["id"])


def the_only_id(box: ApiBox):  # type: ignore[no-untyped-def]
    (image_id,) = box.store.state.images
    return image_id


async def test_the_original_comes_back_byte_for_byte_and_is_never_shown_in_our_name(box: ApiBox) -> None:
    data = png(1)
    image_id = await uploaded(box, data, "image/png")
    answer = await get(box, f"/v1/images/{image_id}/content")
    assert answer.content == data
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-disposition"] == f'attachment; filename="{image_id}.png"'
    assert "sandbox" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"].startswith("private")


async def test_boxes_are_drawn_on_a_decided_image(box: ApiBox) -> None:
    await uploaded(box, jpeg(1, 640, 480))
    decide(box, the_only_id(box), dent=0.9)
    answer = await get(box, f"/v1/images/{the_only_id(box)}/content", boxes=1)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
    drawn = np.asarray(Image.open(io.BytesIO(answer.content)), np.int16)
    assert drawn.shape == (480, 640, 3)
    changed = np.abs(drawn - np.asarray(picture(1, 640, 480), np.int16)).sum(axis=2) > 90
    assert changed[10, 12:48].mean() > 0.8, "the upper edge of the box at y = 10"
    assert changed[100:, 200:].mean() < 0.02


async def test_no_file_is_decoded_before_it_is_decided(box: ApiBox) -> None:
    image_id = await uploaded(box, jpeg(1))
    answer = await get(box, f"/v1/images/{image_id}/content", boxes=1)
    assert (answer.status_code, slug_of(answer)) == (409, "preview-unavailable")


async def test_an_original_whose_time_is_over_is_gone(box: ApiBox) -> None:
    image_id = await uploaded(box, jpeg(1))
    box.memory_blobs.delete(box.store.state.images[the_only_id(box)].new.blob_key)
    answer = await get(box, f"/v1/images/{image_id}/content")
    assert (answer.status_code, slug_of(answer)) == (410, "content-gone")


@pytest.mark.parametrize("preview", ["small", "large", "full"])
async def test_an_erased_picture_has_no_preview_any_more_even_if_one_was_made(box: ApiBox, preview: str) -> None:
    path = f"/v1/images/{await uploaded(box, jpeg(1))}/content"
    decide(box, the_only_id(box))
    assert (await get(box, path, preview=preview)).status_code == 200
    box.store.retention.erase(HALL, the_only_id(box), "asked for", "A. Lead")
    assert slug_of(await get(box, path, preview=preview)) == "content-gone"


@pytest.mark.parametrize("preview", ["small", "large", "full"])
async def test_too_many_previews_at_once_are_told_to_come_back(box: ApiBox, preview: str) -> None:
    await uploaded(box, jpeg(1))
    decide(box, the_only_id(box))
    previews = box.app.state.api.previews
    previews.small.running, previews.drawing.running = MOST_SMALL, MOST_LARGE
    answer = await get(box, f"/v1/images/{the_only_id(box)}/content", preview=preview)
    assert (answer.status_code, slug_of(answer)) == (503, "overloaded")
    assert int(answer.headers["retry-after"]) > 0


@pytest.mark.parametrize("value", ["2", "true", ""])
async def test_boxes_is_0_or_1(box: ApiBox, value: str) -> None:
    image_id = await uploaded(box, jpeg(1))
    assert slug_of(await get(box, f"/v1/images/{image_id}/content", boxes=value)) == "invalid-parameter"


@pytest.mark.parametrize("orientation", range(1, 9))
async def test_frames_are_turned_upright_as_other_software_turns_them(orientation: int) -> None:
    stored = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    exif = Image.Exif()
    exif[0x0112] = orientation
    out = io.BytesIO()
    Image.fromarray(stored).save(out, "PNG", exif=exif)
    from PIL import ImageOps

    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(out.getvalue()))))
    assert np.array_equal(upright(stored, orientation), expected)


async def test_boxes_are_in_pixels_of_the_upright_original_also_when_it_is_scaled_down() -> None:
    drawn = draw_boxes(jpeg(1, 3000, 1000), 6, [("dent", 0.9, (500.0, 1500.0, 900.0, 2700.0))])
    assert drawn is not None
    image = Image.open(io.BytesIO(drawn))
    assert image.size == (640, 1920)
    assert not image.getexif()


async def test_what_cannot_be_decoded_is_not_drawn() -> None:
    assert draw_boxes(b"no image", 1, []) is None


ROTATED = Image.Exif()
ROTATED[0x0112] = 6
ROTATED[0x010F] = "A camera maker"


async def decided(box: ApiBox, data: bytes, content_type: str = "image/jpeg") -> str:
    image_id = await uploaded(box, data, content_type)
    decide(box, the_only_id(box), dent=0.9)
    return f"/v1/images/{image_id}/content"


class CountedBlobs(MemoryBlobs):
    """Originals that are read one after the other, when the test says so."""

    reads = 0

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.go_on = threading.Event()
        self.go_on.set()

    def get(self, key: str) -> bytes:
        self.reads += 1
        assert self.go_on.wait(10)
        return super().get(key)


@pytest.fixture
def counted(box: ApiBox) -> CountedBlobs:
    blobs = CountedBlobs(box.clock, box.spool)
    box.__init__(box.spool, blobs=blobs)  # type: ignore[misc]
    return blobs


@pytest.mark.parametrize(("preview", "size"), [("small", (240, 320)), ("large", (1440, 1920)), ("full", (1800, 2400))])
async def test_a_preview_is_upright_and_says_nothing_but_the_picture(
    box: ApiBox, preview: str, size: tuple[int, int]
) -> None:
    path = await decided(box, jpeg(1, 2400, 1800, exif=ROTATED))
    answer = await get(box, path, preview=preview)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
    assert "content-disposition" not in answer.headers
    shown = Image.open(io.BytesIO(answer.content))
    assert shown.size == size
    assert not shown.getexif()
    assert b"camera maker" not in answer.content
    expected = np.asarray(picture(1, 2400, 1800).rotate(-90, expand=True).resize(size, Image.Resampling.BOX), np.int16)
    assert np.abs(np.asarray(shown, np.int16) - expected).mean() < 8


async def test_what_is_small_is_not_scaled_up_and_a_png_has_a_preview_too(box: ApiBox) -> None:
    path = await decided(box, png(1, 100, 60), "image/png")
    for preview in Size:
        shown = Image.open(io.BytesIO((await get(box, path, preview=preview)).content))
        assert (shown.format, shown.size) == ("JPEG", (100, 60))


@pytest.mark.parametrize(
    ("width", "height"), [(639, 400), (640, 400), (641, 33), (2559, 1200), (2560, 100), (1281, 2563)]
)
@pytest.mark.parametrize("encode", [jpeg, png])
async def test_what_is_decoded_reduced_looks_like_what_is_decoded_whole(width: int, height: int, encode: Any) -> None:
    data, boxes = encode(1, width, height), [("dent", 0.9, (20.0, 5.0, 120.0, 30.0))]
    whole, reduced = render(data, 1, 320, boxes), render(data, 1, 320, boxes, (width, height))
    assert whole is not None
    assert reduced is not None
    one, other = (np.asarray(Image.open(io.BytesIO(shown)), np.int16) for shown in (whole, reduced))
    assert max(one.shape[:2]) == 320
    assert one.shape == other.shape
    assert np.abs(one - other).mean() < 6


async def test_boxes_are_on_a_preview_only_where_they_are_asked_for(box: ApiBox) -> None:
    path = await decided(box, jpeg(1, 640, 480))
    for preview in Size:
        plain, drawn = (np.asarray(Image.open(io.BytesIO(answer.content)), np.int16) for answer in (
            await get(box, path, preview=preview), await get(box, path, preview=preview, boxes=1),
        ))  # fmt: skip
        assert (np.abs(plain - drawn).sum(axis=2) > 90).mean() > 0.001
    assert (await get(box, path, boxes=1)).content == (await get(box, path, boxes=1, preview="large")).content


async def test_a_preview_names_the_original_that_it_was_made_of_and_is_asked_for_again(box: ApiBox) -> None:
    data = jpeg(1, 640, 480)
    path = await decided(box, data)
    answers = [
        await get(box, path, preview=preview, boxes=boxes) for preview in Size for boxes in (0, 1)
    ]  # fmt: skip
    assert {answer.headers["x-content-sha256"] for answer in answers} == {sha256_of(data)}
    assert {answer.headers["cache-control"] for answer in answers} == {"private, no-cache"}
    assert len({answer.headers["etag"] for answer in answers}) == len(answers)
    assert all(answer.headers["etag"].startswith('"') for answer in answers), "strong"


@pytest.mark.parametrize("said", ["{}", "W/{}", '"other" , {}', "*"])
async def test_who_has_the_preview_is_told_so_without_reading_the_original(
    box: ApiBox, counted: CountedBlobs, said: str
) -> None:
    path = await decided(box, jpeg(1))
    first = await get(box, path, preview="large")
    assert counted.reads == 1
    async with box.client() as client:
        again = await client.get(
            path, params={"preview": "large"}, headers={"If-None-Match": said.format(first.headers["etag"])}
        )
        other = await client.get(path, params={"preview": "full"}, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    for name in ("etag", "cache-control", "x-content-sha256"):
        assert again.headers[name] == first.headers[name]
    assert other.status_code == 200
    assert counted.reads == 2


@pytest.mark.parametrize("said", ["", ",,,", '"', "W/", "x" * 4000, '"\u00e9"'])
async def test_an_etag_that_cannot_be_read_is_none(box: ApiBox, said: str) -> None:
    path = await decided(box, jpeg(1))
    async with box.client() as client:
        answer = await client.get(path, params={"preview": "small"}, headers={"If-None-Match": said.encode()})
    assert answer.status_code == 200


async def test_whoever_has_an_etag_but_may_not_see_the_image_is_told_nothing(box: ApiBox) -> None:
    path = await decided(box, jpeg(1))
    etag = (await get(box, path, preview="small")).headers["etag"]
    async with box.client(box.add_key(OTHER_HALL)) as client:
        answer = await client.get(path, params={"preview": "small"}, headers={"If-None-Match": etag})
    assert slug_of(answer) == "not-found"


async def test_a_preview_is_made_once_for_all_who_ask_and_a_small_one_then_kept(
    box: ApiBox, counted: CountedBlobs
) -> None:
    await decided(box, jpeg(1))
    record = box.store.results.image(frozenset({HALL}), the_only_id(box))
    assert record is not None
    previews = box.app.state.api.previews
    for size, reads in ((Size.SMALL, 1), (Size.LARGE, 3)):
        counted.go_on.clear()
        asking = [asyncio.create_task(previews.jpeg(record, size, boxes=False)) for _ in range(50)]
        await asyncio.sleep(0)
        for task in asking[:5]:
            task.cancel()
        counted.go_on.set()
        assert len(set(await asyncio.gather(*asking[5:]))) == 1
        await previews.jpeg(record, size, boxes=False)
        assert counted.reads == reads


async def test_no_more_is_kept_than_there_is_room_and_what_was_looked_at_last_stays(box: ApiBox) -> None:
    await uploaded(box, jpeg(1))
    decide(box, the_only_id(box), dent=0.9)
    record = box.store.results.image(frozenset({HALL}), the_only_id(box))
    assert record is not None
    blobs = CountedBlobs(box.clock, box.spool)
    for seed in range(3):
        blobs.put(f"original/{seed}", jpeg(seed))
    records = [
        replace(record, facts=replace(record.facts, blob_key=f"original/{seed}", sha256=sha256_of(jpeg(seed))))
        for seed in range(3)
    ]
    one, two, three = records
    room = sum(len(made) for made in [render(jpeg(seed), 1, 320) for seed in range(3)] if made is not None)
    previews = Previews(blobs, "1", kept_bytes=room - 1)
    for wanted, reads in ((one, 1), (two, 2), (one, 2), (three, 3), (one, 3), (two, 4)):
        await previews.jpeg(wanted, Size.SMALL, boxes=False)
        assert blobs.reads == reads
    none = Previews(blobs, "1", kept_bytes=10)
    for _ in range(2):
        await none.jpeg(one, Size.SMALL, boxes=False)
    assert blobs.reads == 6
    previews.close()
    none.close()


def sha256_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("wanted", [{"preview": "small"}, {"preview": "large"}, {"preview": "full"}, {"boxes": "1"}])
async def test_no_picture_is_shown_of_an_original_that_was_changed_or_is_gone(
    box: ApiBox, wanted: dict[str, str]
) -> None:
    path = await decided(box, jpeg(1))
    key = box.store.state.images[the_only_id(box)].new.blob_key
    box.memory_blobs.delete(key)
    assert slug_of(await get(box, path, **wanted)) == "content-gone"
    box.memory_blobs.put(key, jpeg(2))
    answer = await get(box, path, **wanted)
    assert (answer.status_code, slug_of(answer)) == (410, "content-changed")
    assert "x-content-sha256" not in answer.headers
    box.memory_blobs.delete(key)
    box.memory_blobs.put(key, jpeg(1))
    assert (await get(box, path, **wanted)).status_code == 200, "a failure is not kept"


@pytest.mark.parametrize("preview", Size)
async def test_no_preview_is_made_before_the_image_is_decided(box: ApiBox, counted: CountedBlobs, preview: str) -> None:
    image_id = await uploaded(box, jpeg(1))
    answer = await get(box, f"/v1/images/{image_id}/content", preview=preview)
    assert (answer.status_code, slug_of(answer)) == (409, "preview-unavailable")
    assert counted.reads == 0


@pytest.mark.parametrize("value", ["", "tiny", "SMALL", "320", "small\0", "../large"])
async def test_a_preview_has_one_of_three_sizes(box: ApiBox, value: str) -> None:
    path = await decided(box, jpeg(1))
    assert slug_of(await get(box, path, preview=value)) == "invalid-parameter"
    assert slug_of(await get(box, path, preview=["small", "small"])) == "invalid-parameter"
