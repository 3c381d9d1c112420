import pytest

from framegate.web.accept import accepts

JSON = ("application/json",)


@pytest.mark.parametrize(
    "header",
    ["*/*", "", "application/json", "application/*", "text/html, application/json;q=0.1", "text/xml, */*;q=0.01",
     "APPLICATION/JSON", "application/json; charset=utf-8", "nonsense", "application/json;q=x"],
)  # fmt: skip
def test_these_headers_accept_json(header: str) -> None:
    assert accepts(header, JSON)


@pytest.mark.parametrize(
    "header", ["text/xml", "text/*", "application/json;q=0", "*/*, application/json;q=0", "image/png, text/html"]
)
def test_these_headers_do_not_accept_json(header: str) -> None:
    assert not accepts(header, JSON)


def test_one_acceptable_type_of_several_is_enough() -> None:
    assert accepts("image/png", ("image/jpeg", "image/png"))
