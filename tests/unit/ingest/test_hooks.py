"""`/v1/hooks`: endpoints, their secrets, trials, and what became of messages."""

import asyncio
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from framegate.ingest import hooks
from framegate.ingest.api import MOST_OUTSIDE
from framegate.kernel.hooksecrets import secret_of, secrets_of
from framegate.kernel.ids import FacilityId
from framegate.kernel.inspection import Alert
from framegate.ports.deliveries import DeliveryState, Settlement, Subscription
from framegate.ports.hooks import Attempt, Ending, Endpoint, HookKind, HookMessage, HookRefused, Reason
from tests.contracts.hooks import REFUSED, subscription

from .fakes import HALL, OTHER_HALL, PEPPER, ApiBox, slug_of

pytestmark = pytest.mark.anyio
URL = "https://receiver.example/in"
MANAGE = frozenset({"hooks:manage"})
LEASE = timedelta(seconds=60)


class Manager:
    """Somebody who may manage the hooks of one facility."""

    def __init__(self, box: ApiBox, *facilities: FacilityId, **changes: Any) -> None:
        self.box, self.key = box, box.add_key(*facilities, scopes=MANAGE, **changes)

    async def call(self, method: str, path: str, **options: Any) -> httpx.Response:
        async with self.box.client(self.key) as client:
            return await client.request(method, path, **options)

    async def get(self, path: str, **params: Any) -> Any:
        answer = await self.call("GET", path, params=params or None)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def add(self, **body: Any) -> dict[str, Any]:
        answer = await self.call("POST", "/v1/hooks", json={"target": URL} | body)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())


@pytest.fixture
def manager(box: ApiBox) -> Manager:
    return Manager(box)


def stored(box: ApiBox, hook: dict[str, Any]) -> Subscription:
    return box.store.endpoints.rows.endpoints[UUID(hook["id"])]


def announced(box: ApiBox, facility: FacilityId = HALL, subject: str = "dock/1") -> None:
    """An incident, and a delivery of it for every endpoint."""
    box.store.incidents.raise_alert(facility, Alert("damage", "critical", subject, "A carton is dented."))
    box.store.incidents.group(100, box.deps.announce)


def settle(box: ApiBox, attempt: Attempt, settlement: Settlement) -> None:
    for delivery in box.store.deliveries.claim("w", LEASE, 100, {}, 100):
        assert box.store.deliveries.settle(delivery, attempt, settlement)


def let_die(box: ApiBox, disable: str = "") -> None:
    settle(box, REFUSED, Settlement(DeliveryState.DEAD, reason="the receiver answered 500", disable=disable))


# --- adding ------------------------------------------------------------------------------------------------------------


async def test_a_new_webhook_is_answered_with_the_secret_that_signs_its_messages(box: ApiBox, manager: Manager) -> None:
    answer = await manager.call("POST", "/v1/hooks", json={"target": URL, "changes": ["incident.opened"]})
    assert (answer.status_code, answer.headers["cache-control"]) == (201, "no-store")
    hook = answer.json()
    assert hook["secret"] == secret_of(PEPPER, UUID(hook["id"]), 1)
    assert hook["secret"].startswith("whsec_")
    assert (hook["kind"], hook["target"], hook["facility"]) == ("webhook", URL, HALL)
    assert (hook["changes"], hook["min_severity"], hook["state"]) == (["incident.opened"], "warning", "active")
    assert hook["both_sign_until"] is None
    found = stored(box, hook)
    assert (found.target, found.changes, found.generation) == (URL, {"incident.opened"}, 1)
    assert found.created_by.startswith("test (")


async def test_what_happens_from_now_on_is_delivered_to_it(box: ApiBox, manager: Manager) -> None:
    wants = await manager.add(changes=["incident.opened"])
    await manager.add(changes=["incident.resolved"])
    announced(box)
    (delivery,) = box.store.deliveries.claim("w", LEASE, 4, {}, 100)
    assert str(delivery.subscription.endpoint_id) == wants["id"]


