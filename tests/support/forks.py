"""`framegate ...` as forks of a process that has loaded the libraries: that takes longer than all else a start does."""

import multiprocessing
import os
import sys
from collections.abc import Mapping
from multiprocessing.context import ForkServerProcess
from pathlib import Path

_LIBRARIES = (
    "adapters.aws.client",
    "adapters.hook_http",
    "adapters.aws.queue",
    "adapters.engine_onnxruntime",
    "alerts.dispatcher",
    "alerts.service",
    "box.process",
    "cli",
    "gate.stage",
    "inference.deployments",
    "inference.stage",
    "ingest.app",
    "ingest.server",
    "preprocess.stage",
)
_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload([__name__, *(f"framegate.{name}" for name in _LIBRARIES)])


def start(arguments: list[str], environment: Mapping[str, str], log: Path) -> ForkServerProcess:
    """The command line in a process of its own; `environment` is all that it has."""
    process = _forks.Process(target=_run, args=(arguments, dict(environment), str(log)))
    process.start()
    return process


def _run(arguments: list[str], environment: dict[str, str], log: str) -> None:
    from framegate.cli import main

    with Path(log).open("wb") as output:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(output.fileno(), stream.fileno())
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["framegate", *arguments]
    main()
