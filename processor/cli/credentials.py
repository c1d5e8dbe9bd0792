"""Which key a command calls a server with."""

from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from processor.cli import key_file
from processor.cli.exit_codes import CommandError

REMEDY = (
    "give the server's key with --key or RINGBACK_API_KEY; on its own machine the file `key` of "
    "--data (RINGBACK_DATA, else .ringback) is read"
)


def key_for(url: str, given: str | None, data: Path) -> str | None:
    """The key that was given, else, for a server on this machine, the one in its data folder."""
    key = (given or "").strip()
    if not key:
        return key_file.read(data / key_file.NAME) if is_loopback(url) else None
    if not (key.isascii() and key.isprintable()):
        raise CommandError("--key or RINGBACK_API_KEY: only printable ASCII can be sent as a key")
    return key


def is_loopback(url: str) -> bool:
    """Whether a URL leads to this machine for certain: no other name is looked up for it."""
    try:
        host = urlsplit(url if "://" in url else f"http://{url}").hostname or ""
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
