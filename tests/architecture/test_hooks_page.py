"""What docs/hooks.md tells receivers is so."""

import json
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from framegate.adapters.hook_http import client, resolving, urls
from framegate.kernel import redelivery
from framegate.kernel.addresses import parse_allow
from framegate.kernel.webhooks import TOLERANCE_S, sign
from framegate.ports import hooks
from tests.support.receivers import new_secret

PAGE = (Path(__file__).parents[2] / "docs" / "hooks.md").read_text("utf-8")
BODY = '{"type": "incident.opened", "text": "Törn"}\n'.encode()
_UNITS = {"s": 1, "min": 60, "h": 3600}


def block(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return str(found)


def python_says(secret: str, headers: dict[str, str], body: bytes, _directory: Path) -> bool:
    names: dict[str, Any] = {}
    exec(block("python"), names)  # noqa: S102
    return bool(names["verify"](secret, headers, body))


def node_says(secret: str, headers: dict[str, str], body: bytes, directory: Path) -> bool:
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no node on this machine")
    (directory / "body.json").write_bytes(body)
    call = f"verify({json.dumps(secret)}, {json.dumps(headers)}, require('node:fs').readFileSync('body.json'))"
    done = subprocess.run(
        [node, "-e", f"{block('js')}\nconsole.log({call})"], cwd=directory, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.strip() in ("true", "false"), done.stderr
    return done.stdout.strip() == "true"


def shell_says(secret: str, headers: dict[str, str], body: bytes, directory: Path) -> bool:
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl on this machine")
    (directory / "body.json").write_bytes(body)
    given = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "SECRET": secret,
        "ID": headers["webhook-id"],
        "TIMESTAMP": headers["webhook-timestamp"],
        "SIGNATURE": headers["webhook-signature"],
    }
    done = subprocess.run(
        ["sh", "-euc", block("sh")], cwd=directory, env=given, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.startswith(("valid\n", "invalid, expected v1,")), done.stderr
    return done.stdout == "valid\n"


def signed(*secrets: str, at: int | None = None) -> dict[str, str]:
    timestamp = int(time.time()) if at is None else at
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(timestamp),
        "webhook-signature": sign(secrets, "msg_1", timestamp, BODY),
    }


@pytest.mark.parametrize("says", [python_says, node_says, shell_says])
def test_the_example_tells_our_signatures_from_others(says, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    old, new, other = new_secret(), new_secret(), new_secret()
    assert says(old, signed(old), BODY, tmp_path)
    assert says(old, signed(new, old), BODY, tmp_path), "either of two signatures is enough"
    assert not says(other, signed(new, old), BODY, tmp_path)
    assert not says(old, signed(old), BODY + b" ", tmp_path)
    assert not says(old, signed(old) | {"webhook-id": "msg_2"}, BODY, tmp_path)


@pytest.mark.parametrize("says", [python_says, node_says])
def test_the_example_refuses_old_requests(says, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    secret, now = new_secret(), int(time.time())
    assert says(secret, signed(secret, at=now - TOLERANCE_S + 60), BODY, tmp_path)
    for away in (-TOLERANCE_S - 60, TOLERANCE_S + 60):
        assert not says(secret, signed(secret, at=now + away), BODY, tmp_path)


def test_the_table_of_tries_is_the_schedule() -> None:
    rows = re.findall(r"^\| (\d+) \| (at once|\d+ \w+) \|$", PAGE, re.MULTILINE)
    told = [0 if text == "at once" else int(text.split()[0]) * _UNITS[text.split()[1]] for _, text in rows]
    assert [int(number) for number, _ in rows] == list(range(1, len(redelivery.SCHEDULE_S) + 1))
    assert tuple(told) == redelivery.SCHEDULE_S


@pytest.mark.parametrize(
    ("sentence", "holds"),
    [
        ("at most 20 kB", hooks.MAX_PAYLOAD_BYTES == 20_000),
        ("a try has 15 seconds", hooks.DEADLINE_S == 15),
        ("at most 64 kB of it", client.MAX_ANSWER_BYTES == 64 * 1024),
        ("for a\nsecond", client.BODY_S == 1),
        ("for up to 24 hours", redelivery.LONGEST_RETRY_AFTER_S == 24 * 3600),
        ("±20 %", redelivery.JITTER == 0.2),
        ("three days and four hours", round(sum(redelivery.SCHEDULE_S) / 3600) == 76),
        ("at least 10 tries failed", redelivery.DISABLE_FAILURES == 10),
        ("for five days", redelivery.DISABLE_AFTER.days == 5),
        ("12 hours lie between", redelivery.DISABLE_SPAN.total_seconds() == 12 * 3600),
        ("within 3 seconds", resolving.RESOLVE_S == 3),
        ("over 2,048 characters", urls.MAX_URL_CHARS == 2048),
        ("five minutes away", TOLERANCE_S == 300),
    ],
)
def test_every_number_on_the_page_is_that_of_the_code(sentence: str, holds: bool) -> None:
    assert sentence in PAGE
    assert holds


def test_every_entry_on_the_page_is_one_that_the_setting_takes() -> None:
    table = PAGE.partition("| entry | opens |")[2].partition("\n\n")[0]
    entries = re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)
    assert len(entries) == 6
    for entry in entries:
        assert len(parse_allow(entry).openings) == 1
    parse_allow("64:ff9b::/96")


def test_every_kind_has_its_row() -> None:
    assert re.findall(r"^\| `(\w+)` \| .*(?:URL|ARN)", PAGE, re.MULTILINE) == [kind.value for kind in hooks.HookKind]
