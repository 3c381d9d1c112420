"""`models`: what there is, who vouches for it, and what serves."""

import difflib
import json as jsonlib
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from framegate.bootstrap import Stores, open_blobs
from framegate.cli.common import ByOption, DataOption, JsonOption, console, login, out
from framegate.cli.lazy import LazyGroup
from framegate.cli.stores import stores_of
from framegate.kernel.errors import ConfigurationError
from framegate.kernel.manifest import ModelManifest
from framegate.kernel.rollout import ModelState, Rollout
from framegate.models.deploying import order
from framegate.ports.registry import CLEAR, Deployment, RegisteredModel, unknown
from framegate.settings import Settings
from framegate.worker.deploying import before, parse_share, planned
from framegate.worker.models import register as register_model


class _Models(LazyGroup):
    modules = {"check": "models_check", "export": "models_export"}


models = typer.Typer(
    cls=_Models,
    no_args_is_help=True,
    help="Bring in, check, approve and deploy models: import, check, approve, deploy, and rollback when needed.",
)

RefArgument = Annotated[str, typer.Argument(metavar="REF", help="NAME@VERSION, as 'framegate models list' shows it")]
WaitOption = Annotated[float, typer.Option("--wait", metavar="SECONDS", min=0, help="How long to wait for the workers")]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.add_typer(models, name="models")


@models.command("import")
def import_command(
    path: Annotated[
        Path, typer.Argument(metavar="PATH", help="Weights (.onnx, .pt), or a model.toml or its directory")
    ],
    name: Annotated[str | None, typer.Option("--name", help="What it is called")] = None,
    version: Annotated[str | None, typer.Option("--version", help="Which one of that name")] = None,
    licence: Annotated[
        str | None, typer.Option("--licence", help="Such as AGPL-3.0; default: what the file says")
    ] = None,
    manifest: Annotated[Path | None, typer.Option("--manifest", metavar="TOML", help="Describes the weights")] = None,
    head: Annotated[
        str | None, typer.Option("--head", help="end2end, anchors, yolox or classify, if the file is silent")
    ] = None,
    classes: Annotated[Path | None, typer.Option("--classes", metavar="FILE", help="Class names, one a line")] = None,
    size: Annotated[str | None, typer.Option("--size", metavar="S", help="Input in pixels: 640 or 640x384")] = None,
    by: ByOption = None,
    data: DataOption = None,
) -> None:
    """Registers a model and prints its reference, alone, on standard output.

    Names, size and head are read from the file's own metadata where it has them; what is missing is asked for. The model is
    run once before anything is stored. A .pt file is code: import only your own.
    """
    from framegate.models import importing

    if path.is_dir() or path.suffix == ".toml":
        file = path / "model.toml" if path.is_dir() else path
        described = importing.draft(ModelManifest.load(path).weights, name, version, licence, manifest=file)
    else:
        described = importing.draft(
            path, name, version, licence, manifest=manifest, head=head, classes=classes, size=_size(size)
        )
    settings = Settings.read(data=data)
    with stores_of(settings) as stores:
        model = register_model(stores.registry, open_blobs(settings), described.manifest, by or login())
    console.print(f"Next: framegate models check {model.ref}", soft_wrap=True)
    print(model.ref)


@models.command("list")
def list_command(json: JsonOption = False, data: DataOption = None) -> None:
    """Shows every model with its state, and what serves."""
    with stores_of(Settings.read(data=data)) as stores:
        found, active = stores.registry.models(), stores.registry.active()
        newest = stores.registry.deployment()
    if json:
        serving = {r: k.ref for r, k in active.rollout.roles.items()} if active else {}
        print(jsonlib.dumps({"models": [_facts(model) for model in found], "serving": serving}, default=str))
        return
    roles = {key: role for role, key in active.rollout.roles.items()} if active else {}
    table = Table("model", "state", "serves as", "weights", "size", "registered")
    for model in found:
        role = roles.get(model.key, "")
        if role == "canary" and active:
            role = f"canary of {active.rollout.canary_share:.1%} of the cameras"
        size, when = f"{model.size_bytes / 2**20:.1f} MiB", f"{model.registered_at:%Y-%m-%d} by {model.registered_by}"
        table.add_row(model.ref, str(model.state), role, model.sha256[:12], size, when)
    out.print(table if found else "There are no models yet: 'framegate models import' adds one.")
    if newest is not None and newest != active:
        out.print(
            f"The newest deployment, number {newest.number}, is {newest.state}: {newest.detail or _names(newest)}"
        )


