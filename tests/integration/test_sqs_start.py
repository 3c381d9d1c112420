"""A start that SQS does not let through: it ends in time, with one line that says what to mend."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from framegate.bootstrap import check_queues
from framegate.box.box import free_port, open_box
from framegate.box.launching import Commands
from framegate.box.logfiles import BoxLog
from framegate.cli import main
from framegate.kernel.errors import ConfigurationError
from framegate.kernel.states import Stage
from framegate.pipeline import ALL_QUEUES
from framegate.settings import Settings
from tests.support.aws import lead_to
from tests.support.fake_sqs.running import RunningFake, running_fake_sqs

QUEUE = "SQS queue framegate-frame-inspected-bulk"
START_S = 10.0


@pytest.fixture(scope="module")
def server() -> Iterator[RunningFake]:
    with running_fake_sqs() as fake:
        yield fake


@pytest.fixture
def fake(server: RunningFake, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningFake]:
    lead_to(server.url, monkeypatch)
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda s: None))
    for queue in ALL_QUEUES:
        server.do(lambda broker, name=f"framegate-{queue}": broker.create(name, {}))  # type: ignore[misc]
    yield server
    refuse(server, "")
    server.do(lambda broker: broker.queues.clear())


def settings(**more: object) -> Settings:
    return Settings.read(queue={"kind": "sqs"}, **more)


def refuse(fake: RunningFake, code: str) -> None:
    fake.do(lambda broker: setattr(broker, "refusal", code))


def refusal() -> str:
    """What a gate is told that cannot start."""
    with pytest.raises(ConfigurationError) as caught:
        check_queues(settings(), [Stage.GATE])
    assert "\n" not in str(caught.value)
    return str(caught.value)


def missing(message: str, *told: str) -> list[str]:
    return [words for words in told if words not in message]


def test_a_start_finds_what_is_there(fake: RunningFake) -> None:
    check_queues(settings(), Stage)


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("AccessDenied", ["access denied", "sqs:GetQueueUrl", "role", "FRAMEGATE_QUEUE__PREFIX"]),
        ("AccessDeniedException", ["access denied", "sqs:GetQueueUrl", "role"]),
        ("InvalidClientTokenId", ["InvalidClientTokenId", "AWS_ACCESS_KEY_ID", "sqs:GetQueueUrl"]),
        ("UnrecognizedClientException", ["UnrecognizedClientException", "AWS_ACCESS_KEY_ID", "AWS_REGION"]),
        ("ExpiredToken", ["ExpiredToken", "renew", "sqs:GetQueueUrl"]),
        ("SignatureDoesNotMatch", ["SignatureDoesNotMatch", "clock", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"]),
        ("InvalidSignatureException", ["InvalidSignatureException", "clock", "AWS_SECRET_ACCESS_KEY"]),
        ("RequestTimeTooSkewed", ["RequestTimeTooSkewed", "clock"]),
        ("RequestExpired", ["RequestExpired", "clock"]),
        ("IncompleteSignature", ["IncompleteSignature", "AWS_SECRET_ACCESS_KEY"]),
        (
            "QueueDoesNotExist",
            ["does not exist", "AWS_REGION", "FRAMEGATE_QUEUE__PREFIX", "provision", "sqs:GetQueueUrl"],
        ),
        ("OptInRequired", ["OptInRequired", "sqs:GetQueueUrl"]),
        ("ThrottlingException", ["ThrottlingException", "sqs:GetQueueUrl"]),
    ],
)
def test_a_start_that_sqs_refuses_tells_what_to_mend(fake: RunningFake, code: str, told: list[str]) -> None:
    refuse(fake, code)
    message = refusal()
    assert missing(message, "SQS queue framegate-frame-inspected-", *told) == []


def test_a_start_without_a_queue_is_told_which(fake: RunningFake) -> None:
    fake.do(lambda broker: broker.queues.pop("framegate-frame-inspected-bulk"))
    told = "does not exist in this region", "AWS_REGION", "FRAMEGATE_QUEUE__PREFIX", "framegate provision"
    assert missing(refusal(), QUEUE, *told) == []
    check_queues(settings(), [Stage.PREPROCESS])


def test_a_start_without_credentials_is_told_so(fake: RunningFake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    assert (
        missing(refusal(), "SQS queue framegate-frame-inspected-", "no AWS credentials", "AWS_SECRET_ACCESS_KEY") == []
    )
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert missing(refusal(), "no AWS credentials", "AWS_ACCESS_KEY_ID", "sqs:GetQueueUrl") == []


def test_a_start_without_a_server_is_told_where_it_should_be(
    fake: RunningFake, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        assert missing(refusal(), f"cannot connect to {url}", "AWS_REGION", "AWS_ENDPOINT_URL") == []


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("AWS_REGION", "", ["no AWS region", "set AWS_REGION"]),
        ("AWS_REGION", "Frankfurt am Main", ["AWS_REGION", "Frankfurt am Main"]),
        ("AWS_PROFILE", "nobody", ["AWS_PROFILE", "nobody"]),
        ("AWS_ENDPOINT_URL", "localhost:9324", ["AWS_ENDPOINT_URL", "localhost:9324"]),
    ],
)
def test_a_start_with_a_setting_that_leads_nowhere_names_it(
    fake: RunningFake, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, told: list[str]
) -> None:
    if variable == "AWS_REGION":
        monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.setenv(variable, value)
    assert missing(refusal(), *told) == []


def test_a_start_ends_in_time_where_nobody_answers(fake: RunningFake, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        started = time.monotonic()
        message = refusal()
        elapsed_s = time.monotonic() - started
    assert missing(message, "SQS queue framegate-frame-inspected-", "no answer", "AWS_ENDPOINT_URL") == []
    assert elapsed_s < START_S - 2, "the interpreter and the libraries take their time, too"


def test_a_box_starts_nothing_without_its_queues(fake: RunningFake, tmp_path: Path) -> None:
    fake.do(lambda broker: broker.queues.pop("framegate-frame-inspected-bulk"))
    chosen = settings(data=tmp_path / "data", api={"port": free_port()})
    with pytest.raises(ConfigurationError, match=QUEUE), open_box(chosen, Commands(), BoxLog(tmp_path)):
        raise AssertionError("it started")
    assert not (tmp_path / "data" / "postgres").exists()


def test_the_command_says_it_in_one_line_and_ends_with_1(
    fake: RunningFake, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    refuse(fake, "AccessDenied")
    monkeypatch.setenv("FRAMEGATE_QUEUE__KIND", "sqs")
    monkeypatch.setenv("DATABASE_URL", "postgresql://nowhere.invalid/none")
    monkeypatch.setattr("sys.argv", ["framegate", "run", "gate"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    told = capsys.readouterr()
    (line,) = told.err.splitlines()
    assert missing(line, "error: SQS queue framegate-frame-inspected-", "access denied", "sqs:GetQueueUrl") == []
    assert told.out == ""
