"""The environment of this process and of those that it starts. What it means for us is said in `settings`."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

#: For processes that compute side by side, one on each core: a second layer of threads in each would only get in the way.
ONE_THREAD: Final = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def secrets_of_environment() -> tuple[str | None, ...]:
    """What only boto3 reads, for whoever must not write it."""
    return os.environ.get("AWS_SECRET_ACCESS_KEY"), os.environ.get("AWS_SESSION_TOKEN")


def child_environment(**changes: str) -> dict[str, str]:
    """This process's environment with `changes`, for a child process."""
    return {**os.environ, **changes}


def take_environment(environment: Mapping[str, str]) -> None:
    """All of it, and nothing else, for a process that was forked."""
    os.environ.clear()
    os.environ.update(environment)


def keep_ultralytics_offline() -> None:
    """Call it before ultralytics is imported, which reads these then: no network, no telemetry, no installing, no chatter."""
    os.environ.update(YOLO_OFFLINE="true", YOLO_AUTOINSTALL="false", YOLO_VERBOSE="false")


def default_spool() -> Path:
    """Where `submit` keeps files for a box that is away: `$XDG_STATE_HOME/framegate/spool` (XDG Base Directory Spec.)."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "framegate" / "spool"
