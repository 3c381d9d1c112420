"""The preprocess stage: originals in, prepared frames out."""

import contextlib
import hashlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from framegate.kernel.errors import FramegateError, InvalidFrame
from framegate.kernel.frames import encode_frame
from framegate.kernel.inspection import Failed, ImageFacts, Prepared, Refused
from framegate.kernel.manifest import ModelInput
from framegate.kernel.states import Stage
from framegate.kernel.unchecked import refusal_of
from framegate.ports.blobs import Blobs
from framegate.ports.progress import Claim, Result
from framegate.preprocess.decoder_pool import DecodedFrame, DecodeJob, DecoderChild

Codec = Literal["raw", "zstd"]

#: A grey JPEG of 32 x 32 pixels: every quantiser is 1, the only code of either table is a single 0 bit, so that each of
#: the 16 blocks is two bits.
_TINY: Final = b"".join(
    [
        b"\xff\xd8",
        b"\xff\xdb\x00\x43\x00" + b"\x01" * 64,
        b"\xff\xc0\x00\x0b\x08\x00\x20\x00\x20\x01\x01\x11\x00",
        b"\xff\xc4\x00\x14\x00\x01" + bytes(16),
        b"\xff\xc4\x00\x14\x10\x01" + bytes(16),
        b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00",
        bytes(4),
        b"\xff\xd9",
    ]
)
_TINY_INPUT: Final = ModelInput(32, 32, dynamic_batch=True, dynamic_size=False)


class Decoder(Protocol):
    """What the stage needs of a `DecoderChild`."""

    @property
    def alive(self) -> bool:
        """Whether a child is there now."""
        ...

    def start(self) -> None:
        """Blocks until it is."""
        ...

    def prepare(self, job: DecodeJob) -> DecodedFrame:
        """One image."""
        ...

    def close(self) -> None:
        """Kills it."""
        ...


@dataclass(frozen=True, slots=True)
class Job:
    """A claim and its original; `intact`: the bytes are still those that were accepted."""

    claim: Claim
    data: bytes
    intact: bool


class PreprocessHandler:
    """As many decoder children as there are threads in `handle`; an idle one is taken by whoever comes next."""

    stage = Stage.PREPROCESS

    def __init__(
        self,
        blobs: Blobs,
        input_for: Callable[[ImageFacts], ModelInput],
        codec: Codec,
        new_child: Callable[[], Decoder] = DecoderChild,
    ) -> None:
        """`input_for` says for which model's input an image is prepared; it may change from image to image."""
        self._blobs, self._input_for, self._codec = blobs, input_for, codec
        self._new_child = new_child
        self._idle: deque[Decoder] = deque()
        self._warm = False

    def warm(self, children: int = 1) -> None:
        """Starts that many children and lets each decode a frame: only then is it certain that images can be taken.

        Raises `DependencyUnavailable` or whatever is wrong with the decoders. The children end with the calling thread.
        """
        fresh = [self._new_child() for _ in range(children)]
        try:
            for child in fresh:
                child.prepare(DecodeJob(_TINY, "image/jpeg", 32, 32, 1, _TINY_INPUT))
        except FramegateError:
            for child in fresh:
                child.close()
            raise
        self._idle.extend(fresh)
        self._warm = True

    def ready(self) -> bool:
        """Whether `warm` succeeded. A child that dies later is replaced and says nothing about readiness."""
        return self._warm

    def load(self, claim: Claim) -> Job:
        """Raises `BlobMissing` or `DependencyUnavailable`."""
        data = self._blobs.get(claim.image.blob_key)
        return Job(claim, data, hashlib.sha256(data).hexdigest() == claim.image.sha256)

    def handle(self, jobs: Sequence[Job]) -> list[Result]:
        """`DecoderCrashed` is about the last job that was begun: the worker gives this stage one at a time."""
        return [self._handle(job) for job in jobs]

    def settled(self, jobs: Sequence[Job]) -> None:
        """Nothing to clean up: inference deletes the prepared frames."""

    def close(self) -> None:
        """Ends the idle children; one that still decodes ends with this process."""
        self._warm = False
        while self._idle:
            self._idle.pop().close()

    def _handle(self, job: Job) -> Result:
        image, first = job.claim.image, job.claim.first
        if not job.intact:
            return Failed("integrity", f"The stored original {image.blob_key} is not the file that was accepted.")
        if refused := refusal_of(image.media_type, job.data):
            return refused
        stored = image.media_type, image.width, image.height, image.orientation
        decode_job = DecodeJob(job.data, *stored, self._input_for(image), None if first is None else first.region)
        with self._child() as child:
            try:
                frame = child.prepare(decode_job)
            except InvalidFrame as error:
                return Refused(error.reason, error.detail)
            key = self._key(job.claim)
            self._blobs.put(key, encode_frame(frame.content, self._codec), durable=False)
        recipe = {**frame.recipe, "codec": self._codec}
        return Prepared(key, self._codec, frame.letterbox, frame.quality, recipe, frame.scene)

    def _key(self, claim: Claim) -> str:
        image = claim.image
        day = image.received_at.strftime("%Y/%m/%d")
        return f"prepared/{image.facility}/{day}/{image.image_id}-{claim.message.look}.{self._codec}"

    @contextlib.contextmanager
    def _child(self) -> Iterator[Decoder]:
        try:
            child = self._idle.pop()
        except IndexError:
            child = self._new_child()
        try:
            yield child
        finally:
            self._idle.append(child)
