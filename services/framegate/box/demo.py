"""The demo: a box, a camera that sends sample frames through the HTTP API, and a table of what became of them."""

import json as jsonlib
import shutil
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from framegate.bootstrap import open_blobs, open_stores
from framegate.box.box import Box, free_port, open_box
from framegate.box.client import IMAGE_SUFFIXES, ApiClient, RefusedUpload, api_client, shown
from framegate.box.directory import prepare_data_dir
from framegate.box.keys import create_key
from framegate.box.launching import Launcher
from framegate.box.logfiles import DIRECTORY, BoxLog, tail
from framegate.box.signals import stop_on_signals
from framegate.box.verify import Report, verify
from framegate.kernel.errors import ConfigurationError, DependencyUnavailable
from framegate.kernel.ids import DEFAULT_FACILITY, CameraId
from framegate.kernel.incidents import Incident, IncidentState
from framegate.kernel.states import DEFAULT_SCOPES, TERMINAL
from framegate.observability.logs import configure_logs
from framegate.settings import Settings
from framegate.starter import sample_frames

_CAMERAS = ("dock-1", "dock-2", "dock-3")
_UPLOADS_AT_ONCE = 4
_READY_S, _UPLOAD_S, _OUTCOME_S = 60.0, 60.0, 300.0


@dataclass(slots=True)
class Shot:
    """One frame of the demo and what is known of it."""

    file: Path
    camera: str
    image_id: str = ""
    refused: str = ""
    trouble: str = ""  #: why it could not be sent so far
    record: dict[str, Any] | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return bool(self.refused) or (self.record or {}).get("state") in TERMINAL


def run_demo(
    settings: Settings,
    launcher: Launcher,
    *,
    images: Path | None,
    once: bool,
    json: bool,
    keep: bool,
    port: int | None,
) -> int:
    """The exit code: 0 when every image reached an end and `verify` holds."""
    console = Console(stderr=json)
    shots = _shots(images)
    data = settings.data if keep else Path(tempfile.mkdtemp(prefix="framegate-demo-"))
    api = settings.api.model_copy(update={"port": port or free_port(), "min_free_mb": 64})
    stop = threading.Event()
    stop_on_signals(stop)
    try:
        settings = settings.model_copy(update={"data": prepare_data_dir(data), "api": api})
        return _run(settings, launcher, shots, console, stop, once=once, json=json)
    finally:
        if not keep:
            shutil.rmtree(data, ignore_errors=True)


def _shots(images: Path | None) -> list[Shot]:
    files: Sequence[Path] = sample_frames()
    if images is not None:
        if not images.is_dir():
            raise ConfigurationError(f"--images {images} is not a directory")
        files = sorted(f for f in images.rglob("*") if f.suffix.lower() in IMAGE_SUFFIXES and f.is_file())
        if not files:
            raise ConfigurationError(f"there are no .jpg, .jpeg or .png files in {images}")
    return [Shot(file, _CAMERAS[i % len(_CAMERAS)]) for i, file in enumerate(files)]


def _run(
    settings: Settings,
    launcher: Launcher,
    shots: list[Shot],
    console: Console,
    stop: threading.Event,
    *,
    once: bool,
    json: bool,
) -> int:
    started = time.monotonic()
    with BoxLog(settings.data) as logs:
        configure_logs(level="ERROR", json=False)
        console.print(f"Starting a box in {settings.data} (its logs: {DIRECTORY}/) ...")
        with open_box(settings, launcher, logs) as box, _supervised(box):
            if not box.wait_ready(_READY_S, stop):
                if stop.is_set():
                    return 1
                console.print("[red]The box did not become ready.[/] The end of its logs:")
                console.print(tail(settings.data), markup=False)
                return 1
            console.print(f"Ready after {time.monotonic() - started:.1f} s.")
            key = _prepare(box)
            seconds = _stream(box, key, shots, console, stop)
            report, incidents = _look_back(box)
            code = _tell(box, key, shots, seconds, report, incidents, console, json=json)
            if not once and not stop.is_set():
                console.print("\nThe box stays up until Ctrl-C; without --data its data goes with it.")
                stop.wait()
    return code


@contextmanager
def _supervised(box: Box) -> Any:
    # The children die with the thread that started them (PR_SET_PDEATHSIG is per thread), so it lives until the end.
    ending = threading.Event()
    thread = threading.Thread(target=lambda: box.supervisor.run(ending), name="supervisor")
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join()


def _prepare(box: Box) -> str:
    stores = open_stores(box.settings, box.database_url)
    try:
        scopes = frozenset(map(str, DEFAULT_SCOPES))
        key = create_key(stores, box.settings, "demo", scopes, [DEFAULT_FACILITY], days=1)
        for camera in _CAMERAS:
            stores.cameras.confirm_camera(DEFAULT_FACILITY, CameraId(camera), "demo")
    finally:
        stores.close()
    return key


def _look_back(box: Box) -> tuple[Report, list[Incident]]:
    stores = open_stores(box.settings, box.database_url)
    try:
        report = verify(stores, open_blobs(box.settings.model_copy(update={"data": box.data})), hash_blobs=True)
        going_on = frozenset({IncidentState.OPEN})
        return report, stores.incidents.incidents(frozenset({DEFAULT_FACILITY}), going_on, 10)
    finally:
        stores.close()


