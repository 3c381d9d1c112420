"""The chain of seals: what it proves, and what it finds."""

import copy
import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framegate.kernel.audit import (
    REDACTED,
    AuditEntry,
    Seal,
    check_proof,
    climb,
    entry_fault,
    merkle_path,
    merkle_root,
    proof,
    seal_entries,
    seal_fault,
)
from framegate.kernel.ids import FacilityId

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)


def entry(sequence: int, **changes: Any) -> AuditEntry:
    made = AuditEntry(
        sequence,
        UUID(int=sequence),
        FacilityId("main"),
        "lead",
        "thing.done",
        f"thing {sequence}",
        {"n": sequence},
        NOW,
    )
    return replace(made, **changes)


def entries(*numbers: int) -> list[AuditEntry]:
    return [entry(number) for number in numbers]


def test_the_hash_of_an_entry_is_what_the_page_about_it_says() -> None:
    text = (
        '{"action":"thing.done","actor":"lead","at":"2026-11-27T12:00:00.000000Z","body_sha256":"'
        + hashlib.sha256(b'{"n":1}').hexdigest()
        + '","facility":"main","id":"00000000-0000-0000-0000-000000000001","object":"thing 1","sequence":1}'
    )
    assert entry(1).leaf() == hashlib.sha256(b"\x00" + text.encode()).digest()


def test_the_tree_is_that_of_rfc_6962() -> None:
    def node(left: bytes, right: bytes) -> bytes:
        return hashlib.sha256(b"\x01" + left + right).digest()

    a, b, c, d, e = (bytes([n]) * 32 for n in range(5))
    assert merkle_root([a]) == a
    assert merkle_root([a, b, c]) == node(node(a, b), c)
    assert merkle_root([a, b, c, d, e]) == node(node(node(a, b), node(c, d)), e)


@given(st.integers(1, 70), st.data())
def test_every_path_leads_to_the_root(count: int, data: st.DataObject) -> None:
    leaves = [hashlib.sha256(bytes([n])).digest() for n in range(count)]
    index = data.draw(st.integers(0, count - 1))
    assert climb(leaves[index], merkle_path(leaves, index)) == merkle_root(leaves)


def test_numbers_that_were_rolled_back_are_said_to_be_missing() -> None:
    first = seal_entries(None, entries(2, 3, 7), NOW)
    second = seal_entries(first, entries(8, 10), NOW)
    assert (first.first, first.last, first.missing) == (1, 7, ((1, 1), (4, 6)))
    assert (second.first, second.last, second.missing) == (8, 10, ((9, 9),))
    assert list(first.sequences()) == [2, 3, 7]
    assert (seal_fault(None, first), seal_fault(first, second)) == (None, None)
    assert entry_fault(first, entries(2, 3, 7)) is None


@pytest.mark.parametrize(
    ("found", "what", "sequence"),
    [
        ([2, 3], "removed", 7),
        ([2, 7], "removed", 3),
        ([3, 7], "removed", 2),
        ([], "removed", 2),
        ([1, 2, 3, 7], "inserted", 1),
        ([2, 3, 5, 7], "inserted", 5),
        ([2, 3, 7, 7], "inserted", 7),
    ],
)
def test_what_was_removed_or_inserted_is_named(found: list[int], what: str, sequence: int) -> None:
    fault = entry_fault(seal_entries(None, entries(2, 3, 7), NOW), entries(*found))
    assert fault is not None
    assert (fault.what, fault.sequence, fault.seal) == (what, sequence, 1)
    assert f"entry {sequence} (seal 1) was {what}" in str(fault)


