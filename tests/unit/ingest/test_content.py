"""Originals and pictures with boxes."""

import io

import numpy as np
import pytest
from PIL import Image

from framegate.ingest.boxes import draw_boxes, upright
from tests.support.pictures import jpeg, picture, png

from .fakes import ApiBox, slug_of
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
    assert (answer.status_code, slug_of(answer)) == (409, "boxes-unavailable")


async def test_an_original_whose_time_is_over_is_gone(box: ApiBox) -> None:
    image_id = await uploaded(box, jpeg(1))
    box.memory_blobs.delete(box.store.state.images[the_only_id(box)].new.blob_key)
    answer = await get(box, f"/v1/images/{image_id}/content")
    assert (answer.status_code, slug_of(answer)) == (410, "content-gone")


async def test_too_many_drawings_at_once_are_told_to_come_back(box: ApiBox) -> None:
    await uploaded(box, jpeg(1))
    decide(box, the_only_id(box))
    box.app.state.api.drawings = 8
    answer = await get(box, f"/v1/images/{the_only_id(box)}/content", boxes=1)
    assert (answer.status_code, slug_of(answer)) == (503, "overloaded")


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
