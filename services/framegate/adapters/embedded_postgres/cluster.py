"""The cluster's files: made whole or not at all, and configured by one file of ours."""

import os
import secrets
import shutil
import sys
import tempfile
from pathlib import Path

from framegate.adapters.embedded_postgres.account import Account, binary
from framegate.adapters.embedded_postgres.errors import ClusterUnusable
from framegate.adapters.embedded_postgres.sockets import PORT

_MAJOR = "18"
_INITDB_S = 120.0
_STAGING = "postgres.init-"
_CONFIG = "framegate.conf"
_PASSWORD = "framegate.password"  # noqa: S105
# initdb, and Postgres after a crash, bring all files to the disk; one by one takes seconds.
_SYNC_METHOD = "syncfs" if sys.platform == "linux" else "fsync"
USER = "framegate"


def ensure_cluster(data_dir: Path, cluster: Path, account: Account) -> None:
    """Runs initdb beside the final place and renames, so a killed one leaves only rubbish, removed here."""
    for leftover in data_dir.glob(f"{_STAGING}*"):
        shutil.rmtree(leftover, ignore_errors=True)  # its initdb may have outlived us and be at work still
    version = cluster / "PG_VERSION"
    if version.exists():
        found = version.read_text().strip()
        if found != _MAJOR:
            raise ClusterUnusable(f"{cluster} was made by Postgres {found}, this is {_MAJOR}: pg_upgrade it first")
        return
    if cluster.exists() and any(cluster.iterdir()):
        raise ClusterUnusable(f"{cluster} is not empty and no Postgres cluster: move it away, or choose another folder")
    staging = Path(tempfile.mkdtemp(prefix=_STAGING, dir=data_dir))
    account.give(staging)
    made = staging / "cluster"
    _initdb(made, staging / _PASSWORD, account)
    made.rename(cluster)
    _sync(data_dir)
    staging.rmdir()


def read_password(cluster: Path) -> str:
    """Raises `ClusterUnusable` when the file is gone or not ours to read."""
    try:
        return (cluster / _PASSWORD).read_text().strip()
    except OSError as error:
        raise ClusterUnusable(
            f"cannot read the database password in {cluster / _PASSWORD} ({error.strerror}): "
            "run Framegate as the user who made the box, or restore the file"
        ) from error


def write_config(cluster: Path, socket_dir: Path, log_dir: Path, account: Account) -> None:
    """Rewritten before every start; postgresql.conf includes it."""
    part = cluster / f"{_CONFIG}.part"
    part.write_text(_config(socket_dir, log_dir))
    account.give(part)
    part.replace(cluster / _CONFIG)


def _initdb(made: Path, password_file: Path, account: Account) -> None:
    password_file.touch(mode=0o600)
    password_file.write_text(f"{secrets.token_urlsafe(32)}\n")
    account.give(password_file)
    command = [binary("initdb"), f"--pgdata={made}", f"--username={USER}", f"--pwfile={password_file}"]
    command += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--data-checksums", "--no-instructions"]
    command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", f"--sync-method={_SYNC_METHOD}"]
    done = account.run(command, timeout_s=_INITDB_S)
    if done.returncode != 0:
        raise ClusterUnusable(f"initdb failed in {made.parent.parent}: {done.stdout.strip()[-500:]}")
    with (made / "postgresql.conf").open("a") as file:
        file.write(f"\ninclude '{_CONFIG}'\n")
    (made / _CONFIG).touch(mode=0o600)
    account.give(made / _CONFIG)
    password_file.rename(made / _PASSWORD)
    for path in (made / "postgresql.conf", made / _PASSWORD, made):
        _sync(path)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def _config(socket_dir: Path, log_dir: Path) -> str:
    # unix_socket_directories is a list: its double quotes keep commas and spaces within one entry.
    sockets = '"' + str(socket_dir).replace('"', '""') + '"'
    return f"""# Written by Framegate at every start: changes here are lost, use ALTER SYSTEM.
listen_addresses = ''
port = {PORT}
unix_socket_directories = {_quoted(sockets)}
unix_socket_permissions = 0700
max_connections = 100
password_encryption = 'scram-sha-256'
cluster_name = 'framegate'
timezone = 'UTC'

# An accepted image is on the disk: start-up refuses to go on when one of these is off.
fsync = on
synchronous_commit = on
full_page_writes = on
wal_compression = on
max_wal_size = 1GB
recovery_init_sync_method = {_SYNC_METHOD}

# A small machine shared with the workers; no parallel queries, so a container's 64 MB of /dev/shm suffice.
shared_buffers = 128MB
io_method = sync
jit = off
max_parallel_workers_per_gather = 0
max_parallel_maintenance_workers = 0

# Queue tables turn over many times a minute.
autovacuum_naptime = 10s
autovacuum_vacuum_scale_factor = 0.05
autovacuum_analyze_scale_factor = 0.05
autovacuum_vacuum_cost_delay = 1ms
idle_in_transaction_session_timeout = 30s

# One file a weekday, overwritten after a week.
logging_collector = on
log_directory = {_quoted(str(log_dir))}
log_filename = 'postgres-%a.log'
log_file_mode = 0600
log_rotation_age = 1d
log_rotation_size = 0
log_truncate_on_rotation = on
log_timezone = 'UTC'
log_checkpoints = off
log_lock_waits = on
lc_messages = 'C'
"""
