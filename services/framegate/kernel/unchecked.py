"""Images that came past the door: what is recorded of an object that turned out to be none.

Such an image has a width and height of 0. Its original is either the bytes themselves (`UNCHECKED`), and preprocess finds
out what is wrong with them, or, where they are not kept, a problem document (`REFUSAL`) that says why.
"""

import json
from typing import Final

from framegate.kernel.imagefile import ImageRefused, inspect_file
from framegate.kernel.inspection import Refused

UNCHECKED: Final = "application/octet-stream"
REFUSAL: Final = "application/problem+json"


def refusal_document(reason: str, detail: str) -> bytes:
    """What is stored in place of bytes that are not kept (RFC 9457)."""
    return json.dumps({"type": f"/problems/{reason}", "detail": detail}).encode()


def refusal_of(media_type: str, original: bytes) -> Refused | None:
    """Why the image is rejected; None for an ordinary one, which was checked when it came."""
    if media_type == REFUSAL:
        document = json.loads(original)
        return Refused(document["type"].removeprefix("/problems/"), document["detail"])
    if media_type != UNCHECKED:
        return None
    try:
        inspect_file(original)
    except ImageRefused as refused:
        return Refused(refused.slug, refused.detail)
    # A newer release takes what the older one refused, but its size was never recorded.
    return Refused("unrecognized-image", "The file was refused when it came. It would be taken now: send it again.")
