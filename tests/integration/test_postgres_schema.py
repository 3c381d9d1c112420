"""The schema: made by migrations, and guarded by the database itself."""

import warnings
from collections.abc import Iterator
from datetime import timedelta
from threading import Thread

import psycopg
import pytest
import sqlalchemy

from framegate.adapters.postgres import (
    Database,
    PostgresIntake,
    PostgresProgress,
    PostgresReviews,
    PostgresUpkeep,
    migrate,
    schema,
)
from framegate.adapters.postgres.migrate import HEAD
from framegate.kernel.ids import ImageId
from framegate.kernel.reviews import Choice, Decision
from framegate.kernel.states import Verdict
from framegate.ports.store import NewImage
from tests.contracts.examples import accept, decide, outcome


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    yield database
    database.close()


def execute(url: str, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(query.encode())
        return cursor.fetchall() if cursor.description else []


def test_an_empty_database_is_brought_to_the_newest_version(empty_database_url: str) -> None:
    migrate(empty_database_url)
    assert execute(empty_database_url, "select version_num from alembic_version") == [(HEAD,)]
    database = Database(empty_database_url)
    assert PostgresUpkeep(database).conservation().accepted == 0
    database.close()


def test_migrating_again_changes_nothing(database_url: str) -> None:
    before = execute(database_url, "select oid, relname from pg_class order by 1")
    migrate(database_url)
    assert execute(database_url, "select oid, relname from pg_class order by 1") == before


def test_processes_that_start_together_migrate_once(empty_database_url: str) -> None:
    failures: list[Exception] = []

    def start() -> None:
        try:
            migrate(empty_database_url)
        except Exception as error:
            failures.append(error)

    threads = [Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(50)
    assert failures == []
    assert execute(empty_database_url, "select count(*) from alembic_version") == [(1,)]


def test_a_schema_of_a_newer_release_is_left_alone(empty_database_url: str) -> None:
    migrate(empty_database_url)
    execute(empty_database_url, "update alembic_version set version_num = '9999'")
    migrate(empty_database_url)
    assert execute(empty_database_url, "select version_num from alembic_version") == [("9999",)]


def test_the_tables_that_code_names_have_the_columns_and_types_that_it_names(database_url: str) -> None:
    engine = sqlalchemy.create_engine(database_url.replace("postgresql:", "postgresql+psycopg:"))
    inspector = sqlalchemy.inspect(engine)
    for table in schema.metadata.tables.values():
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Did not recognize type 'xid8'")
            actual = {column["name"]: column["type"] for column in inspector.get_columns(table.name)}
        for column in table.columns:
            expected = column.type.compile(engine.dialect)
            assert actual[column.name].compile(engine.dialect) == expected, f"{table.name}.{column.name}"
    engine.dispose()


def test_every_table_with_data_of_tenants_is_keyed_by_facility(database_url: str) -> None:
    no_tenants = {"alembic_version", "api_keys", "facilities", "models", "deployments", "deployment_loads", "workers"}
    no_tenants |= {"queue_messages", "outbox", "dead_letters"}  # their bodies name the facility
    no_tenants |= {"hook_deliveries", "hook_attempts"}  # their endpoint is of one
    no_tenants |= {"audit_seals"}  # hashes over the entries of all of them
    no_tenants |= {"people", "invitations", "logins"}  # their roles are of one
    no_tenants |= {"camera_watch", "drift_watch"}  # how far all of them were looked at
    tables = {row[0] for row in execute(database_url, "select tablename from pg_tables where schemaname = 'public'")}
    keyed = execute(
        database_url,
        "select table_name from information_schema.columns where column_name = 'facility_id' and is_nullable = 'NO'",
    )
    assert tables - {row[0] for row in keyed} == no_tenants


@pytest.fixture
def ended(database: Database) -> NewImage:
    image = accept(PostgresIntake(database))
    decide(PostgresProgress(database, sample=1.0), image, outcome(Verdict.PASS))
    decision, window = Decision(Choice.PASS), timedelta(seconds=30)
    PostgresReviews(database).decide(
        frozenset({image.facility}), image.image_id, 1, image.sha256, decision, "test", window
    )
    return image


@pytest.mark.parametrize("table", ["outcomes", "detections", "audit", "reviews"])
@pytest.mark.parametrize("command", ["update {} set facility_id = 'x'", "delete from {}", "truncate {} cascade"])
def test_what_was_decided_cannot_be_changed(database_url: str, ended: NewImage, table: str, command: str) -> None:
    count = f"select count(*) from {table}"  # noqa: S608
    before = execute(database_url, count)
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match=f"{table} is append-only"):
        execute(database_url, command.format(table))
    assert execute(database_url, count) == before != [(0,)]


def as_a_vandal(url: str, *commands: str) -> None:
    """Past the triggers and the foreign keys."""
    for command in commands:
        execute(url, f"set session_replication_role = replica; {command}")


@pytest.mark.parametrize(
    ("damage", "check"),
    [
        ("delete from outcomes", "no-image-is-lost"),
        (
            """
            insert into progress (facility_id, image_id, lane, state, moved_at, issued_at, received_at)
            select facility_id, image_id, 'live', 'received', now(), now(), now() from outcomes
            """,
            "ended-is-not-in-flight",
        ),
        ("delete from audit where action = 'image.ended'", "ended-is-audited"),
        ("delete from audit where action = 'image.accepted'", "accepted-is-audited"),
        ("update outcomes set model_sha256 = null", "pass-has-evidence"),
        ("update outcomes set prepared = null", "pass-has-evidence"),
        ("update outcomes set alerts = 1", "raised-alerts-are-there"),
        (
            """
            insert into alert_outbox (facility_id, image_id, rule, severity, subject, summary, payload, created_at)
            select facility_id, image_id, 'damage', 'critical', 'x', 'y', '{}', now() from outcomes
            """,
            "raised-alerts-are-there",
        ),
        (
            """
            insert into incidents (incident_id, facility_id, rule, subject, severity, state, summary, images, opened_at,
              last_at, window_s)
            select gen_random_uuid(), facility_id, 'damage', 'x', 'critical', 'open', 'y', 1, now(), now(), 1 from outcomes
            """,
            "incidents-count-their-alerts",
        ),
        ("update outcomes set state = 'failed', verdict = null, reason = 'poison', crashes = 2", "poison-has-crashes"),
        ("update detections set x2 = 'NaN'", "detections-are-in-the-picture"),
        ("update detections set y2 = 1000", "detections-are-in-the-picture"),
        ("update detections set confidence = 'Infinity'", "detections-are-in-the-picture"),
        ("delete from reviews", "decided-items-have-a-review"),
        ("delete from cameras", "image-has-a-camera"),
        ("update images set duplicate_of = gen_random_uuid()", "references-exist"),
        ("update outcomes set reused_from = gen_random_uuid()", "references-exist"),
        ("update detections set image_id = gen_random_uuid()", "references-exist"),
    ],
)
def test_damage_is_found_by_its_invariant(
    database: Database, database_url: str, ended: NewImage, damage: str, check: str
) -> None:
    upkeep = PostgresUpkeep(database)
    assert [c for c in upkeep.check_invariants() if c.violations] == []
    as_a_vandal(database_url, damage)
    found = {c.name: c for c in upkeep.check_invariants() if c.violations}
    assert check in found
    assert len(found[check].examples) == found[check].violations == 1
    if "gen_random_uuid" not in damage:
        assert str(ended.image_id) in found[check].examples[0]


@pytest.mark.parametrize(("state", "column"), [("prepared", "prepared"), ("inspected", "finding")])
def test_an_image_in_flight_without_what_its_stage_needs_is_found(
    database: Database, database_url: str, state: str, column: str
) -> None:
    image = accept(PostgresIntake(database))
    as_a_vandal(database_url, f"update progress set state = '{state}', {column} = null")  # noqa: S608
    found = [c for c in PostgresUpkeep(database).check_invariants() if c.violations]
    assert [(c.name, c.examples) for c in found] == [("waiting-has-what-it-needs", (str(image.image_id),))]


def test_the_sums_show_a_lost_image(database: Database, database_url: str, ended: NewImage) -> None:
    as_a_vandal(database_url, "delete from outcomes")
    sums = PostgresUpkeep(database).conservation()
    assert (sums.accepted, sums.decided, sums.in_flight, sums.lost) == (1, 0, 0, 1)
    assert PostgresUpkeep(database).blob_keys(ImageId(ended.image_id), 10) == []
