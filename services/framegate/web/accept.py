"""The header `Accept` (RFC 9110 §12.5.1)."""

from collections.abc import Sequence

_MOST_RANGES = 64


def accepts(header: str, offered: Sequence[str]) -> bool:
    """Whether one of `offered` will do. The most specific range decides; a header that cannot be read accepts all."""
    if header in ("*/*", ""):
        return True
    ranges = [parsed for part in header.split(",")[:_MOST_RANGES] if (parsed := _range(part)) is not None]
    return not ranges or any(_quality(ranges, media_type) > 0 for media_type in offered)


def _range(text: str) -> tuple[str, str, float] | None:
    media_range, *parameters = (part.strip().lower() for part in text.split(";"))
    kind, slash, subtype = media_range.partition("/")
    if not slash:
        return None
    quality = next((value[2:] for value in parameters if value.startswith("q=")), "1")
    try:
        return kind, subtype, float(quality)
    except ValueError:
        return kind, subtype, 1.0


def _quality(ranges: Sequence[tuple[str, str, float]], media_type: str) -> float:
    kind, _, subtype = media_type.partition("/")
    matching = [
        ((wanted != "*") + (wanted_sub != "*"), quality)
        for wanted, wanted_sub, quality in ranges
        if wanted in ("*", kind) and wanted_sub in ("*", subtype)
    ]
    return max(matching)[1] if matching else 0.0
