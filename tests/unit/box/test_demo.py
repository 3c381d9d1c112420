import io
import threading
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from framegate.box.box import check_port, child_specs
from framegate.box.client import RefusedUpload
from framegate.box.demo import Shot, _refresh, _shots, _table, _upload
from framegate.kernel.errors import ConfigurationError, DependencyUnavailable
from framegate.settings import ApiSettings, Settings


class FakeApi:
    """Answers as it is told."""

    def __init__(self) -> None:
        self.error: Exception | None = None

    def submit(self, *_: object, **__: object) -> dict[str, Any]:
        if self.error:
            raise self.error
        return {"id": "image-1"}

    def image(self, _: str) -> dict[str, Any]:
        if self.error:
            raise self.error
        return {"state": "decided"}


@pytest.fixture
def api() -> Any:
    return FakeApi()


def test_a_folder_without_pictures_is_refused_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no \\.jpg"):
        _shots(tmp_path)


def test_a_picture_that_vanished_is_told_and_does_not_end_the_demo(api: Any, tmp_path: Path) -> None:
    shot = Shot(tmp_path / "gone.jpg", "dock-1")
    _upload(api, shot, threading.Event())
    assert "cannot be read" in shot.refused


def test_a_refused_picture_has_its_end(api: Any, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"x")
    api.error = RefusedUpload("422 [/] no")
    shot = Shot(tmp_path / "a.jpg", "dock-1")
    _upload(api, shot, threading.Event())
    assert shot.ended


def test_an_upload_that_never_succeeds_ends_with_the_demo_s_patience(
    api: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.jpg").write_bytes(b"x")
    monkeypatch.setattr("framegate.box.demo._UPLOAD_S", 0.0)
    api.error = DependencyUnavailable("503 storage-unavailable")
    shot = Shot(tmp_path / "a.jpg", "dock-1")
    _upload(api, shot, threading.Event())
    assert not shot.ended
    assert "storage-unavailable" in shot.trouble


def test_a_box_that_does_not_answer_for_a_moment_is_asked_again(api: Any) -> None:
    shot = Shot(Path("a.jpg"), "dock-1", image_id="image-1")
    api.error = DependencyUnavailable("restarting")
    assert _refresh(api, [shot]) == 0
    api.error = None
    assert _refresh(api, [shot]) == 1


def test_names_and_answers_are_shown_as_they_are() -> None:
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    shots = [Shot(Path("caf\udce9 [red].jpg"), "dock-1", refused="422: unexpected [/] in [b]name")]
    Console(file=terminal, width=200).print(_table(shots))
    terminal.seek(0)
    text = terminal.read()
    assert "[red].jpg" in text
    assert "unexpected [/] in [b]name" in text


def test_the_api_of_a_box_gets_the_settings_of_the_box(tmp_path: Path) -> None:
    settings = Settings().model_copy(update={"api": ApiSettings(port=4711, host="127.0.0.1", min_free_mb=64)})
    (api,) = (spec for spec in child_specs(settings, tmp_path, "postgresql:///x") if spec.name == "api")
    read = {k: v for k, v in api.environment.items() if k.startswith("FRAMEGATE_API__")}
    assert read["FRAMEGATE_API__MIN_FREE_MB"] == "64"
    assert read["FRAMEGATE_API__PORT"] == "4711"


def test_no_child_carries_a_secret_in_its_arguments(tmp_path: Path) -> None:
    for spec in child_specs(Settings(), tmp_path, "postgresql://user:hunter2@host/x"):
        assert not any("hunter2" in argument for argument in spec.arguments)


def test_an_address_of_ip_version_6_can_be_listened_on() -> None:
    check_port("::1", 0)


def test_a_port_that_cannot_exist_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError, match="70000"):
        check_port("127.0.0.1", 70000)
