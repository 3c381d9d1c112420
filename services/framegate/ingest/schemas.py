"""What the API answers with, as documents. The models describe; the functions build, without a second validation."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from framegate.kernel.states import ImageState
from framegate.ports.objects import PresignedPost
from framegate.ports.uploads import NewUpload

EXAMPLE_ID: Final = "019ab3a0-5c1e-7c41-9d10-2f6f0c6a7e11"


class View(BaseModel):
    """Every member is always there, null where there is nothing to tell."""

    model_config = ConfigDict(extra="forbid", json_schema_serialization_defaults_required=True)


class AcceptedView(View):
    """An upload was taken in."""

    id: UUID = Field(examples=[EXAMPLE_ID])
    state: ImageState = Field(examples=[ImageState.RECEIVED])
    duplicate_of: UUID | None = Field(description="The first image with the same bytes in this facility.")


class PresignedView(View):
    """A form for one upload, to be sent as multipart/form-data with the file as its last part."""

    id: UUID = Field(description="The id that the image will have.", examples=[EXAMPLE_ID])
    url: str = Field(description="Where to POST the form.")
    fields: dict[str, str] = Field(description="The form's parts before `file`.")
    expires_at: datetime = Field(description="Until when the form is taken.")


class PresignedList(View):
    """One form for each announced upload, in the same order."""

    uploads: list[PresignedView]


class AliveView(View):
    """The process answers."""

    alive: bool
    version: str


class ReadyView(View):
    """`stages` names what is not ready, and why."""

    ready: bool
    stages: dict[str, str]


class ProblemKindView(View):
    """What a problem's `type` means."""

    title: str
    status: int
    remedy: str


def presigned_document(upload: NewUpload, post: PresignedPost) -> dict[str, Any]:
    """As `PresignedView`."""
    return {
        "id": str(upload.upload_id),
        "url": post.url,
        "fields": post.fields,
        "expires_at": exact(post.expires_at),
    }


def exact(value: datetime | None) -> str | None:
    """RFC 3339, as exact as it is known."""
    return None if value is None else value.isoformat().replace("+00:00", "Z")
