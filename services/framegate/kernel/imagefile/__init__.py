"""What an uploaded file is and whether it may come in, decided from its bytes without a decoder."""

from framegate.kernel.imagefile.inspection import inspect_file
from framegate.kernel.imagefile.model import (
    Buffer,
    ImageHeader,
    ImageRefused,
    Limits,
    MediaType,
    RefusalSlug,
)

__all__ = ["Buffer", "ImageHeader", "ImageRefused", "Limits", "MediaType", "RefusalSlug", "inspect_file"]
