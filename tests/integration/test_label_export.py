"""`framegate labels export` on a real database, and the way of what it writes back into train, evaluate and calibrate."""

import csv
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from framegate.adapters.postgres import Database, PostgresIntake, PostgresPolicies, PostgresProgress, PostgresReviews
from framegate.bootstrap import open_blobs
from framegate.cli import app
from framegate.cli.common import out
from framegate.kernel.imagefile import inspect_file
from framegate.kernel.reviews import Choice, Decision, Redrawn
from framegate.kernel.states import Verdict
from framegate.models.dataset import read_dataset
from framegate.models.labels import read_labels
from framegate.ports.blobs import Blobs
from framegate.ports.store import NewImage
from framegate.preprocess.decode import decode as decode_file
from framegate.settings import Settings
from tests.contracts.examples import FACILITY, decide, new_image, outcome
from tests.contracts.harness import seconds
from tests.support.pictures import jpeg, shared_data

HERE = frozenset({FACILITY})
PASS, FAIL = Decision(Choice.PASS), Decision(Choice.FAIL, "dent")
CLASSES = {
    "carton": {"review": None, "fail": None},
    "dent": {"review": 0.4, "fail": 0.8},
    "hole": {"review": 0.4, "fail": 0.8},
}


class Desk:
    """A box whose images are decided by hand."""

    def __init__(self, database: Database, blobs: Blobs) -> None:
        self.intake, self.reviews = PostgresIntake(database), PostgresReviews(database)
        self.progress, self.blobs = PostgresProgress(database, sample=1.0), blobs
        document = {"schema": 1, "classes": CLASSES, "otherwise": {"review": 0.25, "fail": None}}
        PostgresPolicies(database).add_policy(FACILITY, document, "test")

    def picture(self, data: bytes, seen: tuple[str, ...] = ("dent",), stored: bool = True, **facts: Any) -> NewImage:
        """One detection for each of `seen`, at (n, n + 1, n + 10, n + 20)."""
        header = inspect_file(data)
        size = {"width": header.width, "height": header.height, "orientation": header.orientation}
        image = new_image(data, media_type=str(header.media_type), **size, **facts)
        if stored:
            self.blobs.put(image.blob_key, data)
        self.intake.accept([image])
        decide(self.progress, image, outcome(Verdict.REVIEW), seen)
        return image

    def say(self, image: NewImage, decision: Decision, undo: float = 0) -> NewImage:
        item = self.reviews.item(HERE, image.image_id)
        assert item is not None
        self.reviews.decide(HERE, image.image_id, item.version, item.sha256, decision, "Ann", seconds(undo))
        return image


