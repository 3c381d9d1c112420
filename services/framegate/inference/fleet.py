"""The engines of one inference worker: one for each model that serves, swapped without a pause."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from framegate.inference.classes import Probabilities, decode_classes, fill_input
from framegate.inference.heads import Rows, decode_head
from framegate.kernel.errors import EngineFault
from framegate.kernel.frames import pad
from framegate.kernel.geometry import Letterbox
from framegate.kernel.ids import CameraId, FacilityId
from framegate.kernel.manifest import ModelManifest
from framegate.kernel.rollout import ModelKey, Rollout
from framegate.ports.clock import Clock
from framegate.ports.engine import Engine

_GREY = 114
_WORTH_WAITING = 0.95
_MEASURE_S = 0.4
#: How long an engine outlives its deployment, for the frames that were prepared for it; seconds.
_GRACE_S: Final = 60.0

Frame = tuple[NDArray[np.uint8], Letterbox]
#: Raw output to an answer for each frame.
Decode = Callable[[NDArray[np.float32], ModelManifest], list[NDArray[np.float32] | EngineFault]]


class LoadedModel:
    """An engine with its manifest and the buffer its batches are put together in. One thread at a time."""

    def __init__(self, key: ModelKey, manifest: ModelManifest, engine: Engine) -> None:
        self.key, self.manifest, self.engine = key, manifest, engine
        self.batch = engine.max_batch  #: how many frames are worth inferring together; known once warm
        self.faulted: Callable[[], None] = lambda: None  #: told of each batch that is refused or not to be trusted
        self._frames = np.full((engine.max_batch, manifest.input.height, manifest.input.width, 3), _GREY, np.uint8)

    def fits(self, box: Letterbox) -> bool:
        """Whether a frame prepared with `box` can be its input."""
        return (box.input_width, box.input_height) == (self.manifest.input.width, self.manifest.input.height)

    def infer(self, frames: Sequence[Frame]) -> list[Rows | EngineFault]:
        """Any number of frames. Raises `EngineFault` when a batch is refused or its output has the wrong shape."""
        largest = self.engine.max_batch
        batches = (frames[start : start + largest] for start in range(0, len(frames), largest))
        return [rows for batch in batches for rows in self._infer(batch)]

    def _infer(self, frames: Sequence[Frame]) -> list[Rows | EngineFault]:
        for (content, box), slot in zip(frames, self._frames[: len(frames)], strict=True):
            pad(content, box, self.manifest.input.pad_value, out=slot)
        return self._answers(len(frames), decode_head)

    def classify(self, pictures: Sequence[NDArray[np.uint8]]) -> list[Probabilities | EngineFault]:
        """(h, w, 3) RGB of any size each, at most the engine's `max_batch`. Raises `EngineFault` as `infer` does."""
        for picture, slot in zip(pictures, self._frames[: len(pictures)], strict=True):
            fill_input(picture, out=slot)
        return self._answers(len(pictures), decode_classes)

    def _answers(self, n: int, decode: Decode) -> list[NDArray[np.float32] | EngineFault]:
        try:
            answers = decode(self._raw(n), self.manifest)
        except EngineFault:
            self.faulted()
            raise
        if any(isinstance(answer, EngineFault) for answer in answers):
            self.faulted()
        return answers

    def _raw(self, n: int) -> NDArray[np.float32]:
        raw = self.engine.infer(self._frames[:n])
        if len(raw) != n:
            raise EngineFault(f"{n} frames were answered with an output of shape {raw.shape}")
        return raw

    def warm(self, clock: Clock, decode: Decode = decode_head) -> None:
        """Infers grey frames until the first image will be as fast as any, and sets `batch`: the largest where that is
        faster for each frame than one at a time, else 1.

        With AMX or on a GPU batches win; on other processors they only push each other out of the cache, and sizes that
        will not be used need no warmth. Raises `EngineFault` when the output is not what the manifest says or
        nothing that `decode` reads.
        """
        largest = self.engine.max_batch
        self._try({1, largest}, decode)
        if self._seconds_per_frame(largest, clock) < _WORTH_WAITING * self._seconds_per_frame(1, clock):
            self._try(range(2, largest), decode)
        else:
            self.batch = 1

    def _try(self, sizes: Iterable[int], decode: Decode) -> None:
        for n in sizes:
            for answer in decode(self._raw(n), self.manifest):
                if isinstance(answer, EngineFault):
                    raise answer

    def _seconds_per_frame(self, n: int, clock: Clock) -> float:
        """The fastest of up to three runs; slow ones are not repeated much, they delay readiness."""
        fastest, ends = float("inf"), clock.monotonic() + _MEASURE_S
        for _ in range(3):
            started = clock.monotonic()
            self._raw(n)
            ended = clock.monotonic()
            fastest = min(fastest, ended - started)
            if ended >= ends:
                break
        return fastest / n


