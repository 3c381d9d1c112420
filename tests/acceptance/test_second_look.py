"""A box whose policy leaves the starter model in doubt: it looks again, and says what both looks saw."""

import json
from pathlib import Path

from tests.support.box import running_box
from tests.support.doubts import make_doubtful


def inside(boxes: list[list[float]], region: list[int]) -> bool:
    left, top, right, bottom = region
    return all(left - 1 <= x1 <= x2 <= right + 1 and top - 1 <= y1 <= y2 <= bottom + 1 for x1, y1, x2, y2 in boxes)


def test_a_doubt_is_looked_at_again_and_the_outcome_tells_of_both_looks(tmp_path: Path) -> None:
    with running_box(tmp_path / "data") as box:
        record = make_doubtful(box, tmp_path / "policy.yaml")
        simulated = json.loads(box.run("policy", "simulate", str(tmp_path / "policy.yaml"), "--json"))
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
