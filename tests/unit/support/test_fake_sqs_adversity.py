"""Each adversity shows its effect, and the same seed gives the same run."""

import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

from .conftest import Fake, Open, sqs_client


def injected(fake: Fake, name: str) -> int:
    return int(fake.running.statistics()["adversities"].get(name, 0))


def test_a_duplicate_comes_once_more_while_its_receiver_has_it_or_when_it_is_deleted(open_fake: Open) -> None:
    fake = open_fake(duplicates=1.0)
    sent = [str(n) for n in range(40)]
    fake.send(*sent)
    first = [m for _ in range(4) for m in fake.receive()]
    during = [m for _ in range(4) for m in fake.receive()]
    assert [m["Body"] for m in first] == sent
    assert 0 < len(during) < 40
    assert all(m["Attributes"]["ApproximateReceiveCount"] == "2" for m in during)
    for message in {m["MessageId"]: m for m in first + during}.values():
        fake.delete(message)
    fake.running.advance(5)
    after = [m for _ in range(4) for m in fake.receive()]
    assert sorted(m["Body"] for m in during + after) == sorted(sent)
    for message in after:
        fake.delete(message)
    fake.running.advance(3600)
    assert fake.receive() == []
    assert injected(fake, "duplicates") == 40


def test_a_duplicate_makes_the_receipt_of_the_first_receiver_an_old_one(open_fake: Open) -> None:
    fake = open_fake(duplicates=1.0)
    fake.send(*(str(n) for n in range(10)))
    first = {m["MessageId"]: m for m in fake.receive()}
    again = fake.receive()
    assert again
    with pytest.raises(ClientError, match="expired"):
        fake.delete(first[again[0]["MessageId"]])
    fake.delete(again[0])


def test_reordered_messages_all_come(open_fake: Open) -> None:
    fake = open_fake(reorder=0.5)
    sent = [f"{n:02}" for n in range(50)]
    fake.send(*sent)
    received = [body for _ in range(5) for body in fake.bodies()]
    assert received != sent
    assert sorted(received) == sent


def test_a_delayed_message_comes_within_the_time_that_was_set(open_fake: Open) -> None:
    fake = open_fake(delay=1.0, late_s=900)
    fake.send(*(str(n) for n in range(10)))
    assert fake.depth() == (0, 0, 10)
    fake.running.advance(450)
    half = len(fake.receive())
    assert 0 < half < 10
    fake.running.advance(450)
    assert injected(fake, "delay") == 10
    assert fake.depth() == (10, 0, 0), "those that were taken before are visible again, too"


def test_an_old_receipt_can_succeed_and_do_nothing(open_fake: Open) -> None:
    fake = open_fake(stale_noop=1.0)
    fake.send("hello")
    stale = fake.receive_one()
    fake.running.advance(30)
    fake.receive_one()
    fake.hide(stale, 0)
    fake.delete(stale)
    assert fake.depth() == (0, 1, 0)
    assert injected(fake, "stale_noop") == 2


def test_a_resurrected_message_comes_back_once(open_fake: Open) -> None:
    fake = open_fake(resurrect=1.0, late_s=3)
    fake.send("hello")
    fake.delete(fake.receive_one())
    fake.running.advance(3)
    again = fake.receive_one()
    assert (again["Body"], again["Attributes"]["ApproximateReceiveCount"]) == ("hello", "2")
    fake.delete(again)
    fake.running.advance(3600)
    assert fake.receive() == []


def test_an_entry_of_a_batch_fails_through_no_fault_of_the_sender_and_without_an_effect(open_fake: Open) -> None:
    fake = open_fake(partial_failures=0.5)
    codes: Counter[str] = Counter()
    sent: list[str] = []
    for n in range(10):
        batch = [{"Id": str(i), "MessageBody": f"{n}-{i}"} for i in range(10)]
        answer = fake.client.send_message_batch(QueueUrl=fake.url, Entries=batch)
        assert not any(f["SenderFault"] for f in answer["Failed"])
        codes.update(f["Code"] for f in answer["Failed"])
        sent += [f"{n}-{done['Id']}" for done in answer["Successful"]]
    assert set(codes) == {"InternalError", "ServiceUnavailable"}
    assert [body for _ in range(10) for body in fake.bodies()] == sent
    assert len(sent) == 100 - codes.total() == 100 - injected(fake, "partial_failures")


def test_a_throttled_call_has_no_effect_and_each_try_is_counted(open_fake: Open) -> None:
    fake = open_fake(throttle=1.0)
    told: Counter[tuple[str, int]] = Counter()
    for _ in range(30):
        with pytest.raises(ClientError) as error:
            fake.send("hello")
        answer = error.value.response
        told[answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]] += 1
    assert set(told) == {("RequestThrottled", 400), ("ThrottlingException", 400), ("ServiceUnavailable", 503)}
    fake.running.do(lambda broker: broker.dice.change(throttle=0.0))
    assert fake.depth() == (0, 0, 0)
    assert fake.running.statistics()["calls_by_queue"]["q"]["SendMessage"] == 30