async def test_the_secret_is_never_shown_again(manager: Manager) -> None:
    hook = await manager.add()
    for path in ("/v1/hooks", f"/v1/hooks/{hook['id']}", f"/v1/hooks/{hook['id']}/deliveries"):
        answer = await manager.call("GET", path)
        assert answer.status_code == 200
        assert "whsec" not in answer.text


@pytest.mark.parametrize(
    ("kind", "target", "shown"),
    [
        ("slack", "https://hooks.slack.com/services/T0/B0/XyZ", "https://hooks.slack.com/..."),
        ("slack", "https://chat.example:8443?token=XyZ", "https://chat.example:8443/..."),
        ("webhook", "https://receiver.example/in?token=XyZ", "https://receiver.example/in?..."),
        ("webhook", "https://receiver.example/in", "https://receiver.example/in"),
    ],
)
async def test_what_may_be_secret_in_a_target_is_not_even_shown_to_who_added_it(
    box: ApiBox, manager: Manager, kind: str, target: str, shown: str
) -> None:
    hook = await manager.add(kind=kind, target=target)
    assert stored(box, hook).target == target
    answers = [await manager.call("GET", "/v1/hooks"), await manager.call("GET", f"/v1/hooks/{hook['id']}")]
    assert [hook["target"], answers[0].json()["items"][0]["target"], answers[1].json()["target"]] == [shown] * 3
    assert all("XyZ" not in answer.text for answer in answers)
    assert (hook["secret"] is None) == (kind == "slack")


@pytest.mark.parametrize("slug", [Reason.INVALID_URL, Reason.BLOCKED_ADDRESS])
async def test_a_target_that_may_not_be_used_is_refused_with_what_to_do(
    box: ApiBox, manager: Manager, slug: Any
) -> None:
    box.hook.refused[URL] = HookRefused(slug, "the operator can open it with FRAMEGATE_HOOKS__ALLOW")
    answer = await manager.call("POST", "/v1/hooks", json={"target": URL})
    assert (answer.status_code, slug_of(answer)) == (422, slug)
    assert answer.json()["detail"] == "target: the operator can open it with FRAMEGATE_HOOKS__ALLOW"
    assert [error["name"] for error in answer.json()["errors"]] == ["target"]
    assert box.store.endpoints.endpoints() == []


async def test_sns_without_its_sdk_says_what_the_operator_has_to_install(box: ApiBox, manager: Manager) -> None:
    answer = await manager.call("POST", "/v1/hooks", json={"kind": "sns", "target": "arn:aws:sns:eu-central-1:1:a"})
    assert (answer.status_code, slug_of(answer)) == (501, "hook-kind-unavailable")
    assert "framegate[aws]" in answer.json()["detail"]
    gone = subscription(facility=HALL, kind=HookKind.SNS, target="arn:aws:sns:eu-central-1:1:a")
    box.store.endpoints.add_endpoint(gone, "test")
    assert slug_of(await manager.call("POST", f"/v1/hooks/{gone.endpoint_id}/test")) == "hook-kind-unavailable"


async def test_a_facility_has_a_limit_of_endpoints_which_others_do_not_use_up(
    box: ApiBox, manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hooks, "MOST_ENDPOINTS", 2)
    for facility in (HALL, OTHER_HALL, OTHER_HALL):
        box.store.endpoints.add_endpoint(subscription(facility=facility), "test")
    await manager.add()
    answer = await manager.call("POST", "/v1/hooks", json={"target": URL})
    assert (answer.status_code, slug_of(answer)) == (409, "too-many-hooks")
    assert len(box.store.endpoints.endpoints(frozenset({HALL}))) == 2


