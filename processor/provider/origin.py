"""The origin that a job's URLs must be at, whichever way they are written."""

import re
from ipaddress import IPv6Address
from typing import NamedTuple
from urllib.parse import urljoin

import idna

_DEFAULT = {"http": 80, "https": 443}
_ABSOLUTE = re.compile(
    r"(https?)://(\[[0-9a-f:.]+\]|[^\s/?#\\@:\[\]]+)(?::([0-9]{0,5}))?(?=[/?#]|\Z)", re.IGNORECASE
)
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)
_HOST = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\]")
_NOWHERE = "http://nowhere"  # takes part in joining paths, and is cut off again


class Origin(NamedTuple):
    """Scheme, host and port in one spelling: lower case, ASCII, no last dot."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        """Write it as browsers do: without the port that goes without saying."""
        port = "" if self.port == _DEFAULT[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{self.host}{port}"


def absolute_url(base_url: str, url: str) -> str:
    """Return a URL that a job names, absolute; raise ValueError unless `base_url` has its origin.

    A relative one lies below `base_url`. The host that is asked is written by us, so that no
    two readers of the URL can see different hosts in it.
    """
    base, text = _split(base_url), url.strip(" \t").partition("#")[0]
    if base is not None and text:
        origin, path = base
        if not text.startswith("//") and not _SCHEME.match(text):
            folder = f"{_NOWHERE}{path.partition('?')[0].rstrip('/')}/"
            whole = text if text.startswith("/") else urljoin(folder, text)
            return _as_written(base_url) + _rooted(whole.removeprefix(_NOWHERE))
        found = _split(f"{origin.scheme}:{text}" if text.startswith("//") else text)
        if found is not None and found[0] == origin:
            return f"{origin}{_rooted(found[1])}"
    raise ValueError(
        f"its URL is not at {base[0] if base else 'any configured origin'}; "
        "set `base_url` on the source to where the provider's answers lead"
    )


def _as_written(base_url: str) -> str:
    match = _ABSOLUTE.match(base_url)
    return match[0] if match else ""


def _rooted(tail: str) -> str:
    return tail if tail.startswith("/") else f"/{tail}"


def _split(url: str) -> tuple[Origin, str] | None:
    """Give origin and the rest, or None for what is not a URL that can be read in one way only."""
    match = _ABSOLUTE.match(url)
    host = _host(match[2]) if match else None
    if match is None or host is None:
        return None
    scheme = match[1].lower()
    return Origin(scheme, host, int(match[3] or _DEFAULT[scheme])), url[match.end() :]


def _host(text: str) -> str | None:
    try:
        if text.startswith("["):
            return f"[{IPv6Address(text[1:-1])}]"
        name = text if text.isascii() else idna.encode(text, uts46=True).decode()
    except ValueError:  # idna's, too
        return None
    name = name.lower().removesuffix(".")
    return name if _HOST.fullmatch(name) else None
