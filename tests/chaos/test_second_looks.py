"""`kill -9` while images are looked at twice: each is decided once, by both looks."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.chaos.test_kills import fast
from tests.support.box import RunningBox, running_box, until
from tests.support.doubts import frame, make_doubtful

IMAGES = 48


def send(box: RunningBox, number: int) -> str:
    """Until it is told 202; returns the id."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            answer = box.upload(frame(number), headers={"Idempotency-Key": f"doubt-{number}"})
        except httpx.HTTPError:
            time.sleep(0.1)
            continue
        if answer.status_code == 202:
            return str(answer.json()["id"])
        time.sleep(0.1)
    raise AssertionError(f"image {number} was not taken")


def quiet(box: RunningBox) -> bool:
    """Whether nothing is on its way any more; the API may be away for a while with its database."""
    try:
        return box.in_flight() == 0
    except httpx.HTTPError:
        return False


@pytest.mark.timeout(400)
def test_whatever_dies_between_two_looks_no_image_is_lost_or_decided_by_one_of_them(tmp_path: Path) -> None:
    with running_box(tmp_path / "data", **fast()) as box:
        make_doubtful(box, tmp_path / "policy.yaml")
        with ThreadPoolExecutor(4) as pool:
            uploads = [pool.submit(send, box, number) for number in range(IMAGES)]
            for n, name in enumerate(("preprocess", "gate", "inference-0", "decoder", "gate", "postgres")):
                until(lambda goal=6 * (n + 1): sum(one.done() for one in uploads) >= goal, 120, "uploads")
                box.kill(name)
            ids = [one.result() for one in uploads]
        until(lambda: quiet(box), 120, "every outcome")
        records = [box.outcome(image) for image in ids]
        report = json.loads(box.run("verify", "--json", ok=False))
        assert report["holds"], report
        assert (report["in_flight"], report["failed"]) == (0, 0)
    assert len(set(ids)) == IMAGES
    assert {record["state"] for record in records} == {"decided"}
    for record in records:
        first, second = record["looks"]
        assert (first["region"], first["model"], second["model"]) == (None, record["model"], record["model"])
        assert second["region"] is not None
        assert "look" in record["detail"]
