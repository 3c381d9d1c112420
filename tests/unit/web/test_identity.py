import asyncio
import threading
from dataclasses import replace
from datetime import timedelta

import pytest
from starlette.requests import Request

from framegate.adapters.memory import FakeClock, MemoryStore
from framegate.kernel.apikey import hash_secret, new_key
from framegate.kernel.errors import DependencyUnavailable
from framegate.kernel.ids import FacilityId
from framegate.ports.store import ApiKey
from framegate.web.identity import FRESH_S, Authenticator, Principal
from framegate.web.limits import FailureLimit
from framegate.web.problems import Problem

pytestmark = pytest.mark.anyio
HALL, OTHER = FacilityId("hall-1"), FacilityId("hall-2")


class CountingKeys:
    """Keys that count what they are asked."""

    def __init__(self, store: MemoryStore) -> None:
        self._keys = store.keys
        self.asked = 0
        self.down = False
        self.gate = threading.Event()
        self.gate.set()

    def find_key(self, key_id: str) -> ApiKey | None:
        self.asked += 1
        self.gate.wait(10)
        if self.down:
            raise DependencyUnavailable
        return self._keys.find_key(key_id)

    def add_key(self, key: ApiKey, actor: str) -> None:
        self._keys.add_key(key, actor)

    def keys(self) -> list[ApiKey]:
        return self._keys.keys()

    def revoke_key(self, key_id: str, actor: str) -> bool:
        return self._keys.revoke_key(key_id, actor)


class Door:
    def __init__(self, *, watched: bool = False) -> None:
        self.clock = FakeClock()
        self.keys = CountingKeys(MemoryStore(self.clock))
        failures = FailureLimit(self.clock) if watched else None
        self.authenticator = Authenticator(self.keys, b"pepper", self.clock, failures)
        self.text, self.key_id, secret = new_key()
        now = self.clock.now()
        hashed = hash_secret(b"pepper", secret)
        self.record = ApiKey(
            self.key_id,
            "cam",
            hashed,
            frozenset({"images:write"}),
            frozenset({HALL}),
            now,
            now + timedelta(days=1),
            None,
        )
        self.keys.add_key(self.record, "test")

    async def knock(self, text: str | None = None, header: str | None = None) -> Principal:
        value = header if header is not None else f"Bearer {text or self.text}"
        scope = {"type": "http", "headers": [(b"authorization", value.encode())], "client": ("10.0.0.9", 1)}
        return await self.authenticator.principal(Request(scope))

    async def refusal(self, text: str | None = None, header: str | None = None) -> str:
        with pytest.raises(Problem) as caught:
            await self.knock(text, header)
        return caught.value.slug


async def test_a_key_is_looked_up_once_while_it_is_fresh() -> None:
    door = Door()
    for _ in range(20):
        assert (await door.knock()).key_id == door.key_id
    assert door.keys.asked == 1
    door.clock.advance(FRESH_S)
    await door.knock()
    assert door.keys.asked == 2


async def test_requests_that_arrive_together_share_one_look_up() -> None:
    door = Door()
    door.keys.gate.clear()
    knocking = [asyncio.create_task(door.knock()) for _ in range(20)]
    await asyncio.sleep(0)
    door.keys.gate.set()
    await asyncio.gather(*knocking)
    assert door.keys.asked == 1


async def test_a_revoked_key_is_refused_within_five_seconds() -> None:
    door = Door()
    await door.knock()
    door.keys.revoke_key(door.key_id, "test")
    door.clock.advance(FRESH_S)
    assert await door.refusal() == "unauthenticated"


async def test_a_key_that_expires_while_it_is_fresh_is_refused_at_once() -> None:
    door = Door()
    door.clock.advance(timedelta(days=1).total_seconds() - 1)
    await door.knock()
    door.clock.advance(1)
    assert await door.refusal() == "unauthenticated"


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Basic dXNlcjpwYXNz", "Bearer fg_live_x", "bearer é", "Bearer " + "A" * 10_000]
)
async def test_what_is_no_key_is_refused_without_asking_the_database(header: str) -> None:
    door = Door()
    assert await door.refusal(header=header) == "unauthenticated"
    assert door.keys.asked == 0


async def test_a_wrong_checksum_is_refused_without_asking_the_database() -> None:
    door = Door()
    assert await door.refusal(door.text[:-1] + ("A" if door.text[-1] != "A" else "B")) == "unauthenticated"
    assert door.keys.asked == 0


async def test_a_right_key_id_with_another_secret_is_refused() -> None:
    door = Door()
    other, other_id, _ = new_key()
    door.keys.add_key(replace(door.record, key_id=other_id, secret_hash=b"\0" * 32), "test")
    assert await door.refusal(other) == "unauthenticated"


async def test_unknown_keys_are_never_remembered() -> None:
    door = Door()
    for _ in range(5):
        assert await door.refusal(new_key()[0]) == "unauthenticated"
    assert len(door.authenticator._known) == 0
    assert len(door.authenticator._asking) == 0


async def test_a_database_that_does_not_answer_is_no_refusal() -> None:
    door = Door()
    door.keys.down = True
    with pytest.raises(DependencyUnavailable):
        await door.knock()
    door.keys.down = False
    await door.knock()


async def test_too_many_failures_from_an_address_are_slowed_down_but_a_right_key_still_passes() -> None:
    door = Door(watched=True)
    assert [await door.refusal("x") for _ in range(11)] == ["unauthenticated"] * 10 + ["rate-limited"]
    assert (await door.knock()).key_id == door.key_id
    door.clock.advance(300)
    assert await door.refusal("x") == "unauthenticated"


def principal(*facilities: FacilityId, disabled: frozenset[FacilityId] = frozenset()) -> Principal:
    return Principal("k", "cam", frozenset(), frozenset(facilities), disabled)


def slug(who: Principal, wanted: str | None) -> str:
    with pytest.raises(Problem) as caught:
        who.facility(wanted)
    return caught.value.slug


async def test_a_key_of_one_facility_implies_it() -> None:
    assert principal(HALL).facility(None) == HALL


async def test_a_key_of_several_facilities_has_to_say_which_one() -> None:
    assert slug(principal(HALL, OTHER), None) == "invalid-parameter"
    assert principal(HALL, OTHER).facility("hall-2") == OTHER


async def test_a_foreign_facility_looks_like_an_absent_one_even_when_it_is_disabled() -> None:
    assert slug(principal(HALL, disabled=frozenset({OTHER})), "hall-2") == "not-found"


async def test_a_disabled_facility_is_refused_and_left_out_of_listings() -> None:
    both = principal(HALL, OTHER, disabled=frozenset({OTHER}))
    assert slug(both, "hall-2") == "facility-disabled"
    assert both.visible(None) == {HALL}
    with pytest.raises(Problem, match="facility-disabled"):
        principal(OTHER, disabled=frozenset({OTHER})).visible(None)
