import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framegate.kernel.apikey import hash_secret, new_key, parse_key


def test_a_new_key_has_the_published_form_and_tells_its_id_and_secret() -> None:
    text, key_id, secret = new_key()
    assert text.startswith(f"fg_live_{key_id}_{secret}")
    assert (len(key_id), len(secret), len(text)) == (12, 43, 8 + 12 + 1 + 43 + 6)
    assert parse_key(text) == (key_id, secret)


def test_two_new_keys_have_nothing_in_common() -> None:
    one, other = new_key(), new_key()
    assert one[1] != other[1]
    assert one[2] != other[2]


@pytest.mark.parametrize("position", range(len("fg_live_") + 12 + 1 + 43 + 6))
def test_a_key_with_one_wrong_character_is_no_key(position: int) -> None:
    text, *_ = new_key()
    wrong = "A" if text[position] != "A" else "B"
    assert parse_key(text[:position] + wrong + text[position + 1 :]) is None


@pytest.mark.parametrize(
    "change", [str.upper, lambda t: t + "\n", lambda t: " " + t, lambda t: t[:-1], lambda t: t * 2]
)
def test_a_key_that_was_copied_badly_is_no_key(change) -> None:  # type: ignore[no-untyped-def]
    assert parse_key(change(new_key()[0])) is None


@given(st.text(max_size=200))
def test_no_text_makes_parsing_raise(text: str) -> None:
    assert parse_key(text) is None


def test_the_hash_depends_on_the_pepper_and_on_the_secret() -> None:
    assert hash_secret(b"pepper", "secret") == hmac.new(b"pepper", b"secret", "sha256").digest()
    assert len({hash_secret(b"a", "s"), hash_secret(b"b", "s"), hash_secret(b"a", "t")}) == 3
