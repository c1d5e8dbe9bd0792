"""Where callers want to be called back: which URLs and secrets may be, and the lane of a callback."""

from urllib.parse import urlsplit

from processor import signing
from processor.egress import check_url
from processor.errors import BlockedTarget, InvalidValue
from processor.service.runtime.context import Context


def lane_of(url: str) -> str:
    """The lane of a callback target: one a host, however many URLs it has."""
    parts = urlsplit(url)
    return f"cb:{parts.scheme}://{parts.netloc}".lower()


def check_secret(field: str, secret: str) -> None:
    """Invalid unless we can sign with this."""
    try:
        signing.decode_secret(secret)
    except ValueError as error:
        raise InvalidValue(f"{field}: {error}") from None


def check_target(context: Context, field: str, url: str) -> None:
    """Invalid for a URL that the egress guard refuses."""
    try:
        check_url(url, context.egress.policy)
    except BlockedTarget as error:
        raise InvalidValue(f"{field}: {error}") from None
