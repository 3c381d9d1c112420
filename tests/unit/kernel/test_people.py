from itertools import pairwise

import pytest

from framegate.kernel.people import (
    SCOPES_OF,
    Role,
    form_token,
    hash_token,
    is_form_token,
    is_person_name,
    new_token,
    normal_password,
    password_fault,
)
from framegate.kernel.states import Scope

PEPPER = b"pepper"


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery",
        "ein langer satz am tag",
        "p@ssw0rd is not in here",
        "x" * 14 + "yz",
        "ключ от всех ворот",
    ],
)
def test_a_long_password_that_nobody_guesses_is_taken_whatever_it_is_made_of(password: str) -> None:
    assert password_fault(password, "anna") is None


@pytest.mark.parametrize(
    ("password", "fault"),
    [
        ("", "at least 15"),
        ("x7!kQ9#mZ2$pL4", "at least 15"),
        ("a1b2" * 65, "at most 256"),
        ("aaaaaaaaaaaaaaaaaaaa", "repeats"),
        ("12341234123412341", "repeats"),
        ("passwordpassword", "common words"),
        ("Password1234567890", "common words"),
        ("annaframegate2026", "common words"),
        ("ANNA.MUSTERMANN@hall", "common words"),
        ("qwertyuiopasdfghjkl1", "common words"),
    ],
)
def test_a_short_or_guessable_password_is_refused_and_the_reason_said(password: str, fault: str) -> None:
    name = "anna.mustermann@hall" if "MUSTER" in password else "anna"
    assert fault in (password_fault(password, name) or "")


def test_the_same_characters_are_the_same_password_however_they_are_composed() -> None:
    assert normal_password("Scho\u0308ne Gru\u0308\u00dfe") == normal_password("Sch\u00f6ne Gr\u00fc\u00dfe")


@pytest.mark.parametrize("name", ["anna", "a1", "anna.m@hall-1.example", "x_y-z"])
def test_small_letters_digits_and_a_few_signs_name_people(name: str) -> None:
    assert is_person_name(name)


@pytest.mark.parametrize("name", ["", "a", "Anna", "an na", ".anna", "anna\n", "a" * 65, "änna", "a:b", "<b>"])
def test_nothing_else_does(name: str) -> None:
    assert not is_person_name(name)


def test_every_role_may_what_those_before_it_may_and_an_admin_everything() -> None:
    steps = [SCOPES_OF[role] for role in Role]
    assert all(lower < higher for lower, higher in pairwise(steps))
    assert SCOPES_OF[Role.ADMIN] == frozenset(Scope)


def test_a_token_is_stored_under_the_pepper_and_a_form_has_another_one() -> None:
    token = new_token()
    assert hash_token(PEPPER, token) != hash_token(b"other", token)
    stored = hash_token(PEPPER, token)
    assert stored is not None
    assert stored.hex() != form_token(PEPPER, token)


@pytest.mark.parametrize("text", ["", "x", "a" * 42, "a" * 44, "a" * 42 + "=", "a" * 42 + "\n"])
def test_what_was_never_a_token_has_no_hash(text: str) -> None:
    assert hash_token(PEPPER, text) is None


def test_a_form_token_holds_for_its_own_login_only() -> None:
    mine, others = new_token(), new_token()
    assert is_form_token(PEPPER, mine, form_token(PEPPER, mine))
    assert not is_form_token(PEPPER, mine, form_token(PEPPER, others))
    assert not is_form_token(PEPPER, mine, form_token(b"other", mine))
    assert not is_form_token(PEPPER, mine, "")
    assert not is_form_token(PEPPER, mine, "ß")
