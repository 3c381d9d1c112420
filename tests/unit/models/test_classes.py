from pathlib import Path

import pytest

from framegate.kernel.errors import ModelRefused
from framegate.models.classes import read_classes


def written(tmp_path: Path, data: bytes) -> Path:
    file = tmp_path / "classes.txt"
    file.write_bytes(data)
    return file


def test_a_byte_order_mark_crlf_comments_and_empty_lines_do_no_harm(tmp_path: Path) -> None:
    file = written(tmp_path, b"\xef\xbb\xbf# dock 3\r\nhole\r\n\r\n  wet spot \r\n# more\r\n\xc3\xa9tiquette\r\n")
    assert read_classes(file) == ("hole", "wet spot", "étiquette")


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "holds no class names"),
        (b"\xef\xbb\xbf\r\n# nothing\r\n", "holds no class names"),
        (b"hole\ntear\n\nhole\n", "line 4: 'hole' stands in line 1 already"),
        (b"h\xf6le\n", "not text in UTF-8"),
        (b"hole\nte\x00ar\n", "line 2: .* cannot be shown"),
    ],
)
def test_a_bad_list_is_refused_with_its_file_and_line(tmp_path: Path, data: bytes, complaint: str) -> None:
    with pytest.raises(ModelRefused, match=rf"classes\.txt.*{complaint}"):
        read_classes(written(tmp_path, data))


def test_a_list_that_is_not_there_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ModelRefused, match=r"cannot read the class names in .*absent\.txt"):
        read_classes(tmp_path / "absent.txt")
