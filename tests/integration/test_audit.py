"""The audit on a real Postgres: sealed while others write, and every tampering past the triggers is named."""

import json
import threading
import zipfile
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import psycopg
import pytest
import structlog
from click.testing import Result
from typer.testing import CliRunner

from framegate.adapters.blobs_local import LocalBlobs
from framegate.adapters.postgres import Database, PostgresAuditLog, PostgresIntake, PostgresProgress
from framegate.box.audit import AuditReport, verify_audit
from framegate.cli import app
from framegate.cli.common import out
from framegate.kernel.audit import REDACTED
from framegate.kernel.errors import ConfigurationError
from tests.contracts.examples import FACILITY, accept, decide
from tests.support.pictures import jpeg


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    yield database
    database.close()


@pytest.fixture
def log(database: Database) -> PostgresAuditLog:
    return PostgresAuditLog(database)


def execute(url: str, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(query.encode())
        return cursor.fetchall() if cursor.description else []


def as_a_vandal(url: str, command: str) -> None:
    """Past the triggers."""
    execute(url, f"set session_replication_role = replica; {command}")


def check(log: PostgresAuditLog, expect: bytes | None = None) -> AuditReport:
    return verify_audit(log, expect, lambda _: None)


@pytest.fixture
def third(log: PostgresAuditLog) -> int:
    """The number of the first entry of the second of three seals with three entries each."""
    numbers = [log.add(FACILITY, "lead", "thing.done", f"thing {n}", {"n": n}).sequence for n in range(9)]
    assert [log.seal(3) for _ in range(4)] == [3, 3, 3, 0]
    assert check(log).holds
    return numbers[3]


_INSERT = """
insert into audit (sequence, facility_id, actor, action, object, body) overriding system value
values ({number}, 'hall-1', 'nobody', 'thing.done', 'x', '{{}}')
"""


@pytest.mark.parametrize(
    ("damage", "what", "entry", "seal"),
    [
        ("update audit set body = '{{\"n\": 4}}' where sequence = {third}", "changed", 0, 2),
        ("update audit set body = body || '{{\"more\": null}}' where sequence = {third} + 1", "changed", 1, 2),
        ("update audit set body = '[1]' where sequence = {third} + 1", "changed", 1, 2),
        ("update audit set actor = 'nobody' where sequence = {third} + 2", "changed", 2, 2),
        ("update audit set at = at + interval '1 microsecond' where sequence = {third}", "changed", 0, 2),
        ("update audit set id = gen_random_uuid() where sequence = {third}", "changed", 0, 2),
        ("delete from audit where sequence = {third} + 1", "removed", 1, 2),
        ("delete from audit where sequence >= {third} + 2", "removed", 2, 2),
        ("truncate audit", "removed", -3, 1),
        (_INSERT.replace("{number}", "-7"), "inserted", None, 1),
        ("update audit_seals set sealed_at = sealed_at + interval '1 s' where number = 2", "changed", None, 2),
        ("update audit_seals set leaves = sha256('x') || substr(leaves, 33) where number = 2", "changed", None, 2),
        ("update audit_seals set missing = '[[1, 2]]' where number = 3", "changed", None, 3),
        ("update audit_seals set missing = '[[1]]' where number = 3", "changed", None, 3),
        ("update audit_seals set last_sequence = 1000000000000 where number = 3", "changed", None, 3),
        ("update audit_seals set previous = sha256('x') where number = 2", "changed", None, 1),
        ("delete from audit_seals where number = 1", "removed", None, 1),
        ("delete from audit_seals where number = 2", "removed", None, 2),
    ],
)
def test_tampering_is_named(
    log: PostgresAuditLog, database_url: str, third: int, damage: str, what: str, entry: int | None, seal: int
) -> None:
    as_a_vandal(database_url, damage.format(third=third))
    report = check(log)
    assert report.fault is not None
    assert (report.fault.what, report.fault.seal) == (what, seal)
    assert not report.holds
    assert report.seals == seal - 1 or what == "changed"
    if what == "inserted":
        assert report.fault.sequence == -7
    elif entry is not None:
        assert report.fault.sequence == third + entry
    else:
        assert report.fault.sequence is None


def test_an_entry_in_place_of_a_number_that_was_rolled_back_is_found(log: PostgresAuditLog, database_url: str) -> None:
    log.add(FACILITY, "lead", "thing.done", "a", {})
    with psycopg.connect(database_url) as connection:
        taken = connection.execute(
            "insert into audit (facility_id, actor, action, object, body) values ('f', 'a', 'b', 'c', '{}') returning sequence"
        ).fetchone()
        connection.rollback()
    assert taken is not None
    last = log.add(FACILITY, "lead", "thing.done", "b", {}).sequence
    assert last == taken[0] + 1
    assert log.seal(100) == 2
    (seal,) = log.seals(0, 1)
    assert seal.missing[-1][1] == taken[0]
    assert check(log).holds
    as_a_vandal(database_url, _INSERT.format(number=taken[0]))
    fault = check(log).fault
    assert fault is not None
    assert (fault.what, fault.sequence) == ("inserted", taken[0])


def test_only_a_hash_that_somebody_wrote_down_shows_that_the_end_was_cut_off(
    log: PostgresAuditLog, database_url: str, third: int
) -> None:
    heads = [seal.hash for seal in log.seals(0, 10)]
    assert [check(log, head).expected for head in heads] == [1, 2, 3]
    cut = f"delete from audit_seals where number = 3; delete from audit where sequence > {third} + 2"  # noqa: S608
    as_a_vandal(database_url, cut)
    assert check(log).holds
    assert check(log, heads[1]).holds
    report = check(log, heads[2])
    assert (report.holds, report.missing, report.fault) == (False, True, None)


def test_an_audit_that_was_made_anew_has_other_hashes(log: PostgresAuditLog, database_url: str, third: int) -> None:
    head = check(log).head
    as_a_vandal(database_url, f"update audit set actor = 'nobody' where sequence = {third}; delete from audit_seals")  # noqa: S608
    while log.seal(3):
        pass
    assert check(log).holds
    assert not check(log, head).holds


def test_a_body_that_was_taken_out_leaves_the_chain_whole(log: PostgresAuditLog, database_url: str, third: int) -> None:
    digest = "encode(sha256(convert_to('{\"n\":3}', 'UTF8')), 'hex')"
    taken_out = f"update audit set body = jsonb_build_object('{REDACTED}', {digest}) where sequence = {third}"  # noqa: S608
    as_a_vandal(database_url, taken_out)
    report = check(log)
    assert (report.holds, report.redacted) == (True, 1)


def test_nothing_is_sealed_that_somebody_may_still_commit_before(log: PostgresAuditLog, database_url: str) -> None:
    with psycopg.connect(database_url) as slow:
        slow.execute(
            "insert into audit (facility_id, actor, action, object, body) values ('f', 'slow', 'x', 'y', '{}')"
        )
        log.add(FACILITY, "fast", "thing.done", "a", {})
        assert [log.seal(100), log.seal(100)] == [0, 0]
        assert log.unsealed_s() > 0
        slow.commit()
    assert log.seal(100) == 2
    assert check(log).holds


def test_who_took_a_transaction_early_and_a_number_late_is_waited_for_too(
    log: PostgresAuditLog, database_url: str
) -> None:
    insert = "insert into audit (facility_id, actor, action, object, body) values ('f', 'a', 'x', 'y', '{}')"
    with psycopg.connect(database_url) as early, psycopg.connect(database_url) as late:
        early.execute("select pg_current_xact_id()")
        late.execute(insert)
        early.execute(insert)
        early.commit()  # the higher number, by the older transaction
        assert log.seal(100) == 0
        late.commit()
    assert log.seal(100) == 2
    assert check(log).holds


def test_one_that_never_stops_writing_does_not_keep_older_entries_from_their_seal(
    log: PostgresAuditLog, database_url: str
) -> None:
    insert = "insert into audit (facility_id, actor, action, object, body) values ('f', 'a', 'x', 'y', '{}')"
    with psycopg.connect(database_url) as first, psycopg.connect(database_url) as second:
        first.execute(insert)
        log.add(FACILITY, "lead", "thing.done", "a", {})
        assert log.seal(100) == 0
        second.execute(insert)
        first.commit()
        assert log.seal(100) == 2
        second.commit()
    assert log.seal(100) == 1
    assert check(log).holds


def write(url: str, number: int) -> None:
    """Sixty transactions of one to three entries; some are rolled back."""
    insert = "insert into audit (facility_id, actor, action, object, body) values ('f', %s, 'x', 'y', '{}')"
    with psycopg.connect(url) as connection:
        for n in range(60):
            for _ in range(1 + n % 3):
                connection.execute(insert, [str(number)])
            if n % 7 == number:
                connection.rollback()
            else:
                connection.commit()


def test_sealers_take_turns_while_many_write(log: PostgresAuditLog, database: Database, database_url: str) -> None:
    done = threading.Event()
    failures: list[BaseException] = []

    def noted(work: Callable[[], None]) -> threading.Thread:
        def run() -> None:
            try:
                work()
            except BaseException as error:
                failures.append(error)

        return threading.Thread(target=run)

    def seal() -> None:
        own = PostgresAuditLog(database)
        while not done.is_set():
            own.seal(25)

    sealers = [noted(seal) for _ in range(2)]
    threads = [noted(partial(write, database_url, number)) for number in range(4)]
    for thread in sealers + threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    done.set()
    for thread in sealers:
        thread.join(60)
    assert failures == []
    while log.seal(1000):
        pass
    report = check(log)
    assert report.fault is None
    assert (report.entries, report.unsealed) == (execute(database_url, "select count(*) from audit")[0][0], 0)
    assert report.seals > 1
    assert len(log.seals(0, 1000)) == report.seals


def test_what_the_stages_write_is_sealed(log: PostgresAuditLog, database: Database, database_url: str) -> None:
    decide(PostgresProgress(database), accept(PostgresIntake(database)))
    written = execute(database_url, "select count(*) from audit")[0][0]
    assert log.seal(100) == written > 1
    assert check(log).holds


@pytest.mark.parametrize("command", ["update {} set hash = ''", "delete from {}", "truncate {}"])
def test_seals_cannot_be_changed(database_url: str, third: int, command: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="audit_seals is append-only"):
        execute(database_url, command.format("audit_seals"))


class Desk:
    """The command line on the database."""

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(app, ["audit", *arguments])

    def ok(self, *arguments: str) -> str:
        done = self.run(*arguments)
        assert done.exit_code == 0, (done.output, done.exception)
        return done.stdout


@pytest.fixture
def desk(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(out, "_file", None)  # whatever standard output is by then
    yield Desk()
    structlog.reset_defaults()  # the command set up the logs of this process


def test_the_command_verifies_prints_the_head_and_compares_it(desk: Desk, log: PostgresAuditLog, third: int) -> None:
    log.add(FACILITY, "lead", "thing.done", "late", {})
    told = json.loads(desk.ok("verify", "--json"))
    assert (told["holds"], told["entries"], told["seals"], told["unsealed"]) == (True, 9, 3, 1)
    assert told["head"] == log.seals(2, 1)[0].hash.hex()
    text = desk.ok("verify", "--expect", told["head"])
    assert "9 entries in 3 seals hold" in text
    assert "the expected hash is that of seal 3" in text
    assert f"head {told['head']}" in text
    wrong = desk.run("verify", "--expect", "0" * 63 + "1")
    assert (wrong.exit_code, "no seal has the expected hash" in wrong.stdout) == (1, True)
    assert isinstance(desk.run("verify", "--expect", "abc").exception, ConfigurationError)


def test_the_command_names_what_was_changed_and_fails(desk: Desk, database_url: str, third: int) -> None:
    as_a_vandal(database_url, f"update audit set actor = '[red]x' where sequence = {third}")  # noqa: S608
    done = desk.run("verify")
    assert done.exit_code == 1
    assert f"entry {third} (seal 2) was changed: thing.done of thing 3 by [red]x" in done.stdout
    told = json.loads(desk.run("verify", "--json").stdout)
    assert (told["holds"], told["fault"]["what"], told["fault"]["entry"]) == (False, "changed", third)


def test_entries_are_listed_shown_proved_and_checked(desk: Desk, third: int, tmp_path: Path) -> None:
    lines = [json.loads(line) for line in desk.ok("list", "--json", "--limit", "2", "--actor", "lead").splitlines()]
    assert [line["object"] for line in lines] == ["thing 8", "thing 7"]
    assert "thing 3" in desk.ok("list", "--object", "thing 3", "--since", "1h", "--facility", FACILITY)
    assert "no such entry" in desk.ok("list", "--object", "nothing")
    by_number, by_id = desk.ok("show", str(third)), desk.ok("show", json.loads(desk.ok("show", str(third)))["id"])
    assert by_number == by_id
    assert json.loads(by_number)["body"] == {"n": 3}
    (tmp_path / "proofs").write_text(desk.ok("prove", str(third)) + desk.ok("prove", "--object", "thing 7"))
    assert "DOES NOT HOLD" not in (told := desk.ok("check", str(tmp_path / "proofs")))
    assert told.count("as seal") == 2
    (tmp_path / "proofs").write_text(desk.ok("prove", str(third)).replace("thing 3", "thing 4"))
    assert desk.run("check", str(tmp_path / "proofs")).exit_code == 1


@pytest.mark.parametrize(
    "arguments",
    [["show", "1000000"], ["show", "x"], ["prove"], ["prove", "1", "--object", "x"], ["prove", "--object", "x"],
     ["list", "--since", "x"], ["check", "/nowhere"]],
)  # fmt: skip
def test_what_cannot_be_answered_says_what_to_do(desk: Desk, arguments: list[str]) -> None:
    assert isinstance(desk.run(*arguments).exception, ConfigurationError)


def test_evidence_of_an_image_is_exported_once_to_a_name_and_audited(
    desk: Desk, log: PostgresAuditLog, database: Database, tmp_path: Path
) -> None:
    data = jpeg(1)
    key = "originals/one"
    LocalBlobs(tmp_path / "box" / "blobs").put(key, data)
    image = accept(PostgresIntake(database), data=data, blob_key=key, width=320, height=240)
    decide(PostgresProgress(database), image)
    while log.seal(100):
        pass
    to, box = tmp_path / "claim.zip", ["--data", str(tmp_path / "box"), "--facility", FACILITY]
    export = ["evidence", str(image.image_id), "--out", str(to), "--by", "A. Lead", *box]
    assert CliRunner().invoke(app, export).exit_code == 0
    with zipfile.ZipFile(to) as file:
        assert file.testzip() is None
        assert file.read("original.jpg") == data
        assert "annotated.jpg" in file.namelist()
        (tmp_path / "audit.json").write_bytes(file.read("audit.json"))
    told = desk.ok("check", str(tmp_path / "audit.json"))
    assert told.count("as seal") == 2
    assert told.count("not sealed yet") == 1
    assert [one["actor"] for one in map(json.loads, desk.ok("list", "--json", "--limit", "1").splitlines())] == [
        "A. Lead"
    ]
    assert isinstance(CliRunner().invoke(app, export).exception, ConfigurationError)
    assert list(tmp_path.glob(".*.part")) == []
    for wrong in ("x", "0193e2a4-7c1b-7f3a-9d5e-2b1c0a998877"):
        assert isinstance(CliRunner().invoke(app, ["evidence", wrong, *box]).exception, ConfigurationError)


def test_an_old_audit_is_a_matter_of_rounds(log: PostgresAuditLog, database_url: str) -> None:
    execute(
        database_url,
        "insert into audit (facility_id, actor, action, object, body) "
        "select 'f', 'a', 'x', n::text, '{}' from generate_series(1, 5000) n",
    )
    assert [log.seal(2000) for _ in range(4)] == [2000, 2000, 1000, 0]
    assert check(log).entries == 5000
    assert timedelta(seconds=log.unsealed_s()) == timedelta(0)