def warm_models(
    open_model: Callable[[ModelKey], ModelManifest],
    new_engine: Callable[[ModelManifest], Engine],
    clock: Clock,
    decode: Decode = decode_head,
    watched: Callable[[LoadedModel], None] = lambda _: None,
) -> Callable[[ModelKey], LoadedModel]:
    """The way to load a model whose output `decode` reads: its files, an engine for them, and warmth; once it is warm
    it is `watched`.
    """

    def load(key: ModelKey) -> LoadedModel:
        manifest = open_model(key)
        loaded = LoadedModel(key, manifest, new_engine(manifest))
        try:
            loaded.warm(clock, decode)
        except Exception:
            loaded.engine.close()
            raise
        watched(loaded)
        return loaded

    return load


@dataclass(frozen=True, slots=True)
class _Serving:
    """What one look at the fleet must see together."""

    rollout: Rollout
    loaded: dict[ModelKey, LoadedModel]


class Fleet:
    """`load` and `serve` belong to whoever watches deployments, everything else to the thread that infers."""

    def __init__(self, load_model: Callable[[ModelKey], LoadedModel], clock: Clock) -> None:
        self._load_model, self._clock = load_model, clock
        self._ready: dict[ModelKey, LoadedModel] = {}
        self._serving: _Serving | None = None
        self._leaving: list[tuple[float, LoadedModel]] = []

    def load(self, rollout: Rollout) -> None:
        """Makes everything of `rollout` ready beside what serves, which does not change. Raises what is wrong with it."""
        serving = self._serving.loaded if self._serving else {}
        for key in [k for k in self._ready if k not in serving and k not in rollout.models]:
            self._ready.pop(key).engine.close()  # of a deployment that never came to serve
        for key in rollout.models:
            if key not in self._ready:
                self._ready[key] = self._load_model(key)

    def serve(self, rollout: Rollout) -> None:
        """From the next batch on. Engines that are not needed any more stay for the frames prepared for them."""
        loaded = {key: self._ready[key] for key in rollout.models}
        ends = self._clock.monotonic() + _GRACE_S
        self._leaving += [(ends, one) for key, one in self._ready.items() if key not in loaded]
        self._ready = dict(loaded)
        self._serving = _Serving(rollout, loaded)

    @property
    def rollout(self) -> Rollout:
        """What serves."""
        return self._now.rollout

    @property
    def incumbent(self) -> LoadedModel:
        """The model of most cameras."""
        return self._now.loaded[self._now.rollout.incumbent]

    @property
    def roles(self) -> list[tuple[str, LoadedModel]]:
        """What serves, by its role: incumbent, canary, shadow."""
        now = self._now
        return [(role, now.loaded[key]) for role, key in now.rollout.roles.items()]

    @property
    def shadow(self) -> LoadedModel | None:
        """The model that only looks."""
        key = self._now.rollout.shadow
        return None if key is None else self._now.loaded[key]

    @property
    def _now(self) -> _Serving:
        if self._serving is None:
            raise RuntimeError("nothing serves yet")
        return self._serving

    def model_for(self, facility: FacilityId, camera: CameraId, box: Letterbox) -> LoadedModel | None:
        """The camera's model if the frame fits it, else the one of before that it was prepared for; None: prepare again."""
        now = self._now
        wanted = now.loaded[now.rollout.model_for(facility, camera)]
        if wanted.fits(box):
            return wanted
        return next((one for _, one in reversed(self._leaving) if one.fits(box)), None)

    def tidy(self) -> None:
        """Closes the engines whose time is over. Between batches: none of them is in use then."""
        now = self._clock.monotonic()
        if self._leaving and self._leaving[0][0] <= now:
            over = [one for ends, one in self._leaving if ends <= now]
            self._leaving = [(ends, one) for ends, one in self._leaving if ends > now]
            for one in over:
                one.engine.close()

    def close(self) -> None:
        """Frees the device."""
        for one in [*self._ready.values(), *(one for _, one in self._leaving)]:
            one.engine.close()
        self._ready, self._leaving = {}, []
