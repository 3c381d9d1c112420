"""Retention on a real Postgres and real files, by the commands."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread

import psycopg
import pytest
import structlog
from click.testing import Result
from typer.testing import CliRunner

from framegate.adapters.blobs_local import LocalBlobs
from framegate.adapters.memory import FakeClock
from framegate.bootstrap import Stores, open_stores
from framegate.box.verify import verify
from framegate.cli import app
from framegate.cli.common import out
from framegate.kernel.blobkeys import blob_key
from framegate.kernel.errors import ConfigurationError
from framegate.kernel.holds import Hold, HoldScope
from framegate.kernel.retention import ErasureRefused
from framegate.kernel.states import Stage
from framegate.observability.logs import get_log
from framegate.observability.metrics import Metrics
from framegate.ports.store import NewImage
from framegate.ports.uploads import NewUpload
from framegate.settings import Settings
from framegate.sweep.retention import RetentionWatch
from tests.contracts.examples import (
    FACILITY,
    accept,
    complete,
    decide,
    inspected,
    must_claim,
    new_image,
    outcome,
    prepared,
)
from tests.support.pictures import jpeg


class Desk:
    """The command line on a database with a facility, and the stores under it."""

    def __init__(self, stores: Stores, data: Path) -> None:
        self.stores, self.blobs = stores, LocalBlobs(data / "blobs")
        self._data = data

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(app, [*arguments, "--data", str(self._data)])

    def ok(self, *arguments: str) -> str:
        done = self.run(*arguments)
        assert done.exit_code == 0, (done.output, done.exception)
        return done.stdout

    def image(self, number: int, **changes: object) -> NewImage:
        """Decided, with an original that is a picture."""
        data = jpeg(number)
        image = new_image(data, width=320, height=240, size_bytes=len(data), **changes)
        self.blobs.put(image.blob_key, data)
        self.stores.intake.accept([image])
        decide(self.stores.progress, image)
        return image

    def sweep(self, days: float) -> None:
        """So many days from now."""
        clock = FakeClock(datetime.now(UTC) + timedelta(days=days))
        RetentionWatch(self.stores.retention, self.blobs, clock, Metrics(), get_log(stage="sweep")).look()

    def seal(self) -> None:
        while self.stores.audit.seal(100):
            pass

    def holds(self) -> bool:
        return verify(self.stores, self.blobs, hash_blobs=True).holds


@pytest.fixture
def desk(database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Desk]:
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(out, "_file", None)  # whatever standard output is by then
    with ExitStack() as closing:
        stores = open_stores(Settings.read(data=tmp_path), database_url)
        closing.callback(stores.close)
        yield Desk(stores, tmp_path)
    structlog.reset_defaults()  # the command set up the logs of this process


def test_what_is_set_by_command_is_shown_applied_and_proved(desk: Desk) -> None:
    image = desk.image(1, metadata={"order": "7"})
    at = ["--facility", FACILITY]
    shown = json.loads(desk.ok("retention", "show", "--json", *at))
    assert set(shown.values()) == {FACILITY, None}
    told = json.loads(desk.ok("retention", "set", "originals", "30", "--by", "A. Lead", "--json", *at))
    assert told == {"facility": FACILITY, "metadata": None} | dict.fromkeys(
        (f"originals.{kind}" for kind in ("pass", "fail", "review", "rejected", "failed")), 30
    )
    desk.ok("retention", "set", "originals.fail", "forever", *at)
    assert "for ever" in desk.ok("retention", "show", *at)
    desk.seal()
    before = json.loads(desk.ok("audit", "verify", "--json"))
    desk.sweep(29)
    assert desk.blobs.exists(image.blob_key)
    assert desk.holds()
    desk.sweep(31)
    assert not desk.blobs.exists(image.blob_key)
    assert desk.holds()
    desk.seal()
    after = json.loads(desk.ok("audit", "verify", "--json", "--expect", before["head"]))
    assert (after["holds"], after["redacted"], after["entries"]) == (True, 0, before["entries"] + 1)


@pytest.mark.parametrize(
    "arguments", [["originals.good", "7"], ["metadata", "0"], ["metadata", "week"],
                  ["metadata", "7", "--facility", "nowhere"]],
)  # fmt: skip
def test_what_cannot_be_set_says_what_can(desk: Desk, arguments: list[str]) -> None:
    desk.image(1)
    at = [] if "--facility" in arguments else ["--facility", FACILITY]
    done = desk.run("retention", "set", *at, *arguments)
    assert isinstance(done.exception, ConfigurationError)


def test_a_file_that_is_lost_or_left_is_told_from_one_that_was_erased(desk: Desk) -> None:
    lost, erased = desk.image(1), desk.image(2)
    desk.stores.retention.erase(FACILITY, erased.image_id, "x", "lead")
    assert desk.holds()
    desk.sweep(0)
    assert desk.holds()
    desk.blobs.put(erased.blob_key, b"back again")
    assert not desk.holds()
    desk.blobs.delete(erased.blob_key)
    desk.blobs.delete(lost.blob_key)
    assert not desk.holds()


def test_every_form_in_which_a_picture_is_stored_goes(desk: Desk) -> None:
    now = datetime.now(UTC)
    image = new_image(metadata={"order": "7"})
    upload = NewUpload(
        image.image_id, FACILITY, "seed", image.camera, image.lane, None, image.metadata, image.media_type,
        image.sha256, 1, now, now,
    )  # fmt: skip
    desk.stores.uploads.ensure_facility(FACILITY)
    desk.stores.uploads.announce([upload])
    desk.stores.intake.accept([image])
    frame = f"prepared/{FACILITY}/{image.image_id}-1.raw"
    for stage, result in (
        (Stage.PREPROCESS, prepared(frame)), (Stage.INFERENCE, inspected("box")), (Stage.GATE, outcome()),
    ):  # fmt: skip
        assert complete(desk.stores.progress, must_claim(desk.stores.progress, stage, image), result)
    keys = [image.blob_key, blob_key("uploads", FACILITY, image.image_id, image.media_type, now), frame]
    keys.append(frame.replace("-1.raw", "-2.raw"))
    for key in keys:
        desk.blobs.put(key, b"picture")
    desk.stores.retention.erase(FACILITY, image.image_id, "x", "lead")
    desk.sweep(0)
    assert [desk.blobs.exists(key) for key in keys] == [False] * 4
    assert desk.stores.uploads.upload(image.image_id) == replace(upload, metadata={})


def test_sweepers_take_turns(desk: Desk, database_url: str) -> None:
    accept(desk.stores.intake)
    desk.ok("retention", "set", "metadata", "1", "--facility", FACILITY)
    with psycopg.connect(database_url) as other:
        other.execute("select from retention_walks for update")
        assert desk.stores.retention.walk(datetime.now(UTC), 10) is None
    assert desk.stores.retention.walk(datetime.now(UTC), 10) is not None


def test_an_image_is_erased_by_command_and_the_audit_holds(desk: Desk, database_url: str) -> None:
    image, twin = desk.image(1, metadata={"order": "of Ms Doe"}), desk.image(1)
    desk.seal()
    before = json.loads(desk.ok("audit", "verify", "--json"))
    erase = ["erase", str(image.image_id), "--facility", FACILITY, "--by", "A. Lead", "--reason", "asked for"]
    desk.ok(*erase)
    assert [desk.blobs.exists(one.blob_key) for one in (image, twin)] == [False, True]
    assert desk.holds()
    desk.ok(*erase)
    desk.seal()
    after = json.loads(desk.ok("audit", "verify", "--json", "--expect", before["head"]))
    assert (after["holds"], after["redacted"], after["entries"]) == (True, 0, before["entries"] + 1)
    told = [json.loads(line) for line in desk.ok("audit", "list", "--json").splitlines()]
    assert [(one["action"], one["actor"]) for one in told][:1] == [("image.erased", "A. Lead")]
    with psycopg.connect(database_url) as connection:
        tables = [row[0] for row in connection.execute("select tablename from pg_tables where schemaname = 'public'")]
        for table in tables:
            query = f"select from {table} t where t::text like '%Ms Doe%'"
            assert connection.execute(query.encode()).fetchall() == [], table
        connection.execute("set session_replication_role = replica")
        connection.execute("update audit set body = body || '{\"original\": 1}' where action = 'image.erased'")
    flipped = desk.run("audit", "verify", "--json")
    assert (flipped.exit_code, json.loads(flipped.stdout)["fault"]["what"]) == (1, "changed")


def test_a_hold_by_command_refuses_erasure_until_it_is_lifted_with_a_reason(desk: Desk) -> None:
    image = desk.image(1, metadata={"shipment": "X"})
    at = ["--facility", FACILITY]
    add = ["hold", "add", "--shipment", "X", "--reason", "claim 12", "--by", "A. Lead", "--json", *at]
    told = json.loads(desk.ok(*add))
    assert (told["metadata"], told["images"], told["erased_before"]) == ({"shipment": "X"}, 1, 0)
    erase = ["erase", str(image.image_id), "--reason", "x", *at]
    refused = desk.run(*erase)
    assert isinstance(refused.exception, ErasureRefused)
    assert told["id"] in str(refused.exception)
    assert "framegate hold lift" in str(refused.exception)
    assert desk.blobs.exists(image.blob_key)
    assert "shipment=X" in desk.ok("hold", "list")
    desk.ok("hold", "lift", told["id"][-8:], "--reason", "settled", "--by", "B. Boss")
    assert isinstance(desk.run("hold", "lift", told["id"], "--reason", "again").exception, ConfigurationError)
    assert "no hold" in desk.ok("hold", "list")
    (listed,) = json.loads(desk.ok("hold", "list", "--all", "--json"))
    assert (listed["lifted_by"], listed["lift_reason"]) == ("B. Boss", "settled")
    desk.ok(*erase)
    assert not desk.blobs.exists(image.blob_key)


@pytest.mark.parametrize(
    "arguments",
    [["hold", "add", "--reason", "x"], ["hold", "add", "x", "--reason", "x"],
     ["hold", "add", "--camera", "c", "--reason", " "], ["hold", "add", "--camera", "c", "--from", "x", "--reason", "x"],
     ["hold", "add", "--camera", "c", "--from", "0001-01-01T00:00+05:00", "--reason", "x"],
     ["hold", "add", "--metadata", "x", "--reason", "x"], ["hold", "lift", "1234", "--reason", "x"],
     ["hold", "add", "0193e2a4-7c1b-7f3a-9d5e-2b1c0a998877", "--reason", "x"],
     ["erase", "x", "--reason", "x"]],
)  # fmt: skip
def test_what_cannot_be_held_or_erased_says_why(desk: Desk, arguments: list[str]) -> None:
    assert isinstance(desk.run(*arguments).exception, ConfigurationError)


def test_who_holds_waits_for_who_erases(desk: Desk, database_url: str) -> None:
    image = desk.image(1)
    placed: list[Hold] = []

    def place() -> None:
        placed.append(desk.stores.holds.place(FACILITY, HoldScope(image.image_id), "claim", "lead"))

    with psycopg.connect(database_url) as eraser:
        eraser.execute("select pg_advisory_xact_lock_shared(hashtext('holds'))")
        thread = Thread(target=place)
        thread.start()
        thread.join(0.3)
        assert placed == []
    thread.join(30)
    assert len(placed) == 1
