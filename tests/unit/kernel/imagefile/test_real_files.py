"""Files that broke decoders, against what two decoders make of them."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from .build import accepted, refusal

NASTY = Path(__file__).parents[5] / "shared" / "data" / "nasty"
PHOTOS = NASTY.parent / "phone_photos"
NO_IMAGE_FORMAT = {"unsupported-media-type", "unrecognized-image"}


def entries() -> list[dict[str, Any]]:
    manifest = NASTY / "manifest.json"
    loaded: list[dict[str, Any]] = json.loads(manifest.read_text()) if manifest.is_file() else []
    return loaded


def content(entry: dict[str, Any]) -> bytes:
    """By digest: some files are stored under another name than the manifest's."""
    folder = (NASTY / str(entry["file"])).parent
    for path in folder.iterdir():
        if path.stat().st_size == entry["bytes"]:
            data = path.read_bytes()
            if hashlib.sha256(data).hexdigest() == entry["sha256"]:
                return data
    pytest.skip(f"{entry['file']} is not in the data set")


pytestmark = pytest.mark.skipif(not entries(), reason="the data set of broken images is not at ../shared/data")


def loads_in_both(entry: dict[str, Any]) -> bool:
    return str(entry["load"]) == "ok" and str(entry["cv2"]) != "None"


def is_ours(entry: dict[str, Any]) -> bool:
    return bool(entry["magic"].startswith(("ffd8ff", "89504e470d0a1a0a")))


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: Path(entry["file"]).name)
def test_a_file_two_decoders_load_is_accepted_and_no_other_format_is(entry: dict[str, Any]) -> None:
    slug = refusal(content(entry))
    if not is_ours(entry):
        assert slug in NO_IMAGE_FORMAT
    elif loads_in_both(entry):
        assert slug == expected_of_loadable(entry)
    else:
        assert slug not in NO_IMAGE_FORMAT


def expected_of_loadable(entry: dict[str, Any]) -> str:
    if entry["mode"] == "CMYK":
        return "unsupported-color-model"
    return "bad-dimensions" if min(entry["size"]) < 32 else "accepted"


@pytest.mark.parametrize(
    "entry",
    [e for e in entries() if is_ours(e) and loads_in_both(e) and expected_of_loadable(e) == "accepted"],
    ids=lambda entry: Path(entry["file"]).name,
)
def test_size_and_orientation_agree_with_the_decoder(entry: dict[str, Any]) -> None:
    header = accepted(content(entry))
    assert [header.width, header.height] == entry["size"]
    assert header.orientation == (entry["exif_orientation"] or 1)


def test_a_broken_announcement_of_further_images_does_not_cost_the_image() -> None:
    entry = next(e for e in entries() if e["file"].endswith("sugarshack_bad_mpo_header.jpg"))
    assert accepted(content(entry)).flags == ("trailing-data",)


def test_photos_of_phones_are_accepted() -> None:
    photos = [path for path in sorted(PHOTOS.iterdir()) if path.suffix in {".jpg", ".png"}]
    assert {refusal(path.read_bytes()) for path in photos} == {"accepted"}
