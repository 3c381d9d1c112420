"""`run`, `migrate` and `provision`: the processes of a deployment, one by one."""

import signal
import threading
from types import FrameType
from typing import Annotated, NoReturn

import typer
from setproctitle import setproctitle

from framegate.bootstrap import (
    EmbeddedPostgres,
    bucket_events,
    check_queues,
    make_api,
    migrate,
    open_stores,
    open_tracing,
    provision,
    worker_name,
)
from framegate.box.process import run_stages, seen_from_outside
from framegate.box.signals import EXIT_RESTART, die_with_parent, pin
from framegate.cli.common import DataOption, console, log_as
from framegate.cli.stores import stores_of
from framegate.kernel.errors import ConfigurationError, FramegateError
from framegate.kernel.states import Stage
from framegate.observability.logs import get_log
from framegate.observability.metrics import Metrics
from framegate.pipeline import PIPELINE
from framegate.settings import Settings

_RUNS = (
    "Runs one or several stages in this process, in the foreground: with the database of DATABASE_URL, or beside the box "
    "that is up in the data directory."
)
_STAGES = "\n\n".join(
    f"{step.stage}: {step.does}"
    + (f"; consumes {step.consumes.name}" if step.consumes else "")
    + (f"; emits {step.emits.name}" if step.emits else "")
    for step in PIPELINE
)


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command(help=f"{_RUNS}\n\n{_STAGES}")(run)
    app.command("migrate")(migrate_command)
    app.command("provision")(provision_command)


def _database_url(settings: Settings) -> str:
    """That of DATABASE_URL, or of the box that is up in the data directory: more workers beside its own.

    Without its lock: a worker that outlives the box must not keep it from starting again.
    """
    url = settings.database or EmbeddedPostgres(settings.data.expanduser()).attach()
    if not url:
        raise ConfigurationError(
            f"DATABASE_URL is not set, and no box is up in {settings.data}: correct --data to work beside a box, "
            "or start one with 'framegate up', which runs every stage"
        )
    return url


def run(
    stages: Annotated[list[Stage], typer.Argument(help="One or more stages; ingest (the API) only by itself")],
    data: DataOption = None,
) -> None:
    """Runs stages."""
    settings = Settings.read(data=data)
    name = worker_name(settings, stages)
    setproctitle(f"framegate run {' '.join(stages)} [{name}]")  # for ps, whatever it was started with
    log_as(settings, name)
    die_with_parent(settings.parent)
    url = _database_url(settings)
    check_queues(settings, stages)
    if Stage.INGEST not in stages:
        raise typer.Exit(run_stages(stages, settings, url))
    if stages != [Stage.INGEST]:
        raise ConfigurationError("ingest serves HTTP and runs in a process of its own: 'framegate run ingest'")
    raise typer.Exit(_serve(settings, url))


def _serve(settings: Settings, url: str) -> int:
    from framegate.ingest.server import run_server

    # uvicorn stops in good order and then raises the signal again: being told to stop is no failure.
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, _leave)
    pin(settings.pin_cpu)
    metrics = Metrics(settings.metrics.cameras)
    stores, listens = open_stores(settings, url, metrics), threading.Event()

    def reasons() -> dict[str, str]:
        return {} if listens.is_set() else {str(Stage.INGEST): "starting"}

    try:
        with (
            open_tracing(settings, metrics, [Stage.INGEST]) as tracing,
            seen_from_outside([Stage.INGEST], settings, stores, metrics, reasons),
            bucket_events(settings, stores, metrics, tracing),
        ):
            app = make_api(settings, stores, metrics, tracing)
            run_server(app, settings.api.host, settings.api.port, listens=listens.set)
    except FramegateError as error:
        get_log().error("the API cannot serve", action="serve_failed", error=str(error))
        return EXIT_RESTART
    finally:
        stores.close()
    return 0


def _leave(_: int, __: FrameType | None) -> NoReturn:
    raise SystemExit(0)


def migrate_command(data: DataOption = None) -> None:
    """Brings the database's schema up to this release. Safe to repeat and to run from several hosts at once."""
    settings = Settings.read(data=data)
    if settings.database:
        migrate(settings.database)
    else:
        with stores_of(settings):
            pass
    console.print("The database is up to date.")


def provision_command(data: DataOption = None) -> None:
    """Makes the queues (with their dead letters) and the bucket that the settings name and that are missing.

    With FRAMEGATE_EVENTS__QUEUE, a bucket that tells nobody anything yet is made to tell this queue of uploads.

    For local stacks and trials. In production Terraform makes them (infra/terraform), with encryption and policies.
    """
    made = provision(Settings.read(data=data))
    for name in made:
        console.print(f"made {name}")
    console.print(f"{len(made)} made, whatever else is needed was there." if made else "Everything is there.")