@pytest.mark.parametrize(
    ("body", "slug", "name"),
    [
        ({}, "invalid-parameter", "target"),
        ({"target": 1}, "invalid-parameter", "target"),
        ({"target": URL, "kind": "mail"}, "invalid-parameter", "kind"),
        ({"target": URL, "min_severity": "info"}, "invalid-parameter", "min_severity"),
        ({"target": URL, "changes": ["incident.opened", "framegate.test"]}, "invalid-parameter", "changes[1]"),
        ({"target": URL, "changes": ["incident.opened"] * 6}, "invalid-parameter", "changes"),
        ({"target": URL, "facility": "no name"}, "invalid-parameter", "facility"),
        ({"target": URL, "allow": "10.0.0.1"}, "unknown-parameter", "allow"),
        ({"target": URL, "secret": "whsec_mine"}, "unknown-parameter", "secret"),
        ([], "invalid-parameter", "body"),
        ("text", "invalid-parameter", "body"),
    ],
)
async def test_an_entry_that_cannot_be_is_named(box: ApiBox, manager: Manager, body: Any, slug: str, name: str) -> None:
    answer = await manager.call("POST", "/v1/hooks", json=body)
    assert (answer.status_code, slug_of(answer)) == (422, slug)
    assert [error["name"] for error in answer.json()["errors"]] == [name]
    assert box.store.endpoints.endpoints() == []


@pytest.mark.parametrize(
    ("content", "content_type", "status", "slug"),
    [
        (b"{", "application/json", 400, "malformed-request"),
        (b"[" * 15_000, "application/json", 400, "malformed-request"),
        (b'{"target": "https://a\\ud800"}', "application/json", 400, "malformed-request"),
        (b"\xff", "application/json", 400, "malformed-request"),
        (b"{}", "text/plain", 415, "unsupported-media-type"),
        (b'{"target": "' + b"a" * 16_384 + b'"}', "application/json", 413, "payload-too-large"),
    ],
)
@pytest.mark.parametrize("path", ["/v1/hooks", "/v1/hooks/replay"])
async def test_a_body_that_is_no_small_json_document_is_refused(
    manager: Manager, path: str, content: bytes, content_type: str, status: int, slug: str
) -> None:
    answer = await manager.call("POST", path, content=content, headers={"Content-Type": content_type})
    assert (answer.status_code, slug_of(answer)) == (status, slug)


async def test_a_key_of_several_facilities_says_which_one(box: ApiBox) -> None:
    both = Manager(box, HALL, OTHER_HALL)
    answer = await both.call("POST", "/v1/hooks", json={"target": URL})
    assert (slug_of(answer), answer.json()["errors"][0]["name"]) == ("invalid-parameter", "facility")
    assert (await both.add(facility=OTHER_HALL))["facility"] == OTHER_HALL
    assert slug_of(await both.call("POST", "/v1/hooks", json={"target": URL, "facility": "x"})) == "not-found"
    disabled = Manager(box, HALL, disabled_facilities=frozenset({HALL}))
    assert slug_of(await disabled.call("POST", "/v1/hooks", json={"target": URL})) == "facility-disabled"


# --- looking, changing ------------------------------------------------------------------------------------------------


async def test_the_state_of_an_endpoint_tells_how_its_receiver_is(box: ApiBox, manager: Manager) -> None:
    hook = await manager.add()
    announced(box)
    settle(box, REFUSED, Settlement(DeliveryState.PENDING, delay_s=0))
    failing = await manager.get(f"/v1/hooks/{hook['id']}")
    assert (failing["state"], failing["failures"], failing["reason"]) == ("failing", 1, None)
    assert failing["failing_since"] == "2026-11-23T12:00:00.000Z"
    settle(box, Attempt(Ending.DELIVERED, 200, Reason.DELIVERED, ""), Settlement(DeliveryState.DELIVERED))
    active = await manager.get(f"/v1/hooks/{hook['id']}")
    assert (active["state"], active["failures"], active["failing_since"]) == ("active", 0, None)
    assert active["last_success_at"] == "2026-11-23T12:00:00.000Z"
    announced(box, subject="dock/2")
    let_die(box, disable="the receiver answered 410")
    disabled = await manager.get(f"/v1/hooks/{hook['id']}")
    assert (disabled["state"], disabled["reason"]) == ("disabled", "the receiver answered 410")
    enabled = await manager.call("POST", f"/v1/hooks/{hook['id']}/enable")
    assert (enabled.status_code, enabled.json()["state"], enabled.json()["reason"]) == (200, "active", None)
    assert stored(box, hook).enabled


