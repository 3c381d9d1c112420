"""What a whole box writes while everything goes wrong: in the vocabulary, kept, and without one secret."""

import itertools
import json
import re
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from framegate.adapters.embedded_postgres import EmbeddedPostgres
from framegate.adapters.embedded_postgres.cluster import read_password
from framegate.adapters.postgres import Database, PostgresQueue
from framegate.box.logfiles import log_files
from framegate.observability.actions import ACTION_NAMES
from framegate.observability.fields import FIELD_NAMES
from framegate.starter import sample_frames
from tests.support.box import RunningBox, until
from tests.support.jpegs import commented
from tests.support.receivers import ReceiverServer, answering

_CSRF = re.compile(r'name="csrf" value="([0-9a-f]{64})"')
_PEPPER = "canary pepper of the box"
_AWS = "canary/secret/access/key/of/the/bucket00"
_SLACK = "canaryOfSlackXXXXXXXXXXX"
_PASSWORD = "canary of a password"
_WRONG = "canary of a wrong password"


class Canaries:
    """Secrets, and everything that a box says where they must not be."""

    def __init__(self) -> None:
        self.secrets = {_PEPPER, _AWS, _SLACK, _PASSWORD, _WRONG}
        self.signing: set[str] = set()
        self.said: list[str] = []

    def note(self, answer: httpx.Response) -> httpx.Response:
        self.said.append(f"{answer.headers} {answer.text}")
        return answer


@pytest.fixture
def receiver() -> Iterator[ReceiverServer]:
    server = ReceiverServer()
    server.behaviour = answering(500)
    yield server
    server.close()


@pytest.fixture
def running(tmp_path: Path, receiver: ReceiverServer) -> Iterator[RunningBox]:
    made = RunningBox(
        tmp_path / "box",
        FRAMEGATE_HOOKS__ALLOW=f"http://127.0.0.1:{receiver.port}",
        FRAMEGATE_PEPPER=_PEPPER,
        AWS_SECRET_ACCESS_KEY=_AWS,
        FRAMEGATE_LOG_LEVEL="DEBUG",
    )
    made.start()
    yield made
    made.stop()


def kept(box: RunningBox) -> list[dict[str, Any]]:
    return [json.loads(line) for file in log_files(box.data) for line in file.read_text("utf-8").splitlines()]


def wrote(box: RunningBox, action: str) -> int:
    return sum(line["action"] == action for line in kept(box))


def log_in_and_fail(box: RunningBox, canaries: Canaries) -> None:
    token = (box.data / "secrets" / "first-login").read_text("ascii").strip().rpartition("/")[2]
    canaries.secrets.add(token)
    with httpx.Client(base_url=box.url, timeout=20, trust_env=False) as browser:

        def submit(form: str, **fields: str) -> httpx.Response:
            found = _CSRF.search(browser.get(form).text)
            assert found is not None
            return browser.post(form, data={"csrf": found[1], **fields})

        assert submit(f"/invite/{token}", password=_PASSWORD, again=_PASSWORD).status_code == 303
        assert canaries.note(submit("/login", name="admin", password=_WRONG)).status_code == 403
        assert canaries.note(browser.get(f"/invite/{token}")).status_code == 404
        assert submit("/login", name="admin", password=_PASSWORD).status_code == 303
        canaries.secrets |= {cookie.value for cookie in browser.cookies.jar if cookie.value}


def upload_badly(box: RunningBox, canaries: Canaries) -> None:
    torn = sample_frames()[0].read_bytes()[:9000]
    for content, kind in ((b"no picture", "image/jpeg"), (torn, "image/jpeg"), (b"x", "text/html")):
        assert canaries.note(box.upload(content, kind)).status_code in (400, 415, 422)
    with httpx.Client(base_url=box.url, timeout=20, trust_env=False) as stranger:
        for name, value in (("Authorization", "Bearer {}x"), ("Authorization", "Basic {}"), ("Cookie", "framegate={}")):
            answer = stranger.get("/v1/images", headers={name: value.format(box.key)})
            assert canaries.note(answer).status_code == 401
        assert canaries.note(stranger.get(f"/v1/images/{quote(box.key)}?key={box.key}")).status_code in (401, 404, 422)


