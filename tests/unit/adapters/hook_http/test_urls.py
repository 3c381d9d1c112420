import pytest
from hypothesis import given
from hypothesis import strategies as st

from framegate.adapters.hook_http.urls import parse_url
from framegate.kernel.addresses import Allowed, parse_allow
from framegate.ports.hooks import HookRefused
from tests.support.ssrf import MALFORMED_URLS

NOTHING = Allowed()


@pytest.mark.parametrize("url", MALFORMED_URLS, ids=range(len(MALFORMED_URLS)))
def test_a_url_that_could_mean_something_else_is_refused(url: str) -> None:
    with pytest.raises(HookRefused) as refused:
        parse_url(url, NOTHING)
    assert refused.value.slug == "invalid-webhook-url"
    assert str(refused.value).startswith("the URL ")


@pytest.mark.parametrize(
    ("text", "host", "path", "authority"),
    [
        ("https://hooks.example.org", "hooks.example.org", "/", "hooks.example.org"),
        ("https://hooks.example.org:443/", "hooks.example.org", "/", "hooks.example.org"),
        ("HTTPS://Hooks.Example.ORG/In", "hooks.example.org", "/In", "hooks.example.org"),
        ("https://hooks.example.org/a/b?c=d&e=%20", "hooks.example.org", "/a/b?c=d&e=%20", "hooks.example.org"),
        ("https://hooks.example.org?c", "hooks.example.org", "/?c", "hooks.example.org"),
        ("https://hooks.example.org/a@b:c", "hooks.example.org", "/a@b:c", "hooks.example.org"),
        ("https://8.8.8.8/x", "8.8.8.8", "/x", "8.8.8.8"),
        ("https://[2606:4700:4700:0::1111]/x", "2606:4700:4700::1111", "/x", "[2606:4700:4700::1111]"),
        ("https://xn--bcher-kva.example/", "xn--bcher-kva.example", "/", "xn--bcher-kva.example"),
        ("https://xn--80ak6aa92e.com/", "xn--80ak6aa92e.com", "/", "xn--80ak6aa92e.com"),
        ("https://xn--eckwd4c7cu47r2wf.jp/", "xn--eckwd4c7cu47r2wf.jp", "/", "xn--eckwd4c7cu47r2wf.jp"),
        ("https://4711.example.org/", "4711.example.org", "/", "4711.example.org"),
    ],
)
def test_an_ordinary_url_is_read(text: str, host: str, path: str, authority: str) -> None:
    url = parse_url(text, NOTHING)
    assert (url.scheme, url.host, url.port, url.path, url.authority) == ("https", host, 443, path, authority)


def test_a_url_of_2048_characters_is_the_longest() -> None:
    url = "https://hooks.example.org/"
    parse_url(url + "x" * (2048 - len(url)), NOTHING)
    with pytest.raises(HookRefused, match="shorten"):
        parse_url(url + "x" * (2049 - len(url)), NOTHING)


def test_an_international_name_is_answered_with_what_it_really_is() -> None:
    with pytest.raises(HookRefused, match=r"xn--80ak6aa92e\.com"):
        parse_url("https://\u0430\u0440\u0440\u04cf\u0435.com/in", NOTHING)
    with pytest.raises(HookRefused, match=r"xn--bcher-kva\.example"):
        parse_url("https://bücher.example/", NOTHING)


@pytest.mark.parametrize(
    ("entry", "url", "opened"),
    [
        ("http://plc.local:8080", "http://plc.local:8080/in", True),
        ("http://plc.local:8080", "http://plc.local/in", False),
        ("http://plc.local:8080", "https://plc.local:8080/in", False),
        ("http://plc.local:8080", "http://other.local:8080/in", False),
        ("10.0.0.0/8:8443", "https://erp.corp:8443/in", True),
        ("10.0.0.0/8:8443", "http://erp.corp:8443/in", False),
        ("10.0.0.0/8", "http://10.0.0.1/in", False),
    ],
)
def test_other_ports_and_plain_http_are_opened_by_the_operator_alone(entry: str, url: str, opened: bool) -> None:
    if opened:
        assert parse_url(url, parse_allow(entry)).authority in url
        return
    with pytest.raises(HookRefused, match="FRAMEGATE_HOOKS__ALLOW"):
        parse_url(url, parse_allow(entry))


@given(st.text(max_size=60).map(lambda text: f"https://{text}"))
def test_no_url_fails_otherwise(text: str) -> None:
    try:
        url = parse_url(text, NOTHING)
    except HookRefused:
        return
    assert url.host.isascii()
    assert url.port == 443
