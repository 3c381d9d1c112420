"""What docker-compose.yml says, run as plain processes: its commands, environment, order and health checks."""

import hashlib
import json
from pathlib import Path

import httpx
import pytest

from framegate.kernel.states import Stage
from framegate.starter import sample_frames
from tests.support.box import until
from tests.support.compose import services
from tests.support.topology import Topology, running_topology

VARIABLES = {"POSTGRES_PASSWORD": "pw", "FRAMEGATE_PEPPER": "pepper", "GRAFANA_PASSWORD": "pw"}
#: No package that a test could install brings these two.
_ELSEWHERE = ("prometheus", "alertmanager", "grafana")


def upload_to_the_bucket(client: httpx.Client, frame: Path) -> str:
    """With a form, past the API. It is taken in when the bucket's event arrives."""
    data = frame.read_bytes()
    announced = {"camera": "dock-3", "media_type": "image/jpeg", "size_bytes": len(data)}
    answer = client.post("/v1/uploads", json={**announced, "sha256": hashlib.sha256(data).hexdigest()})
    assert answer.status_code == 201, answer.text
    (upload,) = answer.json()["uploads"]
    httpx.post(
        upload["url"], data=upload["fields"], files={"file": data}, timeout=30, trust_env=False
    ).raise_for_status()
    until(lambda: client.get(f"/v1/images/{upload['id']}").status_code == 200, 60, "the event of the bucket")
    return str(upload["id"])


def upload_all(topology: Topology, frames: list[Path]) -> list[dict[str, str]]:
    """The records of the frames, once each has an outcome. The first goes to the bucket, which tells of it."""
    (ingest,) = topology.running["ingest"]
    key = ingest.execute("framegate", "keys", "create", "--name", "dock-3").strip()
    url, headers = f"http://127.0.0.1:{ingest.ports[8080]}", {"Authorization": f"Bearer {key}"}
    with httpx.Client(base_url=url, headers=headers, timeout=30, trust_env=False) as client:
        accepted = [upload_to_the_bucket(client, frames[0])]
        for frame in frames[1:]:
            answer = client.post(
                "/v1/images",
                content=frame.read_bytes(),
                headers={"Content-Type": "image/jpeg"},
                params={"camera": "dock-3"},
            )
            assert answer.status_code == 202, answer.text
            accepted.append(answer.json()["id"])

        def records() -> list[dict[str, str]] | None:
            found = [client.get(f"/v1/images/{image}").raise_for_status().json() for image in accepted]
            return found if all(record["state"] in ("decided", "rejected", "failed") for record in found) else None

        found: list[dict[str, str]] = until(records, 120, "an outcome of every frame")
        return found


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_the_services_of_the_compose_file_inspect_images_and_stop_in_good_order(
    empty_database_url: str, tmp_path: Path
) -> None:
    chosen = {name: service for name, service in services(VARIABLES, ["cpu"]).items() if name not in _ELSEWHERE}
    with running_topology(chosen, empty_database_url, tmp_path) as topology:
        assert len(topology.running["preprocess"]) == 2
        frames = sample_frames()[:8]
        records = upload_all(topology, frames)
        assert [record["state"] for record in records] == ["decided"] * len(frames)
        assert len({record["id"] for record in records}) == len(frames)
        assert {record["model"].partition("@")[0] for record in records} == {"carton"}
        for group in topology.running.values():
            for running in group:
                if running.service.stage:
                    port = running.ports[9100]
                    metrics = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=10, trust_env=False)
                    assert "framegate_" in metrics.raise_for_status().text, running.service.name
        (ingest,) = topology.running["ingest"]
        verified = json.loads(ingest.execute("framegate", "verify", "--json"))
        assert verified["holds"]
        assert (verified["accepted"], verified["decided"]) == (len(frames), len(frames))
        codes = topology.stop(within_s=25)
        assert codes == dict.fromkeys(codes, 0)
        assert len(codes) == len(Stage) + 1, "each stage, and preprocess twice"