def put_secrets_into_the_queue(box: RunningBox, canaries: Canaries) -> int:
    """What nobody can read is dead, and the log quotes it: the way of a foreign text into a line."""
    url = EmbeddedPostgres(box.data).attach()
    assert url is not None
    url_of_others = f"postgresql://others:{quote(_WRONG)}@db/x"
    quoted = [box.key, url, url_of_others, _AWS, f"https://chat.example/hooks/{_SLACK}"]
    quoted += [f"password='{_PASSWORD}'", f"whsec_{next(iter(canaries.signing))}"]
    database = Database(url)
    try:
        with closing(PostgresQueue(database, owner="test")) as queue:
            queue.send("frame-submitted-live", quoted)
    finally:
        database.close()
    return len(quoted)


def damaged(box: RunningBox) -> str:
    for n in itertools.count():
        data = commented(sample_frames()[n].read_bytes(), f"frame {n}")
        record = box.outcome(box.upload(data).json()["id"])
        if record["verdict"] == "fail":
            return str(record["id"])
    raise AssertionError


def let_the_database_die(box: RunningBox, canaries: Canaries) -> None:
    box.kill("postgres")

    def unavailable() -> bool:
        with suppress(httpx.HTTPError):
            return canaries.note(box.upload(sample_frames()[0].read_bytes())).status_code == 503
        return False

    with suppress(AssertionError):  # the supervisor may be faster
        until(unavailable, 3)
    until(box.is_ready, 60, "readiness after the database died")


@pytest.mark.slow
def test_a_box_in_trouble_writes_its_vocabulary_and_no_secret(running: RunningBox, receiver: ReceiverServer) -> None:
    canaries = Canaries()
    canaries.secrets |= {running.key[-49:-6], read_password(running.data / "postgres")}
    running.run("cameras", "add", "dock-1")
    signing = running.run("hooks", "add", "--url", f"http://127.0.0.1:{receiver.port}/alerts?token={_SLACK}").strip()
    running.run("hooks", "add", "--kind", "slack", "--url", f"http://127.0.0.1:{receiver.port}/services/T0/B0/{_SLACK}")
    canaries.signing.add(signing.removeprefix("whsec_"))
    canaries.secrets |= canaries.signing

    log_in_and_fail(running, canaries)
    upload_badly(running, canaries)
    image = damaged(running)
    until(lambda: wrote(running, "hook_attempt_failed") >= 2, what="an attempt at each receiver")
    dead = put_secrets_into_the_queue(running, canaries)
    until(lambda: wrote(running, "dead_lettered") == dead, what="dead letters")
    running.kill("preprocess")
    let_the_database_die(running, canaries)
    until(lambda: wrote(running, "child_died") and wrote(running, "database_died"), what="telling of two deaths")

    lines = kept(running)
    assert {line["action"] for line in lines} - ACTION_NAMES == set()
    assert {name for line in lines for name in line} - FIELD_NAMES == set()
    scraped = json.loads((running.data / "prometheus" / "targets.json").read_text("utf-8"))
    for base in (running.url, *(f"http://{address}" for target in scraped for address in target["targets"])):
        for path in ("/metrics", "/healthz", "/readyz", "/v1/nothing"):
            with suppress(httpx.HTTPError):  # of the process that was killed
                canaries.note(httpx.get(base + path, trust_env=False, timeout=5))

    story = running.run("logs", image)
    assert "received" in story
    assert "a receiver was not told" in story
    assert story.index("received") < story.index("incident.opened") < story.index("a receiver was not told")
    told = running.run("logs", image, "--json").splitlines()
    assert {"image", "hook"} <= {json.loads(line)["component"] for line in told}
    assert "database_died" in running.run("logs", "--level", "warning")

    everything = [*canaries.said, story, running.log.read_text("utf-8"), json.dumps(lines, ensure_ascii=False)]
    found = {secret for secret in canaries.secrets for text in everything if secret in text or quote(secret) in text}
    assert found == set()
