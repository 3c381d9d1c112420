"""Where the Unix socket lives: in the data directory, or nearer to the root when that path is too long."""

import os
import stat
import tempfile
from pathlib import Path

from framegate.adapters.embedded_postgres.account import Account
from framegate.adapters.embedded_postgres.errors import ClusterUnusable

PORT = 5432
_LONGEST = 103  # macOS; Linux has 107
_RECORD = "socket-directory"


def private_directory(path: Path, account: Account) -> None:
    """Makes it 0700 for the account, or checks that an existing one is so; raises `ClusterUnusable`."""
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        if not _is_private(path, account):
            raise ClusterUnusable(
                f"{path} must be a directory of user {account.uid} with mode 0700: correct or remove it"
            ) from None
    else:
        account.give(path)


def socket_directory(run_dir: Path, account: Account) -> Path:
    """Stays the same over restarts, because running processes hold a URL that names it."""
    if _fits(run_dir):
        return run_dir
    record = run_dir / _RECORD
    if record.exists():
        recorded = Path(record.read_text().strip())
        try:
            private_directory(recorded, account)
        except (ClusterUnusable, OSError):
            record.unlink()
        else:
            return recorded
    base = tempfile.gettempdir()
    made = Path(tempfile.mkdtemp(prefix="framegate-", dir=base if len(base) < _LONGEST // 2 else "/tmp"))  # noqa: S108
    account.give(made)
    record.write_text(f"{made}\n")
    return made


def discard_socket_directory(run_dir: Path) -> None:
    """After a stop: removes the directory outside of the data directory, if there is one and it is empty."""
    record = run_dir / _RECORD
    if not record.exists():
        return
    try:
        Path(record.read_text().strip()).rmdir()
    except OSError:
        return
    record.unlink()


def _fits(directory: Path) -> bool:
    return len(os.fsencode(directory / f".s.PGSQL.{PORT}")) <= _LONGEST


def _is_private(path: Path, account: Account) -> bool:
    status = path.lstat()
    return stat.S_ISDIR(status.st_mode) and status.st_uid == account.uid and stat.S_IMODE(status.st_mode) == 0o700
