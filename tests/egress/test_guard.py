"""The SSRF guard refuses every spelling of an address that is not on the public internet."""

import random
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hypothesis import example, given, settings, strategies as st
from yarl import URL

from processor.egress import NetworkScope, Policy, check_url
from processor.egress.addresses import DENIED, NEVER
from processor.egress.guard import authorize_url, denied_kind
from processor.errors import BlockedTarget

NOTHING = Policy()

HOSTILE = [
    "",
    f"https://example.com/{'a' * 2048}",
    *(
        line.encode().decode("unicode_escape").replace("CANARY", "8443")
        for line in Path(__file__).with_name("hostile_urls.txt").read_text().splitlines()
        if line and not line.startswith("# ")
    ),
]

WELCOME = {
    "https://example.com": "https://example.com:443/",
    "https://example.com/": "https://example.com:443/",
    "HTTPS://Example.COM/Hooks": "https://example.com:443/Hooks",
    "https://example.com.": "https://example.com:443/",
    "https://example.com?x=1": "https://example.com:443/?x=1",
    "https://example.com/a%2Fb/../c?sig=a%2Bb+c%20%7E&&=": (
        "https://example.com:443/a%2Fb/../c?sig=a%2Bb+c%20%7E&&="
    ),
    "https://example.com/@user:1//x?@": "https://example.com:443/@user:1//x?@",
    "https://example.com/h\u00f6k?q=\u00fc": "https://example.com:443/h%C3%B6k?q=%C3%BC",
    "https://b\u00fccher.example.com/": "https://xn--bcher-kva.example.com:443/",
    "https://B\u00dcCHER.example.com/": "https://xn--bcher-kva.example.com:443/",
    "https://\uff18.8.8.8/": "https://8.8.8.8:443/",
    "https://fa\u00df.de/": "https://xn--fa-hia.de:443/",
    "https://xn--bcher-kva.example.com/": "https://xn--bcher-kva.example.com:443/",
    "https://a_b.example.com/": "https://a_b.example.com:443/",
    "https://1password.com/": "https://1password.com:443/",
    "https://0x.org/": "https://0x.org:443/",
    "https://internal.example.com/": "https://internal.example.com:443/",
    "https://localhost.example.com/": "https://localhost.example.com:443/",
    "https://example.com:80/": "https://example.com:80/",
    "https://example.com:8080/": "https://example.com:8080/",
    "https://example.com:8443/": "https://example.com:8443/",
    "https://example.com:1024/": "https://example.com:1024/",
    "https://example.com:65535/": "https://example.com:65535/",
    "https://example.com:00443/": "https://example.com:443/",
    "https://8.8.8.8/": "https://8.8.8.8:443/",
    "https://172.15.255.255/": "https://172.15.255.255:443/",
    "https://172.32.0.1/": "https://172.32.0.1:443/",
    "https://100.63.255.255/": "https://100.63.255.255:443/",
    "https://223.255.255.255/": "https://223.255.255.255:443/",
    "https://168.63.129.17/": "https://168.63.129.17:443/",
    "https://[2606:4700:4700::1111]/": "https://[2606:4700:4700::1111]:443/",
    "https://[2606:4700:4700:0:0:0:0:1111]:8443/x": "https://[2606:4700:4700::1111]:8443/x",
    "https://[2a00:1450:a9fe:a9fe::1]/": "https://[2a00:1450:a9fe:a9fe::1]:443/",
    "https://[::ffff:8.8.8.8]/": "https://8.8.8.8:443/",
}

ALWAYS = [
    "169.254.169.254",
    "169.254.170.2",
    "169.254.0.1",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "[fe80::1]",
    "[fe80::a9fe:a9fe]",
    "[fd00:ec2::254]",
    "[fd00:ec2::253]",
    "[fd20:ce::254]",
    "[fd00:42::42]",
    "[::ffff:169.254.169.254]",
    "[::169.254.169.254]",
    "[::ffff:0:169.254.169.254]",
    "[64:ff9b::a9fe:a9fe]",
    "[64:ff9b:1::a9fe:a9fe]",
    "[64:ff9b:1:a9fe:a9:fe00::]",
    "[64:ff9b:1:6464:64:c800::]",
    "[64:ff9b:1:aa:a9:fea9:fe00:0]",
    "[64:ff9b:1:aa:00a9:fea9:fe00::]",
    "[2002:a9fe:a9fe::1]",
    "[2001:0:a9fe:a9fe::1]",
    "[2001:0:4136:e378:8000:63bf:5601:5601]",
    "[fd00::5efe:a9fe:a9fe]",
    "[2600::200:5efe:a9fe:a9fe]",
    "[::ffff:168.63.129.16]",
    "[64:ff9b::100.100.100.200]",
    "[2002:a83f:8110::]",
]


