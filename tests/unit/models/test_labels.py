"""Every format comes down to the same boxes, and mistakes in labels are named with their file and line."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from framegate.kernel.errors import ConfigurationError
from framegate.models.labels import LabelledSet, read_labels
from tests.support.pictures import jpeg, shared_data

CLASSES = ("carton", "hole", "tear")
SIZE = 320, 240
#: A hole in the first image, in pixels; the second has nothing.
HOLE = [32.0, 24.0, 96.0, 72.0]

Writer = Callable[[Path], None]


def pictures(folder: Path, **options: object) -> None:
    folder.mkdir(parents=True)
    for number in (1, 2):
        (folder / f"{number}.jpg").write_bytes(jpeg(number, *SIZE, **options))


def yolo(root: Path, row: str = "1 0.2 0.2 0.2 0.2", description: str | None = None) -> None:
    pictures(root / "images")
    (root / "labels").mkdir()
    (root / "labels" / "1.txt").write_text(row + "\n")
    if description is not None:
        (root / "data.yaml").write_text(description)


def voc(root: Path, name: str = "hole", corners: str = "33 25 96 72", size: str = "320 240", prolog: str = "") -> None:
    pictures(root / "JPEGImages")
    (root / "Annotations").mkdir()
    width, height = size.split()
    x1, y1, x2, y2 = corners.split()
    box = f"<bndbox><xmin>{x1}</xmin><ymin>{y1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox>"
    for number, objects in ((1, f"\n<object><name>{name}</name>{box}</object>"), (2, "")):
        (root / "Annotations" / f"{number}.xml").write_text(
            f"{prolog}<annotation><filename>{number}.jpg</filename>"
            f"<size><width>{width}</width><height>{height}</height></size>{objects}</annotation>"
        )


def coco(root: Path, **annotation: object) -> None:
    pictures(root / "images")
    entry = {"id": 7, "image_id": 1, "category_id": 5, "bbox": [32, 24, 64, 48], **annotation}
    images = [{"id": n, "file_name": f"{n}.jpg", "width": SIZE[0], "height": SIZE[1]} for n in (1, 2)]
    raw = {"images": images, "categories": [{"id": 5, "name": "hole"}], "annotations": [entry]}
    (root / "annotations").mkdir()
    (root / "annotations" / "instances.json").write_text(json.dumps(raw))


def folders(root: Path, *names: str) -> None:
    for number, name in enumerate(names):
        (root / name).mkdir(parents=True)
        (root / name / f"{number}.jpg").write_bytes(jpeg(number))


def read(root: Path) -> LabelledSet:
    return read_labels(root, CLASSES, ("hole", "tear"))


@pytest.mark.parametrize("write", [yolo, voc, coco])
def test_each_format_gives_the_same_boxes(tmp_path: Path, write: Writer) -> None:
    write(tmp_path / "set")
    labels = read(tmp_path / "set")
    assert labels.format == write.__name__
    first, second = labels.images
    assert first.xyxy.tolist() == [pytest.approx(HOLE)]
    assert first.class_id.tolist() == [1]
    assert (first.path.name, len(second.class_id), labels.left_out) == ("1.jpg", 0, ())
    assert (labels.count(1), labels.count(2), labels.image_level) == (1, 0, False)


def test_the_hash_changes_with_a_label_and_not_with_the_place(tmp_path: Path) -> None:
    yolo(tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    assert read(tmp_path / "a").sha256 == read(tmp_path / "b").sha256
    (tmp_path / "b" / "labels" / "1.txt").write_text("1 0.2 0.2 0.2 0.21\n")
    assert read(tmp_path / "a").sha256 != read(tmp_path / "b").sha256


def test_names_of_the_data_set_win_over_the_models_numbers(tmp_path: Path) -> None:
    yolo(tmp_path / "set", "0 0.2 0.2 0.2 0.2", "path: /gone\nval: images\nnames: [hole]\n")
    assert read(tmp_path / "set").images[0].class_id.tolist() == [1]
    assert read(tmp_path / "set" / "data.yaml").sha256 == read(tmp_path / "set").sha256


def test_an_outline_becomes_its_box(tmp_path: Path) -> None:
    yolo(tmp_path / "set", "1 0.1 0.1 0.3 0.2 0.2 0.3")
    assert read(tmp_path / "set").images[0].xyxy.tolist() == [pytest.approx(HOLE)]


def test_boxes_are_in_pixels_of_the_upright_image(tmp_path: Path) -> None:
    yolo(tmp_path / "set")
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "set" / "images" / "1.jpg").write_bytes(jpeg(1, *SIZE, exif=exif.tobytes()))
    [first, _] = read(tmp_path / "set").images
    assert first.xyxy.tolist() == [pytest.approx([24, 32, 72, 96])]


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda root: yolo(root, "\n3 0.2 0.2 0.2 0.2"), r"1\.txt, line 2: the class 3 is out of range.*0 to 2"),
        (lambda root: yolo(root, "1 0.2 1.2 0.2 0.2"), r"1\.txt, line 1: coordinates are shares"),
        (lambda root: yolo(root, "1 0.2 nan 0.2 0.2"), r"1\.txt, line 1: 'nan' is not a number"),
        (lambda root: yolo(root, "1.5 0.2 0.2 0.2 0.2"), r"1\.txt, line 1: '1\.5' is not a whole number"),
        (lambda root: yolo(root, "1 0.2 0.2 0.2"), r"1\.txt, line 1: a row has class"),
        (lambda root: yolo(root, "1 0.2 0.2 0 0.2"), r"1\.txt, line 1: the box .* has no area"),
        (lambda root: yolo(root, "1 0.1 0.2 0.4 0.2"), r"1\.txt, line 1: the box .* reaches outside"),
        (lambda root: yolo(root, ""), "2 images and not one labelled object"),
        (
            lambda root: yolo(root, description="val: images\nnames: [crush, dust]\n"),
            "line 1: the model has no class 'dust'",
        ),
        (
            lambda root: yolo(root, description="val: elsewhere\nnames: [hole]\n"),
            r"data\.yaml: there is no .*elsewhere",
        ),
        (lambda root: yolo(root, description="names: [hole]\n"), r"data\.yaml has no entry val"),
        (lambda root: yolo(root, description="val: ["), r"cannot read .*data\.yaml"),
        (lambda root: voc(root, name="dust"), r"1\.xml, line 2: the model has no class 'dust'"),
        (lambda root: voc(root, corners="33 25 96 400"), r"1\.xml, line 2: the box .* reaches outside"),
        (lambda root: voc(root, size="240 320"), r"1\.xml: labelled as 240 x 320, but .* EXIF"),
        (lambda root: voc(root, size="640 480"), r"1\.xml: labelled as 640 x 480, but .* the very files"),
        (lambda root: voc(root, prolog='<!DOCTYPE a [<!ENTITY b "c">]>'), r"1\.xml has a document type"),
        (lambda root: coco(root, category_id=9), r"instances\.json, annotation 7: the category 9"),
        (lambda root: coco(root, image_id=9), "annotation 7 belongs to an image that the file does not list"),
        (lambda root: coco(root, iscrowd=1), "annotation 7 is a crowd"),
        (lambda root: coco(root, bbox=[1, 2, 3]), "annotation 7: bbox should be"),
        (lambda root: folders(root, "damaged", "holiday"), "'holiday' says neither intact nor damaged"),
        (lambda root: folders(root, "hole", "tear"), "has no folder of intact images"),
        (lambda root: root.mkdir(), "none of the layouts"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path: Path, write: Writer, message: str) -> None:
    write(tmp_path / "set")
    with pytest.raises(ConfigurationError, match=message):
        read(tmp_path / "set")


@pytest.mark.parametrize("write", [yolo, voc, coco])
def test_a_label_without_its_image_is_an_error(tmp_path: Path, write: Writer) -> None:
    write(tmp_path / "set")
    [image] = (tmp_path / "set").rglob("1.jpg")
    image.unlink()
    with pytest.raises(ConfigurationError, match=r"missing|without an image|add it"):
        read(tmp_path / "set")


def test_there_must_be_a_set(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="there is no labelled set"):
        read(tmp_path / "nowhere")


def test_what_the_pipeline_would_refuse_is_left_out_by_name(tmp_path: Path) -> None:
    yolo(tmp_path / "set")
    (tmp_path / "set" / "images" / "2.jpg").write_bytes(b"no picture")
    (tmp_path / "set" / "images" / "3.webp").write_bytes(b"RIFF0000WEBPVP8 ")
    left = {one.path.name: one.reason for one in read(tmp_path / "set").left_out}
    assert set(left) == {"2.jpg", "3.webp"}
    assert "unrecognized-image" in left["2.jpg"]


def test_a_copy_counts_once(tmp_path: Path) -> None:
    yolo(tmp_path / "set")
    for folder, suffix in (("images", "jpg"), ("labels", "txt")):
        shutil.copy(tmp_path / "set" / folder / f"1.{suffix}", tmp_path / "set" / folder / f"copy.{suffix}")
    labels = read(tmp_path / "set")
    assert (len(labels.images), len(labels.left_out)) == (2, 1)
    assert "a copy of" in labels.left_out[0].reason


def test_folders_name_the_label_of_the_whole_image(tmp_path: Path) -> None:
    folders(tmp_path / "set", "Damaged", "hole", "intact", "no-damage")
    labels = read(tmp_path / "set")
    assert labels.image_level
    assert {image.path.parent.name: image.damaged for image in labels.images} == {
        "Damaged": True,
        "hole": True,
        "intact": False,
        "no-damage": False,
    }


def test_one_file_with_different_labels_is_an_error(tmp_path: Path) -> None:
    folders(tmp_path / "folders", "damaged", "intact")
    shutil.copy(tmp_path / "folders" / "damaged" / "0.jpg", tmp_path / "folders" / "intact" / "other.jpg")
    yolo(tmp_path / "yolo")
    shutil.copy(tmp_path / "yolo" / "images" / "1.jpg", tmp_path / "yolo" / "images" / "unlabelled.jpg")
    for name in ("folders", "yolo"):
        with pytest.raises(ConfigurationError, match="the same file with different labels"):
            read(tmp_path / name)


def test_real_sets_are_read_whole(tmp_path: Path) -> None:
    parcels = read(shared_data("package_damage"))
    assert (len(parcels.images) + len(parcels.left_out), parcels.image_level) == (80, True)
    shutil.copytree(shared_data("deeppcb", "images"), tmp_path / "images")
    shutil.copytree(shared_data("deeppcb", "labels_yolo"), tmp_path / "labels")
    boards = read_labels(tmp_path, [f"defect {n}" for n in range(6)], ["defect 0"])
    rows = sum(len(file.read_text().splitlines()) for file in (tmp_path / "labels").iterdir())
    assert (len(boards.images), boards.left_out) == (40, ())
    assert sum(len(image.class_id) for image in boards.images) == rows
