"""Detector and chain together: what is named, and that no trouble with a name costs an image its detections."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from framegate.adapters.memory import FakeClock, MemoryBlobs, MemoryStore
from framegate.inference.chains import ChainModels
from framegate.inference.fleet import LoadedModel
from framegate.inference.naming import Naming
from framegate.inference.stage import InferenceHandler, Job
from framegate.kernel.errors import EngineFault, Unrecoverable
from framegate.kernel.geometry import Letterbox
from framegate.kernel.ids import DEFAULT_FACILITY
from framegate.kernel.inspection import Failed, Inspected, Label, Prepared
from framegate.kernel.rollout import ModelKey
from framegate.observability.catalogue import CHAIN_IMAGES
from framegate.observability.logs import get_log
from framegate.observability.metrics import Metrics
from framegate.ports.progress import PrepareAgain, Result
from tests.contracts.examples import approved
from tests.support.inference import CLASSIFIER, ColourEngine, claim, fleet_of
from tests.support.values import quality
from tests.unit.inference.test_stage import MANIFEST, SIZE, ScriptedEngine, boxes

RED, BLUE, BLACK = (255, 0, 0), (0, 0, 255), (0, 0, 0)
#: In pixels of the detector's input; class 0 is hole, 1 is tear, 2 is dent.
LEFT, RIGHT = [0, 0, 32, 64, 0.9, 1], [32, 0, 64, 64, 0.6, 2]
NOTHING = [0, 0, 0, 0, 0, 0]
HOLES = {"model": "wear@1", "of": ["hole", "tear", "dent"]}


class Line:
    """A detector with scripted boxes, a classifier of colours, and one policy between them."""

    def __init__(self, *chain: dict[str, Any], register: bool = True) -> None:
        self.blobs, self.metrics, self.store = MemoryBlobs(FakeClock()), Metrics(), MemoryStore(FakeClock())
        self.colours = ColourEngine()
        if register:
            for ref, digit in (("wear@1", "1"), ("scene@1", "2")):
                approved(self.store.registry, ModelKey(ref, digit * 64))
        self.store.policies.add_policy(DEFAULT_FACILITY, {"chain": list(chain)}, "lead")
        self.chains = ChainModels(
            self.store.policies, self.store.registry, self._load, FakeClock(), self.metrics, get_log()
        )
        self.chains.refresh()

    def _load(self, key: ModelKey) -> LoadedModel:
        return LoadedModel(key, CLASSIFIER, self.colours)

    def job(self, left: tuple[int, int, int], right: tuple[int, int, int]) -> Job:
        """A frame of two halves."""
        frame = np.zeros((SIZE, SIZE, 3), np.uint8)
        frame[:, : SIZE // 2], frame[:, SIZE // 2 :] = left, right
        letterbox = Letterbox.fit(SIZE, SIZE, SIZE, SIZE)
        return Job(
            claim(Prepared("k", "raw", letterbox, quality(), {})), Prepared("k", "raw", letterbox, quality(), {}), frame
        )

    def look(self, detected: NDArray[np.float32], *jobs: Job) -> list[Result]:
        naming = Naming(self.chains, self.metrics, get_log())
        fleet = fleet_of(ScriptedEngine(detected), MANIFEST)
        return InferenceHandler(fleet, self.blobs, label=naming.label).handle(jobs)

    def counted(self, result: str) -> float:
        return self.metrics.value(CHAIN_IMAGES, {"result": result})


def labels(result: Result) -> list[tuple[int | None, str, str]]:
    assert isinstance(result, Inspected)
    return [(label.detection, label.model, label.name) for label in result.labels]


def chained(result: Result) -> tuple[str, ...]:
    assert isinstance(result, Inspected)
    return result.chained


def test_each_detection_is_named_by_its_own_pixels() -> None:
    line = Line(HOLES)
    (result,) = line.look(boxes([LEFT, RIGHT]), line.job(RED, BLUE))
    assert labels(result) == [(0, "wear@1", "intact"), (1, "wear@1", "wet")]
    assert chained(result) == ("wear@1",)
    assert line.counted("named") == 1


def test_a_label_carries_the_probability_of_its_class() -> None:
    line = Line(HOLES)
    (result,) = line.look(boxes([[0, 0, 64, 64, 0.9, 1]]), line.job(RED, (255, 255, 0)))
    assert isinstance(result, Inspected)
    (label,) = result.labels
    assert label == Label(0, "wear@1", "intact", pytest.approx(2 / 3, abs=0.02))


def test_the_detections_of_other_classes_are_not_named() -> None:
    line = Line({"model": "wear@1", "of": ["dent"]})
    (result,) = line.look(boxes([LEFT, RIGHT]), line.job(RED, BLUE))
    assert labels(result) == [(1, "wear@1", "wet")]


def test_the_whole_frame_is_named_also_when_nothing_was_found_in_it() -> None:
    line = Line({"model": "scene@1"})
    (result,) = line.look(boxes([NOTHING]), line.job(BLUE, BLUE))
    assert labels(result) == [(None, "scene@1", "wet")]


def test_all_models_of_the_chain_have_their_say() -> None:
    line = Line(HOLES, {"model": "scene@1"})
    (result,) = line.look(boxes([RIGHT]), line.job(RED, BLUE))
    assert sorted(labels(result), key=str) == [(0, "wear@1", "wet"), (None, "scene@1", "intact")]
    assert chained(result) == ("wear@1", "scene@1")


def test_crops_of_several_frames_share_batches_and_keep_apart() -> None:
    line = Line(HOLES)
    jobs = [line.job(RED, BLUE), line.job(BLUE, BLUE), line.job(BLUE, RED)]
    found = boxes([LEFT, RIGHT], [LEFT, NOTHING], [LEFT, RIGHT])
    names = [[name for _, _, name in labels(result)] for result in line.look(found, *jobs)]
    assert names == [["intact", "wet"], ["wet"], ["wet", "intact"]]
    assert line.colours.sizes == [4, 1]


def test_at_most_sixteen_crops_of_a_frame_are_named_the_most_confident_first() -> None:
    line = Line(HOLES)
    many = boxes([[0, 0, 32, 64, 0.95 - i / 100, 1] for i in range(20)])
    (result,) = line.look(many, line.job(RED, BLUE))
    assert [place for place, _, _ in labels(result)] == list(range(16))
    assert isinstance(result, Inspected)
    assert len(result.detections) == 20


def test_without_its_model_a_frame_keeps_its_detections_and_says_that_it_has_no_names() -> None:
    line = Line(HOLES, register=False)
    (result,) = line.look(boxes([LEFT, RIGHT]), line.job(RED, BLUE))
    assert (labels(result), chained(result)) == ([], ())
    assert isinstance(result, Inspected)
    assert result.classes == ("tear", "dent")
    assert (line.counted("named"), line.counted("unavailable")) == (0, 1)


def test_a_missing_model_that_had_nothing_to_name_is_not_missed() -> None:
    line = Line(HOLES, register=False)
    (result,) = line.look(boxes([NOTHING]), line.job(RED, BLUE))
    assert chained(result) == ("wear@1",)


@pytest.mark.parametrize("error", [EngineFault("the batch was refused"), RuntimeError("vendor")])
def test_an_engine_that_fails_costs_the_names_and_not_the_detections(error: Exception) -> None:
    line = Line(HOLES)

    def fail(_: NDArray[np.uint8]) -> None:
        raise error

    line.colours.examine = fail
    (result,) = line.look(boxes([LEFT, RIGHT]), line.job(RED, BLUE))
    assert isinstance(result, Inspected)
    assert (result.classes, result.labels, result.chained) == (("tear", "dent"), (), ())


def test_a_batch_that_fails_takes_no_names_from_the_next_one() -> None:
    line = Line(HOLES)

    def refuse_full(frames: NDArray[np.uint8]) -> None:
        if len(frames) == 4:
            raise EngineFault("too many")

    line.colours.examine = refuse_full
    jobs = [line.job(RED, BLUE) for _ in range(3)]
    found = boxes([LEFT, RIGHT], [LEFT, RIGHT], [LEFT, RIGHT])
    results = line.look(found, *jobs)
    assert [chained(result) for result in results] == [(), (), ("wear@1",)]


def test_one_picture_whose_output_is_not_a_number_is_missed_and_the_others_are_named() -> None:
    line = Line(HOLES)
    first, second = line.look(boxes([LEFT, RIGHT], [LEFT, RIGHT]), line.job(RED, BLACK), line.job(RED, BLUE))
    assert (labels(first), chained(first)) == ([(0, "wear@1", "intact")], ())
    assert (len(labels(second)), chained(second)) == (2, ("wear@1",))
    assert (line.counted("named"), line.counted("unavailable")) == (1, 1)


def test_a_device_that_is_lost_ends_the_process_also_when_the_classifier_finds_out() -> None:
    line = Line(HOLES)

    def lost(_: NDArray[np.uint8]) -> None:
        raise Unrecoverable

    line.colours.examine = lost
    with pytest.raises(Unrecoverable):
        line.look(boxes([LEFT]), line.job(RED, BLUE))


def test_images_that_were_not_inspected_pass_the_chain_by() -> None:
    line = Line({"model": "scene@1"})
    broken = boxes([LEFT], [LEFT])
    broken[0] = np.nan
    wrong = line.job(RED, RED)
    wrong = Job(wrong.claim, Prepared("k", "raw", Letterbox.fit(8, 8, 8, 8), quality(), {}), wrong.content)
    first, second, third = line.look(broken, line.job(RED, RED), wrong, line.job(BLUE, BLUE))
    assert isinstance(first, Failed)
    assert isinstance(second, PrepareAgain)
    assert labels(third) == [(None, "scene@1", "wet")]


def test_a_policy_without_a_chain_asks_nobody() -> None:
    line = Line()
    (result,) = line.look(boxes([LEFT]), line.job(RED, BLUE))
    assert (labels(result), chained(result), line.colours.sizes) == ([], (), [])
