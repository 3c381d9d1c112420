"""The real processes, used as a camera integrator uses them."""

import hashlib
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from framegate.starter import sample_frames
from tests.support.box import RunningBox, until
from tests.support.pictures import cut_in_mid_scan, jpeg, png


def test_an_upload_gets_a_verdict_that_explains_itself(box: RunningBox) -> None:
    data = sample_frames()[0].read_bytes()
    answer = box.upload(data, shipment="4711")
    assert answer.status_code == 202
    image_id = answer.json()["id"]
    assert answer.headers["location"].endswith(f"/v1/images/{image_id}")
    record = box.outcome(image_id)
    assert record["state"] == "decided"
    assert record["verdict"] in ("pass", "fail", "review")
    assert record["model"].startswith("carton@")
    assert record["engine"].startswith("openvino")
    assert record["policy"] == 1
    assert record["quality"]["sharpness"] > 0
    assert record["attempts"] == 0 or record["attempts"] >= 1
    assert record["timings"]["accept_to_verdict_ms"] > 0
    with box.client() as client:
        content = client.get(f"/v1/images/{image_id}/content")
        assert hashlib.sha256(content.content).digest() == hashlib.sha256(data).digest()
        drawn = client.get(f"/v1/images/{image_id}/content", params={"boxes": "1"})
        assert drawn.headers["content-type"] == "image/jpeg"


def test_a_png_is_inspected_too(box: RunningBox) -> None:
    assert box.outcome(box.upload(png(1), "image/png").json()["id"])["state"] == "decided"


def test_the_same_bytes_again_reuse_the_result_and_say_so(box: RunningBox) -> None:
    data = jpeg(2)
    first = box.upload(data).json()["id"]
    box.outcome(first)
    again = box.upload(data).json()
    assert again["id"] != first
    assert again["duplicate_of"] == first
    assert again["state"] == "decided"
    record = box.outcome(again["id"])
    assert record["reused_from"] == first
    assert record["verdict"] == box.outcome(first)["verdict"]


def test_a_repeated_idempotency_key_replays_and_another_request_under_it_is_refused(box: RunningBox) -> None:
    headers = {"Idempotency-Key": "camera-3-frame-17"}
    first = box.upload(jpeg(3), headers=headers)
    again = box.upload(jpeg(3), headers=headers)
    assert again.status_code == first.status_code == 202
    assert again.json()["id"] == first.json()["id"]
    assert again.headers["idempotency-replayed"] == "true"
    other = box.upload(jpeg(4), headers=headers)
    assert other.status_code == 422
    assert other.headers["content-type"] == "application/problem+json"
    assert other.json()["type"].endswith("idempotency-key-reused")


