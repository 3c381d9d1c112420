"""The way in: limits on the file, its format, then the walk through it."""

from framegate.kernel.imagefile.jpeg import inspect_jpeg
from framegate.kernel.imagefile.model import Buffer, ImageHeader, ImageRefused, Limits, MediaType
from framegate.kernel.imagefile.png import inspect_png
from framegate.kernel.imagefile.sniff import sniff
from framegate.kernel.imagefile.trailing import refuse_leading_polyglot

_DEFAULT_LIMITS = Limits()
_NAMES = {MediaType.JPEG: "JPEG", MediaType.PNG: "PNG"}
_REMEDY = "Send a baseline or progressive 8-bit JPEG, or PNG."


def inspect_file(data: Buffer, declared: str | None = None, limits: Limits = _DEFAULT_LIMITS) -> ImageHeader:
    """What the file says about itself, or `ImageRefused`; no input makes it raise anything else.

    `declared` is the media type without parameters, None where the caller has none. Cheap and certain faults are
    refused; what only a decoder can tell (missing coefficients, a wrong IDAT checksum) passes. Linear in the size,
    a memory map is not copied. A zip hidden in a comment inside the image is not looked for.
    """
    if isinstance(data, memoryview):
        data = data.cast("B") if data.c_contiguous else data.tobytes()
    if len(data) == 0:
        raise ImageRefused("empty-body", f"The body holds no bytes. {_REMEDY}")
    if len(data) > limits.max_bytes:
        raise ImageRefused("payload-too-large", f"Send at most {limits.max_bytes} bytes; this is {len(data)}.")
    media_type = _media_type(data, declared)
    refuse_leading_polyglot(data)
    return inspect_jpeg(data, limits) if media_type is MediaType.JPEG else inspect_png(data, limits)


def _media_type(data: Buffer, declared: str | None) -> MediaType:
    expected = _declared_type(declared)
    found = sniff(data)
    if found is None:
        raise ImageRefused("unrecognized-image", f"The bytes are no image format we know. {_REMEDY}")
    if not isinstance(found, MediaType):
        raise ImageRefused("unsupported-media-type", f"The bytes are {found}. {_REMEDY}")
    if expected is not None and expected is not found:
        raise ImageRefused(
            "media-type-mismatch",
            f"The content type says {_NAMES[expected]}, the bytes are {_NAMES[found]}. "
            f"Declare {found.value}, or send the other file.",
        )
    return found


def _declared_type(declared: str | None) -> MediaType | None:
    if declared is None:
        return None
    try:
        return MediaType(declared.strip().lower())
    except ValueError:
        raise ImageRefused(
            "unsupported-media-type", f"The content type must be image/jpeg or image/png. {_REMEDY}"
        ) from None
