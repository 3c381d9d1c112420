"""`model.toml`: what is read, and what is refused with the remedy."""

from pathlib import Path

import pytest

from framegate.kernel.errors import ModelRefused
from framegate.kernel.manifest import Head, ModelManifest

TEXT = """
schema = 1
name = "carton"
version = "2"
licence = "MIT"
file = "model.onnx"
sha256 = "{sha}"
[model]
head = "end2end"
classes = ["hole", "tear"]
[input]
width = 640
height = 640
dynamic_batch = true
dynamic_size = false
""".format(sha="ab" * 32)


def parse(text: str) -> ModelManifest:
    return ModelManifest.parse(text, "carton.toml", directory=Path("here"))


def test_the_text_is_kept_and_the_weights_lie_beside_it() -> None:
    manifest = parse(TEXT)
    assert (manifest.ref, manifest.head, manifest.task) == ("carton@2", Head.END2END, "detect")
    assert manifest.weights == Path("here/model.onnx")
    assert manifest.text == TEXT


def test_the_weights_may_lie_elsewhere() -> None:
    assert ModelManifest.parse(TEXT, "x", weights=Path("/cache/ab.onnx")).weights == Path("/cache/ab.onnx")


def test_a_classifier_says_so() -> None:
    assert parse(TEXT.replace("end2end", "classify")).task == "classify"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("schema = 1", "schema = 7", "this release reads schema 1"),
        ("[model]", "[model", "not valid TOML"),
        ('licence = "MIT"', "", "'licence' is missing"),
        ("end2end", "transformer", "the heads are end2end, anchors, yolox, classify"),
        ('["hole", "tear"]', '["hole", "hole"]', "different names"),
        ('["hole", "tear"]', "[]", "different names"),
        ("width = 640", "width = 8", "32..4096"),
        ("width = 640", "breadth = 640", "breadth"),
        ('"carton"', '"my carton"', "cannot be a name"),
        ('"2"', '"2/../3"', "cannot be a name"),
    ],
)
def test_what_is_wrong_is_named_with_the_file(old: str, new: str, says: str) -> None:
    with pytest.raises(ModelRefused, match=r"^carton\.toml") as refused:
        parse(TEXT.replace(old, new))
    assert says in str(refused.value)
