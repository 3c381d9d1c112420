"""`GET /v1/images/{id}/evidence`: everything that an outcome rests on, in one file."""

from collections.abc import AsyncIterator
from typing import Annotated, Final

from fastapi import APIRouter
from starlette.responses import Response, StreamingResponse

from framegate.ingest.api import Api, ApiDep
from framegate.ingest.evidence import bundle_name, export_evidence
from framegate.ingest.pictures import Detection, draw_boxes
from framegate.ingest.reading import ImageIdPath, find_image
from framegate.ingest.storedzip import Member, stored_size, stored_zip
from framegate.kernel.states import Scope
from framegate.ports.store import ImageRecord
from framegate.web.identity import Principal
from framegate.web.openapi import AUTHENTICATED, problems
from framegate.web.permissions import requires

router = APIRouter(tags=["images"])

_ZIP: Final = "application/zip"


@router.get(
    "/v1/images/{image_id}/evidence",
    response_class=Response,
    responses={
        200: {"description": "The bundle.", "content": {_ZIP: {"schema": {"type": "string", "format": "binary"}}}},
        **problems(*AUTHENTICATED, "overloaded"),
    },
)
async def export_image_evidence(
    image_id: ImageIdPath, principal: Annotated[Principal, requires(Scope.RESULTS_READ, produces=(_ZIP,))], api: ApiDep
) -> Response:
    """A zip file for a claim: the original, the picture with boxes, detections, policy, model, timeline and audit proof.

    `index.html` in it can be read without a network, `MANIFEST.sha256` checks the files. Every export is in the audit.
    """
    record = await find_image(api, principal, image_id)
    members = await _members(api, record, principal.actor)

    async def pieces() -> AsyncIterator[bytes | memoryview]:
        for piece in stored_zip(members):
            yield piece

    return StreamingResponse(
        pieces(),
        media_type=_ZIP,
        headers={
            "Content-Disposition": f'attachment; filename="{bundle_name(record)}"',
            "Content-Length": str(stored_size(members)),
            "Cache-Control": "no-store",
        },
    )


async def _members(api: Api, record: ImageRecord, actor: str) -> list[Member]:
    def draw(data: bytes, orientation: int, detections: tuple[Detection, ...]) -> bytes | None:
        # One after the other with all other large pictures.
        return api.previews.drawing.wait_for(draw_boxes, data, orientation, detections)

    now = api.deps.clock.now()
    return await api.bundles.run(export_evidence, api.deps.evidence, record, actor, now, draw)