@pytest.fixture
def environment(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    monkeypatch.setattr(out, "_file", None)  # whatever standard output is by then
    monkeypatch.setattr(out, "_width", 200)
    return {"DATABASE_URL": database_url, "FRAMEGATE_DATA": str(tmp_path / "box")}


@pytest.fixture
def desk(database_url: str, environment: dict[str, str], tmp_path: Path) -> Iterator[Desk]:
    (tmp_path / "box").mkdir()
    database = Database(database_url)
    yield Desk(database, open_blobs(Settings.read(data=tmp_path / "box")))
    database.close()


def export(environment: dict[str, str], target: Path, *options: str) -> dict[str, Any]:
    done = CliRunner().invoke(app, ["labels", "export", str(target), "--json", *options], env=environment)
    assert done.exit_code == 0, done.output + str(done.exception)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def provenance(target: Path) -> dict[str, dict[str, Any]]:
    """By image."""
    files = json.loads((target / "provenance.json").read_text())["files"]
    return {one["image"]: one for one in files}


def fill(desk: Desk, count: int = 40) -> None:
    """Every second one is intact, so that either split has some of both."""
    for n in range(count):
        desk.say(desk.picture(jpeg(n, 64, 48), seen=("carton", "dent")), FAIL if n % 2 else PASS)


def test_what_people_decided_is_what_train_and_evaluate_read(
    desk: Desk, environment: dict[str, str], tmp_path: Path
) -> None:
    fill(desk)
    target = tmp_path / "labels"
    done = export(environment, target)
    assert done["verdicts"] == {"fail": 20, "pass": 20}
    assert done["images"]["train"] + done["images"]["val"] == 40
    data = read_dataset(target)
    assert (data.classes, data.boxes) == (("dent", "hole"), 20)
    assert (len(data.train), len(data.val)) == (done["images"]["train"], done["images"]["val"])
    held_back = read_labels(target, ("carton", "dent", "hole"), ("dent", "hole"))
    assert {image.path for image in held_back.images} == {example.image.resolve() for example in data.val}
    damaged = next(image for image in held_back.images if len(image.class_id))
    assert damaged.xyxy.tolist() == [pytest.approx([1, 2, 11, 21], abs=0.01)]
    assert damaged.class_id.tolist() == [1]
    with (target / "provenance.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["file"] for row in rows} == {one["file"] for one in provenance(target).values()}
    assert {row["decided_by"] for row in rows} == {"Ann"}


def test_an_export_in_coco_says_the_same(desk: Desk, environment: dict[str, str], tmp_path: Path) -> None:
    fill(desk)
    export(environment, tmp_path / "yolo")
    export(environment, tmp_path / "coco", "--format", "coco")
    classes = ("dent", "hole")
    yolo = read_labels(tmp_path / "yolo", classes, classes).images
    coco = read_labels(tmp_path / "coco" / "annotations" / "val.json", classes, classes).images
    assert [(image.sha256, image.class_id.tolist()) for image in yolo] == [
        (image.sha256, image.class_id.tolist()) for image in coco
    ]
    for one, other in zip(yolo, coco, strict=True):
        np.testing.assert_allclose(one.xyxy, other.xyxy, atol=0.01)


def test_folders_also_have_damage_that_nobody_knows_the_place_of(
    desk: Desk, environment: dict[str, str], tmp_path: Path
) -> None:
    desk.say(desk.picture(jpeg(1)), PASS)
    desk.say(desk.picture(jpeg(2), seen=("carton",)), FAIL)
    done = export(environment, tmp_path / "folders", "--format", "folders")
    assert done["verdicts"] == {"fail": 1, "pass": 1}
    labels = read_labels(tmp_path / "folders", ("dent",), ("dent",))
    assert sorted(bool(image.damaged) for image in labels.images) == [False, True]
    assert export(environment, tmp_path / "yolo")["left_out"] == {
        "nothing of the damage was found, and nobody drew where it is": 1
    }


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_a_turned_picture_is_written_as_its_boxes_see_it(
    desk: Desk, environment: dict[str, str], tmp_path: Path, orientation: int
) -> None:
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = orientation
    data = jpeg(1, 64, 48, exif=exif.tobytes())
    drawn = replace(FAIL, boxes=(Redrawn("dent", (4.0, 6.0, 40.0, 45.0)),))
    image = desk.say(desk.picture(data), drawn)
    export(environment, tmp_path / "labels")
    row = provenance(tmp_path / "labels")[str(image.image_id)]
    assert (row["turned_from"], row["boxes_from"], row["sha256"]) == (orientation, "drawn", image.sha256)
    written = cv2.imread(str(tmp_path / "labels" / row["file"]))
    assert written is not None
    upright = decode_file(data, "image/jpeg", orientation)
    np.testing.assert_array_equal(written[:, :, ::-1], upright)
    assert inspect_file((tmp_path / "labels" / row["file"]).read_bytes()).orientation == 1
    height, width = upright.shape[:2]
    label = (tmp_path / "labels" / row["file"].replace("images/", "labels/")).with_suffix(".txt").read_text().split()
    assert [float(share) for share in label] == pytest.approx(
        [0, 22 / width, 25.5 / height, 36 / width, 39 / height], abs=1e-6
    )


def test_what_is_missing_changed_unclear_or_not_final_is_left_out_by_name(
    desk: Desk, environment: dict[str, str], tmp_path: Path
) -> None:
    good = desk.say(desk.picture(jpeg(1)), FAIL)
    gone = desk.say(desk.picture(jpeg(2), stored=False), PASS)
    changed = desk.picture(jpeg(3), stored=False)
    desk.blobs.put(changed.blob_key, jpeg(4))
    desk.say(changed, PASS)
    unclear = desk.say(desk.picture(jpeg(5)), Decision(Choice.CANNOT_TELL))
    desk.say(desk.picture(jpeg(6)), PASS, undo=3600)
    target = tmp_path / "labels"
    export(environment, target)
    assert set(provenance(target)) == {str(good.image_id)}
    left = json.loads((target / "provenance.json").read_text())["left_out_images"]
    assert {one["image"]: one["why"] for one in left} == {
        str(gone.image_id): "the original is gone",
        str(changed.image_id): "the original is not what was accepted: its hash differs",
        str(unclear.image_id): "nobody could tell from this picture",
    }


def test_the_same_bytes_are_one_image_and_the_newest_word_about_them_counts(
    desk: Desk, environment: dict[str, str], tmp_path: Path
) -> None:
    for decision in (PASS, FAIL):
        newest = desk.say(desk.picture(jpeg(1)), decision)
    done = export(environment, tmp_path / "labels")
    assert (done["images"], done["left_out"]) == (
        {"val": 1} if "val" in done["images"] else {"train": 1},
        {"a newer image has the same bytes: what people said about that one counts": 1},
    )
    assert list(provenance(tmp_path / "labels")) == [str(newest.image_id)]


def test_a_shipment_is_never_on_both_sides(desk: Desk, environment: dict[str, str], tmp_path: Path) -> None:
    for n in range(40):
        desk.say(desk.picture(jpeg(n, 40, 32), metadata={"shipment": str(n // 4)}), FAIL)
    export(environment, tmp_path / "labels")
    sides: dict[str, set[str]] = {}
    for row in provenance(tmp_path / "labels").values():
        sides.setdefault(row["group"], set()).add(row["split"])
    assert len(sides) == 10
    assert all(len(splits) == 1 for splits in sides.values())
    assert {split for splits in sides.values() for split in splits} == {"train", "val"}


def test_an_export_goes_on_writes_nothing_twice_and_forgets_what_is_not_in_it_any_more(
    desk: Desk, environment: dict[str, str], tmp_path: Path
) -> None:
    fill(desk, 10)
    target = tmp_path / "labels"
    export(environment, target)
    before = {path: path.stat().st_mtime_ns for path in target.rglob("*.jpg")}
    assert len(before) == 10
    lost = min(before)
    lost.unlink()
    stale = target / "images" / "train" / f"{'0' * 64}.jpg"
    stale.write_bytes(b"of an image that is not part of it")
    desk.say(desk.picture(jpeg(100, 64, 48)), PASS)
    done = export(environment, target)
    after = {path: path.stat().st_mtime_ns for path in target.rglob("*.jpg")}
    assert len(after) == 11
    assert all(after[path] == at for path, at in before.items() if path != lost)
    assert done["removed"] == 1
    # The lost picture, the new one with its label, and the two pages about all of them.
    assert done["written"] == 5


def test_classes_and_limit_narrow_it_and_what_is_no_damage_is_refused(
    desk: Desk, environment: dict[str, str], tmp_path: Path
) -> None:
    desk.say(desk.picture(jpeg(1), seen=("hole",)), Decision(Choice.FAIL, "hole"))
    newest = desk.say(desk.picture(jpeg(2)), FAIL)
    done = export(environment, tmp_path / "dents", "--classes", "dent")
    assert (done["classes"], done["left_out"]) == (["dent"], {"the damage is of a class that is not wanted": 1})
    export(environment, tmp_path / "one", "--limit", "1")
    assert list(provenance(tmp_path / "one")) == [str(newest.image_id)]
    assert export(environment, tmp_path / "none", "--until", "2020-01-01")["images"] == {}
    for options, message in (
        (["--classes", "carton"], "carton is no damage"),
        (["--format", "voc"], "there are yolo, coco, folders"),
        (["--facility", "elsewhere"], "nothing was decided at elsewhere"),
        (["--since", "soon"], "a duration is written as"),
    ):
        failed = CliRunner().invoke(app, ["labels", "export", str(tmp_path / "no"), *options], env=environment)
        assert message in str(failed.exception)


def test_every_export_is_in_the_audit(desk: Desk, environment: dict[str, str], tmp_path: Path) -> None:
    desk.say(desk.picture(jpeg(1)), FAIL)
    export(environment, tmp_path / "labels", "--by", "Ben")
    listed = CliRunner().invoke(app, ["audit", "list", "--json"], env=environment)
    assert "labels.exported" in listed.output


def test_real_pictures_come_back_as_they_were_and_thresholds_can_be_calibrated_with_them(
    desk: Desk, environment: dict[str, str], tmp_path: Path
) -> None:
    photos = shared_data("package_damage")
    for kind, decision in (("damaged", FAIL), ("intact", PASS)):
        for file in sorted((photos / kind).rglob("*.jpg"))[:12]:
            desk.say(desk.picture(file.read_bytes(), seen=("carton",)), decision)
    target = tmp_path / "labels"
    done = export(environment, target, "--format", "folders")
    originals = {path.read_bytes() for path in photos.rglob("*.jpg")}
    assert all(path.read_bytes() in originals for path in target.rglob("*.jpg"))
    arguments = ["calibrate", "--labels", str(target), "--out", str(tmp_path / "report"), "--json"]
    rates = ["--miss-rate", "0.5", "--false-alarm-rate", "0.5"]
    found = CliRunner().invoke(app, [*arguments, *rates], env=environment)
    # Rates that even a starter which has never seen a photograph can promise with these few.
    assert found.exit_code == 0, found.output + str(found.exception)
    assert "these labels come from the review desk" in found.stderr
    measured = CliRunner().invoke(app, ["evaluate", "--labels", str(target), "--json"], env=environment)
    report = json.loads(measured.stdout[measured.stdout.index("{\n") :])
    assert report["data"]["images"] == sum(done["images"].values())
    assert report["data"]["damaged"] == done["verdicts"]["fail"]