async def test_the_list_is_of_the_keys_facilities_oldest_first(box: ApiBox) -> None:
    both = Manager(box, HALL, OTHER_HALL)
    first = await both.add(facility=OTHER_HALL)
    box.clock.advance(1)
    second = await both.add(facility=HALL)
    assert [hook["id"] for hook in (await both.get("/v1/hooks"))["items"]] == [first["id"], second["id"]]
    assert [hook["id"] for hook in (await both.get("/v1/hooks", facility=HALL))["items"]] == [second["id"]]
    assert [hook["id"] for hook in (await Manager(box).get("/v1/hooks"))["items"]] == [second["id"]]


async def test_a_removed_endpoint_is_gone_with_what_was_to_be_delivered(box: ApiBox, manager: Manager) -> None:
    hook = await manager.add()
    announced(box)
    answer = await manager.call("DELETE", f"/v1/hooks/{hook['id']}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert box.store.deliveries.claim("w", LEASE, 4, {}, 100) == []
    assert slug_of(await manager.call("DELETE", f"/v1/hooks/{hook['id']}")) == "not-found"
    assert [entry.action for entry in box.store.state.audit][-1] == "hook.removed"


async def test_after_a_rotation_both_secrets_sign_for_a_day_and_the_answer_says_until_when(
    box: ApiBox, manager: Manager
) -> None:
    hook = await manager.add()
    answer = await manager.call("POST", f"/v1/hooks/{hook['id']}/rotate")
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    rotated = answer.json()
    assert rotated["secret"] not in (None, hook["secret"])
    assert rotated["both_sign_until"] == "2026-11-24T12:00:00.000Z"
    kept = stored(box, hook)
    now = box.clock.now()
    signing = secrets_of(PEPPER, kept.endpoint_id, kept.generation, kept.rotated_at, now)
    assert signing == (rotated["secret"], hook["secret"])
    box.clock.advance(24 * 3600)
    assert (await manager.get(f"/v1/hooks/{hook['id']}"))["both_sign_until"] is None


async def test_slack_has_no_secret_to_rotate(manager: Manager) -> None:
    hook = await manager.add(kind="slack", target="https://hooks.slack.com/services/T0/B0/x")
    answer = await manager.call("POST", f"/v1/hooks/{hook['id']}/rotate")
    assert (answer.status_code, slug_of(answer)) == (409, "hook-without-secret")


async def test_every_change_is_audited_with_the_key_that_made_it(box: ApiBox) -> None:
    manager = Manager(box, name="office")
    hook = await manager.add()
    for action in ("rotate", "enable"):
        await manager.call("POST", f"/v1/hooks/{hook['id']}/{action}")
    entries = [entry for entry in box.store.state.audit if entry.action.startswith("hook.")]
    assert [entry.action for entry in entries] == ["hook.added", "hook.rotated", "hook.enabled"]
    key_id = manager.key.split("_")[2]
    assert {entry.actor for entry in entries} == {f"office ({key_id})"}


# --- trying ------------------------------------------------------------------------------------------------------------


async def test_a_trial_sends_one_signed_message_at_once_and_tells_what_happened(box: ApiBox, manager: Manager) -> None:
    hook = await manager.add()
    answer = await manager.call("POST", f"/v1/hooks/{hook['id']}/test")
    assert answer.status_code == 200
    assert answer.json() == {
        "delivered": True,
        "ending": "delivered",
        "reason": "delivered",
        "status": 200,
        "detail": "the receiver answered 200",
        "elapsed_ms": 0.0,
    }
    (received,) = box.hook.received
    assert (received.message.type, received.endpoint.target) == ("framegate.test", URL)
    assert received.endpoint.secrets == (hook["secret"],)
    assert (await manager.get(f"/v1/hooks/{hook['id']}"))["last_success_at"] is None


async def test_a_receiver_that_refuses_is_no_error_of_the_trial(box: ApiBox, manager: Manager) -> None:
    hook = await manager.add(kind="slack", target="https://hooks.slack.com/services/T0/B0/x")
    refusal = Attempt(
        Ending.RETRY, 500, Reason.STATUS, "the receiver answered 500", None, "POST /...", "HTTP/1.1 500", 12.34
    )
    box.hook.receiver = lambda _to, _message: refusal
    answer = await manager.call("POST", f"/v1/hooks/{hook['id']}/test")
    assert answer.status_code == 200
    assert answer.json() == {
        "delivered": False,
        "ending": "retry",
        "reason": "status",
        "status": 500,
        "detail": "the receiver answered 500",
        "elapsed_ms": 12.3,
    }
    assert box.hook.received[0].endpoint.secrets == ()


async def test_receivers_that_are_slow_hold_up_neither_the_api_nor_more_than_a_few_threads(
    box: ApiBox, manager: Manager
) -> None:
    hook = await manager.add()
    release, started = threading.Event(), threading.Semaphore(0)

    def slow(_to: Endpoint, _message: HookMessage) -> int:
        started.release()
        assert release.wait(30)
        return 200

    box.hook.receiver = slow
    path = f"/v1/hooks/{hook['id']}/test"
    try:
        running = [asyncio.create_task(manager.call("POST", path)) for _ in range(MOST_OUTSIDE)]
        for _ in running:
            assert await asyncio.to_thread(started.acquire, timeout=30)
        assert (await manager.call("GET", "/healthz")).status_code == 200
        refused = [await manager.call("POST", path), await manager.call("POST", "/v1/hooks", json={"target": URL})]
        assert [(answer.status_code, slug_of(answer)) for answer in refused] == [(503, "overloaded")] * 2
        assert refused[0].headers["retry-after"] == "15"
    finally:
        release.set()
    assert [(await task).json()["delivered"] for task in running] == [True] * MOST_OUTSIDE
    assert (await manager.call("POST", path)).status_code == 200


async def test_the_hooks_are_closed_with_the_api(tmp_path: Path) -> None:
    closed = []

    class Closing:
        def close(self) -> None:
            closed.append(self)

    hook: Any = Closing()
    ApiBox(tmp_path, hooks={HookKind.WEBHOOK: hook}).close()
    assert closed == [hook]


# --- what became of messages --------------------------------------------------------------------------------------------


async def test_deliveries_and_attempts_tell_what_was_sent_and_what_came_back(box: ApiBox, manager: Manager) -> None:
    hook = await manager.add()
    announced(box)
    settle(box, REFUSED, Settlement(DeliveryState.PENDING, delay_s=5))
    (delivery,) = (await manager.get(f"/v1/hooks/{hook['id']}/deliveries"))["items"]
    assert (delivery["endpoint"], delivery["type"], delivery["state"]) == (hook["id"], "incident.opened", "pending")
    assert (delivery["attempts"], delivery["due_at"]) == (1, "2026-11-23T12:00:05.000Z")
    (attempt,) = (await manager.get(f"/v1/hooks/{hook['id']}/attempts"))["items"]
    assert attempt == {
        "delivery": delivery["id"],
        "attempt": 1,
        "at": "2026-11-23T12:00:00.000Z",
        "ending": "retry",
        "reason": "status",
        "status": 500,
        "detail": "the receiver answered 500",
        "request_head": "POST /",
        "response_head": "500 No",
        "elapsed_ms": 7.5,
    }


@pytest.mark.parametrize("what", ["deliveries", "attempts"])
async def test_only_the_newest_of_a_log_are_shown(box: ApiBox, manager: Manager, what: str) -> None:
    hook = await manager.add()
    for n in range(3):
        announced(box, subject=f"dock/{n}")
        settle(box, REFUSED, Settlement(DeliveryState.DEAD, reason="x"))
        box.clock.advance(1)
    name = "id" if what == "deliveries" else "delivery"
    shown = await manager.get(f"/v1/hooks/{hook['id']}/{what}", limit=2)
    assert [item[name] for item in shown["items"]] == [3, 2]
    for limit in ("0", "201", "x"):
        answer = await manager.call("GET", f"/v1/hooks/{hook['id']}/{what}", params={"limit": limit})
        assert slug_of(answer) == "invalid-parameter"


async def test_the_dead_are_listed_and_live_again_when_they_are_replayed(box: ApiBox, manager: Manager) -> None:
    hook = await manager.add()
    announced(box)
    let_die(box)
    (dead,) = (await manager.get("/v1/hooks/dead"))["items"]
    assert (dead["endpoint"], dead["state"], dead["reason"]) == (hook["id"], "dead", "the receiver answered 500")
    answer = await manager.call("POST", "/v1/hooks/replay", json={"delivery_id": dead["id"]})
    assert (answer.status_code, answer.json()) == (200, {"replayed": 1})
    assert (await manager.get("/v1/hooks/dead"))["items"] == []
    (delivery,) = box.store.deliveries.claim("w", LEASE, 4, {}, 100)
    assert (delivery.delivery_id, delivery.attempts) == (dead["id"], 0)


@pytest.mark.parametrize(
    ("conditions", "replayed"),
    [
        ({"all": True}, 3),
        ({"facility": "hall-1"}, 3),
        ({"since": "2026-11-23T12:01:00Z"}, 2),
        ({"until": "2026-11-23T12:01:00Z"}, 1),
        ({"since": "2026-11-23T12:01:00Z", "until": "2026-11-23T13:02:00+01:00"}, 1),
        ({"delivery_id": 2}, 1),
        ({"delivery_id": 99}, 0),
        ({"delivery_id": 1, "since": "2026-11-23T12:01:00Z"}, 0),
    ],
)
async def test_all_conditions_of_a_replay_hold(
    box: ApiBox, manager: Manager, conditions: dict[str, Any], replayed: int
) -> None:
    await manager.add()
    for n in range(3):
        announced(box, subject=f"dock/{n}")
        let_die(box)
        box.clock.advance(60)
    answer = await manager.call("POST", "/v1/hooks/replay", json=conditions)
    assert (answer.status_code, answer.json()) == (200, {"replayed": replayed})


async def test_a_replay_of_one_endpoint_leaves_the_others_dead(box: ApiBox, manager: Manager) -> None:
    hook = await manager.add()
    other = await manager.add()
    announced(box)
    let_die(box)
    assert (await manager.call("POST", "/v1/hooks/replay", json={"endpoint": hook["id"]})).json() == {"replayed": 1}
    assert [item["endpoint"] for item in (await manager.get("/v1/hooks/dead"))["items"]] == [other["id"]]


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ({}, "all"),
        ({"all": False}, "all"),
        ({"all": True, "delivery_id": 1}, "all"),
        ({"delivery_id": "1"}, "delivery_id"),
        ({"delivery_id": 0}, "delivery_id"),
        ({"delivery_id": 2**63}, "delivery_id"),
        ({"endpoint": "dock"}, "endpoint"),
        ({"since": "yesterday"}, "since"),
        ({"until": "2027-11-23T12:00:00Z"}, "until"),
        ({"all": "yes"}, "all"),
        ({"everything": True}, "everything"),
    ],
)
async def test_a_replay_says_what_it_replays(box: ApiBox, manager: Manager, body: Any, name: str) -> None:
    await manager.add()
    announced(box)
    let_die(box)
    answer = await manager.call("POST", "/v1/hooks/replay", json=body)
    assert answer.status_code == 422
    assert [error["name"] for error in answer.json()["errors"]] == [name]
    assert len((await manager.get("/v1/hooks/dead"))["items"]) == 1


