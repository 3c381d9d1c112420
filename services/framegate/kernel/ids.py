"""Identifiers, and the one pattern that user-given names follow."""

import os
import re
import time
from typing import NewType
from uuid import UUID

ImageId = NewType("ImageId", UUID)
FacilityId = NewType("FacilityId", str)
CameraId = NewType("CameraId", str)

#: The facility of a box that serves one site only.
DEFAULT_FACILITY = FacilityId("main")
#: Cameras, facilities, docks, metadata names: nothing that needs quoting anywhere.
NAME_PATTERN = r"^[A-Za-z0-9._:-]{1,64}$"
#: Models, as NAME@VERSION.
REF_PATTERN = r"^[A-Za-z0-9._:-]{1,64}@[A-Za-z0-9._:-]{1,64}$"
_NAME, _REF = re.compile(NAME_PATTERN), re.compile(REF_PATTERN)


def is_name(text: str) -> bool:
    """Whether `text` may name a camera, a facility or a dock."""
    return _NAME.match(text) is not None and not text.endswith("\n")


def is_ref(text: str) -> bool:
    """Whether `text` may name a model."""
    return _REF.fullmatch(text) is not None


def new_image_id(now_s: float | None = None) -> ImageId:
    """Of an image that was received now, or at `now_s`."""
    return ImageId(new_uuid7(now_s))


def new_uuid7(now_s: float | None = None) -> UUID:
    """RFC 9562 §5.7: ordered by time, so that new rows land together in the index."""
    milliseconds = int((time.time() if now_s is None else now_s) * 1000)
    random = int.from_bytes(os.urandom(10), "big")
    value = (milliseconds & (2**48 - 1)) << 80
    value |= 0x7 << 76 | (random >> 68 & 0xFFF) << 64
    value |= 0b10 << 62 | (random & (2**62 - 1))
    return UUID(int=value)


def created_s(image_id: ImageId) -> float:
    """The moment in a UUIDv7, in seconds since 1970."""
    return (image_id.int >> 80) / 1000