def _stream(box: Box, key: str, shots: list[Shot], console: Console, stop: threading.Event) -> float:
    """Uploads everything and waits for every outcome; the seconds that took."""
    started = time.monotonic()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with api_client(box.base_url, key) as client, Progress(*columns, console=console) as progress:
        uploads = progress.add_task("uploaded", total=len(shots))
        outcomes = progress.add_task("decided ", total=len(shots))
        with ThreadPoolExecutor(_UPLOADS_AT_ONCE) as pool:
            for _ in pool.map(lambda shot: _upload(client, shot, stop), shots):
                progress.advance(uploads)
                progress.update(outcomes, completed=_refresh(client, shots))
        deadline = time.monotonic() + _OUTCOME_S
        while not all(s.ended for s in shots) and time.monotonic() < deadline and not stop.wait(0.05):
            progress.update(outcomes, completed=_refresh(client, shots))
        progress.update(outcomes, completed=sum(s.ended for s in shots))
    return time.monotonic() - started


def _upload(client: ApiClient, shot: Shot, stop: threading.Event) -> None:
    try:
        data = shot.file.read_bytes()
    except OSError as error:
        shot.refused = f"cannot be read: {error.strerror or error}"
        return
    deadline = time.monotonic() + _UPLOAD_S
    while not stop.is_set():
        try:
            answer = client.submit(data, shot.file.suffix, camera=shot.camera, shipment="demo")
        except RefusedUpload as error:
            shot.refused = str(error)
            return
        except DependencyUnavailable as error:
            shot.trouble = str(error)
            if time.monotonic() >= deadline:
                return
            stop.wait(0.5)
            continue
        shot.image_id = answer["id"]
        return


def _refresh(client: ApiClient, shots: list[Shot]) -> int:
    with suppress(DependencyUnavailable):  # asked again soon
        for shot in shots:
            if shot.image_id and not shot.ended:
                shot.record = client.image(shot.image_id)
    return sum(shot.ended for shot in shots)


def summary(shots: Sequence[Shot], seconds: float, report: Report) -> dict[str, Any]:
    """The last line of `demo --json`."""
    verdicts = Counter(s.record["verdict"] for s in shots if s.record and s.record.get("verdict"))
    sums = report.conservation
    return {
        "accepted": sums.accepted,
        "decided": sums.decided,
        "rejected": sums.rejected,
        "failed": sums.failed,
        "lost": sums.lost + sums.in_flight,
        "seconds": round(seconds, 3),
        "images_per_second": round(len(shots) / seconds, 2) if seconds else 0.0,
        "verdicts": dict(sorted(verdicts.items())),
    }


def _tell(
    box: Box,
    key: str,
    shots: Sequence[Shot],
    seconds: float,
    report: Report,
    incidents: Sequence[Incident],
    console: Console,
    *,
    json: bool,
) -> int:
    totals = summary(shots, seconds, report)
    console.print(_table(shots))
    console.print(
        f"{totals['accepted']} accepted = {totals['decided']} decided + {totals['rejected']} rejected + "
        f"{totals['failed']} failed; {totals['lost']} lost. {totals['seconds']} s, "
        f"{totals['images_per_second']} images/s. verify: {'holds' if report.holds else 'DOES NOT HOLD'}"
    )
    for incident in incidents:
        count = f"{incident.images} image{'s'[: incident.images > 1]}"
        console.print(f"[red]Incident[/] {incident.subject}, {count}: {escape(incident.summary)}")
    console.print(f"\nAPI      {box.base_url}  (documentation: {box.base_url}/docs)", soft_wrap=True, highlight=False)
    console.print(f"API key  {key}", soft_wrap=True, highlight=False)
    console.print(
        f"Try      curl -H 'Authorization: Bearer {key}' -H 'Content-Type: image/jpeg' --data-binary @photo.jpg "
        f"'{box.base_url}/v1/images?camera=dock-1'",
        soft_wrap=True,
        highlight=False,
        markup=False,
    )
    good = report.holds and all(shot.ended for shot in shots)
    if json:
        print(jsonlib.dumps(totals), flush=True)
    return 0 if good else 1


def _table(shots: Sequence[Shot]) -> Table:
    table = Table(title="What became of each frame")
    for name in ("frame", "camera", "state", "verdict", "why"):
        table.add_column(name, overflow="fold")
    table.add_column("accept to verdict, ms", justify="right")
    colours = {"pass": "green", "fail": "red", "review": "yellow"}
    for shot in shots:
        record = shot.record or {}
        verdict = record.get("verdict") or ""
        took = (record.get("timings") or {}).get("accept_to_verdict_ms")
        table.add_row(
            escape(shown(shot.file.name)),
            shot.camera,
            record.get("state", "refused" if shot.refused else "?"),
            f"[{colours[verdict]}]{verdict}[/]" if verdict in colours else "",
            escape(shot.refused or record.get("detail") or ("" if shot.image_id else shot.trouble)),
            "" if took is None else f"{took:.0f}",
        )
    return table
