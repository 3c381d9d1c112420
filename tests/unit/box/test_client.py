import httpx
import pytest

from framegate.box.client import ApiClient, RefusedUpload
from framegate.kernel.errors import ConfigurationError, DependencyUnavailable


def answering(status: int, text: str = '{"title": "no", "detail": "why"}') -> ApiClient:
    client = ApiClient("http://box", "a-secret-key")
    client.close()
    client._http = httpx.Client(
        base_url="http://box", transport=httpx.MockTransport(lambda _: httpx.Response(status, text=text))
    )
    return client


@pytest.mark.parametrize("status", [400, 411, 413, 415, 422])
def test_what_the_api_says_about_the_picture_is_final(status: int) -> None:
    with pytest.raises(RefusedUpload, match=f"{status} no: why"):
        answering(status).submit(b"x", ".jpg")


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503])
def test_what_will_pass_is_worth_another_try(status: int) -> None:
    with pytest.raises(DependencyUnavailable):
        answering(status).submit(b"x", ".jpg")


@pytest.mark.parametrize("status", [301, 401, 403, 404, 405])
def test_a_wrong_key_or_address_is_never_blamed_on_the_picture(status: int) -> None:
    with pytest.raises(ConfigurationError, match="address and the key") as told:
        answering(status).submit(b"x", ".jpg")
    assert "a-secret-key" not in str(told.value)


@pytest.mark.parametrize("text", ["<html>please log in</html>", "[]", ""])
def test_an_answer_that_is_not_the_apis_is_not_taken_for_an_acceptance(text: str) -> None:
    with pytest.raises(DependencyUnavailable, match="not Framegate"):
        answering(200, text).submit(b"x", ".jpg")


@pytest.mark.parametrize("text", ["[]", "null", "oops"])
def test_a_refusal_without_a_problem_document_still_says_its_status(text: str) -> None:
    with pytest.raises(RefusedUpload, match="422"):
        answering(422, text).submit(b"x", ".jpg")


def test_an_address_that_cannot_be_one_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError, match="--url"):
        ApiClient("http://box:port", "k")
