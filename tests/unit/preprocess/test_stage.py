"""The stage around the decoder: what it reads, what it stores, and who is to blame for what."""

import hashlib
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import numpy as np
import pytest

from framegate.adapters.memory import FakeClock, MemoryBlobs
from framegate.kernel.errors import BlobMissing, DecoderCrashed, DependencyUnavailable, FramegateError, InvalidFrame
from framegate.kernel.frames import decode_frame
from framegate.kernel.geometry import Region
from framegate.kernel.ids import CameraId, FacilityId, new_image_id
from framegate.kernel.inspection import Failed, FirstLook, ImageFacts, Prepared, Refused
from framegate.kernel.manifest import ModelInput
from framegate.kernel.messages import FrameSubmitted
from framegate.kernel.states import CameraStatus, Lane, Stage
from framegate.kernel.unchecked import REFUSAL, UNCHECKED, refusal_document
from framegate.ports.progress import Claim
from framegate.preprocess.decode import decode
from framegate.preprocess.decoder_pool import DecodedFrame, DecodeJob
from framegate.preprocess.letterbox import prepare
from framegate.preprocess.quality import measure
from framegate.preprocess.stage import Codec, PreprocessHandler
from tests.support import values
from tests.support.values import inspected

from .files import jpeg, scene

MODEL = ModelInput(64, 64, True, False)
ORIGINAL = jpeg(scene(96, 64))
RECEIVED = datetime(2026, 3, 9, 23, 59, tzinfo=UTC)


class InProcess:
    """A decoder without a process; `trouble` is raised instead of the next frames."""

    def __init__(self) -> None:
        self.alive = False
        self.jobs: list[DecodeJob] = []
        self.trouble: FramegateError | None = None
        self.during: Callable[[], object] = lambda: None

    def start(self) -> None:
        self.alive = True

    def prepare(self, job: DecodeJob) -> DecodedFrame:
        self.start()
        self.jobs.append(job)
        self.during()
        if self.trouble is not None:
            raise self.trouble
        frame = decode(job.data, job.media_type, job.orientation)
        content, letterbox = prepare(frame, MODEL)
        return DecodedFrame(content, letterbox, measure(content), {"decoder": "test", "scale": "1/1"}, 1.0)

    def close(self) -> None:
        self.alive = False


class Nursery:
    """Makes decoders and remembers them."""

    def __init__(self) -> None:
        self.children: list[InProcess] = []
        self.trouble: FramegateError | None = None

    def __call__(self) -> InProcess:
        child = InProcess()
        child.trouble = self.trouble
        self.children.append(child)
        return child


@pytest.fixture
def blobs() -> MemoryBlobs:
    stored = MemoryBlobs(FakeClock())
    stored.put("originals/x", ORIGINAL)
    return stored


@pytest.fixture
def nursery() -> Nursery:
    return Nursery()


def handler(blobs: MemoryBlobs, nursery: Nursery, codec: Codec = "raw") -> PreprocessHandler:
    return PreprocessHandler(blobs, lambda _: MODEL, codec, nursery)


def claim(sha256: str = hashlib.sha256(ORIGINAL).hexdigest(), look: int = 1, orientation: int = 1) -> Claim:
    facility, image_id = FacilityId("north"), new_image_id()
    image = ImageFacts(
        facility, image_id, CameraId("dock-1"), CameraStatus.CONFIRMED, Lane.LIVE, "originals/x", "image/jpeg",
        sha256, len(ORIGINAL), 96, 64, orientation, RECEIVED,
    )  # fmt: skip
    message = FrameSubmitted(facility, image_id, look)
    return Claim(uuid4(), Stage.PREPROCESS, message, image, 1, 0, False, None, None, RECEIVED)


@pytest.mark.parametrize("codec", ["raw", "zstd"])
def test_the_prepared_frame_lies_where_the_result_says(blobs: MemoryBlobs, nursery: Nursery, codec: Codec) -> None:
    stage, one = handler(blobs, nursery, codec), claim(look=2)
    [result] = stage.handle([stage.load(one)])
    assert isinstance(result, Prepared)
    assert result.blob_key == f"prepared/north/2026/03/09/{one.image.image_id}-2.{codec}"
    assert result.codec == codec
    assert result.recipe == {"decoder": "test", "scale": "1/1", "codec": codec}
    box = result.letterbox
    stored = decode_frame(blobs.get(result.blob_key), codec, box.content_height, box.content_width)
    expected, letterbox = prepare(decode(ORIGINAL, "image/jpeg", 1), MODEL)
    assert (stored == expected).all()
    assert box == letterbox
    assert Prepared.from_json(result.to_json()).letterbox == box


def test_a_second_look_prepares_its_region_and_a_first_one_everything(blobs: MemoryBlobs, nursery: Nursery) -> None:
    first = FirstLook(inspected(hole=0.4), values.prepared(), Region(10, 5, 40, 30))
    stage = handler(blobs, nursery)
    stage.handle([stage.load(replace(claim(look=2), first=first)), stage.load(claim())])
    assert [job.region for child in nursery.children for job in child.jobs] == [Region(10, 5, 40, 30), None]


def test_a_frame_already_stored_is_not_changed_by_the_next_image(blobs: MemoryBlobs, nursery: Nursery) -> None:
    """`content` is a view of memory that the next image overwrites."""
    stage = handler(blobs, nursery)
    [first] = stage.handle([stage.load(claim())])
    assert isinstance(first, Prepared)
    before = bytes(blobs.get(first.blob_key))
    stage.handle([stage.load(claim(orientation=3))])
    assert blobs.get(first.blob_key) == before


