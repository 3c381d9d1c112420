"""A real box in processes of its own, started with the command line, for tests that kill things."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil

from framegate.bootstrap import EmbeddedPostgres
from tests.support import forks

START_S = 60.0
_NAMED = re.compile(r"framegate (?:run [a-z ]+\[box/)?([a-z0-9-]+)\]?$")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(condition: Callable[[], Any], timeout_s: float = 60, what: str = "it") -> Any:
    """Polls for what other processes do; only their own events could say when."""
    deadline = time.monotonic() + timeout_s
    while True:
        if result := condition():
            return result
        assert time.monotonic() < deadline, f"{what} did not happen within {timeout_s:.0f} s"
        time.sleep(0.05)


class RunningBox:
    """`framegate up` on `data`; `environment` adds settings."""

    def __init__(self, data: Path, **environment: str) -> None:
        self.data, self.port = data, free_port()
        self.environment = {
            **os.environ,
            "FRAMEGATE_API__MIN_FREE_MB": "16",
            "FRAMEGATE_ENGINE": "onnxruntime",  # `auto` compares engines when it starts, for a fifth of what a start costs
            "FRAMEGATE_INFERENCE__MAX_BATCH": "2",  # to warm all batches of four costs as much again
            "FRAMEGATE_LOG_JSON": "true",
            **environment,
        }
        self.log = data.parent / f"{data.name}.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.key = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, *, wait: bool = True) -> None:
        with self.log.open("ab") as log:
            command = [sys.executable, "-m", "framegate", "up", "--data", str(self.data), "--port", str(self.port)]
            self.process = subprocess.Popen(command, env=self.environment, stdout=log, stderr=log)
        if wait:
            self.wait_ready()

    def wait_ready(self) -> None:
        until(self.is_ready, START_S, f"readiness (log: {self.tail()})")
        if not self.key:
            self.key = self.run(
                "keys", "create", "--name", "test", "--scopes", "images:write,results:read,admin"
            ).strip()

    def is_ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"framegate up ended: {self.tail()}"
        try:
            with self.client() as client:
                return client.get("/readyz", timeout=5).status_code == 200
        except httpx.HTTPError:
            return False

    def tail(self) -> str:
        return self.log.read_text("utf-8", "replace")[-3000:]

    def run(self, *arguments: str, ok: bool = True, stdin: str = "") -> str:
        """What the command prints. In a fork: loading the libraries takes longer than all that most commands do."""
        done = forks.run([*arguments, "--data", str(self.data)], self.environment, stdin=stdin, timeout_s=90)
        assert done.returncode == 0 or not ok, done.stdout + done.stderr
        return done.stdout

    def stop(self, timeout_s: float = 25) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout_s)

    def processes(self) -> dict[str, psutil.Process]:
        """By name: api, gate, inference-0, ..., preprocess, decoder, postgres."""
        assert self.process is not None
        found: dict[str, psutil.Process] = {}
        for child in psutil.Process(self.process.pid).children(recursive=True):
            try:
                command = child.cmdline()
            except psutil.Error:
                continue
            named = _NAMED.match(" ".join(command).strip())
            name = named[1] if named else ""
            if any("framegate.preprocess.child" in part or "evil_child" in part for part in command):
                name = "decoder"
            if name:
                found.setdefault(name, child)
        postmaster = self.data / "postgres" / "postmaster.pid"
        with suppress(FileNotFoundError, psutil.NoSuchProcess):  # killed, and not yet started again
            found["postgres"] = psutil.Process(int(postmaster.read_text("ascii").split("\n")[0]))
        return found

    def metrics(self, process: str = "api", accept: str = "") -> str:
        """What a Prometheus would scrape."""

        def target() -> Any:
            found = json.loads((self.data / "prometheus/targets.json").read_text("utf-8"))
            return next((each for each in found if each["labels"]["process"] == process), None)

        (address,) = until(target, what=f"a target {process}")["targets"]
        answer = httpx.get(f"http://{address}/metrics", headers={"Accept": accept}, timeout=30, trust_env=False)
        return answer.raise_for_status().text

    def database_url(self) -> str:
        """Of its Postgres, as its processes connect to it."""
        url = EmbeddedPostgres(self.data).attach()
        assert url, "no Postgres runs"
        return url

    def kill(self, name: str) -> None:
        until(lambda: name in self.processes(), what=f"a process {name}")
        self.processes()[name].kill()

    def client(self, **more: Any) -> httpx.Client:
        # Without TLS there is nothing to verify, and reading the certificates takes as long as an inspection.
        options = {"timeout": 30, "trust_env": False, "verify": False, **more}
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        return httpx.Client(base_url=self.url, headers=headers, **options)

    def in_flight(self) -> int:
        with self.client() as client:
            return int(client.get("/v1/stats").raise_for_status().json()["in_flight"])

    def upload(
        self, data: bytes, content_type: str = "image/jpeg", headers: dict[str, str] | None = None, **parameters: str
    ) -> httpx.Response:
        with self.client() as client:
            head = {"Content-Type": content_type, **(headers or {})}
            return client.post("/v1/images", content=data, headers=head, params={"camera": "dock-1", **parameters})

    def outcome(self, image_id: str, timeout_s: float = 60) -> dict[str, Any]:
        with self.client() as client:

            def ended() -> dict[str, Any] | None:
                record: dict[str, Any] = client.get(f"/v1/images/{image_id}").raise_for_status().json()
                return record if record["state"] in ("decided", "rejected", "failed") else None

            result: dict[str, Any] = until(ended, timeout_s, f"an outcome of {image_id}")
            return result


@contextmanager
def running_box(data: Path, **environment: str) -> Iterator[RunningBox]:
    box = RunningBox(data, **environment)
    try:
        box.start()
        yield box
    finally:
        if box.process is not None and box.process.poll() is None:
            try:
                box.stop()
            except subprocess.TimeoutExpired:
                box.process.kill()
                box.process.wait(10)
