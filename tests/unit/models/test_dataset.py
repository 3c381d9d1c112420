"""What is wrong with a labelled set is said before it is trained on, by file and line."""

import shutil
from pathlib import Path

import pytest

from framegate.kernel.errors import ConfigurationError
from framegate.models.dataset import read_dataset
from tests.support.labelled import labelled_set


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return labelled_set(tmp_path / "set")


def describe(directory: Path, text: str) -> None:
    (directory / "data.yaml").write_text(text, "utf-8")


def test_every_tenth_image_is_held_back_where_none_are_named(directory: Path) -> None:
    data = read_dataset(directory)
    assert [example.image.name for example in data.val] == ["000.jpg", "010.jpg"]
    assert len(data.train) == 18
    assert (data.classes, data.boxes) == (("carton", "hole"), 19)
    assert [e.image.name for e in data.train if e.labels is None] == ["019.jpg"]


def test_the_folders_that_are_named_are_taken(directory: Path) -> None:
    for part in ("images", "labels"):
        (directory / part / "val").mkdir()
        (directory / part / "train").mkdir()
        for file in list((directory / part).glob("*.*")):
            file.rename(directory / part / ("val" if file.stem < "005" else "train") / file.name)
    describe(directory, "train: images/train\nval: images/val\nnames: {0: carton, 1: hole}\n")
    data = read_dataset(directory)
    assert (len(data.train), len(data.val)) == (15, 5)
    assert all(example.labels for example in data.val)


def test_the_hash_does_not_depend_on_the_place(directory: Path, tmp_path: Path) -> None:
    shutil.copytree(directory, tmp_path / "elsewhere")
    assert read_dataset(directory).sha256 == read_dataset(tmp_path / "elsewhere").sha256


@pytest.mark.parametrize("change", ["label", "image", "name", "class"])
def test_the_hash_depends_on_every_content_and_name(directory: Path, change: str) -> None:
    before = read_dataset(directory).sha256
    match change:
        case "label":
            (directory / "labels" / "003.txt").write_text("1 0.5 0.5 0.4 0.4\n", "utf-8")
        case "image":
            shutil.copy(directory / "images" / "004.jpg", directory / "images" / "003.jpg")
        case "name":
            (directory / "images" / "019.jpg").rename(directory / "images" / "0190.jpg")
        case "class":
            describe(directory, "train: images\nnames: [carton, tear]\n")
    assert read_dataset(directory).sha256 != before


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("2 0.5 0.5 0.1 0.1", r"the class 2 is not one of 0\.\.1"),
        ("-1 0.5 0.5 0.1 0.1", "the class -1 is not one of"),
        ("0.5 0.5 0.5 0.1 0.1", "the class 0.5 is not one of"),
        ("0 0.5 1.2 0.1 0.1", "not shares of the frame between 0 and 1"),
        ("0 0.5 0.5 0 0.1", "with a size above 0"),
        ("0 nan 0.5 0.1 0.1", "not shares of the frame"),
        ("nan 0.5 0.5 0.1 0.1", "the class nan is not one of"),
        ("0 0.5 0.5 0.1", "5 numbers, not 4"),
        ("0 0.1 0.1 0.2 0.1 0.2 0.2", "5 numbers, not 7"),
        ("carton 0.5 0.5 0.1 0.1", "are not numbers"),
    ],
)
def test_a_wrong_line_is_named(directory: Path, line: str, problem: str) -> None:
    (directory / "labels" / "003.txt").write_text(f"0 0.5 0.5 0.1 0.1\n\n{line}\n", "utf-8")
    with pytest.raises(ConfigurationError, match=rf"003\.txt, line 3: .*{problem}"):
        read_dataset(directory)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("names: [", "is not valid YAML"),
        ("- carton", "must hold names, train and val"),
        ("train: images", "names must list the classes"),
        ("names: {0: carton, 2: hole}", "without gaps"),
        ("names: [carton, carton]", "must be different"),
        ("train: pictures\nnames: [carton, hole]", "train must be a folder of images below .*'pictures'"),
        ("train: [images]\nnames: [carton, hole]", "train must be a folder"),
        ("val: ../nowhere\nnames: [carton, hole]", "val must be a folder"),
    ],
)
def test_a_wrong_description_is_named(directory: Path, text: str, problem: str) -> None:
    describe(directory, text)
    with pytest.raises(ConfigurationError, match=rf"data\.yaml.*{problem}"):
        read_dataset(directory)


def test_a_folder_without_a_description_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"cannot read .*data\.yaml.*names, train and val"):
        read_dataset(tmp_path)


def test_labels_without_an_image_are_refused(directory: Path) -> None:
    (directory / "images" / "007.jpg").unlink()
    with pytest.raises(ConfigurationError, match=r"007\.txt and 0 others have no image"):
        read_dataset(directory)


def test_a_set_without_any_box_is_refused(directory: Path) -> None:
    shutil.rmtree(directory / "labels")
    with pytest.raises(ConfigurationError, match=r"no image .* has a box"):
        read_dataset(directory)


def test_two_images_with_one_label_file_are_refused(directory: Path) -> None:
    shutil.copy(directory / "images" / "003.jpg", directory / "images" / "003.jpeg")
    with pytest.raises(ConfigurationError, match="differ in their endings only"):
        read_dataset(directory)


def test_an_image_that_the_pipeline_would_refuse_is_named(directory: Path) -> None:
    (directory / "images" / "005.jpg").write_bytes(b"GIF89a, more or less")
    with pytest.raises(ConfigurationError, match=r"005\.jpg cannot be trained on"):
        read_dataset(directory)


def test_the_same_image_on_both_sides_is_refused(directory: Path) -> None:
    shutil.copy(directory / "images" / "003.jpg", directory / "images" / "010.jpg")
    with pytest.raises(ConfigurationError, match=r"010\.jpg is held back, but .*003\.jpg is the same image"):
        read_dataset(directory)


def test_a_single_image_is_not_enough(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="has 0 images to train on and 1 held back"):
        read_dataset(labelled_set(tmp_path / "one", 1))
