"""Signed links: what people open who come from a message and have no key."""

import re
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request

from framegate.kernel.ids import ImageId
from framegate.kernel.links import link_holds
from framegate.ports.clock import Clock
from framegate.web.ids import parse_id
from framegate.web.problems import Problem

PARAMETERS: Final = ("expires", "signature")
_MOMENT: Final = re.compile(r"[0-9]{1,12}")


@dataclass(frozen=True, slots=True)
class LinkHolder:
    """Somebody who may see this one image, whoever it is and whosesoever it is."""

    image_id: ImageId


class Links:
    """Checks them. `pepper` is what they were signed with."""

    def __init__(self, pepper: bytes, clock: Clock) -> None:
        self._pepper, self._clock = pepper, clock

    def holder(self, request: Request) -> LinkHolder | None:
        """None: the request brings no link. One that does is judged by it alone, whatever key it has.

        Raises `Problem` where the link does not hold for the image that the path names.
        """
        expires, signature = (request.query_params.get(name) for name in PARAMETERS)
        if expires is None and signature is None:
            return None
        image_id = ImageId(parse_id(request.path_params["image_id"]))
        if not expires or not signature or _MOMENT.fullmatch(expires) is None:
            raise Problem("link-invalid")
        now = self._clock.now()
        if int(expires) <= now.timestamp():
            raise Problem("link-expired")
        if not link_holds(self._pepper, image_id, int(expires), signature, now):
            raise Problem("link-invalid")
        return LinkHolder(image_id)
