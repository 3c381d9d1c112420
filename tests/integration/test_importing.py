"""Files of weights become manifests that fit them, or are refused with what is missing."""

import hashlib
import pickle
import sys
import tomllib
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from framegate.kernel.errors import ConfigurationError, ModelRefused
from framegate.kernel.manifest import ModelManifest
from framegate.models.importing import Draft, draft
from framegate.starter import starter_dir
from tests.support.models import COCO, TINY_CLASSES, Shape, constant_onnx, tiny_onnx, write_manifest
from tests.support.pictures import shared_data

BOX = np.array([[[1, 2, 30, 40, 0.9, 1]]], np.float32)


def classes_file(tmp_path: Path, *names: str) -> Path:
    file = tmp_path / "classes.txt"
    file.write_text("\n".join(names), "utf-8")
    return file


def drafted(path: Path, **options: Any) -> Draft:
    return draft(path, "some", "1", "MIT", **options)


def refusal(path: Path, **options: Any) -> str:
    with pytest.raises(ModelRefused) as refused:
        drafted(path, **options)
    message = str(refused.value)
    assert path.name in message
    return message


@pytest.mark.parametrize(("name", "head", "size"), [("yolo26n_int8", "end2end", 640), ("yolo11n_int8", "anchors", 320)])
def test_a_file_of_ultralytics_says_its_classes_head_size_and_licence_itself(name: str, head: str, size: int) -> None:
    path = shared_data("weights", f"{name}.onnx")
    manifest = draft(path, name, "1").manifest
    assert manifest.classes == COCO
    assert (manifest.head, manifest.input.width, manifest.input.height) == (head, size, size)
    assert (manifest.input.dynamic_batch, manifest.input.dynamic_size) == (False, False)
    assert manifest.licence == "AGPL-3.0"
    assert manifest.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_yolox_file_says_too_little_and_all_that_is_missing_is_asked_for_at_once() -> None:
    path = shared_data("weights", "yolox_nano.onnx")
    with pytest.raises(ModelRefused, match=r"yolox_nano\.onnx") as refused:
        draft(path)
    for what in ("--name", "--version", "--licence", "--head", "is yolox if it was exported raw", "--classes FILE"):
        assert what in str(refused.value)
    assert "--size" not in str(refused.value)


def test_a_yolox_model_is_given_the_pictures_it_was_trained_on(tmp_path: Path) -> None:
    path = shared_data("weights", "yolox_nano.onnx")
    made = drafted(path, head="yolox", classes=classes_file(tmp_path, *COCO)).manifest
    assert (made.input.color, made.input.scale, made.input.letterbox) == ("bgr", 1.0, "top-left")
    assert made.input == ModelManifest.load(write_manifest(tmp_path / "by hand", path)).input


def test_a_model_with_free_batch_and_size_stays_free(tmp_path: Path) -> None:
    path = starter_dir() / "model.onnx"
    made = draft(path, "carton", "2", size=(320, 192))
    assert (made.manifest.input.dynamic_batch, made.manifest.input.dynamic_size) == (True, True)
    assert (made.manifest.input.width, made.manifest.input.height) == (320, 192)
    assert made.manifest.classes == ("carton", "hole", "tear", "dent", "wet", "open", "label")
    assert made.weights == path.read_bytes()


def test_a_model_with_free_size_and_no_word_about_it_needs_one() -> None:
    assert "--size WIDTHxHEIGHT" in refusal(starter_dir() / "model.onnx")


def test_the_drafted_text_is_the_manifest_that_is_loaded_again(tmp_path: Path) -> None:
    weights = tiny_onnx(tmp_path / "tiny.onnx")
    made = drafted(weights, classes=classes_file(tmp_path, *TINY_CLASSES)).manifest
    (tmp_path / "model.toml").write_text(made.text, "utf-8")
    loaded = ModelManifest.load(tmp_path)
    assert (loaded.ref, loaded.classes, loaded.head, loaded.input) == (made.ref, made.classes, made.head, made.input)
    assert tomllib.loads(made.text)["file"] == "tiny.onnx"


