import subprocess
import sys

import pytest

from framegate.bootstrap import open_hooks
from framegate.environment import child_environment
from framegate.kernel.errors import ConfigurationError
from framegate.ports.hooks import HookKind, HookRefused
from framegate.settings import Settings


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FRAMEGATE_HOOKS__ALLOW", "FRAMEGATE_API__PORT", "FRAMEGATE_API__HOST"):
        monkeypatch.delenv(name, raising=False)


def test_by_default_nothing_on_the_premises_is_open() -> None:
    assert Settings.read().hooks.allowed.openings == ()


def test_the_operator_opens_receivers_on_the_premises(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRAMEGATE_HOOKS__ALLOW", "10.0.0.0/8, http://plc.local:8080")
    assert len(Settings.read().hooks.allowed.openings) == 2


def test_a_wrong_entry_is_named_with_its_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRAMEGATE_HOOKS__ALLOW", "10.0.0.0/8,10.0.0.1/8")
    with pytest.raises(ConfigurationError, match=r"FRAMEGATE_HOOKS__ALLOW is wrong.*'10\.0\.0\.1/8'.*host bits"):
        Settings.read()


def test_the_program_does_not_start_with_a_wrong_entry() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "framegate", "settings"],
        env=child_environment(FRAMEGATE_HOOKS__ALLOW="0.0.0.0/0"),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode != 0
    assert "FRAMEGATE_HOOKS__ALLOW" in done.stderr
    assert "opens too much" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_process_has_a_hook_of_every_kind() -> None:
    hooks = open_hooks(Settings.read())
    assert set(hooks) == set(HookKind)
    for hook in hooks.values():
        hook.close()


def test_without_boto3_there_is_no_hook_for_sns(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [name for name in sys.modules if name.startswith("framegate.adapters.aws")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "boto3", None)
    assert set(open_hooks(Settings.read())) == {HookKind.WEBHOOK, HookKind.SLACK}


def test_our_own_api_is_no_receiver_even_where_the_operator_opens_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRAMEGATE_HOOKS__ALLOW", "http://127.0.0.0/8:8123, http://127.0.0.0/8:8124")
    monkeypatch.setenv("FRAMEGATE_API__PORT", "8123")
    hook = open_hooks(Settings.read())[HookKind.WEBHOOK]
    hook.check("http://127.0.0.1:8124/")
    with pytest.raises(HookRefused) as refused:
        hook.check("http://127.0.0.1:8123/")
    assert refused.value.slug == "blocked-address"


def test_the_sdk_of_aws_is_loaded_when_a_topic_is_used_and_not_before() -> None:
    code = """
import sys
from framegate.bootstrap import open_hooks
from framegate.ports.hooks import HookKind, HookRefused
from framegate.settings import Settings
hooks = open_hooks(Settings.read())
print("botocore" in sys.modules)
try:
    hooks[HookKind.SNS].check("arn:aws:sns:nowhere")
except HookRefused as refused:
    print(refused.slug)
print("botocore" in sys.modules)
for hook in hooks.values():
    hook.close()
"""
    done = subprocess.run(
        [sys.executable, "-c", code], env=child_environment(), capture_output=True, text=True, timeout=60
    )
    assert done.stdout.split() == ["False", "invalid-webhook-url", "True"], done.stderr
