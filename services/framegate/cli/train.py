"""`train`: from labelled images to a model that the pipeline serves."""

from pathlib import Path
from typing import Annotated

import typer

from framegate.bootstrap import make_trainer
from framegate.cli.common import console, out
from framegate.kernel.errors import ConfigurationError
from framegate.observability.logs import configure_logs
from framegate.ports.training import Epoch

_SAID_EVERY = 500


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(train)


def train(
    target: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where the model and its run go")],
    data_set: Annotated[Path | None, typer.Option("--data-set", metavar="DIR", help="Labelled images")] = None,
    name: Annotated[str | None, typer.Option("--name", help="What the model is called")] = None,
    version: Annotated[str | None, typer.Option("--version", help="Which version of it this becomes")] = None,
    licence: Annotated[str, typer.Option("--licence", help="ultralytics asks for this one")] = "AGPL-3.0",
    weights: Annotated[
        Path | None,
        typer.Option("--weights", metavar="FILE", help="A .pt to start from; it is code, so only one you trust"),
    ] = None,
    epochs: Annotated[int, typer.Option("--epochs", min=1)] = 100,
    size: Annotated[int, typer.Option("--size", help="Sides of the model's input, pixels, a multiple of 32")] = 640,
    batch: Annotated[int, typer.Option("--batch", min=1)] = 16,
    seed: Annotated[int, typer.Option("--seed", min=0)] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out, as it was started")] = False,
) -> None:
    """Trains a detector on your own labelled images. Needs pip install 'framegate[train]', best in its own environment.

    The data set has the YOLO format: data.yaml with the class names, images/ and labels/ with lines "class x y width height"
    in shares of the frame. data.yaml may name folders for train and val; without val every tenth image is held back.

    Every epoch leaves a checkpoint in DIR/run/weights; after an interruption, --out DIR --resume goes on. In the end DIR
    holds model.onnx and model.toml with the data set's hash and the metrics: 'framegate up --model DIR' serves it. It has
    no thresholds yet: calibrate it on images that it was not trained on.
    """
    from framegate.models import training

    configure_logs(level="ERROR", json=False)
    trainer = make_trainer()
    if resume:
        manifest = training.resume(target, trainer, _epoch)
    else:
        if data_set is None or name is None or version is None:
            raise ConfigurationError(
                "a new run needs --data-set, --name and --version; --resume goes on with an old one"
            )
        order = training.Order(
            data_set=data_set, name=name, version=version, licence=licence,
            epochs=epochs, size=size, batch=batch, seed=seed, weights=weights,
        )  # fmt: skip
        manifest = training.train(order, target, trainer, _prepared, _epoch)
    metrics = ", ".join(f"{key} {value}" for key, value in manifest.metrics.items())
    out.print(f"{manifest.ref} is in {target} ({metrics}). Serve it: framegate up --model {target}", highlight=False)


def _prepared(done: int, of: int) -> None:
    if done % _SAID_EVERY == 0 or done == of:
        console.print(f"{done} of {of} images prepared", highlight=False)


def _epoch(epoch: Epoch) -> None:
    metrics = "  ".join(f"{key} {value:.4f}" for key, value in epoch.metrics.items())
    left = f"{epoch.seconds_left / 60:.0f} min left" if epoch.seconds_left >= 90 else f"{epoch.seconds_left:.0f} s left"
    console.print(f"epoch {epoch.number} of {epoch.of}  {metrics}  {left}", highlight=False, soft_wrap=True)