def test_the_corpus_of_hostile_urls_is_large():
    assert len(set(HOSTILE)) >= 280


@pytest.mark.parametrize("url", HOSTILE, ids=ascii)
def test_a_hostile_url_is_refused_with_a_reason(url):
    with pytest.raises(BlockedTarget) as refused:
        check_url(url, NOTHING)
    assert 10 < len(str(refused.value)) < 250


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://example.com/", "example.com would be reached over plain http; use a public one"),
        ("https://10.0.0.1/", "10.0.0.1 is a private address; use a public one over https, or"),
        ("https://db.internal/", "list it under [egress] allow"),
        ("https://127.1/", "write addresses like 192.0.2.1"),
        ("https://example.com:22/", "port 22 belongs to a system service; use 443"),
        ("https://example.com:6379/", "port 6379 belongs to Redis; use 443"),
        ("https://u:p@example.com/", "carries a user name or password; remove it"),
        ("https://example.com/#x", "a #fragment, which is never sent; remove it"),
        ("https://example.com/a b", "percent-encode it"),
        ("example.com/x", "does not start with https://; write it in full"),
    ],
)
def test_an_error_names_the_cause_and_the_remedy(url, words):
    with pytest.raises(BlockedTarget) as refused:
        check_url(url, NOTHING)
    assert words in str(refused.value)


@pytest.mark.parametrize(("url", "written"), WELCOME.items(), ids=ascii)
def test_a_public_url_passes_and_keeps_its_path_byte_for_byte(url, written):
    parsed, scope = authorize_url(url, NOTHING, NetworkScope.PUBLIC)
    assert (parsed.url(), scope) == (written, NetworkScope.PUBLIC)


@pytest.mark.parametrize("host", ALWAYS)
@pytest.mark.parametrize("scope", NetworkScope)
def test_link_local_and_metadata_addresses_are_refused_whoever_asks(host, scope):
    everything = Policy.parse(["0.0.0.0/0", "::/0"])
    with pytest.raises(BlockedTarget, match="metadata address, which is never reached"):
        check_url(f"https://{host}/latest/meta-data", everything, scope)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:9000/jobs/1",
        "http://localhost/jobs/1",
        "http://[::1]:22/",
        "http://10.1.2.3/",
        "http://encoder/jobs/1",
        "http://my_service:6379/",
        "https://encoder.internal/jobs/1",
        "http://0.0.0.0:8000/",
        "http://[fd00::7]/",
        "http://printer.local/",
        "https://example.com/",
    ],
)
def test_the_operators_own_urls_may_be_private_and_plain(url):
    check_url(url, NOTHING, NetworkScope.CONFIGURED)


@pytest.mark.parametrize(
    "url",
    [
        "https://user@10.0.0.1/",
        "http://127.1/",
        "http://2130706433/",
        "http://10.0.0.1/#x",
        "http://host name/",
        "ftp://10.0.0.1/",
        "http://10.0.0.1:0/",
    ],
)
def test_the_operators_own_urls_must_still_be_unambiguous(url):
    with pytest.raises(BlockedTarget):
        check_url(url, NOTHING, NetworkScope.CONFIGURED)


ALLOWING = Policy.parse(["10.20.0.0/16", "fd12::/16", "192.168.7.7", "Hooks.Internal.", "billing"])


@pytest.mark.parametrize(
    ("url", "scope"),
    [
        ("http://10.20.3.4/", NetworkScope.PUBLIC),
        ("http://[::ffff:10.20.3.4]:8080/", NetworkScope.PUBLIC),
        ("https://[fd12::1]/", NetworkScope.PUBLIC),
        ("http://192.168.7.7/", NetworkScope.PUBLIC),
        ("http://hooks.internal:9000/x", NetworkScope.CONFIGURED),
        ("https://HOOKS.internal./x", NetworkScope.CONFIGURED),
        ("http://billing/", NetworkScope.CONFIGURED),
        ("https://example.com/", NetworkScope.PUBLIC),
    ],
)
def test_what_the_operator_allows_may_be_private_and_plain(url, scope):
    assert authorize_url(url, ALLOWING, NetworkScope.PUBLIC)[1] is scope


