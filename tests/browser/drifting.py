"""A camera that was as usual for a week and is not since yesterday, without waiting for it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import Connection, text

from framegate.adapters.postgres.drift_shelf import PostgresShelf
from framegate.bootstrap import Stores
from framegate.kernel.drift import follow, subjects_of
from framegate.kernel.drift_features import Seen
from framegate.kernel.drift_state import DriftLimits, Subject, Window
from framegate.kernel.ids import CameraId, FacilityId, ImageId
from tests.support.drift import Dock

_MAIN: Final = FacilityId("main")


class _Shelf(PostgresShelf):
    """What moved a window is told of images that the box has."""

    def __init__(self, connection: Connection, subjects: set[Subject], images: Sequence[str]) -> None:
        super().__init__(connection, subjects)
        self._images, self.newest = images, list[Seen]()

    def again(self, subject: Subject, window: Window) -> list[Seen]:
        pairs = zip(self._images, reversed(self.newest), strict=False)
        return [replace(seen, image_id=ImageId(UUID(image))) for image, seen in pairs]


def let_drift(stores: Stores, camera: str, images: Sequence[str]) -> None:
    """The light of `camera` fails, and the model that decides finds more damage; `images` are shown for those that moved it."""
    dock = Dock(camera, 3, images_a_day=700)
    now = datetime.now(UTC)
    seen = [*dock.images(now - timedelta(days=9), 8)]
    dock.light, dock.damaged = 0.6, 8.0
    seen += dock.images(now - timedelta(days=1), 1)

    def work(connection: Connection) -> None:
        connection.execute(text("select pg_advisory_xact_lock(hashtext('drift'))"))
        ours = [replace(one, facility=_MAIN, camera=CameraId(camera)) for one in seen]
        subjects = set(subjects_of(ours[0]))
        shelf = _Shelf(connection, subjects, images)
        for subject in subjects:
            known = shelf.drift(subject)  # by what the box has seen
            known.window = Window()
            known.parts.clear()
        for one in ours:
            shelf.newest.append(one)
            follow([one], shelf, DriftLimits())
        shelf.write()

    stores.database.core(work)