@models.command("show")
def show_command(ref: RefArgument, json: JsonOption = False, data: DataOption = None) -> None:
    """Shows a model's manifest, its history, what it decided since its deployment, and how it does as a shadow."""
    with stores_of(Settings.read(data=data)) as stores:
        model = _model(stores, ref)
        events = stores.registry.events(ref)
        active = stores.registry.active()
        tallies = stores.registry.tally(active.number) if active else {}
        shadow = stores.shadows.compare_shadow(model.key, CLEAR)
    tally = tallies.get(model.ref)
    if json:
        facts = _facts(model) | {"events": [asdict(event) for event in events], "shadow": asdict(shadow)}
        facts["since_deployment"] = asdict(tally) if tally else None
        print(jsonlib.dumps(facts, default=str))
        return
    out.print(f"[bold]{model.ref}[/]  {model.state}  sha256 {model.sha256}\n")
    out.print(model.manifest, markup=False, highlight=False)
    table = Table("when", "who", "what", "details")
    for event in events:
        body = ", ".join(f"{name}={value}" for name, value in event.body.items() if value not in ("", None))
        table.add_row(f"{event.at:%Y-%m-%d %H:%M:%S}", event.actor, event.action.removeprefix("model."), body)
    out.print(table)
    if tally:
        ends = ", ".join(f"{count} {end}" for end, count in sorted(tally.ends.items()))
        out.print(f"Since the present deployment: {tally.images} images ({ends}), {tally.inference_ms:.1f} ms each.")
    if shadow.images:
        out.print(
            f"As a shadow: {shadow.images} images, the same boxes of at least {CLEAR} in {shadow.agreed} of them; "
            + ", ".join(f"{name} {ours} -> {theirs}" for name, (ours, theirs) in shadow.classes.items())
        )


@models.command("diff")
def diff_command(one: RefArgument, other: RefArgument, data: DataOption = None) -> None:
    """Compares the manifests of two models, line by line."""
    with stores_of(Settings.read(data=data)) as stores:
        old, new = (_model(stores, ref).manifest.splitlines() for ref in (one, other))
    for line in difflib.unified_diff(old, new, one, other, lineterm=""):
        out.print(line, markup=False, highlight=False)


@models.command("approve")
def approve_command(
    ref: RefArgument,
    by: Annotated[str, typer.Option("--by", metavar="NAME", help="Who answers for it")],
    data: DataOption = None,
) -> None:
    """Records that somebody takes the responsibility for a checked model; only then it can decide images."""
    with stores_of(Settings.read(data=data)) as stores:
        stores.registry.advance(ref, ModelState.APPROVED, by, {})
    console.print(f"{ref} is approved by {by}. Next: framegate models deploy {ref}")


@models.command("deploy")
def deploy_command(
    ref: RefArgument,
    canary: Annotated[
        str | None, typer.Option("--canary", metavar="SHARE", help="Decide this share of the cameras only: 5% or 0.05")
    ] = None,
    shadow: Annotated[bool, typer.Option("--shadow", help="Look at every image and decide nothing")] = False,
    by: ByOption = None,
    wait: WaitOption = 120,
    data: DataOption = None,
) -> None:
    """Lets an approved model serve. Workers load it beside the old one and swap without losing an image.

    A canary is taken back by itself when its failures, its time or its verdicts leave the incumbent's by more than the
    bounds of FRAMEGATE_CANARY__*. What a shadow found is in 'framegate models show REF'.
    """
    settings = Settings.read(data=data)
    with stores_of(settings) as stores:
        share = None if canary is None else parse_share(canary)
        rollout = planned(stores.registry, ref, canary=share, shadow=shadow)
        _order(settings, stores, rollout, by, "", wait)


@models.command("rollback")
def rollback_command(by: ByOption = None, wait: WaitOption = 120, data: DataOption = None) -> None:
    """Goes back: takes a canary and a shadow away, or else brings back the model that served before; once more undoes it."""
    settings = Settings.read(data=data)
    with stores_of(settings) as stores:
        _order(settings, stores, before(stores.registry), by, "rollback", wait)


def _order(settings: Settings, stores: Stores, rollout: Rollout, by: str | None, detail: str, wait_s: float) -> None:
    done = order(settings, stores, rollout, by or login(), detail, wait_s, console.print)
    console.print(f"Deployment {done.number} is active: {_names(done)}.")


def _size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    sides = text.lower().split("x")
    if len(sides) > 2 or not all(side.isdecimal() for side in sides):
        raise ConfigurationError(f"--size is 640 or 640x384 (width x height), not {text!r}")
    return int(sides[0]), int(sides[-1])


def _names(deployment: Deployment) -> str:
    return ", ".join(f"{role} {key.ref}" for role, key in deployment.rollout.roles.items())


def _model(stores: Stores, ref: str) -> RegisteredModel:
    found = stores.registry.model(ref)
    if found is None:
        raise unknown(ref)
    return found


def _facts(model: RegisteredModel) -> dict[str, Any]:
    manifest = ModelManifest.parse(model.manifest, model.ref)
    more = {
        "licence": manifest.licence,
        "classes": manifest.classes,
        "head": manifest.head,
        "metrics": manifest.metrics,
    }
    return {**asdict(model), **more}
