"""What shadow models found; it decides nothing."""

from collections.abc import Sequence

from sqlalchemy import Connection, and_, func, select
from sqlalchemy.dialects.postgresql import insert

from framegate.adapters.postgres import schema
from framegate.adapters.postgres.database import Database, be_analytic
from framegate.kernel.detections import Detections
from framegate.kernel.rollout import ModelKey
from framegate.ports.registry import ShadowComparison, ShadowResult, compared

_SHADOWS, _DETECTIONS = schema.shadow_results, schema.detections


class PostgresShadows:
    """`Shadows`. Safe for use from several threads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record_shadow(self, results: Sequence[ShadowResult]) -> None:
        """See the port."""
        rows = [
            {
                "facility_id": result.facility,
                "image_id": result.image_id,
                "model": result.model.ref,
                "model_sha256": result.model.sha256,
                "engine": result.engine,
                "classes": list(result.classes),
                "detections": result.detections.to_bytes(),
            }
            for result in results
        ]
        statement = insert(_SHADOWS).values(rows).on_conflict_do_nothing()
        self._database.core(lambda connection: connection.execute(statement))

    def compare_shadow(self, model: ModelKey, confidence: float) -> ShadowComparison:
        """See the port. Images without an outcome yet do not count."""
        same = and_(_DETECTIONS.c.facility_id == _SHADOWS.c.facility_id, _DETECTIONS.c.image_id == _SHADOWS.c.image_id)
        clear = func.array_agg(_DETECTIONS.c["class"]).filter(_DETECTIONS.c.confidence >= confidence)
        decided = schema.outcomes
        query = (
            select(_SHADOWS.c.classes, _SHADOWS.c.detections, clear.label("decider"))
            .join(
                decided,
                and_(decided.c.facility_id == _SHADOWS.c.facility_id, decided.c.image_id == _SHADOWS.c.image_id),
            )
            .outerjoin(_DETECTIONS, same)
            .where(_SHADOWS.c.model_sha256 == model.sha256, decided.c.state == "decided", decided.c.looks.is_(None))
            .group_by(_SHADOWS.c.facility_id, _SHADOWS.c.image_id, _SHADOWS.c.classes, _SHADOWS.c.detections)
        )

        def work(connection: Connection) -> ShadowComparison:
            be_analytic(connection)
            pairs = (
                (row.decider or [], clear_classes(row.classes, row.detections, confidence))
                for row in connection.execute(query)
            )
            return compared(pairs)

        return self._database.core(work)


def clear_classes(classes: Sequence[str], detections: bytes, confidence: float) -> list[str]:
    """The classes of the stored boxes that are at least that confident."""
    found = Detections.from_bytes(detections)
    return [name for name, conf in zip(classes, found.confidence, strict=True) if conf >= confidence]
