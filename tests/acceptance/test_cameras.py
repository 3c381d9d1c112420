"""A camera that freezes, as the people at the dock see it."""

import json
import time
from itertools import count, islice
from typing import Any

from framegate.starter import sample_frames
from tests.support.box import RunningBox, until
from tests.support.jpegs import commented

CAMERA = "dock-frozen"


def sees(box: RunningBox, data: bytes) -> dict[str, Any]:
    return box.outcome(box.upload(data, camera=CAMERA).json()["id"])


def faults(box: RunningBox) -> list[str]:
    (found,) = [one["faults"] for one in json.loads(box.run("cameras", "list", "--json")) if one["id"] == CAMERA]
    return list(found)


def incident(box: RunningBox) -> dict[str, Any]:
    found = json.loads(box.run("incidents", "list", "--all", "--json"))
    (one,) = [one for one in found if (one["rule"], one["subject"]) == ("camera", f"camera/{CAMERA}")]
    return dict(one)


def test_a_frozen_camera_passes_nothing_until_it_sees_again(box: RunningBox) -> None:
    box.run("cameras", "add", CAMERA)
    frames = (path.read_bytes() for path in sample_frames())
    clear = list(islice((frame for frame in frames if sees(box, frame)["verdict"] == "pass"), 4))

    for _ in range(10):
        copied = sees(box, clear[0])
        time.sleep(0.15)  # it is frozen only if that lasts
    assert copied["verdict"] == "pass"
    until(lambda: sees(box, clear[0])["reason"] == "camera-fault", 30, "the fault")
    record = sees(box, commented(clear[1], "picture 1"))
    assert (record["verdict"], record["reason"]) == ("review", "camera-fault")
    assert record["detail"] == "its camera has a fault: frozen"
    assert faults(box) == ["frozen"]
    assert "frozen since 20" in box.run("cameras", "health", CAMERA)
    opened = incident(box)
    assert (opened["state"], opened["severity"]) == ("open", "critical")
    assert opened["summary"].startswith(f"{CAMERA} is frozen: the very same picture ")

    numbers = count(2)
    until(
        lambda: sees(box, commented(clear[(n := next(numbers)) % 4], f"picture {n}"))["verdict"] == "pass", 30, "a pass"
    )
    until(lambda: incident(box)["state"] == "resolved", 30, "the end of the incident")
    health = json.loads(box.run("cameras", "health", CAMERA, "--json"))
    assert (health["faults"], health["frames"] > 4) == ({}, True)
    box.run("cameras", "lift", CAMERA, "--by", "lead")
    learnt = json.loads(box.run("cameras", "health", CAMERA, "--json"))["frames"]
    assert learnt < health["frames"], "at most the images that were not looked at when the faults were lifted"