def test_a_truncated_jpeg_without_its_end_is_refused_and_with_its_end_rejected(box: RunningBox) -> None:
    whole = jpeg(5, 640, 480)
    refused = box.upload(whole[: len(whole) // 2])
    assert refused.status_code == 422
    assert refused.json()["type"].endswith("truncated-image")
    accepted = box.upload(cut_in_mid_scan(whole))
    assert accepted.status_code == 202
    record = box.outcome(accepted.json()["id"])
    assert (record["state"], record["verdict"]) == ("rejected", None)
    assert record["reason"] in ("truncated", "corrupt")


def test_an_unknown_camera_registers_itself_and_never_passes(box: RunningBox) -> None:
    record = box.outcome(box.upload(jpeg(6), camera="stranger").json()["id"])
    assert record["verdict"] in ("review", "fail")
    listed = json.loads(box.run("cameras", "list", "--json"))
    assert {c["id"]: c["status"] for c in listed}["stranger"] == "unconfirmed"


def test_nobody_gets_in_without_a_key(box: RunningBox) -> None:
    assert httpx.post(f"{box.url}/v1/images", content=b"x").status_code == 401
    assert httpx.get(f"{box.url}/v1/images").headers["www-authenticate"].startswith("Bearer")


def test_submit_sends_a_folder_and_watch_shows_its_outcomes(box: RunningBox, tmp_path: Path) -> None:
    folder = tmp_path / "camera"
    folder.mkdir()
    for i in range(3):
        (folder / f"{i}.jpg").write_bytes(jpeg(100 + i))
    (folder / "notes.txt").write_text("not an image")
    # A facility of its own, as outcomes of other tests may still be on their way.
    key = box.run("keys", "create", "--name", "folder", "--scopes", "images:write,results:read", "--facility", "folder")
    environment = {**box.environment, "FRAMEGATE_URL": box.url, "FRAMEGATE_KEY": key.strip()}
    watching = subprocess.Popen(
        [sys.executable, "-m", "framegate", "watch", "--json", "--count", "3"],
        env=environment, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    time.sleep(2.5)  # watch tells no one when it has begun to listen
    submit = ["submit", str(folder), "--camera", "dock-1", "--spool", str(tmp_path / "spool")]
    command = [sys.executable, "-m", "framegate", *submit]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "3 accepted, 0 refused, 0 waiting" in done.stderr
    again = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert again.returncode == 0
    shown = watching.communicate(timeout=60)[0].splitlines()
    assert {line["id"] for line in map(json.loads, shown)} <= set(done.stderr.split())


def test_submit_spools_while_the_box_is_away_and_delivers_later(box: RunningBox, tmp_path: Path) -> None:
    picture = tmp_path / "late.jpg"
    picture.write_bytes(jpeg(200))
    spool = tmp_path / "spool"
    base = [sys.executable, "-m", "framegate", "submit", str(picture), "--key", box.key, "--spool", str(spool)]
    away = subprocess.Popen([*base, "--url", "http://127.0.0.1:9"], stderr=subprocess.DEVNULL)
    until(lambda: list(spool.glob("*.jpg")), what="a spooled file")
    away.send_signal(signal.SIGINT)
    assert away.wait(10) == 1
    picture.write_bytes(jpeg(201))
    done = subprocess.run([*base, "--url", box.url], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "2 accepted" in done.stderr
    assert list(spool.glob("*.jpg")) == []


def test_verify_holds_and_says_what_it_counted(box: RunningBox) -> None:
    box.outcome(box.upload(jpeg(7_000)).json()["id"])
    report = json.loads(box.run("verify", "--json"))
    assert report["holds"] is True
    assert report["lost"] == 0
    assert report["accepted"] == report["decided"] + report["rejected"] + report["failed"] + report["in_flight"]
    assert report["accepted"] >= 1
    assert {check["name"] for check in report["checks"]} >= {"originals"}


def test_verify_notices_an_original_that_changed(box: RunningBox) -> None:
    data = jpeg(7_001)
    box.outcome(box.upload(data).json()["id"])
    originals = (box.data / "blobs" / "originals").rglob("*.jpg")
    (original,) = (path for path in originals if path.read_bytes() == data)
    mode = original.stat().st_mode
    original.chmod(0o600)
    original.write_bytes(jpeg(7_002))
    try:
        report = json.loads(box.run("verify", "--json", ok=False))
    finally:
        original.write_bytes(data)
        original.chmod(mode)
    assert report["holds"] is False
    assert {c["name"]: c["violations"] for c in report["checks"]}["originals"] == 1


def test_metrics_are_served_but_not_to_the_public(box: RunningBox) -> None:
    assert httpx.get(f"{box.url}/metrics").status_code == 404
    assert "framegate_images_accepted_total" in box.metrics("api")


def test_a_second_box_on_the_same_directory_is_refused_with_the_pid_of_the_first(box: RunningBox) -> None:
    command = [sys.executable, "-m", "framegate", "up", "--data", str(box.data), "--port", "0"]
    done = subprocess.run(command, env=box.environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert box.process is not None
    assert str(box.process.pid) in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["up", "--model", "/nowhere/model.toml"], "there is no model"),
        (["verify", "--data", "/nowhere"], "there is no box"),
        (["keys", "create", "--name", "x", "--scopes", "images:eat", "--data", "/nowhere"], ""),
        (["run", "preprocess"], "DATABASE_URL"),
        (["demo", "--images", "/nowhere"], "not a directory"),
    ],
)
def test_a_wrong_command_is_one_line_that_says_what_to_do(arguments: list[str], words: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "framegate", *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert words in done.stderr
