"""Splits and normalizes a URL; URLs that two parsers could read differently are refused (SSRF)."""

import re
import string
from functools import lru_cache
from ipaddress import IPv6Address
from typing import NamedTuple
from urllib.parse import quote

from processor.egress import hosts, ports
from processor.egress.addresses import Address
from processor.errors import BlockedTarget


class ParsedUrl(NamedTuple):
    """A normalized URL: lower-case scheme and host, a port, and the rest byte for byte."""

    scheme: str
    host: str | Address
    port: int
    tail: str

    def url(self) -> str:
        """The normalized URL; pure ASCII."""
        host = f"[{self.host}]" if isinstance(self.host, IPv6Address) else self.host
        return f"{self.scheme}://{host}:{self.port}{self.tail}"


_FAULTS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"(?s)\A.{2049}"), "is longer than 2048 characters; shorten it"),
    (
        re.compile(r"[\s\x00-\x20\x7f-\x9f\\\ud800-\udfff]"),
        "holds a space, backslash or control character; percent-encode it",
    ),
    (re.compile(r"(?ai)\A(?!https?://)"), "does not start with https://; write it in full"),
    (re.compile(r"#"), "has a #fragment, which is never sent; remove it"),
    (re.compile(r"\A[^/]*//[^/?]*@"), "carries a user name or password; remove it"),
)
_URL = re.compile(  # (?a): otherwise U+017F, a long s, would match an s
    r"(?ai)(?P<scheme>https?)://(?P<host>\[[^\[\]/?]*\]|[^:\[\]/?]+)(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<tail>[/?].*)?"
)
_AS_WRITTEN = string.ascii_letters + string.digits + string.punctuation
_SHOWN = 80  # characters of an invalid host in a message


def split(url: str) -> ParsedUrl:
    """Split a URL; BlockedTarget names what is wrong and the remedy."""
    for pattern, fault in _FAULTS:
        if pattern.search(url):
            raise BlockedTarget(f"the URL {fault}")
    found = _URL.fullmatch(url)
    if found is None:
        raise BlockedTarget("the URL has no readable host and port; write https://host:port/path")
    scheme, tail = found["scheme"].lower(), quote(found["tail"] or "", safe=_AS_WRITTEN)
    port = int(found["port"] or ports.DEFAULT[scheme])
    if not ports.exists(port):
        raise BlockedTarget(f"port {port} does not exist; leave it out or write 1 to 65535")
    return ParsedUrl(scheme, _host(found["host"]), port, tail if tail[:1] == "/" else f"/{tail}")


@lru_cache(1024)  # the URLs of polls differ, their hosts do not
def _host(text: str) -> str | Address:
    try:
        return hosts.read(text)
    except ValueError as error:
        raise BlockedTarget(f"the host {text[:_SHOWN]!r} {error}") from None
