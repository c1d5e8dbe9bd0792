"""REDIS_URL: validated before the first connection, and shown without its secrets.

The shapes are redis-py's: redis://[user[:password]@]host[:port][/database][?options], rediss:// for
TLS, unix://[user[:password]@]/path/to.sock[?options]. All parts are percent-encoded. No message
repeats any part of the URL except its host: a password that was not encoded may be anywhere else.
"""

import os
import re
from urllib.parse import SplitResult, parse_qsl, unquote, urlencode, urlsplit

from processor.config.secrets import MASK
from processor.errors import ConfigError

SHAPE = "redis://[:PASSWORD@]HOST[:PORT][/DATABASE], rediss://… for TLS, or unix:///PATH"
ENCODE = "write @ / : ? # % in a user or password as %40 %2F %3A %3F %23 %25"
OPTIONS = ("db", "username", "password", "protocol", "client_name")
TLS_OPTIONS = (
    "ssl_ca_certs",
    "ssl_ca_path",
    "ssl_cert_reqs",
    "ssl_certfile",
    "ssl_check_hostname",
    "ssl_keyfile",
    "ssl_password",
)
SECRET_OPTIONS = ("password", "ssl_password")
FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
WORDS = {
    "db": (r"[0-9]{1,5}", "is not a number; the first database is 0"),
    "protocol": (r"[23]", "is neither 2 nor 3; leave it out"),
    "client_name": (
        r"[!-~]*",
        "has a character that Redis does not accept; use ASCII without blanks",
    ),
    "ssl_cert_reqs": (r"none|optional|required", "is not one of none, optional, required"),
}
"""The pattern for the value of an option, and the message for another value."""


def checked(name: str, url: str) -> str:
    """The URL, unchanged; ConfigError, naming the variable and the remedy, if it cannot work."""
    problem = _problem(url)
    if problem:
        raise ConfigError(f"{name}: {problem}")
    return url


def masked(url: str) -> str:
    """The URL for display: what may be secret is masked."""
    parts = urlsplit(url)
    _, at, place = parts.netloc.rpartition("@")
    query = urlencode(
        [(k, MASK if k in SECRET_OPTIONS else v) for k, v in parse_qsl(parts.query)], safe="*"
    )
    shown = f"{parts.scheme}://{MASK if at else ''}{at}{place}{parts.path}"
    return f"{shown}?{query}" if query else shown


def address(url: str) -> str:
    """Host and port, or the socket: nothing that may be secret."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return unquote(parts.path)
    return f"{parts.hostname}:{parts.port or 6379}"


def _problem(url: str) -> str | None:
    if re.search(r"[\s\x00-\x1f\x7f]", url):
        return "it contains a blank or control character; remove it"
    if not re.match(r"(redis|rediss|unix)://", url):
        return f"it is not a Redis URL; write it as {SHAPE}"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return f"its host and port cannot be read; write it as {SHAPE}, and {ENCODE}"
    if "#" in url or port == 0 or not _names_a_place(parts):
        return f"it names no host, socket or database; write it as {SHAPE}, and {ENCODE}"
    return _wrong_option(parts)


def _names_a_place(parts: SplitResult) -> bool:
    if parts.scheme == "unix":
        return parts.path.startswith("/") and not parts.hostname
    return bool(parts.hostname and re.fullmatch(r"/?|/[0-9]{1,5}", parts.path))


def _wrong_option(parts: SplitResult) -> str | None:
    known = OPTIONS + (TLS_OPTIONS if parts.scheme == "rediss" else ())
    for option, value in parse_qsl(parts.query, keep_blank_values=True):
        if option not in known:
            return f"it has an option that is not known; use {', '.join(known)}, and {ENCODE}"
        pattern, wrong = WORDS.get(option, ("", ""))
        if pattern and not re.fullmatch(pattern, value):
            return f"its {option} {wrong}"
        if option in FILES and not os.access(value, os.R_OK):
            return f"its {option} is not a file that can be read"
    return None