async def test_what_is_dead_of_a_disabled_endpoint_stays_so_until_it_is_enabled(box: ApiBox, manager: Manager) -> None:
    hook = await manager.add()
    announced(box)
    let_die(box, disable="gone")
    refused = await manager.call("POST", "/v1/hooks/replay", json={"endpoint": hook["id"]})
    assert (refused.status_code, slug_of(refused)) == (409, "hook-disabled")
    assert (await manager.call("POST", "/v1/hooks/replay", json={"all": True})).json() == {"replayed": 0}
    await manager.call("POST", f"/v1/hooks/{hook['id']}/enable")
    assert (await manager.call("POST", "/v1/hooks/replay", json={"endpoint": hook["id"]})).json() == {"replayed": 1}


# --- who may ------------------------------------------------------------------------------------------------------------

ONE = "/v1/hooks/0193e2a4-7c1b-7f3a-9d5e-2b1c0a998877"
ROUTES = [
    ("POST", "/v1/hooks"),
    ("GET", "/v1/hooks"),
    ("GET", "/v1/hooks/dead"),
    ("POST", "/v1/hooks/replay"),
    ("GET", ONE),
    ("DELETE", ONE),
    ("POST", f"{ONE}/rotate"),
    ("POST", f"{ONE}/enable"),
    ("POST", f"{ONE}/test"),
    ("GET", f"{ONE}/deliveries"),
    ("GET", f"{ONE}/attempts"),
]


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_hooks_are_for_keys_that_may_manage_them(box: ApiBox, method: str, path: str) -> None:
    others = {"images:write", "results:read", "reviews:write", "models:manage", "audit:read", "admin"}
    async with box.client(box.add_key(scopes=frozenset(others))) as client:
        answer = await client.request(method, path, json={"all": True})
        assert (answer.status_code, slug_of(answer)) == (403, "insufficient-scope")
        answer = await client.request(method, path, json={"all": True}, headers={"Authorization": "Bearer x"})
        assert (answer.status_code, slug_of(answer)) == (401, "unauthenticated")