@pytest.mark.parametrize(
    "change",
    [
        {"actor": "Lead"},
        {"action": "thing.undone"},
        {"object": "thing 4"},
        {"facility": FacilityId("other")},
        {"id": UUID(int=99)},
        {"at": NOW + timedelta(microseconds=1)},
        {"body": {"n": 3, "more": None}},
        {"body": {"n": "3"}},
        {"body": {REDACTED: "0" * 64}},
    ],
)
def test_any_change_of_an_entry_is_found(change: dict[str, Any]) -> None:
    seal = seal_entries(None, entries(1, 2, 3, 4), NOW)
    fault = entry_fault(seal, [*entries(1, 2), entry(3, **change), entry(4)])
    assert fault is not None
    assert (fault.what, fault.sequence) == ("changed", 3)


def test_an_entry_whose_body_was_taken_out_is_still_proved() -> None:
    seal = seal_entries(None, entries(1, 2), NOW)
    digest = hashlib.sha256(b'{"n":2}').hexdigest()
    taken_out = entry(2, body={REDACTED: digest})
    assert (taken_out.redacted, entry(2).redacted) == (True, False)
    assert entry_fault(seal, [entry(1), taken_out]) is None
    assert check_proof(proof(taken_out, seal))


@pytest.mark.parametrize(
    "change",
    [
        {"first": 0},
        {"last": 9},
        {"last": 10**15},
        {"first": 3, "last": 1, "missing": ((1, 3),)},
        {"missing": ((2, 1),)},
        {"missing": ((1, 1),)},
        {"leaves": (b"x" * 32,) * 2},
        {"root": b"x" * 32},
        {"sealed_at": NOW + timedelta(seconds=1)},
        {"hash": b"x" * 32},
    ],
)
def test_any_change_of_a_seal_is_found(change: dict[str, Any]) -> None:
    seal = seal_entries(None, entries(1, 2), NOW)
    fault = seal_fault(None, replace(seal, **change))
    assert fault is not None
    assert (fault.what, fault.sequence, fault.seal) == ("changed", None, 1)


def test_a_seal_that_was_made_anew_is_given_away_by_the_next_one() -> None:
    first = seal_entries(None, entries(1, 2), NOW)
    second = seal_entries(first, entries(3), NOW)
    forged = seal_entries(None, [entry(1), entry(2, actor="nobody")], NOW)
    assert seal_fault(None, forged) is None
    fault = seal_fault(forged, second)
    assert fault is not None
    assert (fault.what, fault.seal) == ("changed", 1)


def test_a_seal_that_is_gone_is_named() -> None:
    first = seal_entries(None, entries(1), NOW)
    second = seal_entries(first, entries(2), NOW)
    for before, after, number in ((None, second, 1), (first, seal_entries(second, entries(3), NOW), 2)):
        fault = seal_fault(before, after)
        assert fault is not None
        assert (fault.what, fault.seal) == ("removed", number)


def shown(sealed: Seal | None) -> dict[str, Any]:
    """As somebody else reads it."""
    found: dict[str, Any] = json.loads(json.dumps(proof(entry(2, body={"x": 1e-7, "who": "Zoë"}), sealed)))
    return found


def sealed() -> Seal:
    return seal_entries(None, [entry(1), entry(2, body={"x": 1e-7, "who": "Zoë"}), entry(3)], NOW)


def test_a_proof_holds_by_itself_and_tells_nothing_of_the_others() -> None:
    assert check_proof(shown(sealed()))
    assert "thing 1" not in json.dumps(shown(sealed()))
    assert not check_proof(shown(None))


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (("entry", "actor"), "x"),
        (("entry", "body", "x"), 2),
        (("entry", "body_sha256"), "0" * 64),
        (("path", 0, "side"), "right"),
        (("path", 1, "sha256"), "0" * 64),
        (("seal", "sealed_at"), "2026-11-27T12:00:00.000001Z"),
        (("seal", "sha256"), "0" * 64),
        (("leaf_sha256",), "0" * 64),
    ],
)
def test_a_proof_that_was_changed_does_not_hold(where: tuple[Any, ...], value: object) -> None:
    changed: Any = copy.deepcopy(shown(sealed()))
    inner = changed
    for step in where[:-1]:
        inner = inner[step]
    assert inner[where[-1]] != value
    inner[where[-1]] = value
    assert not check_proof(changed)
