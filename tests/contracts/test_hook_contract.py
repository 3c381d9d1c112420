"""Hooks: one message, one receiver, one try; whatever the receiver does, the attempt says it."""

import threading
from collections.abc import Iterator

import pytest

from framegate.ports.hooks import MAX_HEAD_CHARS, MAX_PAYLOAD_BYTES, Attempt, Ending, HookKind, HookRefused, Reason

from .hook_harness import HookStand, HttpStand, MemoryStand, SnsStand, message


@pytest.fixture(params=["memory", "webhook", "slack", "sns"])
def stand(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[HookStand]:
    made: HookStand
    match request.param:
        case "memory":
            made = MemoryStand()
        case "sns":
            made = SnsStand(request.getfixturevalue("moto_url"), monkeypatch)
        case kind:
            made = HttpStand(HookKind(kind))
    yield made
    made.close()


def test_an_answer_of_2xx_means_delivered(stand: HookStand) -> None:
    attempt = stand.hook.deliver(stand.endpoint, message())
    assert (attempt.ending, attempt.reason) == (Ending.DELIVERED, Reason.DELIVERED)
    assert attempt.status is not None
    assert 200 <= attempt.status < 300
    assert attempt.elapsed_ms >= 0
    assert len(stand.bodies()) == 1


def test_the_receiver_gets_the_message(stand: HookStand) -> None:
    sent = message(7)
    stand.hook.deliver(stand.endpoint, sent)
    (body,) = stand.bodies()
    if stand.carries_payload:
        assert body == sent.payload
    else:
        assert sent.title.encode() in body


def test_every_try_of_a_message_has_the_same_id(stand: HookStand) -> None:
    for _ in range(2):
        stand.hook.deliver(stand.endpoint, message(3))
    assert stand.ids() in ([], ["msg_3"] * 2)


def test_the_largest_payload_arrives_whole(stand: HookStand) -> None:
    payload = b'{"x": "' + b"y" * (MAX_PAYLOAD_BYTES - 9) + b'"}'
    assert stand.hook.deliver(stand.endpoint, message(payload=payload)).ending is Ending.DELIVERED
    if stand.carries_payload:
        assert stand.bodies() == [payload]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 409, 413, 422, 500, 502, 504])
def test_any_other_answer_is_tried_again(stand: HookStand, status: int) -> None:
    stand.answer(status)
    attempt = stand.hook.deliver(stand.endpoint, message())
    assert (attempt.ending, attempt.status, attempt.reason) == (Ending.RETRY, status, Reason.STATUS)
    assert attempt.detail


@pytest.mark.parametrize("status", [429, 503])
def test_a_receiver_may_ask_for_time(stand: HookStand, status: int) -> None:
    stand.answer(status, {"retry-after": "120"})
    attempt = stand.hook.deliver(stand.endpoint, message())
    assert (attempt.ending, attempt.status, attempt.retry_after_s) == (Ending.RETRY, status, 120)


def test_an_answer_of_410_means_that_the_endpoint_is_to_be_disabled(stand: HookStand) -> None:
    stand.answer(410)
    attempt = stand.hook.deliver(stand.endpoint, message())
    assert (attempt.ending, attempt.status, attempt.reason) == (Ending.GONE, 410, Reason.GONE)


def test_a_receiver_that_is_away_is_tried_again(stand: HookStand) -> None:
    stand.vanish()
    attempt = stand.hook.deliver(stand.endpoint, message())
    assert (attempt.ending, attempt.status) == (Ending.RETRY, None)
    assert attempt.reason in (Reason.CONNECT, Reason.TIMEOUT)


def test_a_failure_spoils_nothing_for_the_next_message(stand: HookStand) -> None:
    stand.answer(500)
    stand.hook.deliver(stand.endpoint, message(1))
    stand.answer(200)
    assert stand.hook.deliver(stand.endpoint, message(2)).ending is Ending.DELIVERED


def test_heads_are_bounded_and_hold_no_secret(stand: HookStand) -> None:
    for status in (200, 500):
        stand.answer(status, {"set-cookie": "login=hunter2", "location": "https://a.example/token=hunter2"})
        attempt = stand.hook.deliver(stand.endpoint, message())
        shown = f"{attempt!r} {stand.endpoint!r}"
        assert max(len(attempt.request_head), len(attempt.response_head)) <= MAX_HEAD_CHARS
        assert not [secret for secret in (*stand.secrets_of_it, *stand.endpoint.secrets, "hunter2") if secret in shown]


def test_the_target_of_the_receiver_passes_the_check(stand: HookStand) -> None:
    stand.hook.check(stand.endpoint.target)


@pytest.mark.parametrize("target", ["", "nonsense", "hooks.example.org/in"])
def test_what_is_no_target_is_refused(stand: HookStand, target: str) -> None:
    with pytest.raises(HookRefused) as refused:
        stand.hook.check(target)
    assert refused.value.slug == "invalid-webhook-url"
    assert str(refused.value)


def test_many_threads_deliver_side_by_side(stand: HookStand) -> None:
    attempts: list[Attempt] = []

    def work(worker: int) -> None:
        attempts.extend(stand.hook.deliver(stand.endpoint, message(worker * 10 + n)) for n in range(3))

    threads = [threading.Thread(target=work, args=(n,), daemon=True) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(50)
    assert [attempt.ending for attempt in attempts] == [Ending.DELIVERED] * 48
    assert len(set(stand.bodies())) == 48


def test_closing_twice_does_no_harm(stand: HookStand) -> None:
    stand.hook.close()
    stand.hook.close()
