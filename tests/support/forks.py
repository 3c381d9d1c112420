"""`framegate ...` as forks of a process that has loaded the libraries: that takes longer than all else a start does."""

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from tempfile import TemporaryDirectory

_LIBRARIES = (
    "adapters.aws.client",
    "adapters.aws.queue",
    "adapters.engine_onnxruntime",
    "bootstrap.preloaded",
    "box.verify",
    "cli",
    "cli.audit",
    "cli.hooks",
    "cli.incidents",
    "cli.models",
    "cli.operate",
    "cli.people",
    "cli.policy",
    "cli.reviews",
    "cli.run",
    "cli.simulation",
)
_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload([__name__, *(f"framegate.{name}" for name in _LIBRARIES)])


def start(arguments: list[str], environment: Mapping[str, str], log: Path) -> ForkServerProcess:
    """The command line in a process of its own; `environment` is all that it has."""
    process = _forks.Process(target=_run, args=(arguments, dict(environment), (os.devnull, str(log), str(log))))
    process.start()
    return process


def run(
    arguments: list[str], environment: Mapping[str, str], *, stdin: str = "", timeout_s: float
) -> subprocess.CompletedProcess[str]:
    """The same, until it ends. Raises `subprocess.TimeoutExpired`."""
    with TemporaryDirectory() as directory:
        files = [Path(directory, name) for name in ("in", "out", "err")]
        files[0].write_text(stdin, "utf-8")
        process = _forks.Process(target=_run, args=(arguments, dict(environment), tuple(map(str, files))))
        process.start()
        process.join(timeout_s)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(arguments, timeout_s)
        said, complained = (file.read_text("utf-8") for file in files[1:])
        return subprocess.CompletedProcess(arguments, process.exitcode, said, complained)


def _run(arguments: list[str], environment: dict[str, str], files: tuple[str, str, str]) -> None:
    from framegate.cli import main

    with ExitStack() as stack:
        for path, mode, descriptor in zip(files, ("rb", "ab", "ab"), range(3), strict=True):
            os.dup2(stack.enter_context(Path(path).open(mode)).fileno(), descriptor)
    sys.stdin = os.fdopen(0, encoding="utf-8")  # multiprocessing put one on /dev/null in its place
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["framegate", *arguments]
    main()
