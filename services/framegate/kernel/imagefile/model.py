"""The values of an inspection: what was found, what is allowed, and the refusal."""

import mmap
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Literal

from framegate.kernel.errors import FramegateError

Buffer = bytes | bytearray | memoryview | mmap.mmap

RefusalSlug = Literal[
    "empty-body",
    "payload-too-large",
    "unsupported-media-type",
    "media-type-mismatch",
    "unrecognized-image",
    "malformed-image",
    "truncated-image",
    "trailing-data",
    "unsupported-color-model",
    "unsupported-coding",
    "too-complex",
    "animated-image",
    "too-many-pixels",
    "bad-dimensions",
    "too-much-metadata",
]

# Everything else is 422: the request was understood, this image cannot be used.
_STATUS: Mapping[RefusalSlug, int] = MappingProxyType(
    {
        "empty-body": 400,
        "payload-too-large": 413,
        "unsupported-media-type": 415,
        "media-type-mismatch": 415,
        "unrecognized-image": 415,
    }
)


class MediaType(StrEnum):
    """The formats that are taken in."""

    JPEG = "image/jpeg"
    PNG = "image/png"


@dataclass(frozen=True, slots=True)
class Limits:
    """What an image may have; all bounds are inclusive.

    `max_chunks` counts metadata only (PNG: ancillary chunks, JPEG: APPn and COM segments), as does
    `max_metadata_bytes`. `max_trailing_bytes` bounds what follows the image and what lies between its segments.
    """

    max_bytes: int = 25 * 2**20
    max_pixels: int = 50_000_000
    min_side: int = 32
    max_side: int = 16_384
    max_scans: int = 100
    max_metadata_bytes: int = 2**20
    max_chunks: int = 256
    max_trailing_bytes: int = 64 * 1024


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """What the file says about itself; only a decoder can tell whether its pixels are all there.

    `width` and `height` are as stored, before `orientation` (1..8 as in EXIF) is applied. `components` are the
    channels as stored (a palette counts as one). `flags` are oddities that did not matter enough to refuse:
    `orientation-invalid` (1 is used instead), `trailing-data`, `extraneous-data` (bytes between segments).
    """

    media_type: MediaType
    width: int
    height: int
    components: int
    bit_depth: int
    progressive: bool = False
    interlaced: bool = False
    has_alpha: bool = False
    orientation: int = 1
    flags: tuple[str, ...] = ()


class ImageRefused(FramegateError):
    """The file cannot be taken in as an image."""

    def __init__(self, slug: RefusalSlug, detail: str) -> None:
        """`detail` is one or two sentences for people: what is wrong and what to send. No bytes of the file in it."""
        super().__init__(f"{slug}: {detail}")
        self.slug: str = slug
        self.status: int = _STATUS.get(slug, 422)
        self.detail = detail


def malformed(detail: str) -> ImageRefused:
    """The structure contradicts the format; no decoder could be trusted with it."""
    return ImageRefused("malformed-image", f"{detail} Export the image again and send the new file.")


def truncated(detail: str) -> ImageRefused:
    """The file stops before the format's own end."""
    return ImageRefused("truncated-image", f"{detail} Send the whole file again.")


def check_dimensions(width: int, height: int, limits: Limits) -> None:
    """Raises `bad-dimensions` or `too-many-pixels`.

    The order decides the slug where several hold: a side no use can be made of (too small, or beyond what PNG
    allows at all, 2^31 - 1), then the number of pixels, then a side that is only too long for us.
    """
    shorter, longer = sorted((width, height))
    if shorter < limits.min_side or longer > 2**31 - 1:
        raise ImageRefused(
            "bad-dimensions", f"The image is {width} x {height}; each side must be at least {limits.min_side} pixels."
        )
    if width * height > limits.max_pixels:
        raise ImageRefused(
            "too-many-pixels",
            f"The image is {width} x {height}; send at most {limits.max_pixels} pixels, scaled down or cropped.",
        )
    if longer > limits.max_side:
        raise ImageRefused(
            "bad-dimensions", f"The image is {width} x {height}; each side must be at most {limits.max_side} pixels."
        )
