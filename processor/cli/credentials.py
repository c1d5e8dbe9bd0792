"""Which API key a command sends to a server."""

from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from processor.cli import key_file
from processor.cli.exit_codes import CommandError

REMEDY = (
    "give the server's key with --key or RINGBACK_API_KEY; on the server's own machine it is read "
    "from the file `key` in --data (RINGBACK_DATA, else .ringback)"
)


def key_for(url: str, given: str | None, data: Path) -> str | None:
    """The given key, else, for a server on this machine, the key in its data folder."""
    key = (given or "").strip()
    if not key:
        return key_file.read(data / key_file.NAME) if is_loopback(url) else None
    if not (key.isascii() and key.isprintable()):
        raise CommandError("--key or RINGBACK_API_KEY: only printable ASCII can be sent as a key")
    return key


def is_loopback(url: str) -> bool:
    """Whether a URL certainly leads to this machine; names other than localhost do not count."""
    try:
        host = urlsplit(url if "://" in url else f"http://{url}").hostname or ""
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