def test_a_classifier_is_told_by_its_output(tmp_path: Path) -> None:
    path = constant_onnx(tmp_path / "cls.onnx", np.array([[0.7, 0.2, 0.1]], np.float32))
    made = drafted(path, classes=classes_file(tmp_path, *TINY_CLASSES)).manifest
    assert (made.head, made.task) == ("classify", "classify")


def test_scores_that_are_no_probabilities_are_refused_before_anything_is_registered(tmp_path: Path) -> None:
    path = constant_onnx(tmp_path / "logits.onnx", np.array([[7.0, 2.0, -1.0]], np.float32))
    assert "softmax" in refusal(path, classes=classes_file(tmp_path, *TINY_CLASSES))


def test_a_given_manifest_is_taken_as_it_stands(tmp_path: Path) -> None:
    weights = tiny_onnx(tmp_path / "tiny.onnx")
    file = write_manifest(tmp_path, weights, Shape("end2end", 32, dynamic_batch=True), TINY_CLASSES)
    made = draft(weights, manifest=file)
    assert made.manifest.text == file.read_text("utf-8")
    assert made.format == "onnx"


def test_a_given_manifest_knows_the_layout_better_than_arguments(tmp_path: Path) -> None:
    weights = tiny_onnx(tmp_path / "tiny.onnx")
    file = write_manifest(tmp_path, weights, Shape("end2end", 32, scale=1.0, dynamic_batch=True), TINY_CLASSES)
    for option in ({"head": "anchors"}, {"size": (64, 64)}, {"classes": classes_file(tmp_path, *TINY_CLASSES)}):
        with pytest.raises(ModelRefused, match="leave --manifest out"):
            draft(weights, manifest=file, **option)  # type: ignore[arg-type]


def test_a_name_a_version_and_a_licence_replace_those_of_the_given_manifest(tmp_path: Path) -> None:
    weights = tiny_onnx(tmp_path / "tiny.onnx")
    file = write_manifest(tmp_path, weights, Shape("end2end", 32, scale=1.0, dynamic_batch=True), TINY_CLASSES)
    made = draft(weights, "dock", "7", manifest=file).manifest
    assert (made.ref, made.licence, made.classes) == ("dock@7", "test", TINY_CLASSES)
    assert tomllib.loads(made.text) == tomllib.loads(file.read_text()) | {"name": "dock", "version": "7"}
    assert draft(weights, None, None, "MIT", manifest=file).manifest.licence == "MIT"
    with pytest.raises(ModelRefused, match="cannot be a name"):
        draft(weights, "no name", manifest=file)