def test_the_sdk_tries_a_throttled_call_again(open_fake: Open) -> None:
    fake = open_fake(throttle=0.5, seed=1)
    client = sqs_client(fake.running.url, tries=10)
    for _ in range(5):
        client.send_message(QueueUrl=fake.url, MessageBody="hello")
    client.close()
    statistics = fake.running.statistics()
    assert statistics["messages"]["q"]["sent"] == 5
    assert statistics["calls_by_action"]["SendMessage"] == 5 + statistics["adversities"]["throttle"] > 5


def test_a_connection_is_reset_after_the_call_took_effect(open_fake: Open) -> None:
    fake = open_fake(resets=1.0)
    with pytest.raises(ConnectionClosedError):
        fake.send("hello")
    with pytest.raises(ConnectionClosedError):
        fake.receive()
    fake.running.do(lambda broker: broker.dice.change(resets=0.0))
    assert fake.depth() == (0, 1, 0)
    assert injected(fake, "resets") == 2


def test_somebody_purges_a_queue(open_fake: Open) -> None:
    fake = open_fake(purge=1.0)
    fake.send("a", "b")
    assert fake.receive() == []
    assert fake.depth() == (0, 0, 0)
    assert fake.running.statistics()["messages"]["q"]["purged"] == 2


ADVERSE: dict[str, Any] = {
    "duplicates": 0.2,
    "reorder": 0.2,
    "delay": 0.2,
    "resurrect": 0.2,
    "partial_failures": 0.2,
    "throttle": 0.1,
    "stale_noop": 0.5,
}


def run(fake: Fake) -> list[str]:
    """What a careless client sees."""
    seen: list[str] = []
    for n in range(60):
        try:
            fake.send(str(n))
            messages = fake.receive(3)
            seen += [f"{m['Body']} {m['Attributes']['ApproximateReceiveCount']}" for m in messages]
            settled = [{"Id": str(i), "ReceiptHandle": m["ReceiptHandle"]} for i, m in enumerate(messages)]
            if settled:
                answer = fake.client.delete_message_batch(QueueUrl=fake.url, Entries=settled)
                seen += [f["Code"] for f in answer["Failed"]]
        except ClientError as error:
            seen.append(error.response["Error"]["Code"])
        fake.running.advance(1)
    return seen


def test_the_same_seed_gives_the_same_run_and_another_seed_another(open_fake: Open) -> None:
    first, same = open_fake(seed=7, **ADVERSE), open_fake(seed=7, **ADVERSE)
    assert run(first) == run(same)
    assert first.running.statistics() == same.running.statistics()
    assert run(open_fake(seed=8, **ADVERSE)) != run(open_fake(seed=7, **ADVERSE))
    assert open_fake(seed=7).send("hello") == open_fake(seed=7).send("hello"), "message ids"


def test_one_adversity_more_leaves_the_dice_of_the_others_alone(open_fake: Open) -> None:
    def delayed(**more: float) -> int:
        fake = open_fake(seed=7, delay=0.5, **more)
        fake.send(*(str(n) for n in range(20)))
        return fake.depth()[2]

    assert delayed() == delayed(duplicates=0.5, reorder=0.5, stale_noop=1.0)


@pytest.mark.parametrize("wrong", [{"duplicates": 1.5}, {"delay": -0.1}, {"late_s": 901}])
def test_what_is_no_rate_is_refused(open_fake: Open, wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        open_fake(**wrong)


def control(url: str, path: str) -> Any:
    with urllib.request.urlopen(urllib.request.Request(f"{url}/_control/{path}", method="POST"), timeout=10) as answer:
        return json.load(answer)


def test_a_process_of_its_own_says_where_it_is_and_is_steered_over_http() -> None:
    command = [sys.executable, "-m", "tests.support.fake_sqs", "--port", "0", "--seed", "7", "--reorder", "0.1"]
    root = Path(__file__).parents[3]
    process = subprocess.Popen([*command, "--stale-noop"], stdout=subprocess.PIPE, text=True, cwd=root)
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        client = sqs_client(url)
        queue = client.create_queue(QueueName="q")["QueueUrl"]
        client.send_message(QueueUrl=queue, MessageBody="hello")
        assert len(client.receive_message(QueueUrl=queue, VisibilityTimeout=60)["Messages"]) == 1
        control(url, "advance?seconds=61")
        assert len(client.receive_message(QueueUrl=queue, VisibilityTimeout=60)["Messages"]) == 1
        adversity = control(url, "adversity?throttle=1&reorder=0")
        assert (adversity["throttle"], adversity["reorder"], adversity["stale_noop"]) == (1.0, 0.0, 1.0)
        with pytest.raises(ClientError):
            client.send_message(QueueUrl=queue, MessageBody="hello")
        control(url, "purge?queue=q")
        told = control(url, "statistics")
        assert told["messages"]["q"]["purged"] == 1
        assert told["calls_by_action"] == {"CreateQueue": 1, "SendMessage": 2, "ReceiveMessage": 2}
        control(url, "reset")
        assert control(url, "statistics")["calls"] == 0
        for wrong in ("adversity?nonsense=1", "advance", "nonsense", "purge?queue=none"):
            with pytest.raises(urllib.error.HTTPError, match="400") as error:
                control(url, wrong)
            error.value.close()
        client.close()
    finally:
        process.terminate()
        assert process.wait(10) == 0
        process.communicate()
