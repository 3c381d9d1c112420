"""The distribution's Prometheus, on loopback, beside a box."""

import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import httpx
import pytest
import yaml

from tests.support.box import RunningBox, free_port, until

#: Labels that tell alerts of one alarm apart.
_ABOUT: Final = ("fault", "subject_kind", "dependency", "volume", "stage", "kind")


def need_prometheus() -> str:
    """Its path. Skips where it is not installed; in CI that is an error."""
    found = shutil.which("prometheus")
    if found is None:
        assert not os.environ.get("CI"), "prometheus is not installed: apt-get install prometheus"
        pytest.skip("prometheus is not installed: apt-get install prometheus")
    return found


class Fired(NamedTuple):
    """An alarm. `about`: which of several alike, such as the stage that is down; empty where there is only one."""

    name: str
    severity: str
    about: str

    @classmethod
    def of(cls, labels: dict[str, str]) -> "Fired":
        """By the labels of its alert."""
        about = next((labels[name] for name in _ABOUT if name in labels), "")
        return cls(labels["alertname"].removeprefix("Framegate"), labels["severity"], about)


class Prometheus:
    """Its HTTP API."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=f"{url}/api/v1", timeout=30, trust_env=False)

    def get(self, path: str, **parameters: Any) -> Any:
        """What `path` answers as data. Raises AssertionError with Prometheus' own words when it refuses."""
        answer = self._client.get(path, params=parameters).json()
        assert answer["status"] == "success", f"{parameters}: {answer.get('error')}"
        return answer["data"]

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The series of an instant query."""
        found: list[dict[str, Any]] = self.get("/query", query=expression)["result"]
        return found

    def fired(self, within_s: float) -> set["Fired"]:
        """The alarms that fired at any moment of the last seconds."""
        found = self.query(f'max_over_time(ALERTS{{alertstate="firing"}}[{1000 * within_s:.0f}ms])')
        return {Fired.of(one["metric"]) for one in found}

    def is_ready(self) -> bool:
        """Whether it answers queries."""
        try:
            return self._client.get("/status/runtimeinfo").status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    def close(self) -> None:
        """Ends the connections."""
        self._client.close()


def every_second(box: RunningBox, rules: Iterable[Path]) -> dict[str, Any]:
    """The configuration that the box has written for a Prometheus beside it, at another pace and with these rules."""
    folder = box.data / "prometheus"
    config: dict[str, Any] = yaml.safe_load((folder / "prometheus.yml").read_text("utf-8"))
    (scraped,) = config["scrape_configs"]
    (discovered,) = scraped["file_sd_configs"]
    discovered["files"] = [str(folder / name) for name in discovered["files"]]
    pace = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    return config | {"global": pace, "rule_files": [str(path) for path in rules]}


@contextmanager
def running_prometheus(folder: Path, config: dict[str, Any]) -> Iterator[Prometheus]:
    """With its data in `folder`."""
    file, port = folder / "prometheus.yml", free_port()
    file.write_text(yaml.safe_dump(config), "utf-8")
    command = [
        need_prometheus(),
        f"--config.file={file}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--enable-feature=exemplar-storage",
    ]
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    prometheus = Prometheus(f"http://127.0.0.1:{port}")

    def ready() -> bool:
        assert process.poll() is None, (folder / "prometheus.log").read_text("utf-8")[-3000:]
        return prometheus.is_ready()

    try:
        until(ready, 30, "Prometheus")
        yield prometheus
    finally:
        prometheus.close()
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)
