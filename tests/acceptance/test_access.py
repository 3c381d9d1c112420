"""The first people of a new box: from the file that only its owner can read to a page in a browser."""

import re
import stat
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.box import RunningBox

PASSWORD = "seven quiet forklifts"
OTHER = "nine crates of lemons"
_CSRF = re.compile(r'name="csrf" value="([0-9a-f]{64})"')


@pytest.fixture
def running(tmp_path: Path) -> Iterator[RunningBox]:
    made = RunningBox(tmp_path / "box")
    made.start()
    yield made
    made.stop()


def submit(browser: httpx.Client, form: str, **fields: str) -> httpx.Response:
    found = _CSRF.search(browser.get(form).text)
    assert found is not None
    return browser.post(form, data={"csrf": found[1], **fields})


def log_in(browser: httpx.Client, name: str, password: str) -> httpx.Response:
    return submit(browser, "/login", name=name, password=password)


@pytest.mark.slow
def test_the_first_administrator_comes_by_a_file_and_lets_others_in(running: RunningBox) -> None:
    file = running.data / "secrets" / "first-login"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    link = file.read_text("ascii").strip()
    token = link.rpartition("/")[2]
    assert link == f"{running.url}/invite/{token}"
    assert token not in running.log.read_text("utf-8")
    assert str(file) in running.log.read_text("utf-8").replace("\n", "")
    with httpx.Client(base_url=running.url, timeout=20, trust_env=False) as browser:
        assert log_in(browser, "admin", "").status_code == 403
        assert submit(browser, f"/invite/{token}", password=PASSWORD, again=PASSWORD).status_code == 303
        assert browser.get(f"/invite/{token}").status_code == 404
        assert browser.get("/me").headers["location"] == "/login?next=%2Fme"
        assert log_in(browser, "admin", PASSWORD).headers["location"] == "/"
        page = browser.get("/me")
        assert "<h1>admin</h1>" in page.text
        assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
        assert browser.get("/v1/images").status_code == 200
        assert browser.post("/v1/hooks", json={}).json()["type"] == "/problems/csrf-token-invalid"

        # The next start finds somebody who can log in.
        assert running.stop() == 0
        running.start()
        assert not file.exists()
        assert browser.get("/me").status_code == 200

        running.run("people", "add", "anna", "--role", "viewer", "--password-stdin", stdin=f"{OTHER}\n")
        with httpx.Client(base_url=running.url, timeout=20, trust_env=False) as annas:
            assert log_in(annas, "anna", OTHER).status_code == 303
            running.run("people", "disable", "anna")
            assert annas.get("/me").status_code == 303
            assert log_in(annas, "anna", OTHER).status_code == 403
    for secret in (PASSWORD, OTHER, token):
        assert secret not in running.log.read_text("utf-8")
