"""Which hosts and addresses count as reachable."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.web.addresses import HostRules, Reach, reach
from domain.problems import ConfigurationProblem


@pytest.mark.parametrize(
    "address", ["93.184.216.34", "1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_public_addresses(address: str) -> None:
    assert reach(address) is Reach.PUBLIC


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.9.10",
        "10.1.2.3",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "100.64.0.1",
        "198.18.0.7",
        "::1",
        "fd12::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::a00:1",
    ],
)
def test_private_addresses(address: str) -> None:
    assert reach(address) is Reach.PRIVATE


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "100.100.100.200",
        "168.63.129.16",
        "fd00:ec2::254",
        "0.0.0.0",
        "::",
        "::ffff:0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "240.0.0.1",
        "192.0.2.1",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "ff02::1",
        "2001:db8::1",
        "2001:0:4136:e378::1",
        "2002:7f00:1::",
        "::7f00:1",
        "64:ff9b:1::7f00:1",
        "not an address",
        "2130706433",
        "0177.0.0.1",
    ],
)
def test_addresses_of_nobodys_service(address: str) -> None:
    assert reach(address) is Reach.NEVER


@given(st.ip_addresses())
def test_nothing_that_python_calls_local_counts_as_public(address: ipaddress.IPv4Address) -> None:
    if address.is_private or address.is_loopback or address.is_link_local or address.is_multicast:
        assert reach(str(address)) is not Reach.PUBLIC or getattr(address, "ipv4_mapped", None) is not None


@given(st.ip_addresses(v=4))
def test_a_mapped_address_counts_as_what_it_stands_for(address: ipaddress.IPv4Address) -> None:
    assert reach(f"::ffff:{address}") is reach(str(address))


class TestHostRules:
    rules = HostRules(("api.shop.cn", "*.Partner.com", "商店.cn", "::1", "10.0.0.8"))

    @pytest.mark.parametrize(
        "host",
        [
            "api.shop.cn",
            "API.SHOP.CN.",
            "a.partner.com",
            "a.b.partner.com",
            "商店.cn",
            "xn--czrs0t.cn",
            "[::1]",
            "0:0:0:0:0:0:0:1",
            "10.0.0.8",
        ],
    )
    def test_listed(self, host: str) -> None:
        assert self.rules.allow(host)

    @pytest.mark.parametrize(
        "host",
        ["shop.cn", "x.api.shop.cn", "partner.com", "evilpartner.com", "api.shop.cn.evil.com", "", ".", "10.0.0.80"],
    )
    def test_not_listed(self, host: str) -> None:
        assert not self.rules.allow(host)

    @pytest.mark.parametrize("entry", ["*", "*.", "https://a.cn", "a.cn/x", "a.*.cn", "a.cn:80", "", "*.cn", "a b"])
    def test_an_entry_that_is_no_host_is_refused_with_what_to_write(self, entry: str) -> None:
        with pytest.raises(ConfigurationProblem, match=r"\*\.example\.com"):
            HostRules((entry,))

    def test_an_empty_list_allows_nothing(self) -> None:
        assert not HostRules(()).allow("localhost")
