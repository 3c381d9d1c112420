"""Tells a Prometheus where the processes of a running box serve their metrics."""

import json
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from framegate.kernel.errors import Transient
from framegate.observability.logs import get_log
from framegate.ports.store import WorkerStatus

#: In the data directory.
DIRECTORY: Final = "prometheus"
TARGETS: Final = "targets.json"
_EVERY_S: Final = 1.0
#: In a checkout; the package alone brings no rules.
_RULES: Final = Path(__file__).parents[3] / "infra" / DIRECTORY / "rules"
_CONFIGURATION: Final = """\
# Written anew whenever this box starts: copy it before you change it.
global: {{ scrape_interval: 5s, scrape_timeout: 4s, evaluation_interval: 15s }}
rule_files: {rules}
scrape_configs:
  - job_name: framegate
    honor_labels: true # the stage of a metric is more exact than that of a process, which may run several
    file_sd_configs: [{{ files: [{targets}], refresh_interval: 5s }}]
"""


class ScrapeTargets:
    """Keeps `prometheus/targets.json` current while it is entered, and empty after; a thread looks once a second."""

    def __init__(self, data: Path, host: str, statuses: Callable[[], Sequence[WorkerStatus]], supervisor: int) -> None:
        """`host`: where the processes listen, the supervisor on its port. `statuses`: of the others, as far as they reported
        lately; it may fail meanwhile.
        """
        self._directory, self._statuses = data / DIRECTORY, statuses
        self._host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 (all addresses: this one too)
        self._own = _target(self._host, supervisor, process="supervisor")
        self._stop, self._written = threading.Event(), ""
        self._thread = threading.Thread(target=self._run, name="targets", daemon=True)

    def __enter__(self) -> None:
        self._directory.mkdir(mode=0o700, exist_ok=True)
        (self._directory / "prometheus.yml").write_text(configuration(_RULES), "utf-8")
        self._write([])
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(timeout=10)
        with suppress(OSError):
            self._write([])

    def _run(self) -> None:
        while not self._stop.wait(_EVERY_S):
            try:
                self.look()
            except (Transient, OSError) as error:  # what was written last is the best guess until the next look
                get_log().debug("the targets were not looked at", action="targets_unknown", error=str(error))
            except Exception:
                get_log().exception("the targets were not looked at", action="targets_unknown")

    def look(self) -> None:
        """Writes the file where something has changed. Raises what `statuses` raises, and `OSError`."""
        self._write([self._own, *targets(self._statuses(), self._host)])

    def _write(self, found: list[dict[str, Any]]) -> None:
        text = json.dumps(found, indent=1) + "\n"
        if text != self._written:
            # Replaced at once: Prometheus reads whenever it likes.
            draft = self._directory / f".{TARGETS}"
            draft.write_text(text, "utf-8")
            draft.replace(self._directory / TARGETS)
            self._written = text


def targets(statuses: Iterable[WorkerStatus], host: str) -> list[dict[str, Any]]:
    """As Prometheus' file_sd wants them: one for each process, however often it was started."""
    return [
        _target(host, status.metrics_port, process=status.name.removeprefix("box/"), stage="+".join(status.stages))
        for status in statuses
        if status.metrics_port
    ]


def _target(host: str, port: int, **labels: str) -> dict[str, Any]:
    address = f"[{host}]" if ":" in host else host
    return {"targets": [f"{address}:{port}"], "labels": labels}


def configuration(rules: Path) -> str:
    """Of a Prometheus that scrapes this box; with the alarms and recorded series where there are some."""
    files = [f"{rules}/*.yml"] if any(rules.glob("*.yml")) else []
    return _CONFIGURATION.format(rules=json.dumps(files), targets=json.dumps(TARGETS))
