"""Files made to break decoders, through the API of a real box."""

import json
from typing import Any

from tests.support.box import RunningBox
from tests.support.pictures import shared_data

_TYPES = {".jpg": "image/jpeg", ".png": "image/png"}


def both_load(entry: dict[str, Any]) -> bool:
    return entry["load"] == "ok" and isinstance(entry["cv2"], list)


def within_limits(entry: dict[str, Any]) -> bool:
    return entry.get("format") in ("JPEG", "PNG") and min(entry["size"]) >= 32 and entry["mode"] != "CMYK"


def test_every_nasty_file_ends_in_a_stated_way_and_nothing_undecodable_passes(box: RunningBox) -> None:
    folder = shared_data("nasty")
    entries = json.loads((folder / "manifest.json").read_text("utf-8"))
    accepted: dict[str, str] = {}
    refused: dict[str, str] = {}
    for entry in entries:
        file = folder / entry["file"]
        answer = box.upload(file.read_bytes(), _TYPES.get(file.suffix, "image/jpeg"))
        assert answer.status_code < 500, (entry["file"], answer.text)
        if answer.status_code == 202:
            accepted[entry["file"]] = answer.json()["id"]
        else:
            assert answer.headers["content-type"] == "application/problem+json"
            refused[entry["file"]] = answer.json()["type"].rpartition("/")[2]
    with box.client() as client:
        assert client.get("/healthz").status_code == 200

    outcomes = {name: box.outcome(image_id) for name, image_id in accepted.items()}
    by_name = {entry["file"]: entry for entry in entries}
    for name, entry in by_name.items():
        if both_load(entry) and within_limits(entry):
            assert name in outcomes, f"{name} was refused: {refused.get(name)}"
            assert outcomes[name]["state"] == "decided", (name, outcomes[name]["reason"])
    for name, record in outcomes.items():
        assert record["state"] in ("decided", "rejected"), (name, record)
        if by_name[name]["load"] != "ok" and not isinstance(by_name[name]["cv2"], list):
            assert record["verdict"] is None, f"{name} passed though no decoder loads it"
    assert len(outcomes) >= 10
    assert len(refused) >= 20
