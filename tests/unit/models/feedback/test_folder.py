"""The folder of an export is ours alone, and what is right in it stays."""

import hashlib
from pathlib import Path

import pytest

from framegate.kernel.errors import ConfigurationError
from framegate.models.feedback.folder import MARKER, ExportFolder

PICTURE = f"images/train/{'ab' * 32}.jpg"


def test_a_folder_with_anything_else_in_it_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"mine")
    with pytest.raises(ConfigurationError, match=r"such as holiday\.jpg: name an empty or a new folder"):
        ExportFolder(tmp_path, {})
    assert [path.name for path in tmp_path.iterdir()] == ["holiday.jpg"]


def test_a_labelled_set_that_only_looks_like_ours_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data.yaml").write_text("names: [dent]")
    with pytest.raises(ConfigurationError, match="no labels of the review desk"):
        ExportFolder(tmp_path, {})


def test_a_stranger_among_ours_is_refused(tmp_path: Path) -> None:
    ExportFolder(tmp_path, {}).write(PICTURE, b"picture")
    (tmp_path / "images" / "notes.txt").write_text("do not lose")
    with pytest.raises(ConfigurationError, match=r"images/notes\.txt"):
        ExportFolder(tmp_path, {})


def test_an_export_with_other_options_is_refused(tmp_path: Path) -> None:
    ExportFolder(tmp_path, {"format": "yolo"})
    with pytest.raises(ConfigurationError, match="other options"):
        ExportFolder(tmp_path, {"format": "coco"})
    (tmp_path / MARKER).write_text("{")
    with pytest.raises(ConfigurationError, match="other options"):
        ExportFolder(tmp_path, {"format": "yolo"})


def test_a_file_that_is_right_stays_and_a_damaged_one_is_written_again(tmp_path: Path) -> None:
    ExportFolder(tmp_path, {}).write(PICTURE, b"picture")
    before = (tmp_path / PICTURE).stat().st_mtime_ns
    again = ExportFolder(tmp_path, {})
    again.write(PICTURE, b"picture")
    assert ((tmp_path / PICTURE).stat().st_mtime_ns, again.written) == (before, 0)
    (tmp_path / PICTURE).write_bytes(b"pict")
    third = ExportFolder(tmp_path, {})
    assert not third.has(PICTURE, hashlib.sha256(b"picture").hexdigest())
    third.write(PICTURE, b"picture")
    assert ((tmp_path / PICTURE).read_bytes(), third.written) == (b"picture", 1)


def test_what_is_not_part_of_the_export_any_more_goes_with_what_broke_off(tmp_path: Path) -> None:
    first = ExportFolder(tmp_path, {})
    first.write(PICTURE, b"picture")
    first.part(PICTURE).write_bytes(b"pic")
    again = ExportFolder(tmp_path, {})
    assert again.remove_others() == 2
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [MARKER]
