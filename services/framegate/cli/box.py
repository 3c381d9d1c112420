"""`up` and `demo`: the whole pipeline on one machine."""

import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from framegate.box.directory import prepare_data_dir
from framegate.box.launching import quickest
from framegate.box.signals import stop_on_signals
from framegate.cli.common import DataOption, JsonOption, console, log_as, show_as
from framegate.settings import Settings

if TYPE_CHECKING:
    from framegate.box.box import Box

ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="REF",
        help="NAME@VERSION of a registered model, the path of a model.toml or of its directory, or 'starter'. "
        "Default: what serves already",
    ),
]
PortOption = Annotated[int | None, typer.Option("--port", metavar="N", help="Port of the API. Default: 8080")]
HostOption = Annotated[
    str | None, typer.Option("--host", help="Address of the API. Default: 127.0.0.1, this machine only")
]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command()(up)
    app.command()(demo)


def _settings(data: Path | None, port: int | None, host: str | None, model: str | None) -> Settings:
    settings = Settings.read(data=data, model=model)
    api = settings.api.model_copy(update={k: v for k, v in (("port", port), ("host", host)) if v is not None})
    return settings.model_copy(update={"api": api})


def up(data: DataOption = None, port: PortOption = None, host: HostOption = None, model: ModelOption = None) -> None:
    """Runs a whole box in the foreground: Postgres, the API and every stage. Ctrl-C or SIGTERM stops it.

    State lives in the data directory and survives restarts and crashes; its newest logs are there, too. Make a key for a camera
    in another terminal:

        framegate keys create --data DIR --name dock-3
    """
    launcher = quickest()  # it loads beside what is loaded here
    from framegate.box.box import open_box
    from framegate.box.logfiles import BoxLog

    settings = _settings(data, port, host, model)
    stop = threading.Event()
    stop_on_signals(stop)
    with BoxLog(prepare_data_dir(settings.data), show_as(settings)) as logs:
        log_as(settings, "box/supervisor", logs.write)
        with open_box(settings, launcher, logs) as box:
            _tell_of_first_login(box)
            threading.Thread(target=lambda: _announce(box, stop), name="announce", daemon=True).start()
            box.supervisor.run(stop)


def _tell_of_first_login(box: "Box") -> None:
    from framegate.bootstrap import open_stores
    from framegate.box.people import first_login

    settings = box.settings.model_copy(update={"data": box.data})
    stores = open_stores(settings, box.database_url)
    try:
        file = first_login(stores, settings, box.base_url)
    finally:
        stores.close()
    if file is not None:
        console.print(f"Nobody can log in yet: the first administrator opens the link in {file}", soft_wrap=True)


def _announce(box: "Box", stop: threading.Event) -> None:
    if box.wait_ready(120, stop):
        console.print(f"Ready: [bold]{box.base_url}[/]  data: {box.data}  (Ctrl-C stops)", soft_wrap=True)
    elif not stop.is_set():
        console.print(f"Not ready after two minutes; see {box.base_url}/readyz", soft_wrap=True)


def demo(
    images: Annotated[
        Path | None, typer.Option("--images", metavar="DIR", help="Your own JPEG/PNG images instead")
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="End by itself when every image has an outcome")] = False,
    json: JsonOption = False,
    data: Annotated[
        Path | None, typer.Option("--data", metavar="DIR", help="Keep the box here. Default: a new one")
    ] = None,
    port: PortOption = None,
    model: ModelOption = None,
) -> None:
    """Starts a box, streams sample camera frames through its HTTP API and shows what becomes of them.

    Needs no GPU, no cloud and no network. With --once it exits 0 only if every image reached an end and
    'framegate verify' holds.
    """
    launcher = quickest()
    from framegate.box.demo import run_demo

    settings = _settings(data, port, None, model)
    sys.exit(run_demo(settings, launcher, images=images, once=once, json=json, keep=data is not None, port=port))