@pytest.mark.parametrize(("method", "path"), [route for route in ROUTES if route[1].startswith(ONE)])
async def test_another_facilitys_endpoint_is_not_found_and_nothing_happens_to_it(
    box: ApiBox, manager: Manager, method: str, path: str
) -> None:
    theirs = await Manager(box, OTHER_HALL).add()
    before = stored(box, theirs)
    for endpoint_id in (theirs["id"], str(uuid4()), "1", "dead%00"):
        answer = await manager.call(method, path.replace(ONE, f"/v1/hooks/{endpoint_id}"))
        assert (answer.status_code, slug_of(answer)) == (404, "not-found")
    assert stored(box, theirs) == before
    assert box.hook.received == []


async def test_another_facilitys_deliveries_are_neither_seen_nor_replayed(box: ApiBox, manager: Manager) -> None:
    theirs = await Manager(box, OTHER_HALL).add()
    announced(box, OTHER_HALL)
    let_die(box)
    assert (await manager.get("/v1/hooks/dead"))["items"] == []
    for body in ({"all": True}, {"delivery_id": 1}, {"since": "2026-11-23T00:00:00Z"}):
        assert (await manager.call("POST", "/v1/hooks/replay", json=body)).json() == {"replayed": 0}
    for body in ({"endpoint": theirs["id"]}, {"facility": OTHER_HALL}):
        assert slug_of(await manager.call("POST", "/v1/hooks/replay", json=body)) == "not-found"
    assert len((await Manager(box, OTHER_HALL).get("/v1/hooks/dead"))["items"]) == 1


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_an_unknown_parameter_is_refused(manager: Manager, method: str, path: str) -> None:
    answer = await manager.call(method, path, params={"nonsense": "1"}, json={"all": True})
    assert (answer.status_code, slug_of(answer)) == (422, "unknown-parameter")