def damaged(how: Callable[[str], str]) -> Callable[[Path], tuple[Path, Path]]:
    def make(tmp_path: Path) -> tuple[Path, Path]:
        weights = tiny_onnx(tmp_path / "tiny.onnx")
        file = write_manifest(tmp_path, weights, Shape("end2end", 32, dynamic_batch=True), TINY_CLASSES)
        file.write_text(how(file.read_text("utf-8")), "utf-8")
        return weights, file

    return make


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (damaged(lambda text: text.replace('sha256 = "', 'sha256 = "0')), r"tiny\.onnx has sha256 .*model\.toml says"),
        (damaged(lambda text: text.replace("end2end", "yolo9000")), r"model\.toml: the head 'yolo9000' is unknown"),
        (damaged(lambda text: text.replace("dynamic_batch = true", "dynamic_batch = false")), "dynamic_batch"),
        (damaged(lambda text: text.replace("width = 32", "width = 64")), r"correct \[input\]"),
        (damaged(lambda text: text.replace('"end2end"', '"anchors"')), r"a head anchors with 3 classes"),
        (damaged(lambda text: text.replace('"hole", "tear", "dent"', '"hole"')), "a class id is not one of 0..0"),
        (damaged(lambda text: text + "\n[["), r"model\.toml is not valid TOML"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(
    tmp_path: Path, make: Callable[[Path], tuple[Path, Path]], complaint: str
) -> None:
    weights, file = make(tmp_path)
    with pytest.raises(ModelRefused, match=complaint):
        draft(weights, manifest=file)


@pytest.mark.parametrize("names", [("hole",), ("hole", "tear", "dent", "wet")])
def test_a_list_with_more_or_fewer_classes_than_the_head_is_refused(tmp_path: Path, names: tuple[str, ...]) -> None:
    path = constant_onnx(tmp_path / "x.onnx", np.zeros((1, 7, 84), np.float32))
    assert "has 3" in refusal(path, head="anchors", classes=classes_file(tmp_path, *names))
    path = constant_onnx(tmp_path / "y.onnx", BOX, metadata={"names": "{0: 'a', 1: 'b', 2: 'c'}"})
    assert "has 3" in refusal(path, classes=classes_file(tmp_path, *names))


def test_damaged_metadata_is_not_guessed_at(tmp_path: Path) -> None:
    for names in ("{0: 'a', 2: 'b'}", "{0: 'a', ", "{__import__('os').system('false')}"):
        path = constant_onnx(tmp_path / "x.onnx", BOX, metadata={"names": names})
        assert "give --classes FILE" in refusal(path)


def test_tasks_that_are_not_served_are_refused(tmp_path: Path) -> None:
    path = constant_onnx(tmp_path / "pose.onnx", BOX, metadata={"task": "pose"})
    with pytest.raises(ModelRefused, match="task pose"):
        drafted(path)


def test_input_that_is_no_picture_is_refused(tmp_path: Path) -> None:
    assert "RGB" in refusal(constant_onnx(tmp_path / "sound.onnx", BOX, (1, 16000)))


def test_a_head_that_does_not_exist_is_refused_with_those_that_do(tmp_path: Path) -> None:
    path = tiny_onnx(tmp_path / "tiny.onnx")
    with pytest.raises(ModelRefused, match="'yolov5' is unknown: --head takes end2end, anchors, yolox, classify"):
        drafted(path, head="yolov5", classes=classes_file(tmp_path, *TINY_CLASSES))


@pytest.mark.parametrize("content", [b"", b"not a model at all", b"\x08\x09" + b"\xff" * 40])
def test_a_file_that_is_no_model_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(content)
    assert "again" in refusal(path)


def test_a_file_cut_short_anywhere_is_refused(tmp_path: Path) -> None:
    whole = tiny_onnx(tmp_path / "whole.onnx").read_bytes()
    path, names = tmp_path / "cut.onnx", classes_file(tmp_path, *TINY_CLASSES)
    for share in (0.1, 0.5, 0.9, 0.99):
        path.write_bytes(whole[: int(len(whole) * share)])
        assert "again" in refusal(path, classes=names)


def test_weights_in_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "apart.onnx"
    model = onnx.load(tiny_onnx(tmp_path / "tiny.onnx"))
    onnx.save(model, path, save_as_external_data=True, location="apart.bin", size_threshold=0)
    assert "keeps tensors in other files" in refusal(path)


def test_operators_that_the_runtime_does_not_know_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "custom.onnx"
    graph = helper.make_graph(
        [helper.make_node("Sharpen", ["images"], ["output0"], domain="com.example")],
        "custom",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, 64, 64])],
        [helper.make_tensor_value_info("output0", TensorProto.FLOAT, [1, 1, 6])],
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("com.example", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), path)
    assert "without custom operators" in refusal(path)


def test_a_file_that_is_not_there_is_refused_by_name(tmp_path: Path) -> None:
    assert "cannot read the weights" in refusal(tmp_path / "absent.onnx")


def test_a_checkpoint_needs_torch_and_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "framegate.adapters.engine_torch", None)
    path = tmp_path / "best.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("best/data.pkl", pickle.dumps({}))
    with pytest.raises(ConfigurationError, match=r"best\.pt is a PyTorch file.*pip install 'framegate\[torch\]'"):
        drafted(path)


class _Trap:
    """Unpickling it leaves a file behind."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return Path.touch, (self.mark,)


def test_a_pickle_that_calls_itself_onnx_is_never_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "framegate.adapters.engine_torch", None)
    path, mark = tmp_path / "evil.onnx", tmp_path / "ran"
    path.write_bytes(pickle.dumps(_Trap(mark)))
    with pytest.raises(ConfigurationError, match=r"evil\.onnx"):
        drafted(path)
    assert not mark.exists()
