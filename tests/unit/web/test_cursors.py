from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framegate.kernel.ids import new_image_id
from framegate.web.cursors import Cursors
from framegate.web.problems import Problem

NOW = datetime(2026, 11, 23, tzinfo=UTC)
CURSORS = Cursors(b"pepper")


def refused(text: str, query: str = "q", now: datetime = NOW, cursors: Cursors = CURSORS) -> bool:
    with pytest.raises(Problem) as caught:
        cursors.open(text, query, now)
    return caught.value.slug == "invalid-cursor"


def test_a_cursor_brings_back_the_id_it_was_made_of() -> None:
    last = new_image_id()
    assert CURSORS.open(CURSORS.seal(last, "q", NOW), "q", NOW + timedelta(hours=23)) == last


def test_a_cursor_is_refused_after_a_day() -> None:
    assert refused(CURSORS.seal(new_image_id(), "q", NOW), now=NOW + timedelta(hours=25))


def test_a_cursor_of_another_query_or_another_server_is_refused() -> None:
    sealed = CURSORS.seal(new_image_id(), "q", NOW)
    assert refused(sealed, query="other")
    assert refused(sealed, cursors=Cursors(b"another pepper"))


def test_a_cursor_with_any_changed_character_is_refused() -> None:
    sealed = CURSORS.seal(new_image_id(), "q", NOW)
    for position, character in enumerate(sealed[:-1]):
        changed = "A" if character != "A" else "B"
        assert refused(sealed[:position] + changed + sealed[position + 1 :])


@given(st.text(max_size=300))
def test_any_text_that_is_no_cursor_is_refused_as_one(text: str) -> None:
    assert refused(text)
