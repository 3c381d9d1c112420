"""Under which key the bytes of an image lie in the blob store."""

import re
from datetime import datetime
from typing import Final

from framegate.kernel.ids import FacilityId, ImageId
from framegate.kernel.imagefile import MediaType
from framegate.kernel.unchecked import REFUSAL, UNCHECKED

EXTENSIONS: Final = {MediaType.JPEG.value: "jpg", MediaType.PNG.value: "png", UNCHECKED: "bin", REFUSAL: "json"}
_NOT_IN_KEYS: Final = re.compile(r"[^A-Za-z0-9_-]")


def blob_key(prefix: str, facility: FacilityId, image_id: ImageId, media_type: str, at: datetime) -> str:
    """The id makes it unique; the facility is there for people, reduced to what every blob store takes in a key."""
    place = _NOT_IN_KEYS.sub("-", facility)
    return f"{prefix}/{place}/{at:%Y/%m/%d}/{image_id}.{EXTENSIONS[media_type]}"
