from contextlib import suppress
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framegate.kernel.addresses import Allowed, Opening, host_address, is_denied, is_host_name, parse_allow
from tests.support.ssrf import DENIED, NEIGHBOURS, PUBLIC


@pytest.mark.parametrize("text", DENIED)
def test_an_address_off_the_public_internet_is_denied(text: str) -> None:
    assert is_denied(ip_address(text))


@pytest.mark.parametrize("text", NEIGHBOURS)
def test_the_neighbours_of_a_denied_network_are_not_denied(text: str) -> None:
    assert not is_denied(ip_address(text))


@pytest.mark.parametrize("text", PUBLIC)
def test_a_public_address_is_not_denied(text: str) -> None:
    assert not is_denied(ip_address(text))


@given(st.ip_addresses(v=6))
def test_no_ipv6_address_outside_of_what_was_assigned_passes(address) -> None:  # type: ignore[no-untyped-def]
    assert is_denied(address) or address in ip_network("2000::/3")


@pytest.mark.parametrize(
    ("text", "is_name"),
    [
        ("hooks.local", True),
        ("plc", True),
        ("4711.example.org", True),
        ("0x7f.example.org", True),
        ("xn--bcher-kva.example", True),
        ("a" * 63 + ".org", True),
        ("127.1", False),
        ("127.0.0.1", False),
        ("2130706433", False),
        ("0x7f000001", False),
        ("example.0x1", False),
        ("Hooks.local", False),
        ("hooks_local", False),
        ("hooks.local.", False),
        ("-a.org", False),
        ("a-.org", False),
        ("a..org", False),
        ("", False),
        ("a" * 64 + ".org", False),
        ("a.\n", False),
        ("a.org\n", False),
    ],
)
def test_names_are_told_from_numbers_in_disguise(text: str, is_name: bool) -> None:
    assert is_host_name(text) is is_name


@pytest.mark.parametrize("text", ["127.1", "0x7f.0.0.1", "0177.0.0.1", "fe80::1%eth0", "hooks.local", "", "1.2.3.4/32"])
def test_only_an_address_written_in_full_is_one(text: str) -> None:
    assert host_address(text) is None


def test_the_list_of_the_operator_is_read() -> None:
    allowed = parse_allow(
        " 10.0.0.0/8, Hooks.Local,http://plc.local:8080 ,192.168.1.7:8443, [fd00::/16]:9000,fd01::/16,"
    )
    assert allowed == Allowed(
        (
            Opening("https", 443, network=ip_network("10.0.0.0/8")),
            Opening("https", 443, name="hooks.local"),
            Opening("http", 8080, name="plc.local"),
            Opening("https", 8443, network=ip_network("192.168.1.7/32")),
            Opening("https", 9000, network=ip_network("fd00::/16")),
            Opening("https", 443, network=ip_network("fd01::/16")),
        )
    )
    assert parse_allow("http://10.0.0.0/8").openings[0].port == 80
    assert parse_allow("https://[fd00::1]").openings[0].network == ip_network("fd00::1/128")
    assert parse_allow("") == parse_allow(" , ") == Allowed()


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("10.0.0.1/8", "host bits"),
        ("10.0.0.0/33", "not a CIDR"),
        ("0.0.0.0/0", "opens too much"),
        ("8.0.0.0/7", "opens too much"),
        ("::/0", "opens too much"),
        ("::ffff:10.0.0.0/104", "write them as IPv4"),
        ("::ffff:10.0.0.1", "write them as IPv4"),
        ("ftp://hooks.local", "http://"),
        ("http://plc.local/path", "not a CIDR"),
        ("http://user@plc.local", "neither"),
        ("hooks.local:0", "port"),
        ("hooks.local:65536", "port"),
        ("hooks.local:x", "port"),
        ("hooks.local:", "port"),
        ("[fd00::1]:", "port"),
        ("[hooks.local]:8443", "brackets"),
        ("*.local", "neither"),
        ("127.1", "neither"),
        ("2130706433", "neither"),
        ("hooks local", "neither"),
        ("http://", "neither"),
        ("fe80::1%eth0", "neither"),
    ],
)
def test_a_wrong_entry_is_named_with_what_is_wrong(entry: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as refused:
        parse_allow(f"hooks.local, {entry}")
    assert repr(entry) in str(refused.value)


@given(st.text(max_size=40))
def test_no_list_fails_otherwise(text: str) -> None:
    with suppress(ValueError):
        for opening in parse_allow(text).openings:
            assert opening.network is not None or is_host_name(opening.name)


@pytest.mark.parametrize(
    ("entry", "scheme", "host", "port", "address", "reached"),
    [
        ("10.0.0.0/8", "https", "erp.corp", 443, "10.1.2.3", True),
        ("10.0.0.0/8", "https", "erp.corp", 443, "11.1.2.3", False),
        ("10.0.0.0/8", "https", "erp.corp", 8443, "10.1.2.3", False),
        ("10.0.0.0/8", "http", "erp.corp", 80, "10.1.2.3", False),
        ("http://10.0.0.0/8", "http", "erp.corp", 80, "10.1.2.3", True),
        ("http://10.0.0.0/8", "http", "erp.corp", 80, "8.8.8.8", False),
        ("http://10.0.0.0/8", "https", "erp.corp", 443, "10.1.2.3", False),
        ("10.0.0.0/8:8443", "https", "erp.corp", 8443, "10.1.2.3", True),
        ("hooks.local", "https", "hooks.local", 443, "192.168.1.1", True),
        ("hooks.local", "https", "hooks.local", 443, "127.0.0.1", True),
        ("hooks.local", "https", "hooks.local", 443, "fd12::1", True),
        ("hooks.local", "https", "a.hooks.local", 443, "192.168.1.1", False),
        ("hooks.local", "https", "hooks.local", 443, "169.254.169.254", False),
        ("hooks.local", "https", "hooks.local", 443, "fd00:ec2::254", False),
        ("hooks.local", "https", "hooks.local", 443, "168.63.129.16", False),
        ("hooks.local", "https", "hooks.local", 443, "100.100.100.200", False),
        ("hooks.local", "https", "hooks.local", 443, "::ffff:10.0.0.1", False),
        ("http://plc.local:8080", "http", "plc.local", 8080, "10.0.0.7", True),
        ("http://plc.local:8080", "http", "plc.local", 80, "10.0.0.7", False),
        ("http://hooks.example.org", "http", "hooks.example.org", 80, "93.184.216.34", True),
        ("100.64.0.0/10", "https", "tail.net", 443, "100.100.1.1", True),
    ],
)
def test_an_entry_opens_exactly_what_it_says(
    entry: str, scheme: str, host: str, port: int, address: str, reached: bool
) -> None:
    assert parse_allow(entry).reaches(scheme, host, port, ip_address(address)) is reached