def test_what_was_recorded_at_the_door_reaches_the_decoder(blobs: MemoryBlobs, nursery: Nursery) -> None:
    stage = handler(blobs, nursery)
    stage.handle([stage.load(claim(orientation=8))])
    assert nursery.children[0].jobs == [DecodeJob(ORIGINAL, "image/jpeg", 96, 64, 8, MODEL)]


def test_an_original_that_changed_fails_and_is_never_decoded(blobs: MemoryBlobs, nursery: Nursery) -> None:
    stage = handler(blobs, nursery)
    [result] = stage.handle([stage.load(claim(sha256="0" * 64))])
    assert isinstance(result, Failed)
    assert result.reason == "integrity"
    assert nursery.children == []


def test_a_missing_original_is_said_while_loading(blobs: MemoryBlobs, nursery: Nursery) -> None:
    stage = handler(blobs, nursery)
    blobs.delete("originals/x")
    with pytest.raises(BlobMissing):
        stage.load(claim())


def test_the_images_own_fault_is_a_refusal(blobs: MemoryBlobs, nursery: Nursery) -> None:
    nursery.trouble = InvalidFrame("truncated", "A part of the picture is missing.")
    stage = handler(blobs, nursery)
    assert stage.handle([stage.load(claim())]) == [Refused("truncated", "A part of the picture is missing.")]


@pytest.mark.parametrize("trouble", [DecoderCrashed("SIGSEGV"), DependencyUnavailable("no process")])
def test_other_trouble_is_the_workers_to_judge_and_the_child_stays_usable(
    blobs: MemoryBlobs, nursery: Nursery, trouble: FramegateError
) -> None:
    nursery.trouble = trouble
    stage = handler(blobs, nursery)
    job = stage.load(claim())
    with pytest.raises(type(trouble)):
        stage.handle([job])
    nursery.children[0].trouble = None
    [result] = stage.handle([job])
    assert isinstance(result, Prepared)
    assert len(nursery.children) == 1


def test_as_many_children_as_images_at_the_same_time(blobs: MemoryBlobs, nursery: Nursery) -> None:
    stage = handler(blobs, nursery)
    stage.warm(2)
    both = threading.Barrier(2, timeout=10)
    for child in nursery.children:
        child.during = both.wait
    results: list[object] = []
    threads = [threading.Thread(target=lambda: results.extend(stage.handle([stage.load(claim())]))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 2
    assert [len(child.jobs) for child in nursery.children] == [2, 2]


def test_it_is_ready_only_after_every_child_decoded_a_frame(blobs: MemoryBlobs, nursery: Nursery) -> None:
    stage = handler(blobs, nursery)
    assert not stage.ready()
    stage.warm(3)
    assert stage.ready()
    assert [len(child.jobs) for child in nursery.children] == [1, 1, 1]
    assert np.frombuffer(nursery.children[0].jobs[0].data[:2], ">u2")[0] == 0xFFD8


def test_a_child_that_cannot_decode_keeps_it_from_becoming_ready(blobs: MemoryBlobs, nursery: Nursery) -> None:
    nursery.trouble = DependencyUnavailable("the decoder process does not start")
    stage = handler(blobs, nursery)
    with pytest.raises(DependencyUnavailable):
        stage.warm(2)
    assert not stage.ready()
    assert not any(child.alive for child in nursery.children)


def test_closing_ends_every_idle_child(blobs: MemoryBlobs, nursery: Nursery) -> None:
    stage = handler(blobs, nursery)
    stage.warm(2)
    stage.close()
    assert not any(child.alive for child in nursery.children)
    assert not stage.ready()


def test_settling_deletes_neither_the_original_nor_the_prepared_frame(blobs: MemoryBlobs, nursery: Nursery) -> None:
    stage = handler(blobs, nursery)
    job = stage.load(claim())
    [result] = stage.handle([job])
    stage.settled([job])
    assert isinstance(result, Prepared)
    assert blobs.exists(result.blob_key)
    assert blobs.exists("originals/x")


def past_the_door(media_type: str, data: bytes, blobs: MemoryBlobs) -> Claim:
    """A claim on what came over a bucket and was not checked."""
    blobs.put("originals/unchecked", data)
    one = claim(hashlib.sha256(data).hexdigest())
    image = replace(one.image, blob_key="originals/unchecked", media_type=media_type, width=0, height=0)
    return replace(one, image=image)


@pytest.mark.parametrize(
    ("data", "reason"),
    [(b"", "empty-body"), (b"not a picture", "unrecognized-image"), (ORIGINAL[:-200], "truncated-image")],
)
def test_what_is_no_image_is_refused_for_what_it_is_and_meets_no_decoder(
    blobs: MemoryBlobs, nursery: Nursery, data: bytes, reason: str
) -> None:
    stage = handler(blobs, nursery)
    [result] = stage.handle([stage.load(past_the_door(UNCHECKED, data, blobs))])
    assert isinstance(result, Refused)
    assert result.reason == reason
    assert nursery.children == []


def test_what_was_refused_once_is_not_inspected_without_its_size(blobs: MemoryBlobs, nursery: Nursery) -> None:
    stage = handler(blobs, nursery)
    [result] = stage.handle([stage.load(past_the_door(UNCHECKED, ORIGINAL, blobs))])
    assert isinstance(result, Refused)
    assert "send it again" in result.detail
    assert nursery.children == []


def test_bytes_that_were_not_kept_are_refused_for_the_reason_that_was_kept(
    blobs: MemoryBlobs, nursery: Nursery
) -> None:
    stage, document = handler(blobs, nursery), refusal_document("payload-too-large", "It has 1 TB.")
    [result] = stage.handle([stage.load(past_the_door(REFUSAL, document, blobs))])
    assert result == Refused("payload-too-large", "It has 1 TB.")
