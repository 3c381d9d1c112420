"""`submit` and `watch`: images in, outcomes out, over the HTTP API."""

import json as jsonlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from framegate.box.signals import stop_on_signals
from framegate.cli.common import JsonOption, console
from framegate.environment import default_spool
from framegate.kernel.errors import DependencyUnavailable

UrlOption = Annotated[str, typer.Option("--url", envvar="FRAMEGATE_URL", help="Where the API is")]
KeyOption = Annotated[
    str, typer.Option("--key", envvar="FRAMEGATE_KEY", help="API key; better in FRAMEGATE_KEY than here")
]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command()(submit)
    app.command()(watch)


def submit(
    paths: Annotated[list[Path], typer.Argument(help="Files and folders (*.jpg, *.jpeg, *.png)", exists=True)],
    key: KeyOption,
    url: UrlOption = "http://127.0.0.1:8080",
    camera: Annotated[str, typer.Option("--camera", help="Name of the camera that took them")] = "submit",
    lane: Annotated[str, typer.Option("--lane", help="live, or bulk for backfills")] = "live",
    follow: Annotated[
        bool, typer.Option("--follow", help="Keep watching the folders for new files; Ctrl-C ends")
    ] = False,
    spool: Annotated[Path | None, typer.Option("--spool", help="Where files wait while the box is unreachable")] = None,
) -> None:
    """Sends files, folders or a growing folder to a box.

    While the box is unreachable, files are copied to the spool and sent when it is back, also by a later 'submit'. Sending
    the same file again is harmless: it carries an Idempotency-Key. Exits 1 when a file was refused or still waits.
    """
    from framegate.box.client import api_client
    from framegate.box.submit import Submitter

    stop = threading.Event()
    stop_on_signals(stop)
    with api_client(url, key) as client:
        submitter = Submitter(client, spool or default_spool(), camera, lane, console)
        code = submitter.run(paths, follow=follow, stop=stop)
    raise typer.Exit(code)


def watch(
    key: KeyOption,
    url: UrlOption = "http://127.0.0.1:8080",
    count: Annotated[int | None, typer.Option("--count", min=1, help="End after so many outcomes")] = None,
    json: JsonOption = False,
) -> None:
    """Shows outcomes as they happen, one line each; Ctrl-C ends."""
    from framegate.box.client import api_client

    stop = threading.Event()
    stop_on_signals(stop)
    with api_client(url, key) as client:
        for seen, record in enumerate(_outcomes(client, stop), start=1):
            if json:
                print(jsonlib.dumps(record), flush=True)
            else:
                _line(record)
            if seen == count:
                break


def _outcomes(client: Any, stop: threading.Event) -> Iterator[dict[str, Any]]:
    after = -1
    while not stop.is_set():
        try:
            answer = client.outcomes(after, wait_s=5 if after >= 0 else 0)
        except DependencyUnavailable as error:
            console.print(f"waiting: {error}", style="yellow", markup=False)
            stop.wait(2)
            continue
        if after >= 0:
            yield from (item["image"] for item in answer["items"])
        after = answer["next"]


def _line(record: dict[str, Any]) -> None:
    colour = {"pass": "green", "fail": "red", "review": "yellow"}.get(record.get("verdict") or "", "magenta")
    word = record.get("verdict") or record["state"]
    took = (record.get("timings") or {}).get("accept_to_verdict_ms")
    console.print(
        f"{time.strftime('%H:%M:%S')}  [{colour}]{word:<8}[/] {record['camera']:<16} {record.get('detail') or ''}  "
        f"[dim]{record['id']}{'' if took is None else f'  {took:.0f} ms'}[/]",
        highlight=False,
        soft_wrap=True,
    )
