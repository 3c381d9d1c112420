"""A box whose policy leaves the starter model in doubt: it looks again, and says what both looks saw."""

import json
from itertools import count
from pathlib import Path
from typing import Any

import yaml

from framegate.starter import sample_frames
from tests.support.box import running_box, until

#: The starter sees a hole, water and a dent in it.
DAMAGED = 11


def doubtful(document: dict[str, Any]) -> dict[str, Any]:
    """The same policy, in which nothing is certain and any doubt may be looked at again."""
    classes = {
        name: limits if limits["review"] is None else {"review": limits["review"], "fail": 0.99}
        for name, limits in document["classes"].items()
    }
    return {**document, "classes": classes, "second_look": {"max_share": 1, "clear_below": 0.05}}


def inside(boxes: list[list[float]], region: list[int]) -> bool:
    left, top, right, bottom = region
    return all(left - 1 <= x1 <= x2 <= right + 1 and top - 1 <= y1 <= y2 <= bottom + 1 for x1, y1, x2, y2 in boxes)


def test_a_doubt_is_looked_at_again_and_the_outcome_tells_of_both_looks(tmp_path: Path) -> None:
    frame, salts = sample_frames()[DAMAGED].read_bytes(), count()
    with running_box(tmp_path / "data") as box:
        box.run("cameras", "add", "dock-1")
        file = tmp_path / "policy.yaml"
        file.write_text(yaml.safe_dump(doubtful(yaml.safe_load(box.run("policy", "show")))))
        box.run("policy", "apply", str(file), "--by", "test")

        def decided() -> dict[str, Any] | None:
            """By the policy that was applied; with a comment of one byte, so that no earlier outcome is reused."""
            salted = frame[:2] + bytes([0xFF, 0xFE, 0, 3, next(salts)]) + frame[2:]
            record = box.outcome(box.upload(salted).json()["id"])
            return record if record["policy"] == 2 else None

        record = until(decided, what="a decision by the policy that was applied")
        simulated = json.loads(box.run("policy", "simulate", str(file), "--json"))
        box.run("verify")
    first, second = record["looks"]
    assert (record["state"], record["look"]) == ("decided", 2)
    assert record["verdict"] in ("pass", "review"), "nothing fails below 0.99"
    assert "look" in record["detail"]
    assert (first["region"], first["model"], second["model"]) == (None, record["model"], record["model"])
    assert "(review from" in first["said"]
    assert second["zoom"] > 1.25 * first["zoom"]
    left, top, right, bottom = region = second["region"]
    assert 0 <= left < right <= record["width"]
    assert 0 <= top < bottom <= record["height"]
    doubted = [one["box"] for one in first["seen"] if f"{one['class']} at {one['confidence']:.2f}" in first["said"]]
    assert doubted
    assert inside(doubted, region)
    assert inside([one["box"] for one in second["seen"]], region)
    cartons = [[one for one in seen if one["class"] == "carton"] for seen in (record["detections"], first["seen"])]
    assert cartons[0] == cartons[1] != [], "a carton is the whole frame's"
    assert record["prepared"]["letterbox"]["width"] == record["width"], "the frame is the first look's"
    assert simulated["second_looks"] == 1
