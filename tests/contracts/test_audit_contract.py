"""Reading the audit and sealing it."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

from framegate.kernel.audit import entry_fault, seal_fault
from framegate.kernel.ids import FacilityId
from framegate.ports.audit import AuditFilter, viewed

from .examples import FACILITY, OTHER_FACILITY, accept, decide
from .harness import Harness

MINE = frozenset({FACILITY})


def add(harness: Harness, *objects: str, facility: FacilityId = FACILITY, actor: str = "lead") -> list[int]:
    return [harness.audit_log.add(facility, actor, "thing.done", one, {"n": 1.5}).sequence for one in objects]


def objects(harness: Harness, where: AuditFilter, limit: int = 100, newest: bool = False) -> list[str]:
    return [entry.object for entry in harness.audit_log.entries(where, limit, newest=newest)]


def test_an_entry_that_is_added_is_told_as_it_was_given(harness: Harness) -> None:
    entry = harness.audit_log.add(FACILITY, "lead (k1)", "evidence.exported", "image 1", {"by": "ü", "n": [1, 2.5]})
    assert harness.audit_log.entries(AuditFilter(id=entry.id), 10) == [entry]
    told = (entry.facility, entry.actor, entry.action, entry.object, entry.body)
    assert told == (FACILITY, "lead (k1)", "evidence.exported", "image 1", {"by": "ü", "n": [1, 2.5]})
    assert entry.at.utcoffset() == timedelta(0)


def test_entries_are_found_by_every_condition_and_told_from_either_end(harness: Harness) -> None:
    first, second, _ = add(harness, "a", "b", "c")
    harness.advance(1)
    add(harness, "b", facility=OTHER_FACILITY, actor="other")
    mine = AuditFilter(MINE, actor="lead")
    assert objects(harness, mine) == ["a", "b", "c"]
    assert objects(harness, mine, 2, newest=True) == ["c", "b"]
    assert objects(harness, mine, 2) == ["a", "b"]
    assert objects(harness, AuditFilter(object="b")) == ["b", "b"]
    assert objects(harness, AuditFilter(MINE, object="b")) == ["b"]
    assert objects(harness, AuditFilter(actor="other")) == ["b"]
    assert objects(harness, AuditFilter(after=first, until=second)) == ["b"]
    assert objects(harness, AuditFilter(frozenset())) == []
    (newest,) = harness.audit_log.entries(AuditFilter(), 1, newest=True)
    assert objects(harness, AuditFilter(since=newest.at)) == ["b"]
    assert objects(harness, AuditFilter(since=newest.at + timedelta(microseconds=1))) == []


def test_what_says_the_same_again_is_added_once_in_a_while(harness: Harness) -> None:
    hour, body = timedelta(hours=1), {"what": "page"}

    def once(within: timedelta = hour, **changes: Any) -> bool:
        values = {"facility": FACILITY, "actor": "lead", "action": "seen", "what": "a", "body": body} | changes
        return harness.audit_log.add_once(**values, within=within)

    before = len(harness.audit())
    assert [once(), once()] == [True, False]
    others = ({"facility": OTHER_FACILITY}, {"actor": "x"}, {"action": "x"}, {"what": "x"}, {"body": {}})
    for other in others:
        assert [once(**other), once(**other)] == [True, False]
    assert once(timedelta(0))
    assert len(harness.audit()) == before + 7
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda _: once(actor="many"), range(8)))
    assert sorted(done) == [False] * 7 + [True]


def test_who_sees_an_image_is_told_once_an_hour_for_the_page_and_for_the_original(harness: Harness) -> None:
    image = accept(harness.intake)
    shown = [
        viewed(harness.audit_log, FACILITY, image.image_id, actor, what)
        for actor in ("Ann", "Ben")
        for what in ("page", "original", "page")
    ]
    assert shown == [True, True, False] * 2
    told = harness.audit_log.entries(AuditFilter(object=str(image.image_id), actor="Ann"), 10)
    assert [(entry.action, entry.body) for entry in told] == [
        ("image.viewed", {"what": "page"}),
        ("image.viewed", {"what": "original"}),
    ]


def test_seals_cover_every_entry_in_order_and_hold(harness: Harness) -> None:
    decide(harness.progress, accept(harness.intake))
    add(harness, "a", "b", "c")
    total = len(harness.audit())
    assert [harness.audit_log.seal(2), harness.audit_log.seal(1000), harness.audit_log.seal(1000)] == [2, total - 2, 0]
    first, second = harness.audit_log.seals(0, 10)
    assert harness.audit_log.seals(1, 10) == [second]
    assert harness.audit_log.seals(0, 1) == [first]
    assert (seal_fault(None, first), seal_fault(first, second)) == (None, None)
    for seal in (first, second):
        entries = harness.audit_log.entries(AuditFilter(after=seal.first - 1, until=seal.last), 100)
        assert [entry.leaf() for entry in entries] == list(seal.leaves)
        assert entry_fault(seal, entries) is None


def test_what_comes_after_a_seal_waits_for_the_next_one(harness: Harness) -> None:
    (sealed,) = add(harness, "a")
    harness.audit_log.seal(1000)
    assert harness.audit_log.unsealed_s() == 0
    (waiting,) = add(harness, "b")
    first = harness.audit_log.seal_of(sealed)
    assert first is not None
    assert first.number == 1
    assert harness.audit_log.seal_of(waiting) is None
    assert harness.audit_log.seal(1000) == 1
    second = harness.audit_log.seal_of(waiting)
    assert second is not None
    assert (second.number, second.previous) == (2, first.hash)


def test_there_is_nothing_to_seal_twice(harness: Harness) -> None:
    add(harness, "a")
    assert harness.audit_log.seal(1000) > 0
    assert harness.audit_log.seal(1000) == 0
    assert len(harness.audit_log.seals(0, 10)) == 1
