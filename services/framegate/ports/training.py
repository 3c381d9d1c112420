"""Training: frames with boxes in, a checkpoint and an ONNX file out."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from framegate.kernel.manifest import Head


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """What decides a run. Equal plans on one machine give equal weights, as far as its device computes repeatably."""

    train: Path  #: folder with images/ and labels/ in YOLO format; the images have the size the model eats them in
    val: Path  #: the same, held back
    classes: tuple[str, ...]
    size: int  #: longer side of the images and both sides of the model's input, pixels
    epochs: int
    batch: int
    seed: int
    weights: Path | None = None  #: a checkpoint to start from, which is code; None: from scratch, the smallest YOLO26


@dataclass(frozen=True, slots=True)
class Epoch:
    """An epoch that has ended; its checkpoint is on the disk."""

    number: int  #: from 1
    of: int
    seconds_left: float
    metrics: dict[str, float]  #: on the held-back images


@dataclass(frozen=True, slots=True)
class Trained:
    """The best epoch, as it was exported."""

    onnx: Path  #: takes any batch and size
    checkpoint: Path
    head: Head
    metrics: dict[str, float]  #: on the held-back images
    tools: dict[str, str] = field(default_factory=dict)  #: name -> version


class Trainer(Protocol):
    """One run at a time, in its own folder."""

    def train(self, plan: TrainingPlan, run: Path, resume: bool, progress: Callable[[Epoch], None]) -> Trained:
        """Trains in the folder `run`, which keeps a checkpoint of every epoch; `resume` goes on with the last one.

        Raises `ConfigurationError` when the weights cannot be started from or the device has not enough memory.
        """
        ...
