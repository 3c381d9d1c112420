"""After the detector: the chain of the camera's policy names what was found, in batches across frames."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from framegate.inference.chains import ChainModels
from framegate.inference.classes import Probabilities
from framegate.inference.crops import Pixels, pictures
from framegate.inference.fleet import LoadedModel
from framegate.kernel.errors import EngineFault, Unrecoverable
from framegate.kernel.geometry import Letterbox
from framegate.kernel.inspection import ImageFacts, Inspected, Label
from framegate.observability.catalogue import CHAIN_IMAGES
from framegate.observability.logs import Log
from framegate.observability.metrics import Metrics


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """A frame that the detector has looked at; `content` without padding."""

    image: ImageFacts
    content: Pixels
    letterbox: Letterbox
    found: Inspected


@dataclass(frozen=True, slots=True, eq=False)
class _Picture:
    """What a model shall name: the frame's number, the detection's place in it, and the pixels."""

    frame: int
    detection: int | None
    pixels: Pixels


class Naming:
    """No image fails for its chain: a model that could not name all it had to is missing in `Inspected.chained`."""

    def __init__(self, models: ChainModels, metrics: Metrics, log: Log) -> None:
        self._models, self._metrics, self._log = models, metrics, log

    def label(self, frames: Sequence[Seen]) -> list[Inspected]:
        """What was found in each frame, with its labels. Raises nothing but `Unrecoverable`."""
        self._models.tidy()
        now = self._models.now
        chains = [now.links(frame.image) for frame in frames]
        work: defaultdict[str, list[_Picture]] = defaultdict(list)
        for n, (frame, chain) in enumerate(zip(frames, chains, strict=True)):
            for link in chain:
                parts = pictures(link, frame.found, frame.content, frame.letterbox)
                work[link.model] += [_Picture(n, detection, pixels) for detection, pixels in parts]
        labels: list[list[Label]] = [[] for _ in frames]
        silent: dict[tuple[int, str], EngineFault] = {}
        for ref, wanted in work.items():
            for picture, answer in zip(wanted, self._ask(ref, now.models.get(ref), wanted), strict=True):
                if isinstance(answer, Label):
                    labels[picture.frame].append(answer)
                else:
                    silent[picture.frame, ref] = answer
        self._tell(frames, silent, sum(map(len, chains)))
        chained = [
            tuple(link.model for link in chain if (n, link.model) not in silent) for n, chain in enumerate(chains)
        ]
        return [replace(frame.found, labels=tuple(labels[n]), chained=chained[n]) for n, frame in enumerate(frames)]

    def _ask(self, ref: str, model: LoadedModel | None, wanted: Sequence[_Picture]) -> list[Label | EngineFault]:
        if model is None:
            return [EngineFault(f"{ref} is not loaded")] * len(wanted)
        answers: list[Label | EngineFault] = []
        for start in range(0, len(wanted), model.batch):
            batch = wanted[start : start + model.batch]
            named = zip(batch, self._classify(model, batch), strict=True)
            answers += [_label(model, picture.detection, answer) for picture, answer in named]
        return answers

    def _classify(self, model: LoadedModel, batch: Sequence[_Picture]) -> list[Probabilities | EngineFault]:
        try:
            return model.classify([picture.pixels for picture in batch])
        except Unrecoverable:
            raise
        except Exception as error:
            # Whatever it is: the detector's word on these images stands.
            self._log.exception("a chain's model failed", action="chain_failed", model=model.key.ref)
            return [EngineFault(str(error))] * len(batch)

    def _tell(self, frames: Sequence[Seen], silent: dict[tuple[int, str], EngineFault], links: int) -> None:
        if links:
            self._metrics.count(CHAIN_IMAGES, links - len(silent), result="named")
            self._metrics.count(CHAIN_IMAGES, len(silent), result="unavailable")
        for (n, ref), fault in silent.items():
            image = frames[n].image
            self._log.warning(
                "a chain's model named nothing",
                action="chain_unavailable",
                image=str(image.image_id),
                facility=image.facility,
                camera=image.camera,
                model=ref,
                error=str(fault),
            )


def _label(model: LoadedModel, detection: int | None, answer: Probabilities | EngineFault) -> Label | EngineFault:
    if isinstance(answer, EngineFault):
        return answer
    best = int(answer.argmax())
    return Label(detection, model.key.ref, model.manifest.classes[best], float(answer[best]))
