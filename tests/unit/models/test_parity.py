import tomllib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from framegate.kernel.errors import ConfigurationError, ModelRefused
from framegate.kernel.manifest import Head, ModelManifest
from framegate.models.manifest_text import amended, written
from framegate.models.parity import Golden, ParityReport, check, golden_images
from tests.support.models import tiny_manifest
from tests.support.pictures import jpeg, png

ENOUGH = 20
SMALL, LARGE = Golden("small.jpg", jpeg(1, 48, 32)), Golden("large.jpg", jpeg(2, 640, 480))
WHOLE = [[0, 0, 32, 32, 0.8, 1]]


class ScriptedEngine:
    """Answers what its script says of the mean of a frame's channels."""

    max_batch = 2

    def __init__(
        self, description: str, script: Callable[[float], Sequence[Sequence[float]]] = lambda _: WHOLE
    ) -> None:
        self.description, self._script = description, script

    def infer(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        assert len(frames) <= self.max_batch
        return np.array([self._script(float(frame.mean())) for frame in frames], np.float32)

    def close(self) -> None:
        raise AssertionError("it is the caller's")


REFERENCE = ScriptedEngine("onnxruntime 1 cpu f32")


def faint(confidence: float) -> Callable[[float], Sequence[Sequence[float]]]:
    return lambda _: [[0, 0, 32, 32, confidence, 1]]


@pytest.fixture
def manifest(tmp_path: Path) -> ModelManifest:
    return tiny_manifest(tmp_path)


def test_an_engine_that_sees_the_same_agrees_and_may_decode_at_reduced_scale(manifest: ModelManifest) -> None:
    report = check(manifest, ScriptedEngine("openvino 1 cpu f32"), REFERENCE, [SMALL, *[LARGE] * ENOUGH])
    assert (report.agrees, report.precision, report.scaled_decoding) == (True, None, True)
    assert (report.plain.frames, report.plain.boxes, report.scaled_images) == (ENOUGH + 1, ENOUGH + 1, ENOUGH)


def test_an_engine_that_sees_something_else_does_not_agree(manifest: ModelManifest) -> None:
    report = check(manifest, ScriptedEngine("openvino 1 cpu f32", faint(0.6)), REFERENCE, [SMALL])
    assert not report.agrees
    assert report.plain.apart == 1
    assert report.plain.confidence == pytest.approx(0.2)


def test_reduced_precision_that_agrees_may_be_used(manifest: ModelManifest) -> None:
    reduced, exact = ScriptedEngine("openvino 1 cpu bf16", faint(0.79)), ScriptedEngine("openvino 1 cpu f32")
    report = check(manifest, reduced, REFERENCE, [SMALL], exact=exact)
    assert (report.agrees, report.precision, report.vouched) == (True, "auto", "openvino 1 cpu bf16")


def test_reduced_precision_that_disagrees_leaves_f32(manifest: ModelManifest) -> None:
    reduced, exact = ScriptedEngine("openvino 1 cpu bf16", faint(0.7)), ScriptedEngine("openvino 1 cpu f32")
    report = check(manifest, reduced, REFERENCE, [SMALL], exact=exact)
    assert (report.agrees, report.precision, report.vouched) == (True, "f32", "openvino 1 cpu f32")
    assert report.for_manifest()["measured"]["reduced_precision"]["apart"] == 1
    assert report.for_manifest()["measured"]["engine"]["apart"] == 0


def test_reduced_precision_is_not_judged_without_the_exact_engine(manifest: ModelManifest) -> None:
    with pytest.raises(ValueError, match="needs the same engine in f32"):
        check(manifest, ScriptedEngine("openvino 1 cpu bf16"), REFERENCE, [SMALL])


def test_scaled_decoding_that_changes_a_box_is_not_allowed(manifest: ModelManifest) -> None:
    means: list[float] = []

    def sees_scale(mean: float) -> Sequence[Sequence[float]]:
        means.append(mean)
        return [[0, 0, 32, 32, 0.8 if len(means) <= ENOUGH else 0.7, 1]]

    report = check(manifest, ScriptedEngine("openvino 1 cpu f32", sees_scale), REFERENCE, [LARGE] * ENOUGH)
    assert report.agrees
    assert (report.scaled_decoding, report.scaled.apart) == (False, ENOUGH)
    assert len(set(means)) == 2  # the two decodings do give different pixels


@pytest.mark.parametrize(
    ("images", "rendered"), [([SMALL] * ENOUGH, False), ([LARGE] * (ENOUGH - 1), False), ([LARGE] * ENOUGH, True)]
)
def test_scaled_decoding_is_not_allowed_by_pictures_that_cannot_show_it(
    manifest: ModelManifest, images: list[Golden], rendered: bool
) -> None:
    report = check(manifest, ScriptedEngine("openvino 1 cpu f32"), REFERENCE, images, rendered=rendered)
    assert report.scaled.holds
    assert not report.scaled_decoding


def test_without_a_clear_box_nothing_is_vouched_for(manifest: ModelManifest) -> None:
    nothing = ScriptedEngine("openvino 1 cpu f32", faint(0.1))
    report = check(manifest, nothing, ScriptedEngine("onnxruntime 1 cpu f32", faint(0.1)), [LARGE] * ENOUGH)
    assert report.plain.holds
    assert (report.agrees, report.scaled_decoding) == (False, False)


def test_classifiers_are_compared_by_their_probabilities(manifest: ModelManifest) -> None:
    classifier = replace(manifest, head=Head.CLASSIFY)

    def engine(name: str, *probabilities: float) -> ScriptedEngine:
        return ScriptedEngine(name, lambda _: probabilities)

    reference = engine("onnxruntime 1 cpu f32", 0.7, 0.2, 0.1)
    assert check(classifier, engine("openvino 1 cpu f32", 0.69, 0.2, 0.11), reference, [SMALL]).agrees
    assert not check(classifier, engine("openvino 1 cpu f32", 0.6, 0.3, 0.1), reference, [SMALL]).agrees


def test_a_picture_that_the_pipeline_would_refuse_is_named(manifest: ModelManifest) -> None:
    cut = Golden("cut.jpg", LARGE.data[: len(LARGE.data) // 2])
    with pytest.raises(ConfigurationError, match=r"cut\.jpg cannot be compared on.*Take it out"):
        check(manifest, ScriptedEngine("openvino 1 cpu f32"), REFERENCE, [SMALL, cut])


def test_golden_images_are_all_jpeg_and_png_files_below_the_directory(tmp_path: Path) -> None:
    (tmp_path / "dock").mkdir()
    (tmp_path / "dock" / "B.JPEG").write_bytes(jpeg(1))
    (tmp_path / "a.png").write_bytes(png(1))
    (tmp_path / "notes.txt").write_text("no picture")
    assert [image.name for image in golden_images(tmp_path)] == ["a.png", "dock/B.JPEG"]


def test_without_a_directory_they_are_the_sample_frames_of_the_starter() -> None:
    assert len(golden_images()) == 24


def test_a_directory_without_pictures_or_none_at_all_is_refused(tmp_path: Path) -> None:
    for directory in (tmp_path, tmp_path / "absent"):
        with pytest.raises(ConfigurationError, match=str(directory)):
            golden_images(directory)


@pytest.fixture
def report(manifest: ModelManifest) -> ParityReport:
    return check(manifest, ScriptedEngine("openvino 1 cpu f32"), REFERENCE, [LARGE] * ENOUGH, machine="EPYC avx2")


def test_an_amended_manifest_keeps_everything_else_comments_included(
    manifest: ModelManifest, report: ParityReport
) -> None:
    before = "# our dock\n" + manifest.text + '\n[data]\nsource = "dock 3" # 2026\n[thresholds.classes]\n'
    before += "hole = {review = 0.3, fail = 0.5}\n"
    text = amended(replace(manifest, text=before), report)
    assert "# our dock" in text
    assert 'source = "dock 3" # 2026' in text
    old, new = tomllib.loads(before), tomllib.loads(text)
    assert new["input"].pop("scaled_decoding") is True
    checked = new.pop("check")
    assert new == old
    assert checked["engine"] == "openvino 1 cpu f32"
    assert checked["agrees"] is True
    assert checked["tolerances"] == {"clear": 0.3, "iou": 0.9, "confidence": 0.03}
    assert checked["measured"]["engine"]["boxes"] == ENOUGH
    assert checked["images"] == ENOUGH
    assert checked["machine"] == "EPYC avx2"
    assert checked["date"] == report.date.isoformat()


def test_amending_twice_replaces_the_first_check(manifest: ModelManifest, report: ParityReport) -> None:
    worse = replace(report, scaled_images=0)
    once = ModelManifest.parse(amended(manifest, report), "once")
    twice = ModelManifest.parse(amended(once, worse), "twice")
    assert once.check["measured"]["scaled_decoding"]["images"] == ENOUGH
    assert twice.check["measured"]["scaled_decoding"]["images"] == 0
    assert (once.input.scaled_decoding, twice.input.scaled_decoding) == (True, False)


def test_a_check_of_another_model_is_not_written(manifest: ModelManifest, report: ParityReport) -> None:
    with pytest.raises(ModelRefused, match="not about other@1"):
        amended(replace(manifest, name="other"), report)


def test_what_is_unknown_is_left_out_of_the_text() -> None:
    assert tomllib.loads(written({"a": 1, "b": None, "c": {"d": None, "e": [1.5]}})) == {"a": 1, "c": {"e": [1.5]}}