@pytest.mark.parametrize(
    "url",
    [
        "http://10.21.0.1/",
        "https://192.168.7.8/",
        "https://x.hooks.internal/",
        "https://internal/",
        "http://example.com/",
        "http://10.20.3.4:6379/",
        "http://hooks.internal:22/",
        "http://[2002:a14:304::]/",
        "http://[64:ff9b::10.20.3.4]/",
        "http://169.254.169.254/",
    ],
)
def test_an_allow_list_allows_nothing_else(url):
    with pytest.raises(BlockedTarget):
        check_url(url, ALLOWING)


def test_behind_an_allowed_nat64_prefix_the_inner_address_is_checked():
    policy = Policy.parse(["64:ff9b::/96"])
    check_url("https://[64:ff9b::8.8.8.8]/", policy)
    for inner in ("10.0.0.1", "127.0.0.1", "169.254.169.254"):
        with pytest.raises(BlockedTarget):
            check_url(f"https://[64:ff9b::{inner}]/", policy)


@pytest.mark.parametrize(
    "entry",
    [
        "",
        "10.20.0.1/16",
        "10.20.0.0/33",
        "10.20/16",
        "http://hooks.internal",
        "hooks.internal:8080",
        "hooks.internal/x",
        "*.internal",
        "127.1",
        "[::1]:80",
        "two words",
        "169.254.169.254",
        "169.254.0.0/16",
        "fe80::/10",
        "fd00:ec2::254/128",
    ],
)
def test_a_bad_allow_entry_is_named_with_a_remedy(entry):
    with pytest.raises(ValueError, match=r"^'") as refused:
        Policy.parse([entry])
    assert repr(entry) in str(refused.value)


def test_every_constructor_compiles_the_policy():
    assert Policy(allow=("10.0.0.0/8", "a.example")) == Policy.parse(["10.0.0.0/8", "a.example"])
    assert Policy(names=frozenset({"sneaky"})).names == frozenset()


@pytest.mark.parametrize("network", [*(row[0] for row in DENIED), *NEVER], ids=str)
def test_every_denied_network_is_denied_from_first_to_last_address(network):
    middle = network[random.randrange(network.num_addresses)]
    for address in (network[0], network[-1], middle):
        assert denied_kind(address, NOTHING, NetworkScope.PUBLIC)


@given(st.ip_addresses())
def test_nothing_that_python_calls_non_global_gets_through(address):
    if not address.is_global or address.is_multicast:
        assert denied_kind(address, NOTHING, NetworkScope.PUBLIC)


@given(st.integers(0, 2**32 - 1).map(IPv4Address))
def test_a_mapped_address_is_checked_as_ipv4(address):
    mapped = f"https://[::ffff:{address}]/"
    assert _passes(mapped) == _passes(f"https://{address}/")
    assert not _passes(f"https://[64:ff9b::{address}]/")
    assert not _passes(f"https://[::{address}]/")


@given(st.integers(0, 2**32 - 1))
def test_no_number_is_a_host(number):
    assert not any(_passes(f"https://{host}/") for host in (number, hex(number), f"0{number:o}"))


@settings(max_examples=300)
@given(
    st.text(max_size=60)
    | st.text("htps:/.@#[]%\\0123456789abx\u017f\u3002\uff11 \t\n").map("https://".__add__)
)
@example("https://[::1]\u3002com")
def test_any_text_is_refused_or_parsed_alike_by_all_parsers(text):
    if not _passes(text):
        return
    parsed, _ = authorize_url(text, NOTHING, NetworkScope.PUBLIC)
    written = parsed.url()
    url, parts = URL(written, encoded=True), urlsplit(written)
    assert written.isascii()
    assert url.raw_host == parts.hostname
    assert url.port == parts.port
    assert authorize_url(written, NOTHING, NetworkScope.PUBLIC)[0] == parsed


def test_only_global_unicast_ipv6_is_public():
    assert not denied_kind(IPv6Address("2600::1"), NOTHING, NetworkScope.PUBLIC)
    assert denied_kind(ip_address("5000::1"), NOTHING, NetworkScope.PUBLIC)


def _passes(url: str) -> bool:
    try:
        check_url(url, NOTHING)
    except BlockedTarget:
        return False
    return True
